# ruff: noqa: S608 - quoted names and literals make up texts that people read; values never come here
"""What SQLite's scripts are told of references: which rows a merge reads and writes, and what decides which stay.

A trigger cannot name a table that it does not know when it is made. So each table has statements of its own here, and
``sql/sqlite/25_survival.sql`` works on what they read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mergeguard.storage.database.stored_table import StoredTable
    from mergeguard.storage.profile import AssociationTypes, Hashes, Profile
    from mergeguard.storage.rows.database import DatabaseRows
    from mergeguard.storage.scripts.files import Repointed

_LOADED: Final = 0
_CLEARED: Final = -1
"""Numbers of the table of hashes: what was loaded last, and what is to be cleared."""
_GONE: Final = "IN ('dropped', 'collapsed', 'outnumbered', 'replaced')"
_CHANGED: Final = "= 'changed'"
_CLEAR: Final = "= 'cleared'"
_TABLES: Final = 10
"""Columns of ``mergeguard_moved_tables``, and below of the others."""
_COLUMNS: Final = 8
_UNIQUE: Final = 5
_ENDS: Final = 3
_PLACE: Final = 5


def survival(rows: DatabaseRows, profile: Profile, repointed: Sequence[Repointed]) -> Mapping[str, str]:
    """Return the marks of ``00_names.sql`` that speak of references.

    Raises:
        UnknownSchema: a table or a column of the profile does not exist.
    """
    moved = [
        _Moved(number, rows.table(each.table), each.rules, _has_row_ids(rows, each.table))
        for number, each in enumerate(repointed, 1)
    ]
    hashed = [] if profile.hashes is None else [*_hashed(rows, profile.hashes)]
    every = [*moved, *hashed]
    return {
        "find_held": statements(one.find for one in every),
        "read_held": statements(one.read for one in every),
        "write_held": statements(text for one in every for text in one.write),
        "left_held": _union((one.left for one in moved if one.has_row_ids), 1),
        **_described(rows, every),
        "hash_place": _union(_hash_place(rows, profile.hashes, moved), _PLACE),
        "hash_classes": _classes(rows, profile.hashes),
        "link_maxima": _maxima(rows, profile.association_types),
    }


@dataclass(frozen=True, slots=True)
class _Moved:
    """One table, under the number by which the triggers know it."""

    number: int
    table: StoredTable
    rules: Mapping[str, Any]
    has_row_ids: bool

    @property
    def find(self) -> str:
        """Note where the rows stand that hold one of both roots, or of others whose hashes are to be cleared."""
        olds, both = (f"(SELECT spelled FROM mergeguard_asked WHERE part {part})" for part in ("= 1", "IN (1, 2)"))
        held = " OR ".join(
            f"t.{self.table.quotes[column]} IN {both if self._is_compared(column) else olds}"
            for column in self.rules["columns"]
        )
        part = 1
        if self.number == _CLEARED:
            held, part = f"{self._asked} AND t.{self.table.quotes[self.rules['hash']]} IS NOT NULL", 2
        return (
            f"INSERT INTO mergeguard_held (table_no, at) SELECT {self.number}, {self._at('t')}\n"
            f"    FROM {self.table.name} AS t WHERE NEW.part = {part} AND ({held})"
        )

    @property
    def read(self) -> str:
        """Read the cells of the rows that were found."""
        near = "" if self.has_row_ids else f" AND ({self._asked})"
        cells, named = listed_cells(self.table)
        return (
            "INSERT INTO mergeguard_held_cells (number, place, name, label, value)\n"
            f"    SELECT h.number, c.column1, c.column2, c.column3, CASE c.column1 {cells} END\n"
            f"    FROM mergeguard_held AS h CROSS JOIN {self.table.name} AS t ON {self._at('t')} = h.at{near}\n"
            f"    CROSS JOIN (VALUES {named}) AS c WHERE h.table_no = {self.number} AND h.image IS NULL"
        )

    @property
    def write(self) -> Sequence[str]:
        """Delete what goes, then re-point what moves; or clear hashes."""
        if self.number == _LOADED:
            return ()
        name = self.table.name
        if self.number == _CLEARED:
            hashed = self.table.quotes[self.rules["hash"]]
            return (f"UPDATE {name} SET {hashed} = NULL WHERE {self._is_fated(_CLEAR)}",)
        sets = [self._moved_cell(column) for column in self.rules["columns"]]
        sets += [f"{self.table.quotes[column]} = NULL" for column in self.rules["cleared"]]
        return (
            f"DELETE FROM {name} WHERE {self._is_fated(_GONE)}",
            f"UPDATE {name} SET {', '.join(sets)}\n    WHERE {self._is_fated(_CHANGED)}",
        )

    @property
    def left(self) -> str:
        """Select the rows that were to go and still stand."""
        return f"SELECT 1 FROM {self.table.name} WHERE {self._is_fated(_GONE)}"

    def description(self, rows: DatabaseRows) -> Sequence[object]:
        """Return the row of ``mergeguard_moved_tables``."""
        from mergeguard.storage.cells.ids import parse_text  # noqa: PLC0415 - NumPy

        rules, name = self.rules, self.table.shape.table
        links = rules["links"] or {"parent": None, "type": None}
        declared = None if rules["data_class"] is None else str(rules["data_class"]).strip() or None
        guid = None if declared is None else parse_text(declared, rows.source.profile.merge.byte_order)
        single = next((one["columns"][0] for one in rules["unique"] if len(one["columns"]) == 1), None)
        dated = rules["time"] is not None or rules["order"] is not None
        return (
            self.number, name, name.rpartition(".")[2], rules["time"], rules["order"], rules["sets"],
            None if dated else single, links["parent"], links["type"], declared if guid is None else str(guid),
        )  # fmt: skip

    @property
    def columns(self) -> Iterable[Sequence[object]]:
        """Yield the rows of ``mergeguard_moved_columns``."""
        rules, keys = self.rules, () if self.has_row_ids else self._key
        parts = [rules[part] for part in ("columns", "guids", "cleared", "names")]
        for name in dict.fromkeys(name for part in (*parts, keys) for name in part):
            place = keys.index(name) + 1 if name in keys else None
            yield self.number, name, *(int(name in part) for part in parts), int(self._is_compared(name)), place

    def _moved_cell(self, column: str) -> str:
        name = self.table.quotes[column]
        after = (
            "SELECT g.after_value FROM mergeguard_held AS h JOIN mergeguard_held_guids AS g ON g.number = h.number "
            f"AND g.name = {literal(column)} WHERE h.table_no = {self.number} AND h.at = {self._at(self.table.name)}"
        )
        return f"{name} = coalesce((\n        {after}), {name})"

    def _is_fated(self, fate: str) -> str:
        near = "" if self.has_row_ids else f"({self._asked.replace('t.', f'{self.table.name}.')}) AND "
        held = f"SELECT at FROM mergeguard_held WHERE table_no = {self.number} AND fate {fate}"
        return f"{near}{self._at(self.table.name)} IN ({held})"

    @property
    def _asked(self) -> str:
        """Say that a row holds any of the guids that are asked for."""
        columns = (self.table.quotes[column] for column in self.rules["columns"])
        return " OR ".join(f"t.{name} IN (SELECT spelled FROM mergeguard_asked)" for name in columns)

    @property
    def _key(self) -> Sequence[str]:
        """The columns that tell where a row stands: all of them where columns took the names of the row id away."""
        return self.table.shape.key or self.table.columns

    def _at(self, alias: str) -> str:
        """Return what tells where a row stands: its row id, or the columns of its key as one text."""
        names = (f"{alias}.{self.table.quotes[name]}" for name in self._key)
        return next(names) if self.has_row_ids else " || ',' || ".join(f"quote({name})" for name in names)

    def _is_compared(self, column: str) -> bool:
        rules = self.rules
        return (
            self.number <= 0
            or column == rules["sets"]
            or any(column in unique["columns"] for unique in rules["unique"])
        )


def listed_cells(table: StoredTable) -> tuple[str, str]:
    """Return which cell of a row each number means, and what the numbers are called."""
    columns = list(enumerate(table.columns, 1))
    cells = " ".join(f"WHEN {place} THEN t.{table.quotes[name]}" for place, name in columns)
    return cells, ", ".join(f"({place}, {literal(name)}, {literal(json.dumps(name))})" for place, name in columns)


def _hashed(rows: DatabaseRows, hashes: Hashes) -> Iterable[_Moved]:
    """Return the table of hashes under the two numbers that only it has."""
    named = {part: rows.column(hashes.table, name) for part, name in (("guid", hashes.guid), ("hash", hashes.hash))}
    time, order = (None if name is None else rows.column(hashes.table, name) for name in (hashes.time, hashes.order))
    rules = {
        "columns": [named["guid"]], "guids": [named["guid"]], "cleared": [], "names": [], "ends": [], "unique": [],
        "time": time, "order": order, "sets": None, "links": None, "data_class": None, "hash": named["hash"],
    }  # fmt: skip
    table, has_row_ids = rows.table(hashes.table), _has_row_ids(rows, hashes.table)
    if time is not None or order is not None:
        yield _Moved(_LOADED, table, rules, has_row_ids)
    yield _Moved(_CLEARED, table, rules, has_row_ids)


def _has_row_ids(rows: DatabaseRows, table: str) -> bool:
    snapshot: Any = rows.snapshot
    return any(name is not None for name in snapshot.row_id_names(table))


def _described(rows: DatabaseRows, every: Sequence[_Moved]) -> dict[str, str]:
    moved = [one for one in every if one.number > 0]
    unique = [
        (one.number, at, place, name, int(rule["nulls"]))
        for one in moved
        for at, rule in enumerate(one.rules["unique"], 1)
        for place, name in enumerate(rule["columns"], 1)
    ]
    # The journal names the table of hashes, also where it does not say what was loaded last.
    named = [replace(one, number=_LOADED) if one.number == _CLEARED else one for one in every if one.number != _LOADED]
    tables = [one.description(rows) for one in named]
    return {
        "moved_tables": values(tables, _TABLES),
        "moved_columns": values([row for one in every for row in one.columns], _COLUMNS),
        "moved_unique": values(unique, _UNIQUE),
        "moved_ends": values([(one.number, *pair) for one in moved for pair in one.rules["ends"]], _ENDS),
    }


def _hash_place(rows: DatabaseRows, hashes: Hashes | None, moved: Sequence[_Moved]) -> list[str]:
    if hashes is None:
        return []
    names = [rows.column(hashes.table, name) for name in (hashes.guid, hashes.data_class, hashes.hash)]
    same = rows.snapshot.same_name
    own = next((one for one in moved if same(one.table.shape.table, hashes.table)), None)
    moves = own is not None and names[0] in own.rules["columns"]
    cells = (None if own is None else own.number, int(moves), *names)
    return [f"SELECT {', '.join(map(_value, cells))}"]


def _classes(rows: DatabaseRows, hashes: Hashes | None) -> str:
    classes = None if hashes is None else hashes.classes
    return _none(2) if classes is None else _cells(rows, classes.table, classes.name, classes.guid)


def _maxima(rows: DatabaseRows, types: AssociationTypes | None) -> str:
    return _none(2) if types is None else _cells(rows, types.table, types.guid, types.maximum)


def _cells(rows: DatabaseRows, table: str, *columns: str) -> str:
    stored = rows.table(table)
    names = ", ".join(stored.quotes[rows.column(table, column)] for column in columns)
    return f"SELECT {names} FROM {stored.name}"


def statements(texts: Iterable[str]) -> str:
    """Return the body of a trigger, which has at least one statement."""
    return ";\n    ".join(texts) or "SELECT NULL"


def _union(parts: Iterable[str], columns: int) -> str:
    return "\nUNION ALL ".join(parts) or _none(columns)


def values(rows: Sequence[Sequence[object]], columns: int) -> str:
    """Return rows of so many columns as a query."""
    if not rows:
        return _none(columns)
    return "VALUES\n    " + ",\n    ".join(f"({', '.join(map(_value, row))})" for row in rows)


def _none(columns: int) -> str:
    return f"SELECT {', '.join(['NULL'] * columns)} WHERE 0"


def _value(value: object) -> str:
    return "NULL" if value is None else literal(value) if isinstance(value, str) else str(value)


def literal(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
