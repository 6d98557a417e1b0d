"""Unmerge: one merge taken back, the references that the journal knows of with it, and what nobody can know."""

from __future__ import annotations

import uuid

import pytest
from apply_world import World
from hypothesis import HealthCheck, given, settings
from merge_model import guid
from stale_case import KINDS, StaleCase, stale_cases

from mergeguard.core.repair.plan import Action
from mergeguard.errors import GuidNotFound, Stale, UsageError
from mergeguard.integrity.unmerge import Unmerge, Unmerged, propose_unmerge, unmerge_guid

OLD, NEW, LATER, ABOVE = guid(1), guid(2), guid(3), guid(4)
HELD = StaleCase(
    [(OLD, NEW), (ABOVE, OLD)],
    inventory=[(OLD, None, "x"), (ABOVE, None, "y"), (NEW, None, "z"), (OLD, NEW, "w")],
    links=[(KINDS[0], OLD, NEW, None), (KINDS[0], OLD, guid(9), "2024-01-01")],
)


def propose(world: World, old: uuid.UUID = OLD) -> Unmerge:
    with world.opened() as source:
        return propose_unmerge(source, world.profile, str(old))


def unmerge(world: World, proposal: Unmerge, reason: str = "") -> Unmerged:
    with world.opened() as source:
        return unmerge_guid(source, world.profile, proposal, reason=reason)


def repair(world: World) -> None:
    assert world.apply(world.plan()).left == 0


def inventory(world: World) -> dict[str, tuple[object, ...]]:
    return {row[3]: tuple(cell and uuid.UUID(str(cell)) for cell in row[1:3]) for row in world.rows("Inv")}


def test_the_references_that_were_re_pointed_go_back(world: World) -> None:
    world.put(HELD, lookup=True)
    links = world.rows("Links")
    repair(world)
    assert inventory(world)["x"] == (NEW, None)
    found = propose(world)
    assert (found.guid, found.current, found.has_journal, found.changed_since) == (OLD, NEW, True, 0)
    assert found.unknown == {"Inv.Guid": 1, "Inv.Other": 1}, "the rows that always held the current"
    done = unmerge(world, found, "two machines with one name")
    assert (done.rows, done.references) == (1, {"Inv": 3, "Links": 2})
    assert inventory(world) == {"x": (OLD, None), "y": (ABOVE, None), "z": (NEW, None), "w": (OLD, NEW)}
    assert world.rows("Links") == links
    assert [row[1:] for row in world.merges()] == [(ABOVE, OLD)]
    assert world.drift() == 0
    run, _ = world.journal().runs()
    assert (run.kind, run.reason, run.steps) == ("unmerge", "two machines with one name", 1)


def test_an_unmerge_is_undone_to_the_byte(world: World) -> None:
    world.put(HELD, lookup=True)
    repair(world)
    before = world.everything()
    done = unmerge(world, propose(world))
    assert world.everything() != before
    assert world.undo(done.run_id).steps == 1
    assert world.everything() == before


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=stale_cases())
def test_any_merge_can_be_taken_back_and_its_unmerge_too(world: World, case: StaleCase) -> None:
    world.put(case, lookup=True)
    repair(world)
    merges = world.merges()
    if not merges:
        return
    old = min(row[1] for row in merges)
    before = world.everything()
    done = unmerge(world, propose(world, old))
    assert world.merges() == [row for row in merges if row[1] != old]
    assert world.drift() == 0
    world.undo(done.run_id)
    assert world.everything() == before


def test_a_reference_that_was_re_pointed_twice_goes_back_whole_way(world: World) -> None:
    world.put(StaleCase([(OLD, NEW)], inventory=[(OLD, None, "x")]))
    repair(world)
    merge(world, 50, NEW, LATER)
    repair(world)
    assert inventory(world) == {"x": (LATER, None)}
    found = propose(world)
    assert (found.current, found.unknown) == (LATER, {})
    unmerge(world, found)
    assert inventory(world) == {"x": (OLD, None)}


