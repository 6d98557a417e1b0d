"""What becomes of the rows that hold merged-away guids: re-pointed, dropped as links to themselves, or collapsed.

Every row that came in is accounted for: it is changed, dropped or collapsed, never two of these and never none.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mergeguard.core.repair.plan import Action, Image, RowChange

Spell: TypeAlias = Callable[[str, uuid.UUID, str | None], str]
"""(column, guid, the cell it replaces) -> the cell."""
Key: TypeAlias = tuple[uuid.UUID | str | None, ...]
Age: TypeAlias = tuple[bool, int, dt.datetime]
"""How new something is; the greater the newer."""
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Unique:
    """Columns of which no two rows may be equal."""

    columns: tuple[str, ...]
    nulls_equal: bool = True
    """Whether two rows that both hold NULL there count as equal."""


@dataclass(frozen=True, slots=True)
class Place:
    """A table with columns of resource guids. All names are those of its images."""

    table: str
    columns: tuple[str, ...]
    """Those that are re-pointed."""
    ends: tuple[tuple[str, str], ...] = ()
    """Pairs of them that link one guid with another: a row must not begin to link a guid with itself."""
    unique: tuple[Unique, ...] = ()
    names: frozenset[str] = frozenset()
    """Columns that name a row and say nothing: they decide last which of two rows stays."""
    cleared: tuple[str, ...] = ()
    """Columns that are set to NULL in a row that is re-pointed: a hash of data that stood under another guid."""


@dataclass(frozen=True, slots=True)
class Held:
    """A row of such a table."""

    image: Image
    guids: Mapping[str, uuid.UUID]
    """What its columns of guids hold: those of the place, and any others that ``unique`` compares as guids."""
    time: dt.datetime | None = None
    """When it was written, aware, where a time is declared."""
    order: int | None = None
    """The number of what wrote it, where one is declared: it counts before the time, and none is older than any."""

    @property
    def age(self) -> Age:
        """How new the row is."""
        return age(self.order, self.time)


class Fate(enum.Enum):
    """What becomes of a row that holds a merged-away guid."""

    CHANGED = "changed"
    DROPPED = "self-references dropped"
    COLLAPSED = "duplicates collapsed"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What becomes of one row."""

    change: RowChange
    fate: Fate
    stale: Mapping[str, tuple[uuid.UUID, uuid.UUID]]
    """By column the merged-away guid and its current; at least one."""
    guids: frozenset[uuid.UUID]
    """All guids that stand in the row, before and after: one of them is whose data it is."""
    into: RowChange | None = None
    """Of a collapsed row the one that it would have equalled: that row's own change, or a ``KEEP``."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row, and what it would be once its stale guids are re-pointed."""

    held: Held
    guids: Mapping[str, uuid.UUID]
    stale: Mapping[str, tuple[uuid.UUID, uuid.UUID]]
    content: str
    name: str

    @property
    def rank(self) -> tuple[Age, str, str]:
        """The newest row is greatest; of equally new ones the last in the text of its cells."""
        return self.held.age, self.content, self.name


@dataclass(slots=True)
class _Taken:
    """Which rows stand for each combination of unique columns."""

    unique: Sequence[Unique]
    rows: dict[tuple[int, Key], _Row] = field(default_factory=dict)

    def holder(self, row: _Row) -> _Row | None:
        """Return a row that says the same as this one."""
        found = (self.rows.get(key) for key in self.keys(row))
        return next((other for other in found if other is not None), None)

    def take(self, row: _Row) -> None:
        """Let a row stand for what it says, unless another one does already."""
        for key in self.keys(row):
            self.rows.setdefault(key, row)

    def keys(self, row: _Row) -> Iterable[tuple[int, Key]]:
        """Yield what a row says by each of the combinations."""
        for number, unique in enumerate(self.unique):
            key = tuple(row.guids.get(column, row.held.image[column]) for column in unique.columns)
            if unique.nulls_equal or None not in key:
                yield number, key


