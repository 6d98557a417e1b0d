"""Which olds hang together, through merges in either direction: what a picture would have to show to be whole."""

from __future__ import annotations

import numpy as np

from mergeguard.core.index import Rows
from mergeguard.core.join import Join


class Components:
    """The rows of a table by component: olds that hang together through olds."""

    def __init__(self, joined: Join) -> None:
        inner = np.flatnonzero(joined.succ >= 0)
        self._name = connected(len(joined.lead), joined.lead[inner], joined.succ[inner])[joined.lead]
        self._rows = np.argsort(self._name, kind="stable").astype(np.int32)
        self._sorted = self._name[self._rows]

    def around(self, leads: Rows) -> Rows:
        """Return all rows of the components that some olds lie in."""
        names = np.unique(self._name[leads])
        first, last = np.searchsorted(self._sorted, names), np.searchsorted(self._sorted, names, "right")
        return np.concatenate([self._rows[start:stop] for start, stop in zip(first, last, strict=True)])


def connected(nodes: int, one: Rows, other: Rows) -> Rows:
    """Name each node by one node of its component; ``one[i]`` and ``other[i]`` are the ends of an edge.

    Each round hangs every component on a neighbour with a smaller name, if it has one, and forgets the edges that lie
    within; a few rounds are enough whatever the shape.
    """
    name = np.arange(nodes, dtype=np.int32)
    while len(one):
        here, there = name[one], name[other]
        # Components hang on smaller names only, so they cannot hang on each other in a circle.
        name[np.maximum(here, there)] = np.minimum(here, there)
        _shorten(name)
        apart = name[one] != name[other]
        one, other = one[apart], other[apart]
    return name


def _shorten(name: Rows) -> None:
    """Let every node name the end of its chain of names, by pointer doubling."""
    while True:
        after = name[name]
        if np.array_equal(after, name):
            return
        name[:] = after
