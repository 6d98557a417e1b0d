"""Beside merge and current stands unmerge: by a proposal that somebody looked at, or by the guid itself."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from merge_model import guid
from merging_world import PROFILE, World

import mergeguard
from mergeguard.errors import GuidNotFound, UsageError

A, B, C = (guid(number) for number in range(3))


@pytest.mark.parametrize("way", ["a proposal", "a guid", "a text"])
def test_a_merge_is_taken_back_by_either(tmp_path: Path, way: str) -> None:
    world = World(f"sqlite:///{tmp_path / 'world.db'}")
    world.reset([A, B, C])
    world.insert("Evt", [(A, "x"), (B, "y")])
    before = world.model()
    mergeguard.merge(world.url, A, B, PROFILE)
    mergeguard.merge(world.url, B, C, PROFILE)
    assert mergeguard.current(world.url, A, PROFILE).current == C
    asked: object = A if way == "a guid" else f"{{{A}}}".upper()
    if way == "a proposal":
        asked = mergeguard.propose_unmerge(world.url, A, PROFILE)
        assert asked.live is True, "the merge took it from the live ones, and gives it back"
    done = mergeguard.unmerge(world.url, asked, PROFILE)  # type: ignore[arg-type]
    assert (done.guid, done.rows, dict(done.references)) == (A, 1, {"Evt": 1, "Alive": 1})
    after = world.model()
    assert (after.merges, after.live) == ([(B, C)], before.live - {B})
    assert mergeguard.current(world.url, A, PROFILE).current == A
    assert world.stored() == after.lookup()
    world.engine.dispose()


def test_what_was_never_merged_is_told_as_such(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'world.db'}")
    world.reset([A, B])
    with pytest.raises(GuidNotFound):
        mergeguard.unmerge(world.url, uuid.uuid4(), PROFILE)
    with pytest.raises(UsageError):
        mergeguard.unmerge(world.url, "no guid", PROFILE)
    world.engine.dispose()


def test_who_was_not_live_before_its_merge_is_not_live_after_it(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'world.db'}")
    world.reset([B, C], lookup=False)
    world.insert("Merges", [(A, B, 1, None)])
    mergeguard.merge(world.url, B, C, PROFILE)
    assert mergeguard.propose_unmerge(world.url, A, PROFILE).live is False
    assert mergeguard.propose_unmerge(world.url, B, PROFILE).live is True
    mergeguard.unmerge(world.url, A, PROFILE)
    assert mergeguard.propose_unmerge(world.url, B, PROFILE).live is True
    world.engine.dispose()
