"""Who was merged into whom, as arrays: for each guid the merges out of it and into it, for each merge its rows.

Rows with the same old and the same new are one edge. Edges are numbered in the order of their first rows, and stand in
that order beside each guid: the order in which a plain ``networkx.DiGraph`` fed row by row would hold them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mergeguard.core.numbering import Numbering, Numbers

_HIGH = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Groups:
    """Numbers in groups: group ``g`` holds ``members[start[g]:start[g + 1]]``, ascending."""

    start: Numbers
    members: Numbers

    def size(self, group: int) -> int:
        """Return how many members a group has."""
        return int(self.start[group + 1]) - int(self.start[group])

    def of(self, group: int) -> Numbers:
        """View the members of a group."""
        return self.members[self.start[group] : self.start[group + 1]]


@dataclass(frozen=True, slots=True)
class Side:
    """One direction: for each guid its edges that way, and the guids at their other ends, in step."""

    edges: Groups
    ends: Numbers

    def neighbours(self, number: int) -> Numbers:
        """View the numbers of the guids at the other ends of a guid's edges."""
        return self.ends[self.edges.start[number] : self.edges.start[number + 1]]

    def edge(self, number: int, end: int) -> int | None:
        """Return the edge between a guid and the one at the other end, or ``None``."""
        places = np.flatnonzero(self.neighbours(number) == end)
        return int(self.edges.of(number)[places[0]]) if len(places) else None


@dataclass(frozen=True, slots=True)
class Adjacency:
    """The edges of a merge table: from each guid (``out``), into each guid (``into``), and the rows of each edge."""

    out: Side
    into: Side
    rows: Groups

    def edges(self) -> int:
        """Return how many edges there are: distinct pairs of old and new."""
        return len(self.rows.start) - 1

    def edge(self, old: int, new: int) -> int | None:
        """Return the edge from old to new, or ``None``; looks at whichever end has fewer edges."""
        if self.out.edges.size(old) <= self.into.edges.size(new):
            return self.out.edge(old, new)
        return self.into.edge(new, old)


def link(numbering: Numbering) -> Adjacency:
    """Build the adjacency of numbered rows: a few sorts, no Python step a row."""
    edge, first = _edges(numbering)
    old, new = numbering.old[first], numbering.new[first]
    out, into = _grouped(old, len(numbering)), _grouped(new, len(numbering))
    return Adjacency(Side(out, new[out.members]), Side(into, old[into.members]), _grouped(edge, len(first)))


def _edges(numbering: Numbering) -> tuple[Numbers, npt.NDArray[np.intp]]:
    """Return the edge of each row, and the first row of each edge."""
    pair = (numbering.old.astype(np.uint64) << _HIGH) | numbering.new.astype(np.uint64)
    by_pair = np.argsort(pair, kind="stable")
    fresh = np.ones(len(pair), np.bool_)
    fresh[1:] = pair[by_pair[1:]] != pair[by_pair[:-1]]
    # The sort is stable, so the first row of a run of equal pairs is the edge's first row.
    lead = np.empty(len(pair), np.intp)
    lead[by_pair] = by_pair[np.flatnonzero(fresh)[np.cumsum(fresh) - 1]]
    leads = lead == np.arange(len(pair))
    return (np.cumsum(leads, dtype=np.int32) - np.int32(1))[lead], np.flatnonzero(leads)


def _grouped(group: Numbers, groups: int) -> Groups:
    """Put the places of ``group`` into groups by its values, ascending within each."""
    packed = group.astype(np.uint64) << _HIGH
    packed |= np.arange(len(group), dtype=np.uint64)
    packed.sort()
    packed &= _LOW
    start = np.zeros(groups + 1, np.int32)
    np.cumsum(np.bincount(group, minlength=groups), out=start[1:])
    return Groups(start, packed.astype(np.int32))
