"""The oracle: what every old becomes, worked out with dictionaries and networkx in as few lines as say it.

Also the strategies that draw merge tables: random ones, and ones aimed at what breaks implementations (rings, long
chains, conflicts, self-merges, shared targets).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from typing import TypeAlias

import networkx as nx
from hypothesis import strategies as st

from mergeguard.core.guids import TOMBSTONE

Pair: TypeAlias = tuple[uuid.UUID, uuid.UUID]
Answer: TypeAlias = tuple[str, uuid.UUID | None, int | None]
"""(status, current, depth)."""


def guid(number: int) -> uuid.UUID:
    """A guid that is easy to tell from others and whose text order is not the order of the numbers."""
    return uuid.uuid5(uuid.NAMESPACE_OID, str(number))


def answers(pairs: Iterable[Pair], live: Collection[uuid.UUID] | None = None) -> dict[uuid.UUID, Answer]:
    """Answer for every old by the words of the specification."""
    graph = nx.DiGraph(list(pairs))

    def answer(old: uuid.UUID) -> Answer:
        walks = nx.DiGraph()
        walks.add_node(old)
        todo, seen = [old], {old}
        while todo:
            at = todo.pop()
            for after in graph.successors(at) if live is None or at not in live else ():
                walks.add_edge(at, after)
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        if not nx.is_directed_acyclic_graph(walks):
            return "cycle", None, None
        terminals = [node for node in walks if walks.out_degree(node) == 0]
        if len(terminals) > 1:
            return "split", None, None
        if terminals[0] == TOMBSTONE:
            return "deleted", None, None
        dead = live is not None and terminals[0] not in live
        return "dangling" if dead else "ok", terminals[0], nx.dag_longest_path_length(walks)

    return {old: answer(old) for old in {old for old, _ in pairs}}


def rings(pairs: Iterable[Pair]) -> dict[frozenset[uuid.UUID], int]:
    """Every cycle of two guids or more, with how many guids lead into it, its members included."""
    graph = nx.DiGraph(list(pairs))
    found = [frozenset(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    return {part: len(part.union(*(nx.ancestors(graph, node) for node in part))) for part in found}


def shortest_ring(pairs: Iterable[Pair], members: Collection[uuid.UUID]) -> int:
    """The length of the shortest cycle of two guids or more within a component."""
    graph = nx.DiGraph(list(pairs)).subgraph(members).copy()
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    return min(nx.shortest_path_length(graph, new, old) + 1 for old, new in graph.edges if nx.has_path(graph, new, old))


_NUMBERS = st.integers(0, 12)
_RANDOM = st.lists(st.tuples(_NUMBERS, _NUMBERS), max_size=24)


@st.composite
def _ring(draw: st.DrawFn) -> list[tuple[int, int]]:
    size = draw(st.integers(1, 6))
    start = draw(st.integers(0, 20))
    return [(start + at, start + (at + 1) % size) for at in range(size)]


@st.composite
def _chain(draw: st.DrawFn) -> list[tuple[int, int]]:
    start, length = draw(st.integers(0, 20)), draw(st.integers(1, 12))
    return [(start + at, start + at + 1) for at in range(length)]


@st.composite
def _star(draw: st.DrawFn) -> list[tuple[int, int]]:
    centre, size = draw(st.integers(0, 20)), draw(st.integers(1, 8))
    return [(30 + at, centre) for at in range(size)]


@st.composite
def _fork(draw: st.DrawFn) -> list[tuple[int, int]]:
    old = draw(st.integers(0, 20))
    return [(old, new) for new in draw(st.lists(st.integers(0, 40), min_size=2, max_size=4))]


NUMBERED = st.one_of(
    _RANDOM,
    st.lists(st.one_of(_ring(), _chain(), _star(), _fork()), max_size=5)
    .map(lambda parts: [pair for part in parts for pair in part])
    .flatmap(st.permutations),
)
"""Tables of small numbers, in any row order."""


@st.composite
def merge_pairs(draw: st.DrawFn, *, deleted: bool = False) -> list[Pair]:
    """Draw a merge table; with ``deleted`` some rows lead to the tombstone."""
    pairs = [(guid(old), guid(new)) for old, new in draw(NUMBERED)]
    if deleted and pairs:
        gone = draw(st.sets(st.integers(0, len(pairs) - 1), max_size=3))
        pairs = [(old, TOMBSTONE if row in gone else new) for row, (old, new) in enumerate(pairs)]
    return pairs


@st.composite
def with_live(draw: st.DrawFn) -> tuple[list[Pair], frozenset[uuid.UUID] | None]:
    """Draw a table and, or not, which of its guids (and of others) are live."""
    pairs = draw(merge_pairs(deleted=True))
    known = [*sorted({guid for pair in pairs for guid in pair} - {TOMBSTONE}), guid(99)]
    return pairs, draw(st.none() | st.frozensets(st.sampled_from(known)))
