from __future__ import annotations

import uuid
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from merge_model import answers, guid

from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.merging.ends import end_of, steps_of

NUMBERS = st.integers(0, 7)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS | st.none()), max_size=12)


def pairs_of(drawn: Sequence[tuple[int, int | None]]) -> list[tuple[uuid.UUID, uuid.UUID]]:
    return [(guid(old), TOMBSTONE if new is None else guid(new)) for old, new in drawn]


@given(PAIRS, st.none() | st.sets(NUMBERS))
def test_ends_are_what_the_specification_says(drawn: Sequence[tuple[int, int | None]], alive: set[int] | None) -> None:
    pairs = pairs_of(drawn)
    live = None if alive is None else {guid(number) for number in alive}
    steps = steps_of(pairs, live)
    for old, answer in answers(pairs, live).items():
        end = end_of(old, steps, live)
        assert (end.status.text, end.current, end.depth) == answer


@given(PAIRS, NUMBERS)
def test_all_guids_on_the_walks_are_told(drawn: Sequence[tuple[int, int | None]], start: int) -> None:
    pairs = pairs_of(drawn)
    reached = {guid(start)}
    while more := {new for old, new in pairs if old in reached} - reached:
        reached |= more
    assert set(end_of(guid(start), steps_of(pairs, None), None).on_way) == reached


def test_a_chain_of_100_000_ends() -> None:
    pairs = [(guid(number), guid(number + 1)) for number in range(100_000)]
    end = end_of(guid(0), steps_of(pairs, None), None)
    assert (end.current, end.depth) == (guid(100_000), 100_000)
