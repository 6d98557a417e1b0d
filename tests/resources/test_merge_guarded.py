"""Where a profile wants the guard, nothing is merged without it; elsewhere the answer says how it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
from merge_model import guid
from merging_world import PROFILE, World

from mergeguard.errors import ExitCode, MergeRefused
from mergeguard.integrity.guard import guard_status, install_guard, remove_guard
from mergeguard.resources.merge import merge, open_merges
from mergeguard.storage.profile import Live, Merge, Merging, Profile

A, B, C, D = (guid(number) for number in range(4))
WANTED = replace(PROFILE, merging=Merging(guarded="required"))
TRIGGER = "mergeguard_guard_insert"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if request.param == "sqlite":
        made = World(f"sqlite:///{tmp_path_factory.mktemp('guarded') / 'world.db'}")
    else:
        made = World(request.getfixturevalue("postgres_url"))
    yield made
    made.engine.dispose()


@pytest.fixture
def world(kept: World) -> Iterator[World]:
    kept.reset([A, B, C, D])
    yield kept
    with kept.opened() as source:
        remove_guard(source, PROFILE)


def harmed(world: World) -> None:
    """Do to a guard what somebody might do to it by hand."""
    broken = f"DROP TRIGGER {TRIGGER}" if world.kind == "sqlite" else 'ALTER TABLE "Merges" DISABLE TRIGGER ALL'
    with world.engine.begin() as connection:
        connection.execute(sa.text(broken))


def refused(world: World) -> MergeRefused:
    before = world.picture()
    with world.opened(profile=WANTED) as source:
        seen = merge(source, WANTED, A, B, preview=True)
        with pytest.raises(MergeRefused) as caught:
            merge(source, WANTED, A, B, request_id="r")
    assert world.picture() == before
    assert seen.refused is not None
    assert (seen.refused.reason, seen.refused.message) == (caught.value.reason, caught.value.message)
    assert not seen.closes_loop
    return caught.value


def test_without_a_guard_nothing_is_merged_where_it_is_wanted(world: World) -> None:
    error = refused(world)
    assert (error.reason, error.exit_code) == ("no-guard", ExitCode.PLAN_REFUSED)
    assert "there is no guard" in error.message
    assert "mergeguard guard install" in str(error.hint)
    with world.opened(profile=WANTED) as source:
        install_guard(source, WANTED)
        assert merge(source, WANTED, A, B).guard == ()
    assert world.stored() == world.model().lookup()


def test_a_guard_that_was_disabled_or_lost_a_part_is_none(world: World) -> None:
    with world.opened() as source:
        install_guard(source, PROFILE)
    harmed(world)
    assert refused(world).reason == "no-guard"


def test_a_guard_that_goes_while_a_program_merges_is_missed(world: World) -> None:
    with world.opened() as source:
        install_guard(source, PROFILE)
    with world.opened(profile=WANTED) as source, open_merges(source, WANTED) as merges:
        assert merges.merge(A, B).row is not None
        harmed(world)
        before = world.picture()
        with pytest.raises(MergeRefused) as caught:
            merges.merge(B, C)
    assert caught.value.reason == "no-guard"
    assert world.picture() == before


def test_where_nobody_wants_it_the_answer_says_how_it_stands(world: World) -> None:
    with world.opened() as source:
        assert merge(source, PROFILE, A, B, preview=True).guard == ("there is no guard",)
        first = merge(source, PROFILE, A, B, request_id="r")
        assert first.guard == ("there is no guard",)
        assert merge(source, PROFILE, A, B, request_id="r").guard == first.guard
        install_guard(source, PROFILE)
        assert merge(source, PROFILE, C, D).guard == guard_status(source, PROFILE).problems == ()


def test_a_view_of_merges_cannot_be_guarded_and_is_told_as_such(kept: World) -> None:
    kept.reset([A, B], lookup=False)
    if kept.kind == "postgresql":
        return  # its views have no key, and are refused for that
    bare = Profile(merge=Merge("Merges", row_id="Id"), live=Live("Alive", "Guid"))
    named = replace(bare, merging=Merging(guard="main.guard"))
    with kept.opened(profile=named) as source:
        assert "schemas" in merge(source, named, A, B, preview=True).guard[0]
