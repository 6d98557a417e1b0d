"""The same job in other ways: from two columns of 16-byte guids to where every old leads.

Every peer returns a dictionary from old (16 bytes) to (current or None, depth or None, status), but for the one in
numba, which returns arrays as MergeGuard does.
"""
# ruff: noqa: PLC0415 - each peer imports only what it needs

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeAlias

import numpy as np

Column: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "tuple[Column, ...]"
Answer: TypeAlias = "tuple[Any, int | None, str]"
CYCLE: Answer = (None, None, "cycle")
SPLIT: Answer = (None, None, "split")


def join(ways: Iterable[Answer]) -> Answer:
    """Combine the answers of all news of one old."""
    ways = list(ways)
    if any(way[2] == "cycle" for way in ways):
        return CYCLE
    if any(way[2] == "split" for way in ways) or len({way[0] for way in ways}) > 1:
        return SPLIT
    return ways[0][0], 1 + max(way[1] or 0 for way in ways), "ok"


def with_networkx(pairs: Iterable[tuple[Hashable, Hashable]]) -> dict[Any, Answer]:
    """Do the job with a plain networkx.DiGraph: components for the cycles, topological order for the rest."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_edges_from(pairs)
    olds = [node for node, degree in graph.out_degree() if degree]
    rings = [ring for ring in nx.strongly_connected_components(graph) if len(ring) > 1]
    looping = {node for ring in rings for node in ring} | set(nx.nodes_with_selfloops(graph))
    known: dict[Any, Answer] = dict.fromkeys(looping, CYCLE)
    rest = graph.copy()
    rest.remove_nodes_from(looping)
    for node in reversed(list(nx.topological_sort(rest))):
        ways = [known[new] for new in graph.successors(node)]
        known[node] = join(ways) if ways else (node, 0, "ok")
    return {old: known[old] for old in olds}


def with_dictionary(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Answer]:
    """Do the job with a dictionary and a walk that remembers, depth first without recursion."""
    news: dict[Any, list[Any]] = {}
    for old, new in pairs:
        known_news = news.setdefault(old, [])
        if new not in known_news:
            known_news.append(new)
    known: dict[Any, Answer] = {}
    for start in news:
        if start in known:
            continue
        path, on_path = [start], {start}
        while path:
            node = path[-1]
            following = next((new for new in news[node] if new in news and new not in known), None)
            if following is not None and following not in on_path:
                path.append(following)
                on_path.add(following)
                continue
            if following is not None:
                # Everything from there on leads back to where it began.
                known.update(dict.fromkeys(path[path.index(following) :], CYCLE))
            else:
                known[node] = join(known.get(new, (new, 0, "ok")) for new in news[node])
            while path and path[-1] in known:
                on_path.discard(path.pop())
    return known


def numba_pipeline() -> Callable[[Column, Column], Arrays]:
    """Compile the fastest pipeline known here: an open-addressing hash join, then a walk that visits each row once.

    The first row of an old wins, so a cycle that exists only through a row that loses a conflict is missed: this peer
    does less than the others. Returns a function of the two columns.
    """
    import numba

    joined, walked = numba.njit(_join), numba.njit(_walk)

    def job(old: Column, new: Column) -> Arrays:
        lead, succ = joined(old.view(np.uint64), new.view(np.uint64))
        depth, end, cyclic = walked(lead, succ)
        repeated = np.flatnonzero(lead != np.arange(len(lead), dtype=np.int32))
        depth[repeated], end[repeated] = depth[lead[repeated]], end[lead[repeated]]
        current = new.view(np.uint64)[np.where(depth > 0, end, 0)]
        return depth, current, cyclic, repeated

    return job


def _join(olds: Column, news: Column) -> Arrays:
    """Find the first row of each old, and the row whose old each new is; compiled by numba."""
    rows = len(olds)
    bits = 1
    while (1 << bits) < 2 * rows:
        bits += 1
    mask, shift = np.uint64((1 << bits) - 1), np.uint64(64 - bits)
    slots = np.full(1 << bits, -1, np.int32)
    lead = np.empty(rows, np.int32)
    for row in range(rows):
        slot = ((olds[row, 0] ^ olds[row, 1]) * np.uint64(0x9E3779B97F4A7C15)) >> shift
        while True:
            there = slots[slot]
            if there < 0:
                slots[slot] = row
                lead[row] = row
                break
            if olds[there, 0] == olds[row, 0] and olds[there, 1] == olds[row, 1]:
                lead[row] = there
                break
            slot = (slot + np.uint64(1)) & mask
    succ = np.empty(rows, np.int32)
    for row in range(rows):
        slot = ((news[row, 0] ^ news[row, 1]) * np.uint64(0x9E3779B97F4A7C15)) >> shift
        succ[row] = -1
        while True:
            there = slots[slot]
            if there < 0:
                break
            if olds[there, 0] == news[row, 0] and olds[there, 1] == news[row, 1]:
                succ[row] = there
                break
            slot = (slot + np.uint64(1)) & mask
    return lead, succ


def _walk(lead: Column, succ: Column) -> tuple[Column, Column, int]:
    """Walk from every old, each row once; compiled by numba."""
    rows = len(lead)
    depth = np.zeros(rows, np.int32)  # 0 not seen, -1 on this walk, -2 leads into a cycle
    end = np.empty(rows, np.int32)
    stack = np.empty(rows, np.int32)
    cyclic = 0
    for start in range(rows):
        if depth[start] != 0 or lead[start] != start:
            continue
        size, row = 0, start
        while row >= 0 and depth[row] == 0:
            depth[row] = -1
            stack[size] = row
            size += 1
            row = succ[row]
        if row >= 0 and depth[row] == -1:
            at = size - 1
            while stack[at] != row:
                at -= 1
            cyclic += size - at
        looping = row >= 0 and depth[row] < 0
        far = depth[row] if row >= 0 and not looping else 0
        last = end[row] if row >= 0 and not looping else stack[size - 1]
        while size:
            size -= 1
            far += 1
            depth[stack[size]] = -2 if looping else far
            end[stack[size]] = last
    return depth, end, cyclic
