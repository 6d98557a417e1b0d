"""What is merged: rings of merges, some made before and the rest at the same time, and what must be refused.

Random merges hardly ever race: the cycle over four guids was found by no random schedule in hundreds. So the drawing
aims at it.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from mergeguard.testing.tables import Datum, Guid, Link, Tables, guid, merged

LEVELS: Final = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
EXTRA: Final = 2
"""Guids beside those of the ring: one to merge elsewhere, one that is not live."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One merge that is asked for; guids as texts, as a caller spells them."""

    old: str
    new: str

    @property
    def pair(self) -> tuple[Guid, Guid]:
        """The guids, however they are spelled."""
        return Guid(self.old), Guid(self.new)


@dataclass(frozen=True, slots=True)
class Case:
    """What one schedule begins with, and what its sessions merge at the same time."""

    start: Tables
    edges: tuple[Edge, ...]
    level: str = LEVELS[0]

    @property
    def spelled(self) -> Mapping[Guid, str]:
        """Letters for the guids."""
        return {guid(number): letter for number, letter in enumerate(string.ascii_uppercase)}

    def call(self, edge: Edge) -> str:
        """Return the name of a merge."""
        old, new = (self.spelled.get(one, str(one)) for one in edge.pair)
        return f"merge {old}->{new}"


def ring_of(size: int, before: Sequence[int] = (), level: str = LEVELS[0]) -> Case:
    """Return a ring of merges A->B->...->A of which those in ``before`` (by their olds) are made already.

    >>> case = ring_of(4, before=[1, 3])
    >>> [case.call(edge) for edge in case.edges]
    ['merge A->B', 'merge C->D']
    """
    guids = [guid(number) for number in range(size)]
    start = Tables(dict.fromkeys(guids, "computer"), frozenset(guids))
    for number in before:
        start = merged(start, guids[number], guids[(number + 1) % size])
    now = [number for number in range(size) if number not in before]
    edges = tuple(Edge(str(guids[number]), str(guids[(number + 1) % size])) for number in now)
    return Case(start, edges, level)


@st.composite
def rings(draw: st.DrawFn, levels: Sequence[str] = LEVELS) -> Case:
    """Draw a ring of 2 to 5 merges, at least two of them at the same time."""
    size = draw(st.integers(2, 5))
    before = draw(st.sets(st.integers(0, size - 1), max_size=size - 2))
    return ring_of(size, sorted(before), draw(st.sampled_from(list(levels))))


@st.composite
def cases(draw: st.DrawFn, levels: Sequence[str] = LEVELS) -> Case:
    """Draw a ring with data, associations and foreign keys, and perhaps a merge that must be refused or goes elsewhere.

    At most three merges are made at the same time: a schedule of more is longer and tells no more.
    """
    size = draw(st.integers(2, 5))
    before = draw(st.sets(st.integers(0, size - 1), min_size=max(0, size - 3), max_size=size - 1))
    ring = ring_of(size, (), draw(st.sampled_from(list(levels))))
    guids = [guid(number) for number in range(size + EXTRA)]
    kinds = dict.fromkeys(guids, "computer")
    if draw(st.booleans()):
        kinds[guids[size]] = "user"
    start = Tables(kinds, frozenset(guids[:-1]))
    start = Tables(kinds, start.live, (), {}, *draw(_references(guids[:-1])))
    for number in sorted(before):
        start = merged(start, guids[number], guids[(number + 1) % size])
    edges = [edge for number, edge in enumerate(ring.edges) if number not in before]
    return Case(start, (*edges, *draw(_others(guids, size))), ring.level)


@st.composite
def forks(draw: st.DrawFn) -> Case:
    """Draw one root that is merged into two others at the same time, to both of which its own rows lead.

    Each merge locks its roots, and what the rows refer to beside them: two that do so in different orders may end each
    other's tries for ever.
    """
    guids = [guid(number) for number in range(4)]
    root, one, other, before = draw(st.permutations(guids))
    links = (Link(1, root, one, at=1), Link(2, root, other, at=2))
    start = merged(Tables(dict.fromkeys(guids, "computer"), frozenset(guids), links=links), before, root)
    return Case(start, (Edge(str(root), str(one)), Edge(str(before), str(other))))


@st.composite
def _others(draw: st.DrawFn, guids: Sequence[Guid], size: int) -> list[Edge]:
    """Draw no merge or one of some other shape: a fork, into what is not live, with itself."""
    ways = ["none", "fork", "dead", "itself"]
    way = draw(st.sampled_from(ways))
    old = guids[draw(st.integers(0, size - 1))]
    if way == "none":
        return []
    new = {"fork": guids[size], "dead": guids[size + 1], "itself": old}[way]
    return [Edge(str(old), str(new).upper() if draw(st.booleans()) else str(new))]


_References = tuple[tuple[Datum, ...], tuple[Link, ...], Mapping[int, Guid]]


@st.composite
def _references(draw: st.DrawFn, guids: Sequence[Guid]) -> _References:
    """Draw data of different times, associations and the rows of a foreign key."""
    some = st.sampled_from(list(guids))
    times = draw(st.permutations(range(len(guids))))
    having = draw(st.sets(some))
    data = tuple(Datum(one, f"v{at}", at) for one, at in zip(guids, times, strict=True) if one in having)
    ends = draw(st.lists(st.tuples(some, some).filter(lambda pair: pair[0] != pair[1]), max_size=4, unique=True))
    links = tuple(Link(number, *pair, at=number) for number, pair in enumerate(ends, 1))
    return data, links, dict(enumerate(draw(st.lists(some, max_size=3)), 1))
