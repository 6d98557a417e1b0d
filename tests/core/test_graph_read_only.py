"""Nothing changes a MergeGraph: whatever would change a DiGraph says so, and says what to do instead."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest

from mergeguard.core.graph import MergeGraph
from mergeguard.core.table import MergeTable

A, B, C, NEW = (uuid.UUID(int=number) for number in range(4))
ROWS = [(A, B), (B, C), (C, C), (A, B)]

READERS = {
    *("adjacency", "copy", "edge_subgraph", "get_edge_data", "has_edge", "has_node", "has_predecessor"),
    *("has_successor", "is_directed", "is_multigraph", "nbunch_iter", "neighbors", "number_of_edges"),
    *("number_of_nodes", "order", "predecessors", "reverse", "size", "subgraph", "successors", "to_directed"),
    *("to_directed_class", "to_undirected", "to_undirected_class"),
    # These make the dictionaries of a DiGraph.
    *("adjlist_inner_dict_factory", "adjlist_outer_dict_factory", "edge_attr_dict_factory", "graph_attr_dict_factory"),
    *("node_attr_dict_factory", "node_dict_factory"),
}
MUTATORS: dict[str, Callable[[Any], object]] = {
    "add_node": lambda g: g.add_node(NEW),
    "add_nodes_from": lambda g: g.add_nodes_from([NEW]),
    "add_edge": lambda g: g.add_edge(A, NEW, weight=2),
    "add_edges_from": lambda g: g.add_edges_from([(A, NEW)], weight=2),
    "add_weighted_edges_from": lambda g: g.add_weighted_edges_from([(A, NEW, 1.5)]),
    "remove_node": lambda g: g.remove_node(A),
    "remove_nodes_from": lambda g: g.remove_nodes_from([A]),
    "remove_edge": lambda g: g.remove_edge(A, B),
    "remove_edges_from": lambda g: g.remove_edges_from([(A, B)]),
    "update": lambda g: g.update(edges=[(A, NEW)]),
    "clear": lambda g: g.clear(),
    "clear_edges": lambda g: g.clear_edges(),
}
FUNCTIONS: dict[str, Callable[[Any], object]] = {
    "add_path": lambda g: nx.add_path(g, [A, NEW]),
    "add_cycle": lambda g: nx.add_cycle(g, [A, B, NEW]),
    "add_star": lambda g: nx.add_star(g, [A, NEW]),
    "set_node_attributes": lambda g: nx.set_node_attributes(g, 1, "colour"),
    "set_edge_attributes": lambda g: nx.set_edge_attributes(g, 1, "weight"),
    "set_edge_attributes of some": lambda g: nx.set_edge_attributes(g, {(A, B): {"weight": 1}}),
    "relabel_nodes in place": lambda g: nx.relabel_nodes(g, {A: "a"}, copy=False),
    "contracted_nodes in place": lambda g: nx.contracted_nodes(g, A, B, copy=False),
    "empty_graph": lambda g: nx.empty_graph(2, create_using=g),
    "from_edgelist": lambda g: nx.from_edgelist([(A, NEW)], create_using=g),
    "naming": lambda g: setattr(g, "name", "merges"),
}
ATTRIBUTES: dict[str, Callable[[Any], Any]] = {
    "of a node": lambda g: g.nodes[A],
    "of an edge": lambda g: g.edges[A, B],
    "of a neighbour": lambda g: g.adj[A][B],
    "of a predecessor": lambda g: g.pred[B][A],
    "of listed nodes": lambda g: next(iter(g.nodes(data=True)))[1],
    "of listed edges": lambda g: next(iter(g.edges(data=True)))[2],
    "of the graph": lambda g: g.graph,
    "private nodes": lambda g: g._node,
    "private adjacency": lambda g: g._adj,
    "private neighbours": lambda g: g._pred[B],
}
CHANGES: dict[str, Callable[[Any], object]] = {
    "__setitem__": lambda d: d.__setitem__("rows", ()),
    "__delitem__": lambda d: d.__delitem__("rows"),
    "__ior__": lambda d: d.__ior__({"rows": ()}),
    "clear": lambda d: d.clear(),
    "pop": lambda d: d.pop("rows", None),
    "popitem": lambda d: d.popitem(),
    "setdefault": lambda d: d.setdefault("weight", 1),
    "update": lambda d: d.update(weight=1),
}
DICT_READERS = {"copy", "fromkeys", "get", "items", "keys", "values"}


@pytest.fixture
def graph() -> Any:
    return MergeGraph(MergeTable.from_pairs(ROWS))


def refuses(change: Callable[[Any], object], target: object) -> None:
    with pytest.raises(nx.NetworkXError, match=r"networkx\.DiGraph\(g\)"):
        change(target)


def test_every_method_of_digraph_is_known_to_read_or_to_change() -> None:
    methods = {name for name in dir(nx.DiGraph) if not name.startswith("_") and callable(getattr(nx.DiGraph, name))}
    assert methods == READERS | MUTATORS.keys()


@pytest.mark.parametrize("name", MUTATORS)
def test_a_changing_method_refuses(graph: Any, name: str) -> None:
    before = nx.to_dict_of_dicts(graph)
    MUTATORS[name](nx.DiGraph(graph))
    refuses(MUTATORS[name], graph)
    assert nx.to_dict_of_dicts(graph) == before


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_changing_function_refuses(graph: Any, name: str) -> None:
    before = nx.to_dict_of_dicts(graph)
    FUNCTIONS[name](nx.DiGraph(graph))
    refuses(FUNCTIONS[name], graph)
    assert nx.to_dict_of_dicts(graph) == before


def test_every_way_to_change_a_dictionary_is_tried() -> None:
    slots = {"__setitem__", "__delitem__", "__ior__"}
    assert {name for name in dir(dict) if not name.startswith("_") or name in slots} == CHANGES.keys() | DICT_READERS


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", ATTRIBUTES)
def test_attributes_refuse(graph: Any, place: str, change: str) -> None:
    before = dict(ATTRIBUTES[place](graph))
    refuses(CHANGES[change], ATTRIBUTES[place](graph))
    assert dict(ATTRIBUTES[place](graph)) == before


def test_the_public_views_take_no_items_just_like_those_of_a_digraph(graph: Any) -> None:
    for each in (graph, nx.DiGraph(graph)):
        with pytest.raises(TypeError):
            each.adj[A][B] = {}
        with pytest.raises(TypeError):
            each.nodes[A] = {}
        with pytest.raises(TypeError):
            del each.adj[A]


def test_copies_of_attributes_are_plain_dictionaries(graph: Any) -> None:
    attributes = graph.edges[A, B]
    for twin in (attributes.copy(), dict(attributes), pickle.loads(pickle.dumps(attributes))):  # noqa: S301 -- our own
        assert type(twin) is dict
        assert twin == attributes == {"rows": ((1, None), (4, None))}


def test_networkx_calls_the_graph_frozen_and_its_copies_not(graph: Any) -> None:
    assert nx.is_frozen(graph)
    assert nx.is_frozen(nx.freeze(graph))
    assert not nx.is_frozen(graph.copy())


@pytest.mark.parametrize("wrong", [[(A, B)], 3, "guid"])
def test_only_a_table_makes_a_merge_graph(wrong: object) -> None:
    with pytest.raises(TypeError, match="MergeTable"):
        MergeGraph(wrong)  # type: ignore[arg-type]


def test_a_table_takes_no_graph_attributes() -> None:
    with pytest.raises(TypeError):
        MergeGraph(MergeTable.from_pairs(ROWS), name="merges")
