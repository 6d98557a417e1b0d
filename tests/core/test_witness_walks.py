"""Walks that prove a finding are walks of the rows, as long or as short as they claim to be."""

from __future__ import annotations

import random

import networkx as nx
import pytest
import rule_model
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid, shortest_ring
from rule_model import Case

from mergeguard.core import guids, witness
from mergeguard.core.facts import Facts


def path(facts: Facts, rows: list[int]) -> list[object]:
    """The guids along some rows, after making sure that each row begins where the one before ends."""
    walked = [facts.old(row) for row in rows] + [facts.new(row) for row in rows[-1:]]
    assert [facts.new(row) for row in rows] == walked[1:]
    return walked


@given(rule_model.cases(), st.integers(1, 20))
def test_the_longest_walk_is_as_long_as_the_depth(case: Case, limit: int) -> None:
    facts = case.facts()
    for lead in facts.leads.tolist():
        status, current, depth = case.answers[facts.old(lead)]
        if depth is None:
            continue
        rows = witness.longest_walk(facts, lead, limit)
        assert len(rows) == min(limit, depth)
        walked = path(facts, rows)
        assert not walked or walked[0] == facts.old(lead)
        assert depth > limit or (walked or [current])[-1] == current
        assert status in {"ok", "dangling"}


@given(rule_model.cases())
def test_a_walk_towards_a_split_ends_and_follows_the_rows(case: Case) -> None:
    facts = case.facts()
    for lead in facts.leads.tolist():
        if case.answers[facts.old(lead)][0] == "split":
            walked = path(facts, witness.longest_walk(facts, lead, 50))
            assert len(walked) == len(set(walked))


@given(rule_model.cases())
def test_in_a_component_too_large_for_every_start_the_witness_is_still_a_cycle(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(witness, "SMALL", 2)
        patch.setattr(witness, "MAX_STARTS", 1)
        facts = case.facts()
        for ring in facts.raw.rings:
            rows = witness.shortest_cycle(facts, ring)
            around = path(facts, rows)
            members = set(guids.to_uuids(facts.table.old[ring.members]))
            assert around[0] == around[-1] == min(around)
            assert len(set(around)) == len(rows) >= shortest_ring(case.pairs, members)
            assert set(around) <= members


def test_a_shortest_cycle_deep_inside_a_large_component_is_found() -> None:
    """A ring of 400 with chords; the one short way around leads through neither its smallest guid nor its first row."""
    ring = [(at, (at + 1) % 400) for at in range(400)]
    case = Case.of(*ring, *((at, (at + 7) % 400) for at in range(0, 400, 3)), (203, 200))
    facts = case.facts()
    (found,) = facts.raw.rings
    rows = witness.shortest_cycle(facts, found)
    assert len(rows) == len(nx.find_cycle(case.graph.subgraph({guid(at) for at in range(200, 204)}))) == 4


@given(
    size=st.integers(3, 9),
    chords=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=6),
    names=st.randoms(use_true_random=False),
)
def test_among_rings_that_cross_the_shortest_is_shown_and_self_merges_count_for_nothing(
    size: int, chords: list[tuple[int, int]], names: random.Random
) -> None:
    numbers = names.sample(range(100), size)
    pairs = [*((at, (at + 1) % size) for at in range(size)), *((old % size, new % size) for old, new in chords)]
    case = Case.of(*((numbers[old], numbers[new]) for old, new in pairs))
    facts = case.facts()
    (ring,) = facts.raw.rings
    around = path(facts, witness.shortest_cycle(facts, ring))
    lengths = (1 + nx.shortest_path_length(case.graph, new, old) for old, new in case.pairs if old != new)
    assert len(around) - 1 == min(lengths)
    assert around[0] == around[-1] == min(around)  # type: ignore[type-var]
    assert len(set(around)) == len(around) - 1
