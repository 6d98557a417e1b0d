"""Rows that are loaded together, as a whole: of several resources that became one only the newest rows stay."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from mergeguard.core.repair.plan import Action, RowChange
from mergeguard.core.repair.references import Age, Fate, Held, Place, Rewrite, beaten

Pair = tuple[uuid.UUID, uuid.UUID]
"""A merged-away guid and its current."""


def outdated(currents: Mapping[uuid.UUID, uuid.UUID], loads: Mapping[uuid.UUID, Age]) -> dict[uuid.UUID, Pair]:
    """Return the guids whose rows go, each with the merged-away guid and the current because of which they do.

    Of a current and all guids that lead to it, the one that was loaded last keeps its rows: the current before the
    others of the same age, then the first in text order. What nobody knows a load of is older than all else; where
    nobody knows one of any of them, the rows of all are united.
    """
    behind: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for old in sorted(currents):
        behind[currents[old]].append(old)
    found: dict[uuid.UUID, Pair] = {}
    for current, olds in behind.items():
        known = [guid for guid in (current, *olds) if guid in loads]
        if not known:
            continue
        winner = max(known, key=lambda guid: loads[guid])  # the first of equals
        found |= {old: (old, current) for old in olds if old != winner}
        if current != winner:
            found[current] = (winner, current)
    return found


def without_outdated(
    place: Place, column: str, rows: Sequence[Held], gone: Mapping[uuid.UUID, Pair]
) -> tuple[list[Held], list[Rewrite]]:
    """Part the rows of a table from those that go; ``column`` says whose data a row is."""
    kept = [held for held in rows if held.guids.get(column) not in gone]
    late = [(held, gone[held.guids[column]]) for held in rows if held.guids.get(column) in gone]
    return kept, [_gone(place, held, column, pair) for held, pair in late]


def without_beaten(
    place: Place, rows: Sequence[Held], currents: Mapping[uuid.UUID, uuid.UUID]
) -> tuple[list[Held], list[Rewrite]]:
    """Part the rows from those of a current that give way to a newer row, as they do in a merge."""
    numbers = beaten(place, rows, currents)
    first = dict(_first(currents))
    kept = [held for number, held in enumerate(rows) if number not in numbers]
    return kept, [
        _gone(place, rows[number], column, (first[guid], guid))
        for number in sorted(numbers)
        for column, guid in list(_currents(place, rows[number], first))[:1]
    ]


def _first(currents: Mapping[uuid.UUID, uuid.UUID]) -> Iterator[Pair]:
    """Yield each current with the first guid that leads to it."""
    yield from ((current, old) for old, current in sorted(currents.items(), reverse=True))


def _currents(place: Place, held: Held, first: Mapping[uuid.UUID, uuid.UUID]) -> Iterator[tuple[str, uuid.UUID]]:
    """Yield the columns of a row that hold a current, each with it."""
    yield from ((name, held.guids[name]) for name in place.columns if held.guids.get(name) in first)


def _gone(place: Place, held: Held, column: str, pair: Pair) -> Rewrite:
    change = RowChange(Action.COLLAPSE, place.table, held.image, None)
    return Rewrite(change, Fate.COLLAPSED, {column: pair}, frozenset((*held.guids.values(), *pair)))
