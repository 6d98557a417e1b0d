"""Every algorithm of networkx that leaves its graph alone answers on a MergeGraph what it answers on a plain DiGraph.

Order counts, in nodes, edges and results alike; sets alone compare as sets. Where the plain graph makes an algorithm
raise, ours makes it raise the same.
"""

from __future__ import annotations

import datetime as dt
import inspect
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, TypeAlias

import hypothesis.strategies as st
import networkx as nx
import numpy as np
import pytest
from hypothesis import example, given, settings

from mergeguard.core.adjacency import Groups, Side
from mergeguard.core.graph import MergeGraph
from mergeguard.core.table import MergeTable

# What the oldest networkx says on its own: of packages it looks for when fed with edges, and of its own functions.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* not found, skipping conversion test:ImportWarning"),
    pytest.mark.filterwarnings("ignore:shortest_path for all_pairs will return an iterator:DeprecationWarning"),
]

Pairs: TypeAlias = list[tuple[int, int]]
MIDNIGHT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def guid(number: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, str(number))


def times(rows: int) -> list[dt.datetime | None]:
    return [None if row % 5 == 4 else MIDNIGHT + dt.timedelta(hours=7 * row % 11) for row in range(rows)]


def ours(pairs: Pairs) -> Any:
    rows = [(guid(old), guid(new)) for old, new in pairs]
    return MergeGraph(
        MergeTable.from_pairs(rows, row_ids=[3 * row for row in range(len(rows))], times=times(len(rows)))
    )


def plain(pairs: Pairs) -> nx.DiGraph:
    graph = nx.DiGraph()
    for row, ((old, new), time) in enumerate(zip(pairs, times(len(pairs)), strict=True)):
        graph.add_edge(guid(old), guid(new))
        attributes = graph.edges[guid(old), guid(new)]
        attributes["rows"] = (*attributes.get("rows", ()), (3 * row, time))
    return graph


def chain(length: int, at: int = 0) -> Pairs:
    return [(at + step, at + step + 1) for step in range(length)]


def ring(length: int, at: int = 0) -> Pairs:
    return [(at + step, at + (step + 1) % length) for step in range(length)]


TABLES: dict[str, Pairs] = {
    "empty": [],
    "one merge": [(0, 1)],
    "self-merge": [(0, 0)],
    "ring": ring(5),
    "chain read backwards": chain(9)[::-1],
    "shared target": [(spoke, 0) for spoke in (7, 2, 5, 3, 6, 1, 4)],
    "conflicts": [(0, 3), (0, 1), (2, 1), (0, 2), (2, 3), (4, 0)],
    "duplicate rows": [(1, 0), (2, 0), (1, 0), (0, 3), (2, 0), (1, 0)],
    "flip-flop": [(0, 1), (1, 0), (0, 1), (1, 2)],
    "trees on a ring": [(9, 8), (8, 2), *ring(4), (7, 0), (6, 7), (5, 7), (5, 5)],
    "crossing rings": [*ring(4), *ring(3, at=3), (0, 2), (2, 2)],
    "forest": [(5, 4), (4, 1), (3, 1), (7, 6), (9, 8), (8, 6)],
    "complete": [(old, new) for old in range(4) for new in (3, 1, 0, 2) if old != new],
    "long chain": chain(40),
}


@st.composite
def tables(draw: st.DrawFn) -> Pairs:
    """Draw rows of adversarial shapes over a dozen guids, so that the shapes grow into each other."""
    node = st.integers(0, 11)
    size = st.integers(1, 6)
    shape = st.one_of(
        st.builds(chain, size, node),
        st.builds(ring, size, node),
        st.builds(lambda target, olds: [(old, target) for old in olds], node, st.lists(node, max_size=5)),
        st.builds(lambda old, news: [(old, new) for new in news], node, st.lists(node, max_size=3)),
        st.lists(st.tuples(node, node), max_size=6),
    )
    rows = [row for part in draw(st.lists(shape, max_size=4)) for row in part]
    rows += draw(st.lists(st.sampled_from(rows), max_size=3)) if rows else []
    return list(draw(st.permutations(rows))) if draw(st.booleans()) else rows


def first(graph: nx.DiGraph) -> uuid.UUID:
    return list(graph)[0]  # noqa: RUF015 -- an empty graph raises IndexError, which both graphs may


