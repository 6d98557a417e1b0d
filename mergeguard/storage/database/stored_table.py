"""The statements on one table, by dialect: rows go out and come in as images, every value as a parameter.

A ``StoredTable`` is made once for each table and connection and sends nothing itself.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, TypeAlias

from mergeguard.core.repair.plan import Column, Image, TableShape

Condition: TypeAlias = tuple[str, tuple[object, ...]]
"""What stands behind WHERE, and its parameters."""
Asking: TypeAlias = Callable[[Any], Sequence[Condition]]
"""The rows of a transaction -> statements with their parameters that it begins with."""
Address: TypeAlias = tuple[str | None, ...]
"""The cells of the columns that find one row."""


class StoredTable(ABC):
    """One table, its columns in the order in which images list them.

    Args:
        shape: as introspection found it.
        name: quoted and qualified.
        quotes: each column of the shape, quoted.
    """

    max_parameters: ClassVar[int] = 900
    locks: ClassVar[tuple[str, str]] = ("", "")
    """What keeps a row that is read from changing: behind the table's name, and at the end of the SELECT."""

    def __init__(self, shape: TableShape, name: str, quotes: dict[str, str]) -> None:
        self.shape = shape
        self.name = name
        self.quotes = quotes
        self.by_name: dict[str, Column] = {column.name: column for column in shape.columns}
        self.columns = tuple(column.name for column in shape.columns if not column.generated)
        """Those that images hold."""
        self.address = shape.key
        """The columns that find one row; empty where rows can only be compared as a whole."""
        self._selected = ", ".join(self.selected())

    # What a dialect says.

    @abstractmethod
    def selected(self) -> Sequence[str]:
        """Return the SELECT list from which ``image`` makes the cells."""

    @abstractmethod
    def image(self, row: Sequence[object]) -> dict[str, str | None]:
        """Turn a fetched row into its image."""

    @abstractmethod
    def placed(self, column: str, cell: str | None) -> tuple[str, object]:
        """Return the SQL of a cell's value and its one parameter."""

    @abstractmethod
    def spoken(self, cell: str | None) -> str:
        """Return a cell as people read it."""

    def numbered(self, number: int) -> str:
        """Return the cell of a whole number."""
        return str(number)

    def inserting(self) -> tuple[str, str]:
        """Return what stands between the columns of an INSERT and VALUES, and nothing or more behind it."""
        return "", ""

    # Statements.

    def select(self, where: str, *, locking: bool = False) -> str:
        """Return the statement that reads the images of some rows."""
        hint, end = self.locks if locking else ("", "")
        return f"SELECT {self._selected} FROM {self.name}{hint} WHERE {where}{end}"  # noqa: S608 - quoted identifiers

    def at(self, addresses: Sequence[Address]) -> Condition:
        """Return the condition that a row stands at one of ``addresses``."""
        if len(self.address) == 1:
            placed = [self.placed(self.address[0], cells[0]) for cells in addresses]
            marks = ", ".join(mark for mark, _ in placed)
            return f"{self.quotes[self.address[0]]} IN ({marks})", tuple(value for _, value in placed)
        parts = [self.equal(self.address, cells) for cells in addresses]
        return " OR ".join(f"({sql})" for sql, _ in parts), tuple(value for _, values in parts for value in values)

    def equal(self, columns: Sequence[str], cells: Sequence[str | None]) -> Condition:
        """Return the condition that columns hold cells that are not NULL."""
        placed = [self.placed(column, cell) for column, cell in zip(columns, cells, strict=True)]
        sql = " AND ".join(f"{self.quotes[name]} = {mark}" for name, (mark, _) in zip(columns, placed, strict=True))
        return sql, tuple(value for _, value in placed)

    def delete(self, place: Condition) -> Condition:
        """Return the statement that deletes the row at a place, and its parameters."""
        where, values = place
        return f"DELETE FROM {self.name} WHERE {where}", values  # noqa: S608 - quoted identifiers

    def update(self, columns: Sequence[str], after: Image, place: Condition) -> Condition:
        """Return the statement that writes ``columns`` of the row at a place."""
        sets, new = self.assigned(columns, after)
        where, values = place
        return f"UPDATE {self.name} SET {sets} WHERE {where}", (*new, *values)  # noqa: S608 - quoted identifiers

    def assigned(self, columns: Sequence[str], after: Image) -> Condition:
        """Return the SET list of an UPDATE."""
        placed = [self.placed(column, after[column]) for column in columns]
        sql = ", ".join(f"{self.quotes[name]} = {mark}" for name, (mark, _) in zip(columns, placed, strict=True))
        return sql, tuple(value for _, value in placed)

    def insert(self, after: Image) -> Condition:
        """Return the statement that inserts a row with its ids as they were."""
        placed = [self.placed(column, after[column]) for column in self.columns]
        names = ", ".join(self.quotes[column] for column in self.columns)
        marks = ", ".join(mark for mark, _ in placed)
        middle, end = self.inserting()
        sql = f"INSERT INTO {self.name} ({names}){middle} VALUES ({marks}){end}"  # noqa: S608 - quoted identifiers
        return sql, tuple(value for _, value in placed)

    # Rows.

    def address_of(self, image: Image) -> Address:
        """Return the cells by which a row is found."""
        return tuple(image[column] for column in self.address)

    def has_all(self, image: Image) -> bool:
        """Say whether an image holds exactly the columns that this table's images hold."""
        return image.keys() == set(self.columns)

    def batches(self, addresses: Sequence[Address]) -> Iterator[Sequence[Address]]:
        """Cut addresses into as many as one statement may name."""
        size = max(1, self.max_parameters // max(1, len(self.address)))
        for start in range(0, len(addresses), size):
            yield addresses[start : start + size]


def distinct(guids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Return each guid once, in order."""
    return list(dict.fromkeys(guids))
