"""Guids that share one half, as counted ones do: each rule compares all sixteen bytes."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st
from rule_model import DAY, Case, exact, run

from mergeguard.core.guids import EMPTY

HALVES = st.integers(0, 2)
GUIDS = st.builds(lambda high, low: uuid.UUID(int=(high << 64) + low), HALVES, HALVES)


def case(pairs: list[tuple[uuid.UUID, uuid.UUID]], live: frozenset[uuid.UUID] | None = None) -> Case:
    return Case(tuple(pairs), tuple(range(1, len(pairs) + 1)), times=(DAY,) * len(pairs), live=live)


@given(st.lists(GUIDS, min_size=1, max_size=12))
def test_olds_are_grouped_by_the_whole_dead_guid_that_they_lead_to(dead: list[uuid.UUID]) -> None:
    pairs = [(uuid.UUID(int=(100 + at) << 64), to) for at, to in enumerate(dead)]
    found = exact(case(pairs, frozenset({uuid.UUID(int=1 << 120)})), "dangling")
    assert {finding.subject: finding.guids for finding in found} == {to: dead.count(to) for to in dead}
    assert len(found) == len(set(dead))


@given(st.lists(st.tuples(GUIDS, GUIDS), max_size=8))
def test_only_a_guid_of_sixteen_zeros_is_empty(pairs: list[tuple[uuid.UUID, uuid.UUID]]) -> None:
    wanted = {pair for pair in pairs if EMPTY in pair}
    assert {finding.path for finding in exact(case(pairs), "empty-guid")} == wanted


@given(st.lists(st.tuples(GUIDS, GUIDS), max_size=10))
def test_a_guid_is_merged_there_and_back_with_another_one_and_never_with_itself(
    pairs: list[tuple[uuid.UUID, uuid.UUID]],
) -> None:
    wanted = {tuple(sorted(pair)) for pair in pairs if pair[0] != pair[1] and pair[::-1] in pairs}
    assert {finding.path[:2] for finding in exact(case(pairs), "flip-flop")} == wanted
    ring = [(uuid.UUID(int=1), uuid.UUID(int=2)), (uuid.UUID(int=2), uuid.UUID(int=1)), (uuid.UUID(int=1),) * 2]
    assert run(case(ring), "flip-flop").count == 1  # type: ignore[arg-type]


@given(st.lists(st.tuples(GUIDS, GUIDS), max_size=8))
def test_a_guid_is_merged_into_itself_only_if_all_of_it_is_the_same(pairs: list[tuple[uuid.UUID, uuid.UUID]]) -> None:
    found = exact(case(pairs), "self-merge")
    assert {finding.subject for finding in found} == {old for old, new in pairs if old == new}