def middle(graph: nx.DiGraph) -> uuid.UUID:
    return list(graph)[len(graph) // 2]


def last(graph: nx.DiGraph) -> uuid.UUID:
    return list(graph)[-1]


def half(graph: nx.DiGraph) -> list[uuid.UUID]:
    return list(graph)[::2]


def both_keys(graph: nx.DiGraph) -> Iterable[tuple[Any, Any]]:
    return ((graph._succ[node].keys(), graph._pred[node].keys()) for node in graph)


def other() -> nx.DiGraph:
    """Return a plain graph that shares a few nodes and edges with the ones drawn."""
    return nx.DiGraph([(guid(1), guid(0)), (guid(0), guid(1)), (guid(2), guid(20)), (guid(21), guid(2))])


def same_nodes(graph: nx.DiGraph) -> nx.DiGraph:
    twin = nx.DiGraph()
    twin.add_nodes_from(graph)
    twin.add_edges_from(list(graph.edges)[::2])
    twin.add_edges_from((new, old) for old, new in list(graph.edges)[::3])
    return twin


# The key of the edges in node-link data was called "link" and has to be said aloud in some versions.
LINKS = {"edges": "links"} if "edges" in inspect.signature(nx.node_link_data).parameters else {}

Algorithm: TypeAlias = Callable[[nx.DiGraph], object]
ALGORITHMS: dict[str, Algorithm] = {
    # What the graph reports of itself.
    "nodes": lambda g: list(g.nodes(data=True)),
    "edges": lambda g: list(g.edges(data=True)),
    "in_edges": lambda g: list(g.in_edges(data="rows")),
    "edges of some nodes": lambda g: list(g.out_edges(half(g), data=True)),
    "adjacency": lambda g: [(node, dict(nbrs)) for node, nbrs in g.adjacency()],
    "adj, succ, pred": lambda g: (g.adj, g.succ, g.pred),
    "text of adj": lambda g: (str(g.adj), str(g.pred), repr(g[first(g)])),
    "degrees": lambda g: (list(g.degree), list(g.in_degree), list(g.out_degree), g.degree(first(g))),
    "neighbours": lambda g: [(list(g.neighbors(n)), list(g.predecessors(n))) for n in g],
    "sizes": lambda g: (len(g), g.order(), g.size(), g.number_of_edges(), g.size("absent"), len(g.edges), len(g.pred)),
    "edge questions": lambda g: [
        (g.has_edge(u, v), g.number_of_edges(u, v), g.get_edge_data(u, v)) for u in g for v in g
    ],
    "nbunch_iter": lambda g: (list(g.nbunch_iter(half(g))), list(g.nbunch_iter()), list(g.nbunch_iter(first(g)))),
    "sets of keys": lambda g: [
        (list(a | b), list(a & b), list(a ^ b), list(g._adj.keys() - a)) for a, b in both_keys(g)
    ],
    "items by value": lambda g: [(list(g._adj[n].values()), g._adj[n].items() == g._adj[n].items()) for n in g],
    "density": nx.density,
    "degree_histogram": nx.degree_histogram,
    "nodes_with_selfloops": nx.nodes_with_selfloops,
    "selfloop_edges": lambda g: nx.selfloop_edges(g, data=True),
    "non_edges": nx.non_edges,
    # Components.
    "strongly_connected_components": nx.strongly_connected_components,
    "weakly_connected_components": nx.weakly_connected_components,
    "attracting_components": nx.attracting_components,
    "condensation": nx.condensation,
    "is_strongly_connected": nx.is_strongly_connected,
    "is_weakly_connected": nx.is_weakly_connected,
    "is_semiconnected": nx.is_semiconnected,
    # Cycles and orders.
    "simple_cycles": lambda g: islice(nx.simple_cycles(g), 50),
    "find_cycle": nx.find_cycle,
    "find_cycle of any direction": lambda g: nx.find_cycle(g, first(g), orientation="ignore"),
    "topological_sort": nx.topological_sort,
    "topological_generations": nx.topological_generations,
    "lexicographical_topological_sort": nx.lexicographical_topological_sort,
    "all_topological_sorts": lambda g: islice(nx.all_topological_sorts(g), 20),
    "dag_longest_path": nx.dag_longest_path,
    "dag_longest_path_length": nx.dag_longest_path_length,
    "antichains": lambda g: islice(nx.antichains(g), 50),
    "is_aperiodic": nx.is_aperiodic,
    "flow_hierarchy": nx.flow_hierarchy,
    # Walks.
    "descendants": lambda g: nx.descendants(g, first(g)),
    "ancestors": lambda g: nx.ancestors(g, last(g)),
    "descendants_at_distance": lambda g: nx.descendants_at_distance(g, first(g), 2),
    "bfs_edges": lambda g: nx.bfs_edges(g, first(g)),
    "bfs_edges in reverse": lambda g: nx.bfs_edges(g, last(g), reverse=True),
    "bfs_tree": lambda g: nx.bfs_tree(g, first(g)),
    "bfs_layers": lambda g: nx.bfs_layers(g, first(g)),
    "bfs_successors": lambda g: nx.bfs_successors(g, first(g)),
    "dfs_edges": nx.dfs_edges,
    "dfs_tree": nx.dfs_tree,
    "dfs_successors": nx.dfs_successors,
    "dfs_postorder_nodes": nx.dfs_postorder_nodes,
    "dfs_labeled_edges": nx.dfs_labeled_edges,
    "edge_dfs": lambda g: nx.edge_dfs(g, first(g), orientation="ignore"),
    # Paths.
    "has_path": lambda g: nx.has_path(g, first(g), last(g)),
    "shortest_path": lambda g: nx.shortest_path(g, first(g), last(g)),
    "shortest_path from one": lambda g: nx.shortest_path(g, first(g)),
    "shortest_path to one": lambda g: nx.shortest_path(g, target=last(g)),
    "all_shortest_paths": lambda g: nx.all_shortest_paths(g, first(g), middle(g)),
    "all_pairs_shortest_path_length": nx.all_pairs_shortest_path_length,
    "all_simple_paths": lambda g: islice(nx.all_simple_paths(g, first(g), last(g), cutoff=6), 50),
    "shortest_simple_paths": lambda g: islice(nx.shortest_simple_paths(g, first(g), last(g)), 5),
    "dijkstra_path": lambda g: nx.dijkstra_path(g, first(g), middle(g), weight=lambda _u, _v, d: len(d["rows"])),
    "dijkstra_predecessor_and_distance": lambda g: nx.dijkstra_predecessor_and_distance(g, first(g)),
    "bidirectional_dijkstra": lambda g: nx.bidirectional_dijkstra(g, first(g), last(g)),
    "bellman_ford_path_length": lambda g: nx.single_source_bellman_ford_path_length(g, first(g)),
    "floyd_warshall": nx.floyd_warshall,
    "astar_path": lambda g: nx.astar_path(g, first(g), last(g)),
    "eccentricity": nx.eccentricity,
    "average_shortest_path_length": nx.average_shortest_path_length,
    # Measures.
    "degree_centrality": nx.degree_centrality,
    "closeness_centrality": nx.closeness_centrality,
    "harmonic_centrality": nx.harmonic_centrality,
    "betweenness_centrality": nx.betweenness_centrality,
    "edge_betweenness_centrality": nx.edge_betweenness_centrality,
    "load_centrality": nx.load_centrality,
    "katz_centrality": lambda g: nx.katz_centrality(g, alpha=0.05, max_iter=300),
    "eigenvector_centrality": lambda g: nx.eigenvector_centrality(g, max_iter=50, tol=1e-3),
    "global_reaching_centrality": nx.global_reaching_centrality,
    "voterank": nx.voterank,
    "google_matrix": nx.google_matrix,
    "reciprocity": lambda g: (nx.reciprocity(g, half(g)), nx.overall_reciprocity(g)),
    "transitivity": nx.transitivity,
    "clustering": nx.clustering,
    "triadic_census": nx.triadic_census,
    "core_number": nx.core_number,
    "k_core": lambda g: nx.k_core(g, 2),
    "average_neighbor_degree": nx.average_neighbor_degree,
    "degree_mixing_dict": nx.degree_mixing_dict,
    "simrank_similarity": lambda g: nx.simrank_similarity(g, max_iterations=200),
    # Kinds.
    "is_directed_acyclic_graph": nx.is_directed_acyclic_graph,
    "is_arborescence": nx.is_arborescence,
    "is_branching": nx.is_branching,
    "is_forest": nx.is_forest,
    "is_regular": nx.is_regular,
    # Domination and common ancestors.
    "immediate_dominators": lambda g: nx.immediate_dominators(g, first(g)),
    "dominance_frontiers": lambda g: nx.dominance_frontiers(g, first(g)),
    "lowest_common_ancestor": lambda g: nx.lowest_common_ancestor(g, first(g), last(g)),
    "all_pairs_lowest_common_ancestor": nx.all_pairs_lowest_common_ancestor,
    # Flow and cuts.
    "edge_boundary": lambda g: nx.edge_boundary(g, half(g)),
    "cut_size": lambda g: nx.cut_size(g, half(g), [first(g), last(g)]),
    "minimum_edge_cut": lambda g: nx.minimum_edge_cut(g, first(g), last(g)),
    "node_connectivity": nx.node_connectivity,
    # Other forms.
    "to_dict_of_lists": nx.to_dict_of_lists,
    "to_dict_of_dicts": nx.to_dict_of_dicts,
    "to_edgelist": nx.to_edgelist,
    "to_numpy_array": nx.to_numpy_array,
    "node_link_data": lambda g: nx.node_link_data(g, **LINKS),
    "adjacency_data": nx.adjacency_data,
    "cytoscape_data": nx.cytoscape_data,
    "generate_adjlist": nx.generate_adjlist,
    "generate_network_text": nx.generate_network_text,
    "weisfeiler_lehman_graph_hash": lambda g: nx.weisfeiler_lehman_graph_hash(g.to_undirected(), edge_attr="rows"),
    "is_isomorphic": lambda g: (
        nx.is_isomorphic(g, g.reverse()),
        nx.fast_could_be_isomorphic(*2 * [g.to_undirected()]),
    ),
    "vf2 matches": lambda g: islice(nx.algorithms.isomorphism.DiGraphMatcher(g, g).isomorphisms_iter(), 3),
    # Other graphs made of this one.
    "copy": lambda g: g.copy(),
    "to_undirected": lambda g: g.to_undirected(),
    "to_undirected where mutual": lambda g: g.to_undirected(reciprocal=True),
    "reverse": lambda g: (g.reverse(), nx.edges(nx.reverse_view(g))),
    "subgraph": lambda g: g.subgraph(half(g)),
    "edge_subgraph": lambda g: g.edge_subgraph(list(g.edges)[::2]),
    "restricted_view": lambda g: nx.restricted_view(g, half(g), list(g.edges)[::3]),
    "ego_graph": lambda g: nx.ego_graph(g, first(g), radius=2),
    "complement": nx.complement,
    "line_graph": nx.line_graph,
    "transitive_closure": nx.transitive_closure,
    "transitive_reduction": nx.transitive_reduction,
    "compose": lambda g: (nx.compose(g, other()), nx.compose(other(), g)),
    "union": lambda g: nx.union(g, nx.DiGraph([(1, 2)])),
    "disjoint_union": lambda g: nx.disjoint_union(g, other()),
    "intersection": lambda g: nx.intersection(g, other()),
    "difference": lambda g: (nx.difference(g, same_nodes(g)), nx.difference(same_nodes(g), g)),
    "symmetric_difference": lambda g: nx.symmetric_difference(g, same_nodes(g)),
    "relabel_nodes": lambda g: nx.relabel_nodes(g, {node: str(node) for node in half(g)}),
    "convert_node_labels_to_integers": lambda g: nx.convert_node_labels_to_integers(g, label_attribute="guid"),
    "contracted_nodes": lambda g: nx.contracted_nodes(g, first(g), last(g)),
    "quotient_graph": lambda g: nx.quotient_graph(g, list(nx.weakly_connected_components(g))),
    "cartesian_product": lambda g: nx.cartesian_product(g, nx.DiGraph([(0, 1)])),
    "create_empty_copy": nx.create_empty_copy,
    "moral_graph": nx.moral_graph,
    # Undirected questions.
    "connected_components": lambda g: nx.connected_components(g.to_undirected(as_view=True)),
    "bridges": lambda g: nx.bridges(g.to_undirected()),
    "articulation_points": lambda g: nx.articulation_points(g.to_undirected()),
    "biconnected_components": lambda g: nx.biconnected_components(g.to_undirected()),
    "cycle_basis": lambda g: nx.cycle_basis(g.to_undirected()),
    "minimum_spanning_edges": lambda g: nx.minimum_spanning_edges(g.to_undirected()),
    "maximum_branching": nx.maximum_branching,
    "greedy_color": lambda g: nx.greedy_color(g.to_undirected()),
    "maximal_matching": lambda g: nx.maximal_matching(g.to_undirected()),
    "jaccard_coefficient": lambda g: nx.jaccard_coefficient(g.to_undirected()),
}

# A wrong call, a missing package or a warning must not pass for "both raise the same".
NO_ANSWER = (nx.NetworkXException, LookupError, ZeroDivisionError, ValueError, StopIteration, RuntimeError)


def canonical(value: object) -> object:
    """Turn any result into tuples that compare by value and by order."""
    if isinstance(value, nx.Graph):
        inward = canonical(value._pred) if value.is_directed() else ()
        kind = type(value).__name__.replace("MergeGraph", "DiGraph")
        return kind, canonical(value.graph), canonical(value.nodes(data=True)), canonical(value._adj), inward
    if isinstance(value, np.ndarray):
        return tuple(map(canonical, value.tolist()))
    if isinstance(value, Mapping):
        return tuple((canonical(key), canonical(item)) for key, item in value.items())
    if isinstance(value, set | frozenset):
        return frozenset(map(canonical, value))
    if value is None or isinstance(value, str | int | float | uuid.UUID | dt.datetime):
        return "nan" if isinstance(value, float) and math.isnan(value) else value
    assert isinstance(value, Iterable), f"no way to compare {type(value)}"
    return tuple(map(canonical, value))


def answer(algorithm: Algorithm, graph: nx.DiGraph) -> object:
    """Return what an algorithm says, or how it refuses."""
    try:
        return canonical(algorithm(graph))
    except NO_ANSWER as error:
        return "raised", type(error), str(error)


@settings(max_examples=settings.default.max_examples // 10)
@given(pairs=tables())
def agree(algorithm: Algorithm, pairs: Pairs) -> None:
    assert answer(algorithm, ours(pairs)) == answer(algorithm, plain(pairs))


for rows in TABLES.values():
    agree = example(pairs=rows)(agree)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_answer_is_that_on_a_plain_digraph(name: str) -> None:
    agree(ALGORITHMS[name])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_answer_is_compared_on_some_table(name: str) -> None:
    answers = [answer(ALGORITHMS[name], plain(pairs)) for pairs in TABLES.values()]
    assert any(not (isinstance(given, tuple) and given[:1] == ("raised",)) for given in answers)


def test_enough_algorithms_are_compared() -> None:
    assert len(ALGORITHMS) >= 70
    assert sum(name.isidentifier() and hasattr(nx, name) for name in ALGORITHMS) >= 70


def backwards(side: Side) -> Side:
    """Turn the neighbours of each node round."""
    members, ends = side.edges.members.copy(), side.ends.copy()
    for start, stop in zip(side.edges.start[:-1], side.edges.start[1:], strict=True):
        members[start:stop] = members[start:stop][::-1]
        ends[start:stop] = ends[start:stop][::-1]
    return Side(Groups(side.edges.start, members), ends)


MUTANTS: dict[str, Callable[[Any], Any]] = {
    "predecessors reversed": lambda a: replace(a, into=backwards(a.into)),
    "successors reversed": lambda a: replace(a, out=backwards(a.out)),
    "directions swapped": lambda a: replace(a, out=a.into, into=a.out),
    "rows of an edge reversed": lambda a: replace(a, rows=backwards(Side(a.rows, a.rows.members)).edges),
    "an edge that leads back to its old": lambda a: replace(a, out=replace(a.out, ends=a.out.ends * 0)),
}


def noticed(mutate: Callable[[Any], Any], pairs: Pairs) -> Iterable[str]:
    for name, algorithm in ALGORITHMS.items():
        graph = ours(pairs)
        graph._arrays.adjacency = mutate(graph._arrays.adjacency)
        if answer(algorithm, graph) != answer(algorithm, plain(pairs)):
            yield name


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_adjacency_is_noticed(mutant: str) -> None:
    every = (name for pairs in TABLES.values() for name in noticed(MUTANTS[mutant], pairs))
    assert len(list(islice(every, 5))) == 5
