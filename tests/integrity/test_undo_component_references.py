"""A component is taken back with the references that its repair re-pointed, and with no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from apply_world import World, member, rings
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_model import guid
from stale_case import StaleCase, stale_cases

from mergeguard.errors import PlanRefused

ELSEWHERE = (guid(1), guid(2))
"""A merge that is no damage."""
TWO = StaleCase(
    [*rings(2, 2), ELSEWHERE],
    inventory=[
        *((member(ring, place), None, f"{ring}{place}") for ring in range(2) for place in range(2)),
        (ELSEWHERE[0], None, "plain"),
    ],
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(f"sqlite:///{tmp_path_factory.mktemp('component') / 'world.db'}")
    yield made
    made.engine.dispose()


def of_component(world: World, run: str) -> dict[str, set[int]]:
    """By component the numbers of the steps that are taken back with it."""
    steps = world.journal().steps(run)
    names = [step.component for step in steps if step.members]
    return {
        name: {step.number for step in steps if name in (step.component, *step.evidence.get("components", ()))}
        for name in names
    }


def held(world: World) -> dict[str, str]:
    """What the rows of the inventory hold, by their value."""
    return {str(value): str(one) for _, one, _, value, *_ in world.rows("Inv")}


def test_the_references_of_one_component_come_back_and_those_of_others_stay(world: World) -> None:
    world.put(TWO, lookup=True)
    before, held_before = world.everything(), held(world)
    plan = world.plan()
    world.apply(plan)
    repaired = held(world)
    steps = of_component(world, plan.plan_id)
    assert {len(numbers) for numbers in steps.values()} == {2}
    for number, component in enumerate(steps):
        done = world.undo(plan.plan_id, component=component)
        assert (done.steps, done.left, done.components[-1]) == (2, 3 - 2 * number, component)
        if number == 0:
            (ring,) = {ring for ring in range(2) if member(ring, 0) in plan.steps[0].members}
            assert held(world) == repaired | {key: one for key, one in held_before.items() if key[0] == str(ring)}
    assert held(world) == held_before | {"plain": str(ELSEWHERE[1])}
    world.undo(plan.plan_id)
    assert world.everything() == before
    assert world.drift() == 0


def test_references_by_themselves_are_taken_back_by_their_own_name(world: World) -> None:
    world.put(TWO)
    plan = world.plan()
    world.apply(plan)
    plain = next(step.component for step in plan.steps if not step.members and "components" not in step.evidence)
    assert world.undo(plan.plan_id, component=plain).components == (plain,)
    assert held(world)["plain"] == str(ELSEWHERE[0])


@settings(max_examples=6)
@given(case=stale_cases(), data=st.data())
def test_components_are_taken_back_in_any_order_and_then_everything_is_as_before(
    file: World, case: StaleCase, data: st.DataObject
) -> None:
    file.put(case)
    before = file.everything()
    plan = file.plan()
    if not plan.steps:
        return
    file.apply(plan)
    taken: set[int] = set()
    for component in data.draw(st.permutations(list(of_component(file, plan.plan_id)))):
        wanted = of_component(file, plan.plan_id)[component]
        assert file.undo(plan.plan_id, component=component).steps == len(wanted - taken)
        taken |= wanted
        undone = {step.number for step in file.journal().steps(plan.plan_id) if step.undone_by is not None}
        assert undone == taken
    if len(taken) < len(plan.steps):
        file.undo(plan.plan_id)
    assert file.everything() == before
    with pytest.raises(PlanRefused, match="was taken back by run"):
        file.undo(plan.plan_id)
