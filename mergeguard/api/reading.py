"""What only reads: the graph, the scan, one guid or many, the lookup worked out, a database looked over."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mergeguard.api.opened import DEFAULT, ProfileLike, as_guid, opened
from mergeguard.core.findings import Explanation, ScanReport
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options, Progress, silent

if TYPE_CHECKING:  # each pulls in more than a program that does not call for it should pay
    from mergeguard.core.graph import MergeGraph
    from mergeguard.core.guids import Guids
    from mergeguard.core.lookup import Lookup
    from mergeguard.integrity.discover import Proposal
    from mergeguard.integrity.lookup import Verified
    from mergeguard.integrity.resolve import Resolved
    from mergeguard.integrity.scan import ScanOptions
    from mergeguard.resources.current import Answer, Currents


def load(
    target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT, progress: Progress = silent
) -> MergeGraph:
    """Load the merge table as a read-only ``networkx.DiGraph`` of ``uuid.UUID`` nodes.

    Each edge carries ``rows``, the tuple of (row id, time) behind it. 32 bytes a row, and what the row ids and times
    take; the graph's index is built when networkx first asks for it.

    Raises:
        UsageError: no such kind of target, or a profile that is wrong.
        CannotCheck: the target could not be read.
    """
    from mergeguard.core.graph import MergeGraph  # noqa: PLC0415 - networkx costs 190 ms to import
    from mergeguard.storage.assemble import merge_table  # noqa: PLC0415 - as above

    with opened(target, profile, options) as (source, chosen), source.snapshot() as snapshot:
        return MergeGraph(merge_table(snapshot, chosen, progress))


def scan(
    target: str | Path,
    profile: ProfileLike = None,
    *,
    scan_options: ScanOptions | None = None,
    options: Options = DEFAULT,
    progress: Progress = silent,
) -> ScanReport:
    """Check every rule over one snapshot of the target; nothing is written. Findings are values in the report.

    Raises:
        UsageError: an unknown rule, no such kind of target, or a profile that is wrong.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.scan import scan_source  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return scan_source(source, chosen, scan_options, progress=progress)


def explain(
    target: str | Path,
    guid: uuid.UUID | str,
    profile: ProfileLike = None,
    *,
    options: Options = DEFAULT,
    progress: Progress = silent,
) -> Explanation:
    """Tell the story of one guid: status, current, depth, sentences, the path and a picture.

    Raises:
        UsageError: the text is no guid.
        GuidNotFound: no row holds the guid.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.explain import explain_source  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return explain_source(source, chosen, str(guid), progress=progress)


def resolve(
    target: str | Path,
    guids: Iterable[uuid.UUID | str],
    profile: ProfileLike = None,
    *,
    options: Options = DEFAULT,
    progress: Progress = silent,
) -> list[Resolved]:
    """Answer for each guid what it is now, in the order asked; a text that is no guid gets the status ``malformed``.

    Raises:
        UsageError: no such kind of target, or a profile that is wrong.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.resolve import resolve_source  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return resolve_source(source, chosen, map(str, guids), progress=progress)


def current(
    target: str | Path, guid: uuid.UUID | str, profile: ProfileLike = None, *, options: Options = DEFAULT
) -> Answer:
    """Say what one guid is now: walked to its end in the tables themselves, whatever any lookup says.

    Raises:
        UsageError: the text is no guid.
        CannotCheck: the target could not be read.
    """
    from mergeguard.resources.current import current as current_of  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return current_of(source, chosen, as_guid(guid))


def currents(
    target: str | Path,
    guids: Guids,
    profile: ProfileLike = None,
    *,
    options: Options = DEFAULT,
    progress: Progress = silent,
) -> Currents:
    """Say what many guids are now, as columns: looked up in the stored lookup, or worked out where there is none.

    ``guids`` is a column of the shape ``(n, 16)``, see ``mergeguard.core.guids``.

    Raises:
        CannotCheck: the target could not be read.
    """
    from mergeguard.resources.current import currents as currents_of  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return currents_of(source, chosen, guids, progress=progress)


def lookup(
    target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT, progress: Progress = silent
) -> Lookup:
    """Work out the lookup from the rows: every old once, with current, depth and status. Nothing is written.

    Raises:
        UsageError: no such kind of target, or a profile that is wrong.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.lookup import read_lookup  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return read_lookup(source, chosen, progress=progress)


def verify_lookup(
    target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT, progress: Progress = silent
) -> Verified:
    """Hold the stored lookup against the rows: how many olds are missing, superfluous or answered differently.

    Raises:
        UsageError: no such kind of target, or a profile that is wrong.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.lookup import verify_lookup as verify  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return verify(source, chosen, progress=progress)


def discover(target: str | Path, *, options: Options = DEFAULT) -> Proposal:
    """Look a database over and propose a profile, with the evidence; nothing is written.

    Raises:
        UsageError: no such kind of target.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.discover import discover as look  # noqa: PLC0415 - imports NumPy

    with opened(target, Profile(name="discover"), options) as (source, _):
        return look(source)


def doctor(
    target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT
) -> Sequence[tuple[str, str, bool]]:
    """Return (check, finding, fine?) rows: versions, driver, permissions, isolation, the profile, read-only proof.

    What would stop a scan is a row as well, not an exception.

    Raises:
        UsageError: no such kind of target, or a profile that is wrong.
    """
    from mergeguard.integrity.doctor import examine  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return examine(source, chosen)
