"""Walk a functional graph, every node with one step or none, by pointer doubling: no recursion, no quadratic walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mergeguard.core.guids import Bools
from mergeguard.core.index import Places, Rows

_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where the walk from each node ends.

    ``end[v]`` is the last node of the walk and ``hops[v]`` its length; where the walk never ends, ``end[v]`` is the
    smallest node of the cycle it runs into and ``hops[v]`` is -1. ``looping`` are those nodes, ``rings`` the ones that
    lie on a cycle themselves, both ascending.
    """

    end: Rows
    hops: Rows
    looping: Rows
    rings: Rows


def mark(nodes: int, chosen: Rows | Places) -> Bools:
    """Return one flag a node, set for the chosen ones."""
    flags = np.zeros(nodes, np.bool_)
    flags[chosen] = True
    return flags


def arrive(step: Rows) -> Arrival:
    """Follow ``step`` (-1: no step) from every node to its end, in as many rounds as the longest walk has bits."""
    end = np.arange(len(step), dtype=np.int32)
    hops = np.zeros(len(step), np.int32)
    active = np.flatnonzero(step >= 0)
    end[active] = step[active]
    hops[active] = 1
    reach, before = 1, -1
    # A round in which nobody arrives leaves only walks that never will: on any longer walk that ends, some node lies
    # within the reach of this round and would have arrived in it.
    while len(active) and len(active) != before:
        before = len(active)
        active = active[step[_at(end, active)] >= 0]
        _double(end, hops, active)
        reach *= 2
    return _loops(step, end, hops, active, reach)


def _at(end: Rows, nodes: Places) -> Places:
    """Return where some nodes have got to, as NumPy indexes fastest: by machine words."""
    return end[nodes].astype(np.intp)


def _double(end: Rows, hops: Rows, active: Places) -> None:
    """Let each active node jump on from where it is; all read before any writes."""
    far = np.empty(len(active), np.int32)
    more = np.empty(len(active), np.int32)
    for at in range(0, len(active), _CHUNK):
        via = _at(end, active[at : at + _CHUNK])
        far[at : at + _CHUNK] = end[via]
        more[at : at + _CHUNK] = hops[via]
    end[active] = far
    hops[active] += more


def _loops(step: Rows, end: Rows, hops: Rows, looping: Places, reach: int) -> Arrival:
    """Find the cycles that the walks left over run into, and name each by its smallest node."""
    while reach < len(looping):
        end[looping] = end[_at(end, looping)]
        reach *= 2
    # Each of them has now gone at least as many steps as there are nodes to visit: it stands on its cycle, and since
    # the nodes of a cycle are among them, all of a cycle is stood on.
    rings = np.flatnonzero(mark(len(end), end[looping]))
    after = np.searchsorted(rings, step[rings])
    name, jump = np.arange(len(rings)), after
    while (name[after] != name).any():
        name = np.minimum(name, name[jump])
        jump = jump[jump]
    end[looping] = rings[name[np.searchsorted(rings, end[looping])]]
    hops[looping] = -1
    return Arrival(end, hops, looping.astype(np.int32), rings.astype(np.int32))
