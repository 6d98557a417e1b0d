"""The rules on a handful of rows say what networkx says, and accept exactly the rows that a repair leaves."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import Pair, guid, merge_pairs
from repair_model import Run, Sick, sick_tables

from mergeguard.core.repair.check import check_rows


@given(sick_tables())
def test_what_a_repair_leaves_is_accepted(sick: Sick) -> None:
    run = Run.of(sick)
    for component in run.decided:
        rows = [(old, new) for _, old, new in run.kept(component)]
        assert check_rows(rows, component.members, survivor=component.survivor) == ()


@given(sick_tables())
def test_what_was_there_before_is_not(sick: Sick) -> None:
    run = Run.of(sick)
    for component in run.decided:
        rows = [(old, new) for _, old, new in run.rows_of(component)]
        assert check_rows(rows, component.members, survivor=component.survivor)


@given(merge_pairs(), st.integers(0, 12))
def test_rows_are_accepted_exactly_where_they_are_a_forest(pairs: list[Pair], number: int) -> None:
    members, survivor = {old for old, _ in pairs}, guid(number)
    graph = nx.MultiDiGraph(pairs)
    members |= {survivor}
    good = all(graph.out_degree(member) == (member != survivor) for member in members if member in graph)
    good = good and nx.is_directed_acyclic_graph(graph)
    if good and pairs:
        good = all(survivor in nx.descendants(graph, member) for member in members - {survivor})
    assert (check_rows(pairs, members, survivor=survivor) == ()) == good


@pytest.mark.parametrize(
    ("rows", "survivor", "word"),
    [
        ([], 1, "mapping would be lost"),
        ([(2, 1), (1, 2)], 1, "survives, but 1 of its rows"),
        ([(2, 2)], 1, "merged into itself"),
        ([(2, 1), (2, 1)], 1, "copies of a row"),
        ([(2, 1), (2, 9)], 1, "2 different news"),
        ([(1, 2), (2, 1)], 9, "leads in a circle"),
        ([(2, 9)], 1, "does not lead to"),
        ([(2, 1), (5, 1)], 1, "no member"),
    ],
)
def test_every_problem_has_its_words(rows: list[tuple[int, int]], survivor: int, word: str) -> None:
    said = check_rows([(guid(old), guid(new)) for old, new in rows], [guid(1), guid(2)], survivor=guid(survivor))
    assert any(word in problem for problem in said)


def test_nobody_survives_where_nobody_is_named() -> None:
    assert check_rows([(guid(1), guid(2))], [guid(1)], survivor=None) == ()


def test_problems_come_in_text_order() -> None:
    """R8: what a repair says of itself does not depend on the order of the rows."""
    olds = sorted(map(guid, range(3, 9)))
    rows = [(old, guid(1)) for old in olds]
    for some in (rows, rows[::-1]):
        assert check_rows(some, [], survivor=None) == tuple(f"{old} is no member, but its row was read" for old in olds)
