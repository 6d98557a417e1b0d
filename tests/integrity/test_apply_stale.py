"""Apply refuses what is no longer as the plan saw it, names it, and changes nothing of that component."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from apply_world import World, member, rings
from merge_model import guid
from stale_case import StaleCase

from mergeguard.core.repair.plan import Action, RowChange, Step
from mergeguard.errors import ApplyFailed, ExitCode, Stale, WriteFailed
from mergeguard.integrity.apply import ApplyOptions

A, B, C = member(0, 0), member(0, 1), member(0, 2)
LEADING = (guid(1), A)
CASE = StaleCase([*rings(3), LEADING], frozenset({A, guid(99)}), inventory=[(C, guid(99), "x")])
CHANGES: dict[str, tuple[str, dict[str, uuid.UUID]]] = {
    "the row that is to go leads elsewhere": ('UPDATE "Merges" SET "NewGuid" = :other WHERE "Id" = 1', {"other": C}),
    "the row that is to go is gone": ('DELETE FROM "Merges" WHERE "Id" = 1', {}),
    "a row that stays leads elsewhere": ('UPDATE "Merges" SET "NewGuid" = :other WHERE "Id" = 2', {"other": guid(7)}),
    "a row that stays is gone": ('DELETE FROM "Merges" WHERE "Id" = 3', {}),
    "a row has another id": ('UPDATE "Merges" SET "Id" = 77 WHERE "Id" = 2', {}),
    "a member has another row": ('INSERT INTO "Merges" VALUES (50, :old, :other)', {"old": B, "other": guid(8)}),
    "a member has the same row again": ('INSERT INTO "Merges" VALUES (51, :old, :other)', {"old": B, "other": C}),
    "the survivor is not live any more": ('DELETE FROM "Alive" WHERE "Guid" = :one', {"one": A}),
    "another member is live": ('INSERT INTO "Alive" VALUES (:one)', {"one": B}),
}


def change(world: World, statement: str, values: dict[str, uuid.UUID]) -> None:
    world.execute(statement, **{name: world.spell(value) for name, value in values.items()})


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("lookup", [True, False], ids=["lookup", "no lookup"])
def test_any_change_of_any_row_in_between_is_noticed(world: World, what: str, lookup: bool) -> None:
    world.put(CASE, lookup=lookup)
    plan = world.plan()
    assert [step.survivor for step in plan.steps][:1] == [A]
    change(world, *CHANGES[what])
    before = world.everything()
    with pytest.raises(Stale) as refused:
        world.apply(plan)
    assert world.everything() == before
    assert refused.value.exit_code is ExitCode.PLAN_REFUSED
    assert refused.value.changed
    assert "mergeguard plan" in str(refused.value.hint)
    assert world.journal().steps(plan.plan_id) == []


def test_a_row_that_changed_is_named_with_what_it_says(world: World) -> None:
    world.put(CASE)
    plan = world.plan()
    change(world, *CHANGES["a member has another row"])
    with pytest.raises(Stale, match=rf"Merges, {B} -> {guid(8)} \(Id 50, .*\): newer than the plan"):
        world.apply(plan)
    change(world, 'DELETE FROM "Merges" WHERE "Id" IN (50, 2)', {})
    with pytest.raises(Stale, match=rf"Merges, {B} -> {C} \(Id 2, .*\): .* not there any more"):
        world.apply(plan)


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ('INSERT INTO "Merges" VALUES (60, :old, :other)', {"old": guid(70), "other": B}),
        ('INSERT INTO "Merges" VALUES (61, :old, :other)', {"old": guid(71), "other": guid(72)}),
        ('DELETE FROM "Merges" WHERE "OldGuid" = :old', {"old": LEADING[0]}),
        ('INSERT INTO "Alive" VALUES (:old)', {"old": guid(73)}),
    ],
    ids=["a new row leads to a member", "a merge elsewhere", "a row above goes", "somebody else comes to life"],
)
def test_what_does_not_matter_to_a_component_does_not_stop_it(
    world: World, statement: str, values: dict[str, uuid.UUID]
) -> None:
    world.put(CASE, lookup=True)
    plan = world.plan()
    change(world, statement, values)
    assert world.apply(plan).left == 0
    assert world.drift() == 0


def test_steps_before_a_stale_one_stay_applied(world: World) -> None:
    world.put(StaleCase(rings(2, 2, 2)), lookup=True)
    plan = world.plan()
    second = plan.steps[1]
    world.execute(f'DELETE FROM "Merges" WHERE "Id" = {row_id(second)}')
    with pytest.raises(Stale, match="1 of 3 steps are applied and stay so"):
        world.apply(plan)
    assert [step.number for step in world.journal().steps(plan.plan_id)] == [1]
    assert {step.component for step in world.plan().steps} == {plan.steps[2].component}
    world.undo(plan.plan_id)
    assert len(world.merges()) == 5


def row_id(step: Step) -> int:
    [changed] = step.changes
    return int(str((changed.before or {})["Id"]).removeprefix("i:"))


def test_a_reference_whose_guid_leads_elsewhere_by_now_is_not_re_pointed(world: World) -> None:
    world.put(StaleCase([(guid(1), guid(2))], inventory=[(guid(1), None, "x")]))
    plan = world.plan()
    assert [step.changes[0].action for step in plan.steps] == [Action.REPOINT]
    change(world, 'INSERT INTO "Merges" VALUES (9, :old, :new)', {"old": guid(2), "new": guid(3)})
    before = world.everything()
    with pytest.raises(Stale, match=f"leads to {guid(3)} now, and the plan writes {guid(2)}"):
        world.apply(plan)
    assert world.everything() == before


@pytest.mark.parametrize("row", ["changed", "gone"])
def test_a_reference_row_that_changed_stops_its_batch(world: World, row: str) -> None:
    world.put(StaleCase([(guid(1), guid(2))], inventory=[(guid(1), None, "x"), (guid(1), None, "y")]))
    plan = world.plan()
    how = {"changed": 'UPDATE "Inv" SET "Value" = \'z\' WHERE "Id" = 2', "gone": 'DELETE FROM "Inv" WHERE "Id" = 2'}
    world.execute(how[row])
    before = world.everything()
    with pytest.raises(Stale):
        world.apply(plan)
    assert world.everything() == before


def only_step(world: World, case: StaleCase, alter: Callable[[Step], Step]) -> Any:
    world.put(case, lookup=True)
    plan = world.plan()
    return replace(plan, steps=(alter(plan.steps[0]), *plan.steps[1:]))


def test_a_step_that_leaves_its_component_damaged_is_rolled_back(world: World) -> None:
    plan = only_step(world, StaleCase(rings(3)), lambda step: replace(step, changes=last(step), survivor=step.survivor))
    before = world.everything()
    with pytest.raises(ApplyFailed) as failed:
        world.apply(plan)
    assert failed.value.exit_code is ExitCode.ROLLED_BACK
    assert world.everything() == before


def last(step: Step) -> Sequence[RowChange]:
    """Retire another row than the one that the survivor needs gone."""
    [right] = step.changes
    wrong = next(image for image in step.guard if image != right.before)
    return (RowChange(Action.RETIRE, right.table, wrong, None),)


def test_a_circle_that_closed_below_the_component_is_found_before_the_commit(world: World) -> None:
    """A split is settled towards a guid that meanwhile was merged back into it."""
    old, right, wrong, end = guid(1), guid(2), guid(3), guid(4)
    world.put(StaleCase([(old, wrong), (right, end), (old, right)], frozenset({end})), lookup=True)
    plan = world.plan()
    assert [step.members for step in plan.steps] == [(old,)]
    change(world, 'INSERT INTO "Merges" VALUES (70, :end, :old)', {"end": end, "old": old})
    before = world.everything()
    with pytest.raises(ApplyFailed, match="leads in a circle"):
        world.apply(plan)
    assert world.everything() == before


def test_damage_that_comes_back_before_the_end_is_told(world: World) -> None:
    world.put(StaleCase(rings(2)))
    plan = world.plan()

    def again(phase: str, _done: int, _total: int | None) -> None:
        if phase == "applying steps":
            [step] = plan.steps
            image = step.changes[0].before or {}
            old, new = (str(image[name]).removeprefix("t:") for name in ("OldGuid", "NewGuid"))
            world.execute(f"INSERT INTO \"Merges\" VALUES (90, '{old}', '{new}')")

    with pytest.raises(ApplyFailed, match="every step is applied, and the check at the end found damage again"):
        world.apply(plan, progress=again)
    assert len(world.journal().steps(plan.plan_id)) == 1


def test_a_trigger_that_meddles_is_noticed(world: World) -> None:
    world.put(StaleCase(rings(3)))
    plan = world.plan()
    [step] = plan.steps
    kept = next(image for image in step.guard if image != step.changes[0].before)
    meddling = int(str(kept["Id"]).removeprefix("i:"))
    world.execute(*TRIGGER[world.kind](meddling))
    try:
        before = world.everything()
        with pytest.raises(ApplyFailed, match="trigger"):
            world.apply(plan)
        assert world.everything() == before
    finally:
        world.execute('DROP TRIGGER "meddle"' + ("" if world.kind == "sqlite" else ' ON "Merges"'))


def sqlite_trigger(row: int) -> list[str]:
    meddling = f'UPDATE "Merges" SET "Id" = 1000 WHERE "Id" = {row}'
    return [f'CREATE TRIGGER "meddle" AFTER DELETE ON "Merges" BEGIN {meddling}; END']


def postgresql_trigger(row: int) -> list[str]:
    meddling = f'UPDATE "Merges" SET "Id" = 1000 WHERE "Id" = {row}; RETURN NULL;'
    function = f"CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {meddling} END $$"
    return [function, 'CREATE TRIGGER "meddle" AFTER DELETE ON "Merges" FOR EACH ROW EXECUTE FUNCTION meddle()']


TRIGGER: dict[str, Callable[[int], list[str]]] = {"sqlite": sqlite_trigger, "postgresql": postgresql_trigger}


LATE = (
    "CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$",
    """CREATE CONSTRAINT TRIGGER "late" AFTER DELETE ON "Merges" DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD."Id" = {row}) EXECUTE FUNCTION late()""",
)


@pytest.mark.parametrize("world", ["postgresql"], indirect=True)
@pytest.mark.parametrize("refused", [1, 2, 3])
def test_a_commit_that_the_database_refuses_stops_at_its_step_and_all_others_are_made(
    world: World, refused: int
) -> None:
    """The next step is prepared while one is committed: nothing of it may be lost or made early."""
    world.put(StaleCase(rings(2, 2, 2)), lookup=True)
    plan = world.plan()
    row = str((plan.steps[refused - 1].changes[0].before or {})["Id"]).removeprefix("i:")
    world.execute(*(statement.format(row=row) for statement in LATE))
    try:
        with pytest.raises(WriteFailed, match="not today"):
            world.apply(plan)
    finally:
        world.execute('DROP TRIGGER "late" ON "Merges"')
    assert [step.number for step in world.journal().steps(plan.plan_id)] == list(range(1, refused))
    done = world.apply(plan)
    assert (done.skipped, done.applied, done.left) == (refused - 1, 4 - refused, 0)
    assert [step.component for step in world.journal().steps(plan.plan_id)] == [each.component for each in plan.steps]
    assert world.drift() == 0


def test_a_batch_stops_at_its_size_and_goes_on(world: World) -> None:
    world.put(StaleCase(rings(2, 2, 2)), lookup=True)
    plan = world.plan()
    first = world.apply(plan, ApplyOptions(batch=2))
    assert (first.applied, first.left) == (2, 1)
    [run] = world.journal().runs()
    assert run.finished is None
    second = world.apply(plan, ApplyOptions(batch=2, rate=1000.0))
    assert (second.applied, second.skipped, second.left) == (1, 2, 0)
    assert world.drift() == 0
