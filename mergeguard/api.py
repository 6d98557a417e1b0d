"""What a Python program calls; the command line calls nothing else.

Every function takes a target as the commands do: a SQLAlchemy URL, a ``.db`` file, or a ``.csv``, ``.tsv``, ``.csv.gz``
or ``.parquet`` file. ``profile`` is a ``Profile``, the path of a profile file or the name of a built-in one; without it
databases are read by the reference schema's profile. All raise ``MergeGuardError``: ``UsageError`` for what the caller
got wrong, ``CannotCheck`` where the target could not be read.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mergeguard.core.findings import Explanation, ScanReport
from mergeguard.errors import UsageError
from mergeguard.integrity.profiles import choose_profile
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options, Progress, Source, silent
from mergeguard.storage.targets import open_target

if TYPE_CHECKING:  # each pulls in more than a program that does not call for it should pay
    from mergeguard.core.graph import MergeGraph
    from mergeguard.core.guids import Guids
    from mergeguard.core.lookup import Lookup
    from mergeguard.core.repair.journal import JournalStep, Run
    from mergeguard.core.repair.plan import Plan, TargetIdentity
    from mergeguard.integrity.apply import Applied, ApplyOptions
    from mergeguard.integrity.demo import DemoResult
    from mergeguard.integrity.discover import Proposal
    from mergeguard.integrity.guard import GuardChange, GuardStatus
    from mergeguard.integrity.guard_proof import GuardProof
    from mergeguard.integrity.lookup import Built, Verified
    from mergeguard.integrity.nightly import Nightly, NightlyOptions
    from mergeguard.integrity.planning import PlanOptions
    from mergeguard.integrity.resolve import Resolved
    from mergeguard.integrity.scan import ScanOptions
    from mergeguard.integrity.undo import Undone
    from mergeguard.integrity.unmerge import Unmerge, Unmerged
    from mergeguard.resources.current import Answer, Currents
    from mergeguard.resources.merged import Merged

ProfileLike: TypeAlias = Profile | str | Path | None
_DEFAULT = Options()


@contextmanager
def _opened(target: str | Path, profile: ProfileLike, options: Options) -> Iterator[tuple[Source, Profile]]:
    chosen = choose_profile(str(target), profile)
    source = open_target(str(target), chosen, options)
    try:
        if options.recover:
            source.recover()
        yield source, chosen
    finally:
        source.close()


def load(
    target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT, progress: Progress = silent
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

    with _opened(target, profile, options) as (source, chosen), source.snapshot() as snapshot:
        return MergeGraph(merge_table(snapshot, chosen, progress))


def scan(
    target: str | Path,
    profile: ProfileLike = None,
    *,
    scan_options: ScanOptions | None = None,
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> ScanReport:
    """Check every rule over one snapshot of the target; nothing is written. Findings are values in the report.

    Raises:
        UsageError: an unknown rule, no such kind of target, or a profile that is wrong.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.scan import scan_source  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return scan_source(source, chosen, scan_options, progress=progress)


