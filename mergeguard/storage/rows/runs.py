"""Cuts changes into runs that a few statements can make, and says in words what stands in their way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mergeguard.core.repair.plan import Image, RowChange
from mergeguard.storage.database.stored_table import Address, StoredTable

Kind = Literal["delete", "insert", "update", "replace"]
RUN = 500
"""Rows that are changed by one batch of a statement at most."""
_NAMED = 4
"""How many cells name a row that has no key."""
_SHOWN = 80


@dataclass(slots=True)
class Run:
    """Changes of one kind on one table, each of another row."""

    table: StoredTable
    kind: Kind
    columns: tuple[str, ...]
    """Those that an update writes."""
    changes: list[RowChange]

    @property
    def befores(self) -> list[Image]:
        """The rows as they must be now."""
        return [change.before for change in self.changes if change.before is not None]

    @property
    def afters(self) -> list[Image]:
        """The rows as they are to be."""
        return [change.after for change in self.changes if change.after is not None]


def runs(changes: Sequence[RowChange], table: Callable[[str], StoredTable]) -> Iterator[Run]:
    """Cut changes into runs, in their order; a row that is changed twice stands in two runs."""
    current: Run | None = None
    seen: set[Address] = set()
    for change in changes:
        stored = table(change.table)
        kind, columns = _kind(stored, change)
        image = change.before if change.before is not None else change.after
        address = () if image is None or not stored.has_all(image) else stored.address_of(image)
        same = current is not None and (current.table, current.kind, current.columns) == (stored, kind, columns)
        if not same or not address or address in seen or kind == "replace" or len(seen) >= RUN:
            if current is not None:
                yield current
            current, seen = Run(stored, kind, columns, []), set()
        assert current is not None  # noqa: S101 - for the type checker: the first change begins a run
        current.changes.append(change)
        seen.add(address)
    if current is not None:
        yield current


def _kind(stored: StoredTable, change: RowChange) -> tuple[Kind, tuple[str, ...]]:
    before, after = change.before, change.after
    if before is None:
        return "insert", ()
    if after is None:
        return "delete", ()
    columns = tuple(name for name in stored.columns if before.get(name) != after.get(name))
    fixed = {column.name for column in stored.shape.columns if column.identity} | set(stored.address)
    return ("replace" if fixed & set(columns) else "update"), columns


def named(table: StoredTable, image: Image) -> str:
    """Name a row by its key, or by its first cells where it has none."""
    columns = table.address or tuple(table.columns)[:_NAMED]
    cells = ", ".join(f"{column} {_shown(table, image.get(column))}" for column in columns)
    return f"{table.shape.table}, row {cells}"


def difference(table: StoredTable, before: Image, now: Image) -> str:
    """Say which cells of a row are no longer what they were."""
    cells = [
        f"{column} was {_shown(table, before[column])} and is {_shown(table, now[column])} now"
        for column in table.columns
        if before[column] != now[column]
    ]
    return f"{named(table, before)}: {'; '.join(cells)}"


def _shown(table: StoredTable, cell: str | None) -> str:
    text = table.spoken(cell)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
