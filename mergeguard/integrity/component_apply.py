"""Applies one step of a plan in one transaction: look again, write down, change, look again, commit."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mergeguard.core.repair.journal import JournalStep
from mergeguard.core.repair.plan import Action, RowChange, Step
from mergeguard.errors import ApplyFailed, Stale
from mergeguard.integrity.merges_now import MergesNow
from mergeguard.integrity.part import Part
from mergeguard.integrity.rows_differ import cut, differences, same
from mergeguard.storage.database.writing import nothing_meanwhile
from mergeguard.storage.journal.rows import StepValues, step_values

if TYPE_CHECKING:
    from mergeguard.integrity.large_part import LargePart
    from mergeguard.integrity.workshop import Workshop
    from mergeguard.storage.database.stored_table import Condition
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.lookup.part import LookupPartWriter
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class StepDone:
    """What one committed step cost."""

    locked: float
    """Seconds from asking for the merge lock to the end of the commit."""
    lookup_rows: int
    """Rows of the stored lookup that were written."""


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """A step with all that can be worked out before anybody has to wait for it."""

    number: int
    step: Step
    behind: Sequence[uuid.UUID] | None
    """The olds whose answers change with it; ``None`` where it touches no merge."""
    before: frozenset[bytes]
    """The rows around those olds when the run began, as ``Surroundings.packed_rows_of`` gives them."""
    record: StepValues
    """What the journal stores of it."""


def prepare_step(shop: Workshop, number: int, step: Step) -> PreparedStep:
    """Prepare step ``number`` (from 1) of a plan; nothing is asked of the database."""
    behind = _behind(shop, step) if touches_merges(step.changes, shop.profile) else None
    ahead = shop.around.ahead(behind or ())  # remembered until the step asks
    before = frozenset[bytes]() if shop.lookup is None else shop.around.packed_rows_of([*(behind or ()), *ahead])
    return PreparedStep(number, step, behind, before, step_values(journal_step(shop.run_id, number, step)))


def apply_step(
    shop: Workshop,
    writing: DatabaseWriting,
    prepared: PreparedStep,
    meanwhile: Callable[[], object] = nothing_meanwhile,
) -> StepDone:
    """Apply a step of a plan and commit it.

    Args:
        shop: the tools of the run.
        writing: the connection that changes rows.
        prepared: the step.
        meanwhile: what may be done while the database commits.

    Raises:
        Stale: a row, or who is live, is not as the plan saw it; nothing of this step was done.
        ApplyFailed: the rules found something wrong afterwards; the step was rolled back.
        Locked: another session holds a lock for too long, or this one was the victim of a deadlock.
    """
    step, behind = prepared.step, prepared.behind
    began = time.monotonic()
    with writing.transaction(partial(_asking, shop, step, behind)) as rows:
        merges = shop.merges(rows, step.guard)
        _require_unchanged(shop, merges, step)
        rows.change(step.changes)
        part = None if behind is None else _settled(shop, merges, prepared, behind)
        if part is None:
            _require_current(shop, merges, step)
        if shop.lookup is not None:
            shop.lookup.prepare(rows)
        answers = () if part is None or behind is None or shop.lookup is None else part.answers(behind)
        # Journal, lookup and commit on one way to the server: with the changes they are committed or not at all.
        travels = shop.lookup is None or shop.lookup.travels(answers)
        with writing.last(rows, meanwhile) if travels else shop.source.translated(writing=True):
            shop.journal.record_values(rows, prepared.record, briefly=True)
            if part is not None and behind is not None and shop.lookup is not None:
                shop.lookup.replace(rows, behind, answers)
    return StepDone(time.monotonic() - began, len(answers))


def _asking(shop: Workshop, step: Step, behind: Sequence[uuid.UUID] | None, rows: DatabaseRows) -> Sequence[Condition]:
    """Return what is asked first: what stands there, what goes then, and what is left after that.

    Whether it is as the plan saw it is looked at before anything else is done; where it is not, all is rolled back.
    """
    merges = shop.merges(rows, step.guard)
    if merges.hides(step.members):
        return ()  # they are searched for before anything goes
    going = () if behind is None else rows.removing(step.changes)
    # Where the rows do not go along with the questions, what is left is asked once they are gone.
    left = Part.asking(merges, shop.around, behind) if behind is not None and going else ()
    return [*merges.asking(step.members), *shop.alive.asking(rows, step), *going, *left]


def journal_step(run_id: str, number: int, step: Step) -> JournalStep:
    """Return what the journal keeps of a step."""
    return JournalStep(
        run_id=run_id,
        number=number,
        component=step.component,
        kinds=step.kinds,
        members=step.members,
        survivor=step.survivor,
        confidence=step.confidence.value,
        why=step.why,
        changes=tuple(change for change in step.changes if change.action is not Action.KEEP),
        guard_after=step.guard_after,
        evidence=step.evidence,
    )


def touches_merges(changes: Sequence[RowChange], profile: Profile) -> bool:
    """Say whether some changes touch the merge table."""
    return any(change.table == profile.merge.table for change in changes)


def rebuild_part(shop: Workshop, merges: MergesNow, members: Collection[uuid.UUID]) -> int:
    """Bring the stored lookup after a change of some olds' rows; return how many of its rows were written."""
    if shop.lookup is None:
        return 0
    behind = shop.around.behind(members, changing=True)
    part = Part.read(merges, shop.around, behind)
    shop.alive.learn(merges.rows, part.all_guids)  # the change may have brought some of them back
    return _write(shop.lookup, merges, behind, part)


