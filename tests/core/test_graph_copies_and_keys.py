"""A MergeGraph is copied, pickled and asked for odd keys as if it were the plain DiGraph of its rows."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import uuid
from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.graph import MergeGraph
from mergeguard.core.table import MergeTable

GUIDS = [uuid.uuid5(uuid.NAMESPACE_URL, str(number)) for number in range(8)]
A, B, C, D, E = GUIDS[:5]
NOON = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
TABLE = MergeTable.from_pairs(
    [(A, B), (C, B), (A, D), (A, B), (D, D), (E, A)],
    row_ids=["r1", "r2", "r3", "r4", "r5", "r6"],
    times=[NOON, None, NOON + dt.timedelta(days=1), None, NOON, NOON],
)


def plain() -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_edge(A, B, rows=(("r1", NOON), ("r4", None)))
    graph.add_edge(C, B, rows=(("r2", None),))
    graph.add_edge(A, D, rows=(("r3", NOON + dt.timedelta(days=1)),))
    graph.add_edge(D, D, rows=(("r5", NOON),))
    graph.add_edge(E, A, rows=(("r6", NOON),))
    return graph


COPIES: dict[str, Callable[[Any], nx.Graph]] = {
    "copy": lambda g: g.copy(),
    "class of it": lambda g: g.__class__(g),
    "DiGraph": nx.DiGraph,
    "reverse twice": lambda g: g.reverse().reverse(),
    "subgraph": lambda g: g.subgraph(g).copy(),
    "edge_subgraph": lambda g: g.edge_subgraph(g.edges).copy(),
    "to_directed": lambda g: g.to_directed(),
    "compose with itself": lambda g: nx.compose(g, g),
    "relabel to the same": lambda g: nx.relabel_nodes(g, {A: A}),
}
VIEWS: dict[str, Callable[[Any], Any]] = {
    "copy as view": lambda g: g.copy(as_view=True),
    "reverse as view": lambda g: g.reverse(copy=False),
    "undirected view": lambda g: g.to_undirected(as_view=True),
    "subgraph": lambda g: g.subgraph([A, B, C]),
    "edge_subgraph": lambda g: g.edge_subgraph([(A, B)]),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_a_digraph_of_its_own(name: str) -> None:
    graph = MergeGraph(TABLE)
    twin = COPIES[name](graph)
    assert type(twin) is nx.DiGraph
    assert nx.utils.graphs_equal(twin, plain())
    twin.add_edge(B, GUIDS[7], weight=1)
    twin.edges[A, B]["weight"] = 2
    twin.graph["name"] = "mine"
    assert nx.utils.graphs_equal(graph, plain())


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_shows_what_it_shows_of_a_plain_digraph(name: str) -> None:
    ours, theirs = VIEWS[name](MergeGraph(TABLE)), VIEWS[name](plain())
    assert type(ours) is type(theirs)
    assert list(ours.edges(data=True)) == list(theirs.edges(data=True))
    assert ours.adj == theirs.adj
    with pytest.raises(nx.NetworkXError):
        ours.add_edge(A, B)


def same(graph: Any) -> Any:
    assert type(graph) is MergeGraph
    assert isinstance(graph, nx.DiGraph)
    assert nx.utils.graphs_equal(graph, plain())
    assert list(graph.edges(data=True)) == list(plain().edges(data=True))
    return graph


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_gives_a_merge_graph(protocol: int, used: bool) -> None:
    graph = same(MergeGraph(TABLE)) if used else MergeGraph(TABLE)
    same(pickle.loads(pickle.dumps(graph, protocol)))  # noqa: S301 -- our own


def test_a_pickle_holds_the_table_and_nothing_built_from_it() -> None:
    graph = MergeGraph(TABLE)
    fresh = len(pickle.dumps(graph))
    assert len(pickle.dumps(same(graph))) == fresh


def test_copy_and_deepcopy_give_merge_graphs() -> None:
    graph = MergeGraph(TABLE)
    assert same(copy.copy(graph)).table is TABLE
    assert same(copy.deepcopy(graph)).table is not TABLE


@pytest.mark.parametrize("view", ["nodes", "edges", "adj", "pred", "degree", "in_degree", "_node", "_adj", "_pred"])
def test_views_survive_pickling(view: str) -> None:
    ours = getattr(MergeGraph(TABLE), view)
    assert list(pickle.loads(pickle.dumps(ours))) == list(getattr(plain(), view))  # noqa: S301 -- our own


def test_a_pickled_neighbour_mapping_keeps_its_direction() -> None:
    inward = MergeGraph(TABLE)._pred[B]
    assert dict(pickle.loads(pickle.dumps(inward))) == plain()._pred[B]  # noqa: S301 -- our own


def test_without_a_table_the_class_gives_the_empty_digraph_that_networkx_asks_it_for() -> None:
    empty = MergeGraph(name="of merges")
    assert type(empty) is nx.DiGraph
    assert (len(empty), empty.graph) == (0, {"name": "of merges"})


def test_networkx_knows_the_graph_as_its_own() -> None:
    graph = MergeGraph(TABLE)
    assert getattr(graph, "__networkx_backend__", "networkx") == "networkx"
    assert getattr(graph, "__networkx_cache__", {}) == {}  # since networkx 3.3
    assert str(graph) == "MergeGraph with 5 nodes and 5 edges"


class Twin(uuid.UUID):
    """A guid of a class of its own: equal to its original, and so the same key."""


ODD_KEYS = [
    *GUIDS[:6],
    Twin(str(B)),
    None,
    0,
    1.5,
    "",
    str(A),
    A.bytes,
    (),
    (A, B),
    frozenset([A]),
    [],
    [A],
    {},
    {A: B},
]
# A slice of nodes is refused with a hint of networkx's own; a list is a bunch of nodes.
ODD_KEYS += [slice(1), [A, "x"], [[]], {A, B}, {C, 3}]
QUESTIONS: dict[str, Callable[[nx.DiGraph, Any, Any], object]] = {
    "in": lambda g, u, _v: u in g,
    "in nodes": lambda g, u, _v: u in g.nodes,
    "in adj": lambda g, u, v: (u in g.adj, v in g.adj[u]),
    "in edges": lambda g, u, v: (u, v) in g.edges,
    "item": lambda g, u, _v: dict(g[u]),
    "items of items": lambda g, u, v: (g[u][v], g.pred[v][u]),
    "nodes": lambda g, u, _v: g.nodes[u],
    "edges": lambda g, u, v: g.edges[u, v],
    "has_node": lambda g, u, _v: g.has_node(u),
    "has_edge": lambda g, u, v: g.has_edge(u, v),
    "has_predecessor": lambda g, u, v: g.has_predecessor(u, v),
    "get_edge_data": lambda g, u, v: g.get_edge_data(u, v, "none"),
    "number_of_edges": lambda g, u, v: g.number_of_edges(u, v),
    "successors": lambda g, u, _v: list(g.successors(u)),
    "predecessors": lambda g, u, _v: list(g.predecessors(u)),
    "degree": lambda g, u, _v: repr(g.degree(u)),
    "out_edges": lambda g, u, _v: list(g.out_edges(u, data=True)),
    "in_edges": lambda g, u, _v: list(g.in_edges([u])),
    "nbunch_iter": lambda g, u, _v: list(g.nbunch_iter(u)),
    "nbunch_iter of several": lambda g, u, v: list(g.nbunch_iter([u, v])),
    "subgraph": lambda g, u, v: list(g.subgraph([u, v]).edges),
    "get": lambda g, u, v: (g.adj.get(u), g._adj[v].get(u, "none")),
}


def answer(question: Callable[..., object], graph: nx.DiGraph, u: object, v: object) -> object:
    try:
        return question(graph, u, v)
    except (KeyError, TypeError, nx.NetworkXError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", QUESTIONS)
@given(u=st.sampled_from(ODD_KEYS), v=st.sampled_from(ODD_KEYS))
def test_an_odd_key_gets_the_answer_of_a_plain_digraph(name: str, u: object, v: object) -> None:
    assert answer(QUESTIONS[name], MergeGraph(TABLE), u, v) == answer(QUESTIONS[name], plain(), u, v)


def test_it_has_all_that_networkx_gives_to_a_graph_of_its_own() -> None:
    assert vars(nx.DiGraph()).keys() <= vars(MergeGraph(TABLE)).keys()
