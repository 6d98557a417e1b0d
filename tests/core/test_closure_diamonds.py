"""Walks that fork and meet again: olds with several news and one current, in front of and behind each other.

Drawn by themselves, as a table of random rows hardly ever has them: each guid leads to some of the later ones.
"""

from __future__ import annotations

import random
import uuid

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import Pair, answers, guid

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS, Closure, Liveness, close, leads
from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.join import join
from mergeguard.core.table import MergeTable


@st.composite
def diamonds(draw: st.DrawFn) -> list[Pair]:
    """Rows without a cycle of which all walks end at one guid, some of them there twice, in any order."""
    size = draw(st.integers(2, 10))
    last = draw(st.sampled_from([guid(size), TOMBSTONE]))
    pairs: list[Pair] = []
    for old in range(size):
        news = draw(st.sets(st.integers(old + 1, size), min_size=1, max_size=3))
        pairs += [(guid(old), last if new == size else guid(new)) for new in news]
    pairs += draw(st.lists(st.sampled_from(pairs), max_size=3))
    return draw(st.permutations(pairs))


def closed(pairs: list[Pair], live: frozenset[uuid.UUID] | None) -> tuple[MergeTable, Closure]:
    table = MergeTable.from_pairs(pairs)
    liveness = None
    if live is not None:
        flags = np.array([(old in live, new in live) for old, new in pairs], bool)
        liveness = Liveness(flags[:, 0].copy(), flags[:, 1].copy())
    return table, close(table, join(table), liveness)


@given(diamonds(), st.none() | st.sets(st.integers(0, 10), max_size=4))
def test_where_walks_meet_again_the_current_is_one_and_the_depth_is_of_the_longest(
    pairs: list[Pair], alive: set[int] | None
) -> None:
    live = None if alive is None else frozenset(map(guid, alive))
    table, closure = closed(pairs, live)
    rows = np.arange(len(table), dtype=np.int32)
    currents, has = closure.current(table, rows)
    wanted = answers(pairs, live)
    for row, (old, _) in enumerate(pairs):
        depth = int(closure.depth[row])
        current = guids.to_uuid(currents, row) if has[row] else None
        assert (STATUS_TEXTS[closure.status[row]], current, depth if depth >= 0 else None) == wanted[old]


@given(diamonds())
def test_each_forking_old_knows_its_news_and_that_they_agree(pairs: list[Pair]) -> None:
    table, closure = closed(pairs, None)
    graph = nx.DiGraph(list(pairs))
    forking = {guids.to_uuid(table.old, lead): branch for lead, branch in closure.branches.items()}
    assert set(forking) == {node for node in graph if graph.out_degree(node) > 1}
    for old, branch in forking.items():
        assert {guids.to_uuid(table.new, way.row) for way in branch.exits} == set(graph.successors(old))
        assert len(branch.exits) == graph.out_degree(old)
        assert branch.current
    assert not closure.rings


@given(diamonds(), st.integers(0, 10), st.randoms(use_true_random=False))
def test_a_second_end_or_a_way_back_spoils_all_that_lead_there_and_no_others(
    pairs: list[Pair], at: int, chance: random.Random
) -> None:
    olds = sorted({old for old, _ in pairs})
    spoilt = [*pairs, (olds[at % len(olds)], chance.choice([guid(99), *olds]))]
    table, closure = closed(spoilt, None)
    said = {guids.to_uuid(table.old, row): STATUS_TEXTS[closure.status[row]] for row in range(len(table))}
    assert said == {old: status for old, (status, *_) in answers(spoilt).items()}


@pytest.mark.parametrize("first", range(7))
def test_whatever_row_stands_first_a_live_guid_within_a_diamond_ends_the_walk(first: int) -> None:
    rows = [(1, 2), (1, 3), (2, 4), (3, 4), (4, 5), (0, 1), (0, 2)]
    pairs = [(guid(old), guid(new)) for old, new in rows[first:] + rows[:first]]
    for chosen in range(2**6):
        live = frozenset(guid(number) for number in range(6) if chosen >> number & 1)
        table, closure = closed(pairs, live)
        currents, has = closure.current(table, np.arange(len(table), dtype=np.int32))
        wanted = answers(pairs, live)
        for row, (old, _) in enumerate(pairs):
            depth = int(closure.depth[row])
            current = guids.to_uuid(currents, row) if has[row] else None
            assert (STATUS_TEXTS[closure.status[row]], current, depth if depth >= 0 else None) == wanted[old]


@given(diamonds(), st.integers(2, 4), st.randoms(use_true_random=False))
def test_a_cycle_behind_forks_takes_all_of_them_down_with_their_weights_once_each(
    pairs: list[Pair], size: int, chance: random.Random
) -> None:
    ends = {new for _, new in pairs} - {old for old, _ in pairs}
    ring = [guid(50 + at) for at in range(size)]
    rows = [(old, ring[0] if new in ends else new) for old, new in pairs]
    rows += [(ring[at], ring[(at + 1) % size]) for at in range(size)]
    table = MergeTable.from_pairs(chance.sample(rows, len(rows)))
    joined = join(table)
    weights = np.array([chance.randrange(1, 100) for _ in rows], np.int64)
    (found,) = close(table, joined, weights=weights).rings
    olds = {old for old, _ in rows}
    assert (found.simple, found.down, len(found.members)) == (True, len(olds), size)
    assert found.mass == sum(int(weights[lead]) for lead in leads(joined).tolist())
    assert close(table, joined).rings[0].down == len(olds)
