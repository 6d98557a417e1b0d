"""Apply and undo on drawn tables in real databases: what must hold whatever the merges are."""

from __future__ import annotations

from apply_world import World, touched, untouched_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merge_model import answers
from stale_case import StaleCase, stale_cases

from mergeguard.core.repair.plan import Action

EACH = settings(max_examples=7, suppress_health_check=[HealthCheck.function_scoped_fixture])
LOOKUP = st.booleans()


@EACH
@given(case=stale_cases(), lookup=LOOKUP)
def test_undo_restores_every_byte(world: World, case: StaleCase, lookup: bool) -> None:
    world.put(case, lookup=lookup)
    before, plan = world.everything(), world.plan()
    world.apply(plan)
    if plan.steps:
        done = world.undo(plan.plan_id)
        assert (done.steps, done.left, done.differs) == (len(plan.steps), 0, {})
    assert world.everything() == before


@EACH
@given(case=stale_cases(), lookup=LOOKUP)
def test_a_second_plan_has_no_steps_and_the_lookup_agrees(world: World, case: StaleCase, lookup: bool) -> None:
    world.put(case, lookup=lookup)
    plan = world.plan()
    done = world.apply(plan)
    assert (done.applied, done.skipped, done.left) == (len(plan.steps), 0, 0)
    assert len(done.locked) == len(plan.steps)
    assert world.plan().steps == ()
    assert world.drift() == (0 if lookup else None)
    assert done.lookup_mended == 0, "the lookup was left wrong by the steps"


@EACH
@given(case=stale_cases())
def test_what_is_not_in_the_plan_is_not_touched_and_no_mapping_is_lost(world: World, case: StaleCase) -> None:
    world.put(case)
    before, plan = world.merges(), world.plan()
    world.apply(plan)
    after = world.merges()
    assert untouched_rows(after, plan) == untouched_rows(before, plan)
    assert set(after) <= set(before)
    was = answers([row[1:] for row in before], case.live)
    now = answers([row[1:] for row in after], case.live)
    survivors = {step.survivor for step in plan.steps}
    assert set(was) - set(now) <= survivors, "an old that does not survive has lost its row"
    for old, (status, current, _) in was.items():
        if status == "ok" and old not in touched(plan):
            assert now[old][:2] == (status, current)


@EACH
@given(case=stale_cases())
def test_the_journal_tells_all_that_was_done(world: World, case: StaleCase) -> None:
    world.put(case)
    plan = world.plan()
    done = world.apply(plan)
    runs = world.journal().runs()
    if not plan.steps:
        assert runs == []
        return
    [run] = runs
    assert (run.run_id, run.kind, run.steps, run.undone) == (plan.plan_id, "apply", len(plan.steps), 0)
    assert run.finished is not None
    steps = world.journal().steps(run.run_id)
    assert [step.component for step in steps] == [step.component for step in plan.steps]
    made = [tuple(change for change in step.changes if change.action is not Action.KEEP) for step in plan.steps]
    assert [step.changes for step in steps] == made
    assert sum(done.changes.values()) == sum(map(len, made))
