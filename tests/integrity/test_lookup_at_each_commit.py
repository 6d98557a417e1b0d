"""What an apply, an undo or an unmerge commits holds the right lookup; nothing is left to the look at the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merge_model import guid
from merging_world import PROFILE, World

import mergeguard
from mergeguard.errors import Stale
from mergeguard.integrity import apply as apply_module
from mergeguard.integrity import large_part
from mergeguard.integrity import undo as undo_module
from mergeguard.integrity import unmerge as unmerge_module
from mergeguard.integrity.apply import apply_plan
from mergeguard.integrity.component_apply import StepDone
from mergeguard.integrity.lookup import build_lookup
from mergeguard.integrity.planning import make_plan

EACH = settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
SOME = [guid(number) for number in range(5)]


@pytest.fixture(scope="module", params=["sqlite", "sqlite, in columns", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A database whose lookup is worked out in objects, as that of few guids is, or in columns, as that of many."""
    if request.param == "postgresql":
        made = World(request.getfixturevalue("postgres_url"))
    else:
        made = World(f"sqlite:///{tmp_path_factory.mktemp('commits') / 'world.db'}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(large_part, "LARGE", 0 if "columns" in request.param else 2_000)
        yield made
    made.engine.dispose()


@pytest.fixture(autouse=True)
def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed behind his commit never comes to mend what it left."""
    for module in (undo_module, unmerge_module):
        monkeypatch.setattr(module, "mend_lookup", lambda *_: 0)


def merged(world: World, pairs: list[tuple[uuid.UUID, uuid.UUID]]) -> list[str]:
    """Merge pairs in their order; return the runs."""
    world.reset(SOME)
    done = [mergeguard.merge(world.url, old, new, PROFILE) for old, new in pairs]
    return [one.run_id for one in done if one.run_id]


def agrees(world: World) -> bool:
    return bool(world.stored() == world.model().lookup())


def test_what_led_through_a_guid_ends_at_it_once_it_is_live_again(world: World) -> None:
    a, b, c, d, _ = SOME
    *_, last = merged(world, [(a, b), (b, c), (c, d)])
    mergeguard.undo(world.url, last, PROFILE)
    assert agrees(world)


def test_what_ends_at_a_guid_leads_through_it_once_it_is_merged_again(world: World) -> None:
    a, b, c, d, _ = SOME
    merged(world, [(a, b), (b, c), (c, d)])
    done = mergeguard.unmerge(world.url, c, PROFILE)
    assert agrees(world)
    mergeguard.undo(world.url, done.run_id, PROFILE)
    assert agrees(world)


@EACH
@given(
    pairs=st.lists(st.permutations(SOME).map(lambda some: (some[0], some[1])), min_size=2, max_size=6), data=st.data()
)
def test_no_way_back_leaves_a_lookup_that_drifts(
    world: World, pairs: list[tuple[uuid.UUID, uuid.UUID]], data: st.DataObject
) -> None:
    world.reset(SOME)
    for old, new in pairs:
        if world.model().root(old) != world.model().root(new):
            last = mergeguard.merge(world.url, *map(world.model().root, (old, new)), PROFILE)
    merges = world.model().merges
    if not merges:
        return
    done = mergeguard.unmerge(world.url, data.draw(st.sampled_from(merges))[0], PROFILE)
    assert agrees(world)
    mergeguard.undo(world.url, done.run_id, PROFILE)
    assert agrees(world)
    mergeguard.undo(world.url, last.run_id, PROFILE)
    assert agrees(world)


def apply_beside(world: World, monkeypatch: pytest.MonkeyPatch, *between: Callable[[], object]) -> None:
    """Plan and apply; before each step, when the run has read everything, somebody else does something."""
    with world.opened() as source:
        plan = make_plan(source, PROFILE)
        build_lookup(source, PROFILE)
        others, step = iter(between), apply_module.apply_step

        def beside(*given: Any) -> StepDone:
            next(others)()
            return step(*given)

        monkeypatch.setattr(apply_module, "apply_step", beside)
        monkeypatch.setattr(apply_module, "verify_run", lambda *_: 0)
        assert apply_plan(source, PROFILE, plan).applied == len(between)


def test_a_step_whose_end_was_merged_away_meanwhile_is_stale(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c, d, _ = SOME
    world.reset([c, d])
    world.insert("Merges", [(a, b, 1, None), (a, b, 2, None), (b, c, 3, None)])
    with pytest.raises(Stale, match="was live for the plan"):
        apply_beside(world, monkeypatch, lambda: mergeguard.merge(world.url, c, d, PROFILE))
    assert agrees(world)


def test_what_a_step_leads_through_may_come_back_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c, d, e = SOME
    world.reset([c, d])
    mergeguard.merge(world.url, c, d, PROFILE)
    world.insert("Merges", [(a, b, 1, None), (a, b, 2, None), (b, c, 3, None), (e, a, 4, None)])
    apply_beside(world, monkeypatch, lambda: mergeguard.unmerge(world.url, c, PROFILE))
    assert agrees(world)


def test_what_one_step_learnt_of_others_is_not_believed_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c, d, e = SOME
    world.reset([c, d])
    mergeguard.merge(world.url, c, d, PROFILE)
    copies = [(a, b, 1, None), (a, b, 2, None), (e, b, 3, None), (e, b, 4, None)]
    world.insert("Merges", [*copies, (b, c, 5, None)])
    apply_beside(
        world,
        monkeypatch,
        lambda: mergeguard.unmerge(world.url, c, PROFILE),
        lambda: mergeguard.merge(world.url, c, d, PROFILE),
    )
    assert agrees(world)
