"""Undo: what a run changed is put back byte for byte, where nothing has changed since."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.core.repair.plan import Image
from mergeguard.errors import ApplyFailed, JournalDamaged, Locked, PlanRefused, Stale, UsageError
from mergeguard.integrity.apply_checks import check_rights, require_database
from mergeguard.integrity.apply_verify import mend_lookup
from mergeguard.integrity.boundary import signals_held
from mergeguard.integrity.component_apply import rebuild_part, touches_merges
from mergeguard.integrity.rows_differ import same
from mergeguard.integrity.scan import Now, utc_now
from mergeguard.integrity.tries import tried, with_words
from mergeguard.integrity.undo_checks import guard_before, require_as_left, require_each_as_left
from mergeguard.integrity.workshop import Workshop, open_workshop
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.source import Progress, Source, silent
from mergeguard.storage.who import who
from mergeguard.version import __version__

if TYPE_CHECKING:
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

PHASE = "taking back steps"
SHORTEST = 6
"""Characters of a run's id that suffice, if no other run begins with them."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo put back, and what it could not."""

    run_id: str
    """The run of the undo itself."""
    undoes: str
    """The run whose steps it took back."""
    steps: int
    """Steps that it took back."""
    components: tuple[str, ...]
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows that were put back, by table."""
    differs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By table: columns whose values the server makes by itself, so that they are not what they were."""
    lookup_rows: int = 0
    left: int = 0
    """Steps of the run that are still applied: those of other components."""


def find_run(journal: Journal, asked: str) -> Run:
    """Return the run that an id, or the first characters of one, names.

    Raises:
        UsageError: it is too short, or names several.
        JournalDamaged: there is no journal, or no such run in it.
    """
    wanted = asked.strip().lower().replace("-", "")
    if len(wanted) < SHORTEST:
        raise UsageError(f"{asked!r} is too short to name a run", hint=f"give {SHORTEST} characters of its id or more")
    if not journal.exists():
        raise JournalDamaged(
            "there is no journal here: nothing that MergeGuard did to this database can be taken back",
            hint="the journal is made by the first 'mergeguard apply'; if there was one, restore its tables",
        )
    found = [run for run in journal.runs() if run.run_id.startswith(wanted)]
    if len(found) > 1:
        raise UsageError(f"{len(found)} runs begin with {asked!r}", hint="give more characters of the id")
    if not found:
        raise JournalDamaged(f"the journal knows no run {asked!r}", hint="'mergeguard journal TARGET' lists the runs")
    return found[0]


def undo_run(
    source: Source,
    profile: Profile,
    run_id: str,
    *,
    component: str | None = None,
    reason: str = "",
    progress: Progress = silent,
    now: Now = utc_now,
) -> Undone:
    """Take back a run, or one component of it, the last step first, each in a transaction of its own.

    With a component go the references that the run re-pointed because of it; those that other components made stale as
    well are stale again until the next plan.

    Nothing at all is changed where any of the rows is not as the run left it. An undo that was interrupted is taken up
    again by calling again.

    Raises:
        UsageError: no run, or no component, is named by what was asked.
        PlanRefused: the run is an undo itself, or was taken back before.
        Stale: rows changed since; ``changed`` lists them.
        JournalDamaged: the journal is missing or was altered.
        PermissionDenied: this login may not write; nothing was changed.
        Unsupported: the target is a file.
    """
    database = require_database(source)
    run = _taken_back(Journal(database, profile), run_id)
    shop = open_workshop(database, profile, uuid.uuid4().hex, progress)
    steps, left = _chosen(shop.journal.steps(run.run_id), run, component)
    differs = _looked_at(shop, steps)
    own = Run(shop.run_id, "undo", who(database), __version__, now(), undoes=run.run_id, reason=reason)
    written = _journalled(shop, own, steps, progress)
    written += mend_lookup(database, profile, progress)
    return _undone(own, steps, left, differs, written)


def _taken_back(journal: Journal, run_id: str) -> Run:
    """Find the run that is to be taken back.

    Raises:
        UsageError, JournalDamaged: see ``find_run``.
        PlanRefused: it is an undo itself.
    """
    run = find_run(journal, run_id)
    if run.kind == "undo":
        raise PlanRefused(
            f"run {run.run_id} is an undo itself, and what was taken back is not put forth again",
            hint="make a new plan: 'mergeguard plan' looks at the rows as they are now",
        )
    return run


def _looked_at(shop: Workshop, steps: Sequence[JournalStep]) -> dict[str, tuple[str, ...]]:
    """See that all rows are as the run left them; return by table the columns that no undo can restore.

    Raises:
        Stale: rows changed since.
    """
    with shop.source.snapshot() as snapshot:
        rows = shop.source.rows(snapshot)
        require_each_as_left(shop.merges(rows, _images(steps, shop.profile)), steps)
        return _generated(rows, steps)


