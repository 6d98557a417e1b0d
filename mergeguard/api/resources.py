"""Reports about resources, and the task that merges duplicates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from mergeguard.api.opened import DEFAULT, ProfileLike, opened
from mergeguard.api.queueing import opened_queue
from mergeguard.storage.source import Options, Progress, silent

if TYPE_CHECKING:  # each pulls in more than a program that does not call for it should pay
    from mergeguard.resources.duplicates import Duplicate, DuplicateOutcome, Duplicates
    from mergeguard.resources.merged_resources import MergedResources
    from mergeguard.resources.moved_sources import MovedSource
    from mergeguard.resources.shared_keys import SharedKeys


def merged_resources(
    target: str | Path,
    profile: ProfileLike = None,
    *,
    limit: int = 1000,
    options: Options = DEFAULT,
    progress: Progress = silent,
) -> MergedResources:
    """Report the newest merges: what each old guid is now, and which key, rule or person made them one.

    Raises:
        CannotCheck: the target could not be read.
    """
    from mergeguard.resources.merged_resources import merged_resources as report  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return report(source, chosen, limit=limit, progress=progress)


def shared_keys(
    target: str | Path,
    profile: ProfileLike = None,
    *,
    names: Collection[str] = (),
    limit: int = 1000,
    options: Options = DEFAULT,
    progress: Progress = silent,
) -> SharedKeys:
    """Find key values that several live resources share, before they are merged by them.

    Raises:
        UsageError: the profile declares no keys.
        CannotCheck: the target could not be read.
    """
    from mergeguard.resources.shared_keys import shared_keys as find  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return find(source, chosen, names=names, limit=limit, progress=progress)


def find_duplicates(
    target: str | Path,
    profile: ProfileLike = None,
    *,
    by: Collection[str] = (),
    options: Options = DEFAULT,
    progress: Progress = silent,
) -> Duplicates:
    """Find unmanaged resources that are a managed one by serial number, system number or barcode; nothing is written.

    Args:
        target: any target.
        profile: must declare keys and what is managed.
        by: names of keys, in place of the three.
        options: how to open it.
        progress: is told of the readings.

    Raises:
        UsageError: the profile does not declare what is needed.
        CannotCheck: the target could not be read.
    """
    from mergeguard.processor.settings import Settings  # noqa: PLC0415 - only for the values that say nothing
    from mergeguard.resources.duplicates import BY  # noqa: PLC0415 - imports NumPy
    from mergeguard.resources.duplicates import find_duplicates as find  # noqa: PLC0415 - as above

    junk = [part.strip() for part in Settings().ignored_key_values.replace("\n", ";").split(";") if part.strip()]
    with opened(target, profile, options) as (source, chosen):
        return find(source, chosen, by=by or BY, junk=junk, progress=progress)


def merge_duplicates(
    target: str | Path, found: Sequence[Duplicate], profile: ProfileLike = None, *, options: Options = DEFAULT
) -> Sequence[DuplicateOutcome]:
    """Merge duplicates that were found, each in a transaction of its own; one that is refused stops none.

    Raises:
        Unsupported: the target is a file.
        Locked: those before it are merged, as the journal tells.
        PermissionDenied: likewise.
        WriteFailed: likewise.
        JournalDamaged: likewise.
        CannotCheck: the target could not be read.
    """
    from mergeguard.resources.duplicates import merge_duplicates as merge  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return merge(source, chosen, found)


def queue_sources(
    target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT
) -> Sequence[MovedSource]:
    """Return the sources of queued events that were merged away, with what they are now.

    Raises:
        Unsupported: the target is a file.
        CannotCheck: the queue or the merges could not be read.
    """
    from mergeguard.resources.moved_sources import moved_sources  # noqa: PLC0415 - imports NumPy
    from mergeguard.storage.queue.opening import open_store  # noqa: PLC0415 - imports SQLAlchemy

    with opened_queue(target, options) as store:
        store.sizes()  # what is missing later is of the merges
    with closing(open_store(str(target), options)) as store, opened(target, profile, options) as (source, chosen):
        return moved_sources(store, source, chosen)
