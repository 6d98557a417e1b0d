"""Imports and merges in any order, one after the other, on real databases: they come to one and the same."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_oracle import Facts, Import, Merge, Model, Operation
from importing.import_cases import Case, Sent, cases
from importing.import_race import AT_COMMIT
from importing.import_state import CHECKS
from importing.import_world import World

quickly = settings(max_examples=8, suppress_health_check=list(HealthCheck), deadline=None)


def made(world: World, case: Case, order: Sequence[int] | None = None) -> tuple[Model, list[Operation], Facts]:
    """Register all events, then make the operations in some order; the checks are asked after each of them."""
    model, now = world.reset(case)
    world.register([one for one in now if isinstance(one, Import)])
    claims = world.claims()
    for number in range(len(now)) if order is None else order:
        one = now[number]
        if isinstance(one, Merge):
            world.merge(one)
        else:
            assert world.handle(claims[one.event]).error is None
        world.check(now, AT_COMMIT, over=False)
    world.drain()
    return model, now, world.check(now).facts(model.began)


@quickly
@given(case=cases(keys=True))
def test_import_then_merge_is_merge_then_import(world: World, case: Case) -> None:
    """Without any oracle: one run is held against the other."""
    _, now = world.reset(case)
    imports = [number for number, one in enumerate(now) if isinstance(one, Import)]
    merges = [number for number, one in enumerate(now) if isinstance(one, Merge)]
    *_, one = made(world, case, [*imports, *merges])
    *_, other = made(world, case, [*merges, *imports])
    assert one.difference(other) is None


@quickly
@given(case=cases(keys=True), shuffled=st.randoms(use_true_random=False))
def test_events_in_any_order_come_to_what_the_law_says(world: World, case: Case, shuffled: object) -> None:
    """The order of registration decides what is the newest, not that in which events are taken."""
    order = list(range(len(case.now)))
    shuffled.shuffle(order)  # type: ignore[attr-defined]
    made(world, case, order)


@quickly
@given(case=cases(counted=True, partial=True), shuffled=st.randoms(use_true_random=False))
def test_where_the_order_matters_it_is_as_the_model_says(world: World, case: Case, shuffled: object) -> None:
    """Partial updates, and links of which a parent may have one only."""
    model, now = world.reset(case)
    world.register([one for one in now if isinstance(one, Import)])
    claims = world.claims()
    shuffled.shuffle(now)  # type: ignore[attr-defined]
    for one in now:
        if isinstance(one, Merge):
            world.merge(one)
        else:
            assert world.handle(claims[one.event]).error is None
        model.make(one)
    found = world.check(now, [*AT_COMMIT, "summarised", "settled"])
    told = found.facts(model.began).difference(model.facts())
    assert told is None, (told, now)


def test_the_data_of_a_class_are_those_of_the_newest_event_whoever_is_first(world: World) -> None:
    """What an older event says is left out, and an unchanged newer one says again what stands."""
    same = Sent(0, single=2, same=True)
    case = Case(3, (Sent(0, single=1), same), (Sent(1, single=1), same, (1, 0)))
    *_, found = made(world, case, [1, 2, 0])
    assert {cells for place, rows in found.data.items() for cells in rows} == {("same", found_name(found))}


def found_name(found: Facts) -> str:
    """The peer that the one row names."""
    ((cells,),) = found.data.values()
    return str(cells[1])


def test_every_check_is_asked(world: World) -> None:
    model, now, _ = made(world, Case(2, (), (Sent(0, single=1), (0, 1))))
    world.check(now, CHECKS)
    assert model.began