def rewrite(
    place: Place, rows: Iterable[Held], currents: Mapping[uuid.UUID, uuid.UUID], spell: Spell
) -> tuple[Rewrite, ...]:
    """Say what becomes of each row that holds a key of ``currents`` in a column of the place.

    ``rows`` are those, and all rows that hold one of the currents in a column that ``unique`` names; these are left as
    they are. Of rows that would become equal, one that needs no change stays, else the newest, else the last in the
    text of its cells. A row that linked a guid with itself before goes on doing so.

    The order is the same whatever that of ``rows``: a row that stays comes before those that are collapsed into it.
    """
    every = [_row(place, held, currents) for held in rows]
    taken = _Taken(place.unique)
    for row in sorted((row for row in every if not row.stale), key=lambda row: row.rank, reverse=True):
        taken.take(row)
    found: list[tuple[tuple[str, ...], Rewrite]] = []
    kept: dict[int, RowChange] = {}
    for row in sorted((row for row in every if row.stale), key=lambda row: row.rank, reverse=True):
        other = None
        if _links_itself(place, row):
            made = _gone(place, row, Action.DROP_SELF, Fate.DROPPED)
        elif (other := taken.holder(row)) is not None:
            into = kept.get(id(other)) or RowChange(Action.KEEP, place.table, other.held.image, other.held.image)
            made = _gone(place, row, Action.COLLAPSE, Fate.COLLAPSED, into)
        else:
            taken.take(row)
            made = _changed(place, row, spell)
            kept[id(row)] = made.change
        found.append((_position(place, row, other), made))
    return tuple(made for _, made in sorted(found, key=lambda pair: pair[0]))


def beaten(place: Place, rows: Sequence[Held], currents: Mapping[uuid.UUID, uuid.UUID]) -> frozenset[int]:
    """Return the places of the rows that need no change and give way to a newer one that is re-pointed.

    ``rewrite`` lets a row that needs no change stay whatever its time. A merge lets the newest datum win: it deletes
    these rows first and calls ``rewrite`` with the others.
    """
    every = [_row(place, held, currents) for held in rows]
    taken, gone = _Taken(place.unique), set[int]()
    own: dict[tuple[int, Key], list[int]] = {}
    for number, row in enumerate(every):
        for key in () if row.stale else taken.keys(row):
            own.setdefault(key, []).append(number)
    for row in sorted((row for row in every if row.stale), key=lambda row: row.rank, reverse=True):
        if _links_itself(place, row) or taken.holder(row) is not None:
            continue
        against = {number for key in taken.keys(row) for number in own.get(key, ())} - gone
        if all(every[number].held.age < row.held.age for number in against):
            gone |= against
            taken.take(row)
    return frozenset(gone)


def age(order: int | None, time: dt.datetime | None) -> Age:
    """Return how new something is: by its number, and of what has none, or the same, by its time."""
    return order is not None, order or 0, time or _NEVER


def _row(place: Place, held: Held, currents: Mapping[uuid.UUID, uuid.UUID]) -> _Row:
    held_there = {column: held.guids[column] for column in place.columns if column in held.guids}
    stale = {column: (guid, currents[guid]) for column, guid in held_there.items() if guid in currents}
    after = {**held.guids, **{column: current for column, (_, current) in stale.items()}}
    cells = sorted(held.image.items())
    content = json.dumps([cell for cell in cells if cell[0] not in place.names])
    return _Row(held, after, stale, content, json.dumps([cell for cell in cells if cell[0] in place.names]))


def _links_itself(place: Place, row: _Row) -> bool:
    before, after = row.held.guids, row.guids
    return any(
        after.get(parent) is not None and after[parent] == after.get(child) and before[parent] != before[child]
        for parent, child in place.ends
    )


def _gone(place: Place, row: _Row, action: Action, fate: Fate, into: RowChange | None = None) -> Rewrite:
    change = RowChange(action, place.table, row.held.image, None)
    return Rewrite(change, fate, row.stale, _guids(row), into)


def _changed(place: Place, row: _Row, spell: Spell) -> Rewrite:
    image = row.held.image
    after = dict(image)
    after |= {column: spell(column, current, image[column]) for column, (_, current) in row.stale.items()}
    after |= dict.fromkeys(place.cleared)
    return Rewrite(RowChange(Action.REPOINT, place.table, image, after), Fate.CHANGED, row.stale, _guids(row))


def _guids(row: _Row) -> frozenset[uuid.UUID]:
    return frozenset(row.held.guids.values()).union(row.guids.values())


def _position(place: Place, row: _Row, other: _Row | None) -> tuple[str, ...]:
    """Sort by what the rows become, those that are collapsed behind the one that stays."""
    first = other or row
    goal = [str(first.guids.get(column, "")) for column in place.columns]
    return *goal, first.content, first.name, "" if other is None else "collapsed", row.content, row.name
