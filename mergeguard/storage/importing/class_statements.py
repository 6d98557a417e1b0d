"""The statements on the table of one data class, worked out once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from mergeguard.core.importing.catalogue import CellType, DataClass
from mergeguard.storage.importing.spelling import Spelling

RESOURCE, TIME = "_ResourceGuid", "_eventTime"
Statement = tuple[str, tuple[Any, ...]]
_GUID = CellType.GUID


class ClassStatements:
    """Statements with a ``?`` for each value.

    Args:
        data_class: of the catalogue.
        spelling: of the dialect.
    """

    def __init__(self, data_class: DataClass, spelling: Spelling) -> None:
        self.data_class = data_class
        self._spelling = spelling
        self.table = spelling.table(data_class.table)
        self._columns = {column.name: column for column in data_class.columns}
        self._values = [_number if column.type is CellType.NUMBER else spelling.value for column in data_class.columns]
        told = {CellType.GUID: _text, CellType.TIME: self._moment, CellType.NUMBER: _finite}
        self._told = [(f"c{at}", told.get(column.type)) for at, column in enumerate(data_class.columns)]
        self._names = [spelling.name(column.name) for column in data_class.columns]
        self.resource = spelling.name(RESOURCE)
        self.time = spelling.name(TIME)

    @cached_property
    def delete(self) -> str:
        """Delete the rows of a resource."""
        return f"DELETE FROM {self.table} WHERE {self.resource} = {self._spelling.mark(_GUID)}"  # noqa: S608 - quoted names

    @cached_property
    def insert(self) -> str:
        """Insert a row of a resource: its guid, then the cells."""
        names = ", ".join([self.resource, *self._names])
        return f"INSERT INTO {self.table} ({names}) VALUES ({', '.join('?' * (len(self._names) + 1))})"  # noqa: S608 - quoted names

    @cached_property
    def append(self) -> str:
        """Insert a row of an event: the guid, the time, then the cells."""
        names = ", ".join([self.resource, self.time, *self._names])
        return f"INSERT INTO {self.table} ({names}) VALUES ({', '.join('?' * (len(self._names) + 2))})"  # noqa: S608 - quoted names

    @cached_property
    def replace_all(self) -> str:
        """Put rows in place of those that stand there: the guid twice, then what ``document`` makes of the rows.

        For PostgreSQL. Nothing is unique in these tables, so that it may delete and insert at once.
        """
        return f"WITH gone AS ({self.delete}) {self._insert_all([self.resource])}"

    @cached_property
    def append_all(self) -> str:
        """Insert rows of events: the guid, the time, then what ``document`` makes of the rows. For PostgreSQL."""
        return self._insert_all([self.resource, self.time])

    def _insert_all(self, own: Sequence[str]) -> str:
        marks = [self._spelling.mark(_GUID), self._spelling.mark(CellType.TIME)][: len(own)]
        kinds = (self._spelling.types[column.type] for column in self.data_class.columns)
        columns = ", ".join(f"c{at} {kind}" for at, kind in enumerate(kinds))
        names = ", ".join([*own, *self._names])
        rows = f"json_to_recordset(CAST(? AS json)) AS r ({columns})"
        return f"INSERT INTO {self.table} ({names}) SELECT {', '.join(marks)}, r.* FROM {rows}"  # noqa: S608 - quoted names

    def document(self, rows: Sequence[Sequence[Any]]) -> str:
        """Return rows as one JSON text: a driver makes lists of values in a loop of Python, and this is quicker."""
        found = [
            {name: cell if value is None else value(cell) for (name, value), cell in zip(self._told, row, strict=True)}
            for row in rows
        ]
        return json.dumps(found)

    @cached_property
    def count(self) -> str:
        """The number of rows of a resource, as an expression with one value."""
        return f"(SELECT COUNT(*) FROM {self.table} WHERE {self.resource} = {self._spelling.mark(_GUID)})"  # noqa: S608 - quoted names

    def cells(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return the cells of a row as the driver is to send them."""
        return tuple(value(cell) for value, cell in zip(self._values, row, strict=True))

    def _moment(self, value: Any) -> str | None:  # noqa: ANN401 - a time
        return None if value is None else str(self._spelling.time(value))

    def change(self, resource: object, row: Mapping[str, Any]) -> Iterator[Statement]:
        """Yield what changes the given columns of the row with the same keys, or inserts it where there is none."""
        keys = [column.name for column in self.data_class.columns if column.key]
        same, values = self._same(resource, {name: row.get(name) for name in keys})
        changed = {name: value for name, value in row.items() if name not in keys}
        if changed:
            sets = ", ".join(f"{self._spelling.name(name)} = {self._mark(name)}" for name in changed)
            given = tuple(map(self._spelling.value, changed.values()))
            yield f"UPDATE {self.table} SET {sets} WHERE {same}", (*given, *values)  # noqa: S608 - quoted names
        names = ", ".join([self.resource, *map(self._spelling.name, row)])
        marks = ", ".join([self._spelling.mark(_GUID), *map(self._mark, row)])
        missing = f"NOT EXISTS (SELECT 1 FROM {self.table} WHERE {same})"  # noqa: S608 - quoted names
        given = tuple(map(self._spelling.value, row.values()))
        yield f"INSERT INTO {self.table} ({names}) SELECT {marks} WHERE {missing}", (resource, *given, *values)

    def _same(self, resource: object, keys: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
        conditions, values = [f"{self.resource} = {self._spelling.mark(_GUID)}"], [resource]
        for name, value in keys.items():
            if value is None:
                conditions.append(f"{self._spelling.name(name)} IS NULL")
            else:
                conditions.append(f"{self._spelling.name(name)} = {self._mark(name)}")
                values.append(self._spelling.value(value))
        return " AND ".join(conditions), tuple(values)

    def _mark(self, name: str) -> str:
        column = self._columns[name]
        return self._spelling.mark(column.type, column.length)


def _text(value: Any) -> str | None:  # noqa: ANN401 - a guid
    return None if value is None else str(value)


def _finite(value: Any) -> float | str | None:  # noqa: ANN401 - any number
    """Return a number as JSON has it; what is none there, infinity and the like, as a text."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _number(value: Any) -> float | None:  # noqa: ANN401 - any number
    """Return a number as a float: a list that travels has one type."""
    return None if value is None else float(value)