def test_only_the_cell_that_held_the_guid_goes_back(world: World) -> None:
    other = guid(7)
    world.put(StaleCase([(OLD, NEW), (other, guid(8))], inventory=[(OLD, other, "x")]))
    repair(world)
    assert inventory(world) == {"x": (NEW, guid(8))}
    unmerge(world, propose(world))
    assert inventory(world) == {"x": (OLD, guid(8))}


def test_a_reference_that_changed_since_stays_and_is_counted(world: World) -> None:
    world.put(StaleCase([(OLD, NEW)], inventory=[(OLD, None, "x"), (OLD, None, "y")]))
    repair(world)
    world.execute("""UPDATE "Inv" SET "Value" = 'changed' WHERE "Value" = 'y'""")
    found = propose(world)
    assert (len(found.references), found.changed_since, found.unknown) == (1, 1, {"Inv.Guid": 1})
    unmerge(world, found)
    assert inventory(world) == {"x": (OLD, None), "changed": (NEW, None)}


def test_a_run_that_was_taken_back_counts_for_nothing(world: World) -> None:
    world.put(StaleCase([(OLD, NEW)], inventory=[(OLD, None, "x")]))
    plan = world.plan()
    world.apply(plan)
    world.undo(plan.plan_id)
    found = propose(world)
    assert (found.references, found.changed_since) == ((), 0)


def test_without_a_journal_it_says_what_it_cannot_know(world: World) -> None:
    world.put(StaleCase([(OLD, NEW)], frozenset({NEW}), inventory=[(NEW, None, "x"), (NEW, None, "y")]))
    found = propose(world)
    assert (found.has_journal, found.references, found.unknown) == (False, (), {"Inv.Guid": 2})
    assert found.live is False
    assert unmerge(world, found).references == {}
    assert world.merges() == []
    assert [run.kind for run in world.journal().runs()] == ["unmerge"]


def test_a_merge_without_one_current_is_taken_back_too(world: World) -> None:
    world.put(StaleCase([(OLD, NEW), (OLD, LATER), (NEW, OLD)]), lookup=True)
    found = propose(world)
    assert (found.current, len(found.rows)) == (None, 2)
    unmerge(world, found)
    assert [row[1:] for row in world.merges()] == [(NEW, OLD)]
    assert world.drift() == 0


def test_nothing_to_take_back_is_told(world: World) -> None:
    world.put(HELD)
    with pytest.raises(GuidNotFound, match=f"no row merges {NEW} away"):
        propose(world, NEW)
    with world.opened() as source, pytest.raises(UsageError, match="'nonsense' is no guid"):
        propose_unmerge(source, world.profile, "nonsense")


@pytest.mark.parametrize("what", ["another row", "the row is gone", "a reference"])
def test_what_changed_since_it_was_shown_stops_it(world: World, what: str) -> None:
    world.put(HELD, lookup=True)
    repair(world)
    found = propose(world)
    if what == "another row":
        merge(world, 60, OLD, LATER)
    elif what == "the row is gone":
        world.execute('DELETE FROM "Merges" WHERE "Id" = 1')
    else:
        world.execute("""UPDATE "Inv" SET "Value" = 'new' WHERE "Value" = 'x'""")
    before = world.everything()
    with pytest.raises(Stale):
        unmerge(world, found)
    assert world.everything() == before
    assert world.journal().runs()[0].steps == 0


def merge(world: World, number: int, old: uuid.UUID, new: uuid.UUID) -> None:
    statement = 'INSERT INTO "Merges" VALUES (:id, :old, :new)'
    world.execute(statement, id=number, old=world.spell(old), new=world.spell(new))


def test_the_rows_of_an_unmerge_are_in_the_journal(world: World) -> None:
    world.put(StaleCase([(OLD, NEW)]))
    done = unmerge(world, propose(world))
    [step] = world.journal().steps(done.run_id)
    assert (step.kinds, step.members, step.component) == (("unmerge",), (OLD,), f"unmerge:{OLD}")
    assert [change.action for change in step.changes] == [Action.RETIRE]
