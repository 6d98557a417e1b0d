"""Pointer doubling arrives where a walk step by step arrives, whatever the shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mergeguard.core import walk

STEPS = st.integers(0, 40).flatmap(lambda nodes: st.lists(st.integers(-1, nodes - 1), min_size=nodes, max_size=nodes))


def follow(step: list[int], start: int) -> tuple[int, int]:
    """The end and length of a walk; for one that never ends the smallest node of its cycle, and -1."""
    seen = [start]
    while step[seen[-1]] >= 0:
        after = step[seen[-1]]
        if after in seen:
            return min(seen[seen.index(after) :]), -1
        seen.append(after)
    return seen[-1], len(seen) - 1


@given(STEPS, st.integers(1, 5))
@example([], 1)
@example([0], 1)
@example([1, 0, 1, 2], 2)
def test_every_walk_ends_where_it_ends_step_by_step(step: list[int], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "_CHUNK", chunk)
        arrival = walk.arrive(np.array(step, np.int32))
    expected = [follow(step, start) for start in range(len(step))]
    assert list(zip(arrival.end.tolist(), arrival.hops.tolist(), strict=True)) == expected
    assert arrival.looping.tolist() == [at for at, (_, hops) in enumerate(expected) if hops < 0]
    rings = {at for at in arrival.looping.tolist() if at in on_ring(step, at)}
    assert set(arrival.rings.tolist()) == rings


def on_ring(step: list[int], start: int) -> set[int]:
    found, at = set(), start
    while at not in found:
        found.add(at)
        at = step[at]
    return found if at == start else set()


@pytest.mark.parametrize("length", [2**at + more for at in (1, 4, 10) for more in (-1, 0, 1)])
def test_walks_whose_length_is_near_a_power_of_two_arrive(length: int) -> None:
    chain = np.arange(1, length + 1, dtype=np.int32)
    chain[-1] = -1
    assert walk.arrive(chain).hops.tolist() == list(range(length - 1, -1, -1))
    ring = np.roll(np.arange(length, dtype=np.int32), -1)
    assert set(walk.arrive(ring).end.tolist()) == {0}


def test_the_table_that_was_walked_is_left_as_it_was() -> None:
    step = np.array([1, 2, -1, 3], np.int32)
    walk.arrive(step)
    assert step.tolist() == [1, 2, -1, 3]
