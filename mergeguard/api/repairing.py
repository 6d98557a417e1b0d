"""Repair: plan, apply, undo, unmerge, and the journal that remembers them; the night that does all of it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from mergeguard.api.opened import DEFAULT, ProfileLike, opened
from mergeguard.storage.source import Options, Progress, silent

if TYPE_CHECKING:  # each pulls in more than a program that does not call for it should pay
    from mergeguard.core.repair.journal import JournalStep, Run
    from mergeguard.core.repair.plan import Plan, TargetIdentity
    from mergeguard.integrity.apply import Applied, ApplyOptions
    from mergeguard.integrity.nightly import Nightly, NightlyOptions
    from mergeguard.integrity.planning import PlanOptions
    from mergeguard.integrity.undo import Undone
    from mergeguard.integrity.unmerge import Unmerge, Unmerged


def plan(
    target: str | Path,
    profile: ProfileLike = None,
    *,
    plan_options: PlanOptions | None = None,
    options: Options = DEFAULT,
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

    with opened(target, profile, options) as (source, chosen):
        return make_plan(source, chosen, plan_options, progress=progress)


def save_plan(plan: Plan, path: str | Path, *, replace: bool = False) -> None:
    """Write a plan into a file of its own, which only its owner can read; whole or not at all.

    Raises:
        UsageError: the file exists already and is not to be replaced, or cannot be made there.
        WriteFailed: any other failure, a full disk above all.
    """
    from mergeguard.storage.own_files.plan_file import save_plan as save  # noqa: PLC0415 - imports NumPy

    save(plan, path, replace=replace)


def load_plan(path: str | Path, *, expired: bool = False) -> Plan:
    """Read a plan file; ``expired`` reads one that may no longer be applied, too.

    Raises:
        UsageError: there is no such file, or it may not be read.
        PlanRefused: it was edited or cut short, comes from a newer version, or has expired.
    """
    from datetime import UTC, datetime  # noqa: PLC0415 - as above

    from mergeguard.storage.own_files.plan_file import load_plan as load  # noqa: PLC0415 - as above

    return load(path, now=None if expired else datetime.now(UTC))


def apply(
    plan: Plan | str | Path,
    target: str | Path | None = None,
    *,
    apply_options: ApplyOptions | None = None,
    options: Options = DEFAULT,
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
    with opened(target or made.target.url, profile, options) as (source, chosen):
        return apply_plan(source, chosen, made, apply_options, progress=progress)


def undo(
    target: str | Path,
    run: str,
    profile: ProfileLike = None,
    *,
    component: str | None = None,
    reason: str = "",
    options: Options = DEFAULT,
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

    with opened(target, profile, options) as (source, chosen):
        return undo_run(source, chosen, run, component=component, reason=reason, progress=progress)


def propose_unmerge(
    target: str | Path,
    guid: uuid.UUID | str,
    profile: ProfileLike = None,
    *,
    options: Options = DEFAULT,
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

    with opened(target, profile, options) as (source, chosen):
        return propose(source, chosen, str(guid), progress=progress)


def unmerge(
    target: str | Path,
    proposal: Unmerge | uuid.UUID | str,
    profile: ProfileLike = None,
    *,
    reason: str = "",
    options: Options = DEFAULT,
    progress: Progress = silent,
) -> Unmerged:
    """Take one merge back as ``propose_unmerge`` said, with its references, in one journalled transaction.

    ``proposal`` may be the merged-away guid itself: then nobody looks at what nobody can know about it.

    Raises:
        UsageError: the text is no guid.
        GuidNotFound: no row merges the guid away.
        Stale: a row is not as the proposal saw it; nothing was changed.
        JournalDamaged: the journal was altered; nothing was changed.
        PermissionDenied: this login may not write; nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.unmerge import Unmerge, unmerge_guid  # noqa: PLC0415 - imports NumPy
    from mergeguard.integrity.unmerge import propose_unmerge as propose  # noqa: PLC0415 - as above

    with opened(target, profile, options) as (source, chosen):
        if not isinstance(proposal, Unmerge):
            proposal = propose(source, chosen, str(proposal), progress=progress)
        return unmerge_guid(source, chosen, proposal, reason=reason, progress=progress)


def journal(target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT) -> list[Run]:
    """List what MergeGuard did to a database, the newest run first; none where nothing was ever applied.

    Raises:
        JournalDamaged: the journal's tables are not as MergeGuard made them.
        Unsupported: the target is a file.
        CannotCheck: the target could not be read.
    """
    from mergeguard.storage.journal.writing import Journal  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return Journal(source, chosen).runs()


def journal_run(
    target: str | Path, run: str, profile: ProfileLike = None, *, options: Options = DEFAULT
) -> tuple[Run, list[JournalStep]]:
    """Return one run of the journal and its steps, each with its evidence and its rows before and after.

    ``run`` is the run's id or its first characters, six at least.

    Raises:
        UsageError: no run is named by what was given.
        JournalDamaged: the journal is missing or was altered.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.undo import find_run  # noqa: PLC0415 - imports NumPy
    from mergeguard.storage.journal.writing import Journal  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        kept = Journal(source, chosen)
        found = find_run(kept, run)
        return found, kept.steps(found.run_id)


def identify(target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT) -> TargetIdentity:
    """Say which database a target is: its name, its server, and a fingerprint that a copy of it does not have.

    Raises:
        Unsupported: the target is a file.
        CannotCheck: the target could not be read.
    """
    from mergeguard.storage.database.identity import identify as look  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, _):
        return look(source)


def nightly(
    target: str | Path,
    profile: ProfileLike = None,
    *,
    nightly_options: NightlyOptions | None = None,
    options: Options = DEFAULT,
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
    with opened(target, profile, options) as (source, chosen):
        return nightly_source(source, chosen, wanted, ports, progress=progress)
