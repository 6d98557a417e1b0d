"""The oracle, the checks and the tokens, without a database."""

from __future__ import annotations

import dataclasses

import networkx as nx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mergeguard.errors import UsageError
from mergeguard.testing.checks import CHECKS, Seen
from mergeguard.testing.history import Fault
from mergeguard.testing.replay import Replay, from_token
from mergeguard.testing.rings import Case, Edge, cases, ring_of, rings
from mergeguard.testing.scheduler import Planned
from mergeguard.testing.search import faults_of
from mergeguard.testing.tables import Datum, Guid, Link, Tables, current, guid, merged

A, B, C, D = map(guid, range(4))
ANY = st.one_of(cases(), rings())


def finished(case: Case) -> Tables:
    now = case.start
    for edge in case.edges:
        old, new = edge.pair
        if new in now.kinds and current(now, new)[2] == "ok" and now.kinds[old] == now.kinds[new]:
            now = merged(now, old, new)
    return now


def complaints(seen: Seen) -> set[str]:
    return {name for name, check in CHECKS.items() if check(seen)}


@settings(max_examples=200)
@given(case=ANY)
def test_what_the_oracle_merges_passes_every_check(case: Case) -> None:
    now = finished(case)

    assert complaints(Seen(case.start, case.start, now, over=False)) == set()
    made = [(old, new) for old, new in now.merges if (old, new) not in case.start.merges]
    assert complaints(Seen(case.start, case.start, now, asked=made, over=True)) == set()


@settings(max_examples=200)
@given(case=ANY)
def test_the_oracle_agrees_with_networkx(case: Case) -> None:
    now = finished(case)
    graph = nx.DiGraph(list(now.merges))

    assert not graph or nx.is_forest(graph)
    for old, _ in now.merges:
        at, depth, status = current(now, old)
        assert nx.shortest_path_length(graph, old, at) == depth
        assert graph.out_degree(at) == 0
        assert (status, now.lookup[old]) == ("ok", (at, depth, status))


@settings(max_examples=100)
@given(case=ANY, data=st.data())
def test_the_order_of_merges_does_not_matter_to_classes(case: Case, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(case.edges))

    def classes(tables: Tables) -> set[frozenset[object]]:
        graph = nx.Graph(list(tables.merges))
        return {frozenset(part) for part in nx.connected_components(graph)}

    assert classes(finished(case)) == classes(finished(dataclasses.replace(case, edges=tuple(shuffled))))


START = Tables(
    dict.fromkeys((A, B, C), "computer") | {D: "user"},
    frozenset([A, B, C, D]),
    data=(Datum(A, "new", 2), Datum(B, "old", 1)),
    links=(Link(1, A, C, 1), Link(2, B, C, 2), Link(3, A, B, 3)),
    tickets={1: A},
)
NOW = merged(START, A, B)


@pytest.mark.parametrize(
    ("check", "now"),
    [
        ("forest", dataclasses.replace(NOW, merges=((A, B), (B, A)))),
        ("forest", dataclasses.replace(NOW, merges=((A, B), (A, C)))),
        ("forest", dataclasses.replace(NOW, merges=((A, B), (C, C)))),
        ("target_live", dataclasses.replace(NOW, live=frozenset([C, D]))),
        ("no_shadow", dataclasses.replace(NOW, live=START.live)),
        ("same_type", merged(START, A, D)),
        ("lookup", dataclasses.replace(NOW, lookup={})),
        ("lookup", dataclasses.replace(NOW, lookup={A: (B, 2, "ok")})),
        ("conserved", dataclasses.replace(NOW, tickets={})),
        ("conserved", dataclasses.replace(NOW, tickets={1: C})),
        ("conserved", dataclasses.replace(NOW, data=())),
        ("conserved", dataclasses.replace(NOW, links=())),
        ("live_refs", dataclasses.replace(NOW, tickets={1: A})),
        ("live_refs", dataclasses.replace(NOW, links=(Link(2, A, C, 2),))),
        ("no_artifacts", dataclasses.replace(NOW, links=(*NOW.links, Link(3, B, B, 3)))),
        ("no_artifacts", dataclasses.replace(NOW, links=(*NOW.links, Link(1, B, C, 1)))),
        ("newest_wins", dataclasses.replace(NOW, data=(Datum(B, "old", 1),))),
    ],
)
def test_each_check_finds_what_it_is_for(check: str, now: Tables) -> None:
    assert check in complaints(Seen(START, START, now))


@given(order=st.permutations([(A, C), (A, B), (A, D)]))
def test_forest_says_the_same_in_whatever_order_the_rows_are_read(order: list[tuple[Guid, Guid]]) -> None:
    now = dataclasses.replace(START, merges=tuple(order))
    assert CHECKS["forest"](Seen(START, START, now, spelled={A: "A", B: "B", C: "C", D: "D"})) == (
        "A is merged 3 times, into B and C and D"
    )


def test_classes_that_come_apart_are_not_monotone() -> None:
    moved = dataclasses.replace(NOW, merges=((A, C),))

    assert "monotone" in complaints(Seen(START, NOW, moved))


@pytest.mark.parametrize(("asked", "maybe"), [([(A, B), (B, C)], []), ([], [])])
def test_classes_are_those_that_were_asked_for(asked: list[tuple[object, object]], maybe: list[object]) -> None:
    assert "confluent" in complaints(Seen(START, START, NOW, asked=asked, maybe=maybe, over=True))
    assert "confluent" not in complaints(Seen(START, START, NOW, asked=asked, maybe=maybe))


def test_a_merge_of_which_nobody_knows_may_be_made_or_not() -> None:
    for now in (START, NOW):
        assert complaints(Seen(START, START, now, maybe=[(A, B)], over=True)) == set()


@settings(max_examples=200)
@given(case=cases(), choices=st.lists(st.integers(0, 3)), faults=faults_of(tuple(Fault)))
def test_a_token_says_all_of_a_schedule(case: Case, choices: list[int], faults: tuple[Planned, ...]) -> None:
    replay = Replay(case, tuple(choices), faults)
    token = replay.token()

    assert token.startswith("mg1-")
    assert token.isascii()
    assert from_token(f" {token}\n") == replay


@settings(max_examples=200)
@given(data=st.data())
def test_a_token_that_was_altered_is_refused(data: st.DataObject) -> None:
    token = Replay(ring_of(3), (0, 1, 2)).token()
    at = data.draw(st.integers(0, len(token) - 1))
    altered = token[:at] + data.draw(st.sampled_from(["", "A", "!", "é", token])) + token[at + 1 :]
    assume(altered != token)

    with pytest.raises(UsageError):
        from_token(altered)


def test_rings_are_rings() -> None:
    case = ring_of(4, before=[1, 3])

    assert case.start.merges == ((B, C), (D, A))
    assert case.edges == (Edge(str(A), str(B)), Edge(str(C), str(D)))


@settings(max_examples=200)
@given(case=rings())
def test_drawn_rings_close_and_leave_two_merges_to_race(case: Case) -> None:
    graph = nx.DiGraph([edge.pair for edge in case.edges])
    graph.add_edges_from(case.start.merges)

    assert len(case.edges) >= 2
    assert case.start.live
    undirected = graph.to_undirected()
    assert nx.is_connected(undirected)