def nightly(
    target: str | Path,
    profile: ProfileLike = None,
    *,
    nightly_options: NightlyOptions | None = None,
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> Nightly:
    """Scan, remember, write reports and metrics, and where asked repair what is certain and scan again.

    What fails after the first scan is told in ``Nightly.failures``; ``Nightly.code`` is the exit code for all of it.

    Raises:
        UsageError: options that do not go together, an unknown rule or format, or a profile that is wrong.
        Locked: another night of this target is under way.
        CannotCheck: the target could not be read; nothing was written.
    """
    from mergeguard.integrity.nightly import NightlyOptions, nightly_source  # noqa: PLC0415 - imports NumPy
    from mergeguard.render.nightly import ports_of  # noqa: PLC0415 - as above

    wanted = nightly_options or NightlyOptions()
    ports = ports_of(wanted)
    with _opened(target, profile, options) as (source, chosen):
        return nightly_source(source, chosen, wanted, ports, progress=progress)


def plan(
    target: str | Path,
    profile: ProfileLike = None,
    *,
    plan_options: PlanOptions | None = None,
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> Plan:
    """Work out how a database would be repaired: exact rows, with evidence and confidence. Nothing is written.

    What the evidence does not decide is a value in ``Plan.refused``, with the line that a person decides it by.

    Raises:
        UsageError: an override that names what is not there, no such kind of target, or a profile that is wrong.
        Unsupported: the target is a file.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.planning import make_plan  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return make_plan(source, chosen, plan_options, progress=progress)


def save_plan(plan: Plan, path: str | Path, *, replace: bool = False) -> None:
    """Write a plan into a file of its own, which only its owner can read; whole or not at all.

    Raises:
        UsageError: the file exists already and is not to be replaced, or cannot be made there.
        WriteFailed: any other failure, a full disk above all.
    """
    from mergeguard.storage.plan_file import save_plan as save  # noqa: PLC0415 - imports NumPy

    save(plan, path, replace=replace)


def load_plan(path: str | Path, *, expired: bool = False) -> Plan:
    """Read a plan file; ``expired`` reads one that may no longer be applied, too.

    Raises:
        UsageError: there is no such file, or it may not be read.
        PlanRefused: it was edited or cut short, comes from a newer version, or has expired.
    """
    from datetime import UTC, datetime  # noqa: PLC0415 - as above

    from mergeguard.storage.plan_file import load_plan as load  # noqa: PLC0415 - as above

    return load(path, now=None if expired else datetime.now(UTC))


def explain(
    target: str | Path,
    guid: uuid.UUID | str,
    profile: ProfileLike = None,
    *,
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> Explanation:
    """Tell the story of one guid: status, current, depth, sentences, the path and a picture.

    Raises:
        UsageError: the text is no guid.
        GuidNotFound: no row holds the guid.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.explain import explain_source  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return explain_source(source, chosen, str(guid), progress=progress)


def resolve(
    target: str | Path,
    guids: Iterable[uuid.UUID | str],
    profile: ProfileLike = None,
    *,
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> list[Resolved]:
    """Answer for each guid what it is now, in the order asked; a text that is no guid gets the status ``malformed``.

    Raises:
        UsageError: no such kind of target, or a profile that is wrong.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.resolve import resolve_source  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return resolve_source(source, chosen, map(str, guids), progress=progress)


def lookup(
    target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT, progress: Progress = silent
) -> Lookup:
    """Work out the lookup from the rows: every old once, with current, depth and status. Nothing is written.

    Raises:
        UsageError: no such kind of target, or a profile that is wrong.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.lookup import read_lookup  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return read_lookup(source, chosen, progress=progress)


def build_lookup(
    target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT, progress: Progress = silent
) -> Built:
    """Write the lookup table in one transaction: readers see the old one or the new one, never half.

    Raises:
        Unsupported: the target is a file.
        PermissionDenied: this login may not write there.
        Locked: another session holds the table for longer than the lock timeout.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.lookup import build_lookup as build  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return build(source, chosen, progress=progress)


def verify_lookup(
    target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT, progress: Progress = silent
) -> Verified:
    """Hold the stored lookup against the rows: how many olds are missing, superfluous or answered differently.

    Raises:
        UsageError: no such kind of target, or a profile that is wrong.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.lookup import verify_lookup as verify  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return verify(source, chosen, progress=progress)


def apply(
    plan: Plan | str | Path,
    target: str | Path | None = None,
    *,
    apply_options: ApplyOptions | None = None,
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> Applied:
    """Apply a plan, or the plan in a file, to the database that it was made for: one transaction a component.

    ``target`` may reach the same database by another URL. Calling again with the same plan goes on where a call ended.

    Raises:
        PlanRefused: the plan was edited, cut short or has expired, or is for another database; nothing was changed.
        Stale: rows changed since; earlier steps stay applied, and the message says how many.
        JournalDamaged: the journal's tables are not as MergeGuard made them; nothing was changed.
        ApplyFailed: a check found something wrong; the step at hand was rolled back.
        PermissionDenied: this login may not write; nothing was changed.
        Locked: another session held a lock for too long; the step at hand was not made.
    """
    from mergeguard.core.repair.plan import Plan  # noqa: PLC0415 - imports NumPy
    from mergeguard.integrity.apply import apply_plan  # noqa: PLC0415 - as above
    from mergeguard.storage.profile_file import profile_from_document  # noqa: PLC0415 - as above

    made = plan if isinstance(plan, Plan) else load_plan(plan)
    profile = profile_from_document(made.profile, "the plan")
    with _opened(target or made.target.url, profile, options) as (source, chosen):
        return apply_plan(source, chosen, made, apply_options, progress=progress)


def undo(
    target: str | Path,
    run: str,
    profile: ProfileLike = None,
    *,
    component: str | None = None,
    reason: str = "",
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> Undone:
    """Take a run back, or one component of it: every row byte for byte as it was, or nothing at all.

    ``run`` is the run's id or its first characters, six at least.

    Raises:
        UsageError: no run, or no component, is named by what was given.
        PlanRefused: the run is an undo itself, or was taken back before.
        Stale: rows changed since; ``changed`` lists them, and nothing was changed.
        JournalDamaged: the journal is missing or was altered.
        PermissionDenied: this login may not write; nothing was changed.
    """
    from mergeguard.integrity.undo import undo_run  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return undo_run(source, chosen, run, component=component, reason=reason, progress=progress)


def journal(target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT) -> list[Run]:
    """List what MergeGuard did to a database, the newest run first; none where nothing was ever applied.

    Raises:
        JournalDamaged: the journal's tables are not as MergeGuard made them.
        Unsupported: the target is a file.
        CannotCheck: the target could not be read.
    """
    from mergeguard.storage.journal import Journal  # noqa: PLC0415 - imports SQLAlchemy

    with _opened(target, profile, options) as (source, chosen):
        return Journal(source, chosen).runs()


def journal_run(
    target: str | Path, run: str, profile: ProfileLike = None, *, options: Options = _DEFAULT
) -> tuple[Run, list[JournalStep]]:
    """Return one run of the journal and its steps, each with its evidence and its rows before and after.

    ``run`` is the run's id or its first characters, six at least.

    Raises:
        UsageError: no run is named by what was given.
        JournalDamaged: the journal is missing or was altered.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.undo import find_run  # noqa: PLC0415 - imports NumPy
    from mergeguard.storage.journal import Journal  # noqa: PLC0415 - imports SQLAlchemy

    with _opened(target, profile, options) as (source, chosen):
        kept = Journal(source, chosen)
        found = find_run(kept, run)
        return found, kept.steps(found.run_id)


def merge(  # noqa: PLR0913 - as the command has flags
    target: str | Path,
    old: uuid.UUID | str,
    new: uuid.UUID | str,
    profile: ProfileLike = None,
    *,
    request_id: str | None = None,
    key: str | None = None,
    preview: bool = False,
    options: Options = _DEFAULT,
) -> Merged:
    """Merge one resource into another in one transaction: its row, the lookup, the references and the journal.

    With ``preview`` nothing is written; ``Merged.refused`` says why it would be refused. A ``request_id`` that is given
    again answers what it answered before. For many merges keep ``mergeguard.resources.merge.open_merges`` open.

    Raises:
        UsageError: a text is no guid.
        MergeRefused: the merge must not be made; ``reason`` says why. Nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        PermissionDenied, WriteFailed, JournalDamaged: nothing was changed.
        CannotCheck: the target could not be read.
    """
    from mergeguard.resources.merge import merge as merge_guids  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        pair = _guid(old), _guid(new)
        return merge_guids(source, chosen, *pair, request_id=request_id, key=key, preview=preview)


def current(
    target: str | Path, guid: uuid.UUID | str, profile: ProfileLike = None, *, options: Options = _DEFAULT
) -> Answer:
    """Say what one guid is now: walked to its end in the tables themselves, whatever any lookup says.

    Raises:
        UsageError: the text is no guid.
        CannotCheck: the target could not be read.
    """
    from mergeguard.resources.current import current as current_of  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return current_of(source, chosen, _guid(guid))


def currents(
    target: str | Path,
    guids: Guids,
    profile: ProfileLike = None,
    *,
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> Currents:
    """Say what many guids are now, as columns: looked up in the stored lookup, or worked out where there is none.

    ``guids`` is a column of the shape ``(n, 16)``, see ``mergeguard.core.guids``.

    Raises:
        CannotCheck: the target could not be read.
    """
    from mergeguard.resources.current import currents as currents_of  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return currents_of(source, chosen, guids, progress=progress)


def _guid(asked: uuid.UUID | str) -> uuid.UUID:
    from mergeguard.core.guids import parse  # noqa: PLC0415 - imports NumPy

    found = parse(str(asked))
    if found is None:
        raise UsageError(f"{str(asked)[:80]!r} is not a guid", hint="a guid has 32 hex digits, in any usual spelling")
    return found


def propose_unmerge(
    target: str | Path,
    guid: uuid.UUID | str,
    profile: ProfileLike = None,
    *,
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> Unmerge:
    """Work out what taking one merge back would do, and what nobody can know about it. Nothing is written.

    Raises:
        UsageError: the text is no guid.
        GuidNotFound: no row merges the guid away.
        JournalDamaged: the journal was altered.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.unmerge import propose_unmerge as propose  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return propose(source, chosen, str(guid), progress=progress)


def unmerge(
    target: str | Path,
    proposal: Unmerge,
    profile: ProfileLike = None,
    *,
    reason: str = "",
    options: Options = _DEFAULT,
    progress: Progress = silent,
) -> Unmerged:
    """Take one merge back as ``propose_unmerge`` said, with its references, in one journalled transaction.

    Raises:
        Stale: a row is not as the proposal saw it; nothing was changed.
        JournalDamaged: the journal was altered; nothing was changed.
        PermissionDenied: this login may not write; nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.unmerge import unmerge_guid  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return unmerge_guid(source, chosen, proposal, reason=reason, progress=progress)


def identify(target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT) -> TargetIdentity:
    """Say which database a target is: its name, its server, and a fingerprint that a copy of it does not have.

    Raises:
        Unsupported: the target is a file.
        CannotCheck: the target could not be read.
    """
    from mergeguard.storage.identity import identify as look  # noqa: PLC0415 - imports SQLAlchemy

    with _opened(target, profile, options) as (source, _):
        return look(source)


def guard_status(target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT) -> GuardStatus:
    """Say how the guard of the merge table stands, from the catalogue; nothing is written.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.guard import guard_status as look  # noqa: PLC0415 - imports SQLAlchemy

    with _opened(target, profile, options) as (source, chosen):
        return look(source, chosen)


def propose_guard_install(
    target: str | Path, profile: ProfileLike = None, *, constraints: bool = False, options: Options = _DEFAULT
) -> GuardChange:
    """Work out the statements of ``guard_install``. Nothing is written.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
        ProfileError: a guard of that name guards another table.
        PlanRefused: rows violate the constraints that are asked for; the message names the findings.
    """
    from mergeguard.integrity.guard import propose_install  # noqa: PLC0415 - imports SQLAlchemy

    with _opened(target, profile, options) as (source, chosen):
        return propose_install(source, chosen, constraints=constraints)


def guard_install(
    target: str | Path, profile: ProfileLike = None, *, constraints: bool = False, options: Options = _DEFAULT
) -> GuardChange:
    """Put a trigger on the merge table that refuses cycles, self-merges and second merges; in one transaction.

    With ``constraints`` the database itself forbids what it can: a unique index on the old, a CHECK, foreign keys.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        ProfileError: a guard of that name guards another table.
        PlanRefused: rows violate the constraints that are asked for; the message names the findings.
        PermissionDenied: this login may not; nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.guard import install_guard  # noqa: PLC0415 - imports SQLAlchemy

    with _opened(target, profile, options) as (source, chosen):
        return install_guard(source, chosen, constraints=constraints)


def propose_guard_removal(
    target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT
) -> GuardChange:
    """Work out the statements of ``guard_remove``. Nothing is written.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
        ProfileError: a guard of that name guards another table.
    """
    from mergeguard.integrity.guard import propose_removal  # noqa: PLC0415 - imports SQLAlchemy

    with _opened(target, profile, options) as (source, chosen):
        return propose_removal(source, chosen)


def guard_remove(target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT) -> GuardChange:
    """Take the guard down, and exactly what is its, in one transaction.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
        ProfileError: a guard of that name guards another table.
        PermissionDenied: this login may not; nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.guard import remove_guard  # noqa: PLC0415 - imports SQLAlchemy

    with _opened(target, profile, options) as (source, chosen):
        return remove_guard(source, chosen)


def guard_prove(target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT) -> GuardProof:
    """Try to write cycles, each with one statement in a transaction that is rolled back, and say what was refused.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
        PermissionDenied: this login may not write merges.
        Locked: another session held a lock for too long.
    """
    from mergeguard.integrity.guard_proof import prove_guard  # noqa: PLC0415 - imports SQLAlchemy

    with _opened(target, profile, options) as (source, chosen):
        return prove_guard(source, chosen)


def discover(target: str | Path, *, options: Options = _DEFAULT) -> Proposal:
    """Look a database over and propose a profile, with the evidence; nothing is written.

    Raises:
        UsageError: no such kind of target.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.discover import discover as look  # noqa: PLC0415 - imports NumPy

    with _opened(target, Profile(name="discover"), options) as (source, _):
        return look(source)


def doctor(
    target: str | Path, profile: ProfileLike = None, *, options: Options = _DEFAULT
) -> Sequence[tuple[str, str, bool]]:
    """Return (check, finding, fine?) rows: versions, driver, permissions, isolation, the profile, read-only proof.

    What would stop a scan is a row as well, not an exception.

    Raises:
        UsageError: no such kind of target, or a profile that is wrong.
    """
    from mergeguard.integrity.doctor import examine  # noqa: PLC0415 - imports NumPy

    with _opened(target, profile, options) as (source, chosen):
        return examine(source, chosen)


def make_demo(folder: str | Path) -> DemoResult:
    """Create a small SQLite database with real merges in a folder: the reference schema and the tz history.

    Raises:
        UsageError: it is there already; nothing is ever overwritten.
        PermissionDenied: the folder may not be written.
        WriteFailed: the disk is full.
    """
    from mergeguard.integrity.demo import make_demo as make  # noqa: PLC0415 - imports SQLAlchemy

    return make(Path(folder))