def _journalled(shop: Workshop, own: Run, steps: Sequence[JournalStep], progress: Progress) -> int:
    """Take steps back as a run of its own; return how many rows of the lookup were written.

    Raises:
        PermissionDenied: this login may not write; nothing was changed.
    """
    with shop.source.writing() as writing:
        changes = [change.reversed() for step in steps for change in step.changes]
        check_rights(writing, shop.profile, changes, lookup=shop.lookup is not None)
        shop.journal.begin(own)
        written = _take_back(shop, writing, steps, progress)
    shop.journal.finish(own.run_id)
    return written


def _undone(
    own: Run, steps: Sequence[JournalStep], left: int, differs: Mapping[str, tuple[str, ...]], written: int
) -> Undone:
    return Undone(
        run_id=own.run_id,
        undoes=own.undoes or "",
        steps=len(steps),
        components=tuple(step.component for step in steps),
        rows=dict(Counter(change.table for step in steps for change in step.changes)),
        differs=differs,
        lookup_rows=written,
        left=left,
    )


def _chosen(steps: Sequence[JournalStep], run: Run, component: str | None) -> tuple[list[JournalStep], int]:
    """Return the steps to take back, the last one first, and how many of the run stay.

    Raises:
        UsageError: the run has no such component.
        PlanRefused: there is nothing left to take back.
    """
    own = [step for step in steps if component is None or component in _stands_on(step)]
    if not own and component is not None:
        known = ", ".join(step.component for step in steps[:5]) + (", ..." if len(steps) > 5 else "")
        raise UsageError(f"run {run.run_id} changed no component {component}", hint=f"it changed {known or 'nothing'}")
    standing = [step for step in own if step.undone_by is None]
    if not standing:
        by = next((step.undone_by for step in own), None)
        why = f"was taken back by run {by} before" if by else "changed nothing"
        raise PlanRefused(f"run {run.run_id} {why}", hint="'mergeguard journal' shows what each run did")
    return standing[::-1], sum(step.undone_by is None for step in steps) - len(standing)


def _stands_on(step: JournalStep) -> tuple[str, ...]:
    """Return the ids by which a step is taken back: its own, and those of the components that its references are of."""
    return step.component, *map(str, step.evidence.get("components", ()))


def _take_back(shop: Workshop, writing: DatabaseWriting, steps: Sequence[JournalStep], progress: Progress) -> int:
    """Take steps back, one after the other; return how many rows of the lookup were written."""
    written = 0
    for done, step in enumerate(steps, 1):
        try:
            with signals_held():
                written += tried(shop, partial(_one, shop, writing, step))
        except (Stale, ApplyFailed, Locked) as error:
            if done == 1:
                raise
            raise with_words(error, f"{done - 1} of {len(steps)} steps are taken back and stay so") from None
        progress(PHASE, done, len(steps))
    return written


def _one(shop: Workshop, writing: DatabaseWriting, step: JournalStep) -> int:
    """Take one step back and commit.

    Raises:
        Stale: a row changed since, or another run took the step back.
        ApplyFailed: the rows are not what they were before the run; rolled back.
    """
    with writing.transaction() as rows:
        merges = shop.merges(rows, _images([step], shop.profile))
        require_as_left(merges, step)
        shop.journal.mark_undone(rows, step.run_id, [step.number], shop.run_id)
        rows.change([change.reversed() for change in reversed(step.changes)])
        if not same(merges.of(step.members), guard_before(step, shop.profile)):
            raise ApplyFailed(
                f"{step.component}: the rows put back are not those of before; it was rolled back",
                hint="is there a trigger on the merge table? see 'mergeguard journal' for the rows as they were",
            )
        return rebuild_part(shop, merges, step.members) if touches_merges(step.changes, shop.profile) else 0


def _images(steps: Iterable[JournalStep], profile: Profile) -> Iterator[Image]:
    """Yield the merge rows that some steps left, and those that they changed, as they were."""
    for step in steps:
        yield from step.guard_after
        yield from guard_before(step, profile)


def _generated(rows: DatabaseRows, steps: Sequence[JournalStep]) -> dict[str, tuple[str, ...]]:
    """Return by table the columns that no undo can restore, because the server alone writes them."""
    found: dict[str, tuple[str, ...]] = {}
    for table in dict.fromkeys(change.table for step in steps for change in step.changes):
        made = tuple(column.name for column in rows.shape(table).columns if column.generated)
        if made:
            found[table] = made
    return found
