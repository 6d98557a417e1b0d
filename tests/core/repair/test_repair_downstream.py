"""What some olds lead to is the same by the rows on their walks as by the whole table."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import networkx as nx
import numpy as np
import pytest
import rule_model
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid
from rule_model import Case

from mergeguard.core.facts import Facts
from mergeguard.core.repair import downstream as module
from mergeguard.core.repair.downstream import downstream
from mergeguard.core.table import MergeTable


def chosen(facts: Facts, olds: Iterable[uuid.UUID]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    wanted = set(olds)
    return np.array([lead for lead in facts.leads.tolist() if facts.old(lead) in wanted], np.int64)


def told(facts: Facts, olds: Iterable[uuid.UUID]) -> dict[uuid.UUID, tuple[int, int, bytes]]:
    """Status, depth and current of some olds, by the rows alone."""
    leads = chosen(facts, olds)
    currents, _ = facts.raw.current(facts.table, leads)  # type: ignore[arg-type]
    return {
        facts.old(lead): (int(facts.raw.status[lead]), int(facts.raw.depth[lead]), currents[at].tobytes())
        for at, lead in enumerate(leads.tolist())
    }


def rings(facts: Facts) -> set[frozenset[uuid.UUID]]:
    return {frozenset(facts.old(lead) for lead in ring.members.tolist()) for ring in facts.raw.rings}


@given(case=rule_model.cases("live"), data=st.data())
def test_the_rows_on_the_walks_of_some_olds_say_of_them_what_all_rows_say(case: Case, data: st.DataObject) -> None:
    facts = case.facts()
    olds = data.draw(st.sets(st.sampled_from(sorted(case.olds)))) if case.olds else set()
    part = downstream(facts, chosen(facts, olds))
    walked = {end for old in olds for end in (old, *nx.descendants(case.graph, old))}
    assert sorted(map(part_row, rows(part))) == sorted(map(part_row, (p for p in case.pairs if p[0] in walked)))
    assert told(part, olds) == told(facts, olds)
    assert rings(part) == {ring for ring in rings(facts) if ring <= walked}
    assert part.liveness is None


def rows(facts: Facts) -> list[tuple[uuid.UUID, uuid.UUID]]:
    return [(facts.old(row), facts.new(row)) for row in range(len(facts.table))]


def part_row(pair: tuple[uuid.UUID, uuid.UUID]) -> tuple[str, str]:
    return str(pair[0]), str(pair[1])


@pytest.mark.parametrize(("hops", "whole"), [(module.SHORT, False), (module.SHORT + 1, True)])
def test_where_a_walk_is_long_all_rows_are_returned(hops: int, whole: bool) -> None:
    chain = [(guid(number), guid(number + 1)) for number in range(1, hops + 1)]
    facts = Facts(MergeTable.from_pairs([*chain, (guid(900), guid(901))]))
    part = downstream(facts, chosen(facts, [guid(1)]))
    assert (part is facts) == whole
    assert len(part.table) == hops + (1 if whole else 0)
    assert told(part, [guid(1)])[guid(1)] == (0, hops, guid(hops + 1).bytes)


def test_a_walk_goes_on_over_the_first_row_of_a_table() -> None:
    facts = Facts(MergeTable.from_pairs([(guid(2), guid(3)), (guid(1), guid(2)), (guid(8), guid(9))]))
    assert rows(downstream(facts, chosen(facts, [guid(1)]))) == [(guid(2), guid(3)), (guid(1), guid(2))]
