"""What a MergeGraph answers from its arrays equals the dictionary model and networkx itself."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from merge_model import Pair, answers, merge_pairs, rings

from mergeguard.core.graph import MergeGraph
from mergeguard.core.table import MergeTable


@given(merge_pairs(deleted=True))
def test_current_and_lookup_are_the_models(pairs: list[Pair]) -> None:
    graph = MergeGraph(MergeTable.from_pairs(pairs))
    expected = answers(pairs)
    assert {old: (status, current, depth) for old, current, depth, status in graph.lookup} == expected
    for guid in list(nx.DiGraph(pairs)):
        assert graph.current(guid) == (expected[guid][1] if guid in expected else guid)


@given(merge_pairs())
def test_cycles_are_networkx_components(pairs: list[Pair]) -> None:
    found = MergeGraph(MergeTable.from_pairs(pairs)).cycles()
    down = rings(pairs)
    assert {frozenset(members) for members in found} == set(down)
    assert all(members == sorted(members) for members in found)
    counts = [down[frozenset(members)] for members in found]
    assert counts == sorted(counts, reverse=True)