def _behind(shop: Workshop, step: Step) -> Sequence[uuid.UUID]:
    """Return the olds whose answers change with a step."""
    return list(step.members) if shop.lookup is None else shop.around.behind(step.members)


def _settled(
    shop: Workshop, merges: MergesNow, prepared: PreparedStep, behind: Collection[uuid.UUID]
) -> Part | LargePart:
    """Look at what a step did to the merges, within its transaction; return the part that its olds stand in.

    Raises:
        ApplyFailed: the rows are not as they should be now.
    """
    step = prepared.step
    part = Part.read(merges, shop.around, behind)
    if shop.lookup is not None and (shop.around.has_learnt or _moved_beside(prepared, part)):
        shop.alive.learn(merges.rows, part.all_guids)
    problems = part.problems(step.members, step.survivor)
    if not same(part.images(step.members), step.guard_after):
        problems = ("its rows are not what the step leaves (is there a trigger on the merge table?)", *problems)
    if problems:
        raise ApplyFailed(
            f"component {step.component} was rolled back: {'; '.join(problems[:_SHOWN])}",
            hint="make a new plan: 'mergeguard plan' looks at the rows as they are now",
        )
    return part


def _moved_beside(prepared: PreparedStep, part: Part | LargePart) -> bool:
    """Say whether others merged, or took merges back, around a step since the run began: who is live has changed."""
    own = {member.bytes for member in prepared.step.members}
    return any(row[:16] not in own for row in part.packed_rows ^ prepared.before)


def _write(lookup: LookupPartWriter, merges: MergesNow, olds: Collection[uuid.UUID], part: Part | LargePart) -> int:
    answers = part.answers(olds)
    lookup.replace(merges.rows, olds, answers)
    return len(answers)


def _require_unchanged(shop: Workshop, merges: MergesNow, step: Step) -> None:
    """Hold the rows and the liveness that a decision stands on against those of the plan.

    Raises:
        Stale: they differ.
    """
    changed = differences(merges, step.guard, merges.of(step.members), since="the plan")
    changed += shop.alive.differences(merges.rows, step)
    if changed:
        raise Stale(f"component {step.component} is not as the plan saw it: {changed[0]}", changed=changed)


def _require_current(shop: Workshop, merges: MergesNow, step: Step) -> None:
    """See that re-pointed references hold what the merges, as they are now, make of what they held.

    Raises:
        Stale: a guid has another current than it had when the plan was made.
    """
    moved = _moved(merges, step)
    if not moved:
        return
    part = Part.read(merges, shop.around, moved)
    wrong = [
        f"{old} leads to {part.current(old) or 'no one guid'} now, and the plan writes {new}"
        for old, new in moved.items()
        if part.current(old) != new
    ]
    if wrong:
        raise Stale(f"{step.component} is not as the plan saw it: {wrong[0]}", changed=cut(wrong))


def _moved(merges: MergesNow, step: Step) -> Mapping[uuid.UUID, uuid.UUID]:
    """Return which guid becomes which in the references of a step."""
    found: dict[uuid.UUID, uuid.UUID] = {}
    for change in step.changes:
        if change.action is not Action.REPOINT or change.before is None or change.after is None:
            continue
        for column in (name for name, cell in change.before.items() if change.after[name] != cell):
            old = merges.rows.guid(change.table, column, change.before[column])
            new = merges.rows.guid(change.table, column, change.after[column])
            if old is not None and new is not None:
                found[old] = new
    return found
