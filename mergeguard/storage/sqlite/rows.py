"""SQLite's rows as images. Its columns hold values of any kind, so each cell says of which kind it is.

``i:`` a whole number, ``r:`` a float as ``float.hex`` writes it, ``t:`` a text, ``x:`` the hex of a text that is not
well-formed or would not arrive as it is, ``b:`` the hex of a blob. The hidden row id is a column like the others.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from mergeguard.core.repair.plan import Column, TableShape
from mergeguard.errors import PermissionDenied
from mergeguard.storage.cells import guid_spelling
from mergeguard.storage.database.stored_table import Asking, Condition, StoredTable
from mergeguard.storage.guard.parts import RESTORING_ID
from mergeguard.storage.rows.database import DatabaseRows

if TYPE_CHECKING:
    from mergeguard.storage.sqlite.source import SqliteSnapshot

_COLUMNS = "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)"
_INDEXED = """
    SELECT 1 FROM pragma_index_list(?) AS l JOIN pragma_index_info(l.name) AS i ON i.seqno = 0
    WHERE i.name = ? COLLATE NOCASE AND NOT l.partial
"""
_GUARDED = """
    SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name IN (?, ?)
    AND EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?)
"""
_PARAMETERS = 11
"""Of one guid at most: its bytes, its spellings, and the text of a text id."""
_ALTERED = frozenset("\0\ufeff\ufffe\uffff")
"""What a text may not hold that travels as UTF-8: SQLite ends it, takes it for a byte order mark, or replaces it."""
_NO_AFFINITY = ("", "BLOB", "ANY")
"""Declared types of columns in which a number is no text of it, whatever it is compared with."""
_GENERATED = (2, 3)
_VIRTUAL = 1


class SqliteTable(StoredTable):
    """One table of an SQLite file.

    Args:
        encoding: of the texts in the file, as Python calls it.
    """

    def __init__(self, shape: TableShape, name: str, quotes: dict[str, str], encoding: str) -> None:
        self._encoding = encoding
        super().__init__(shape, name, quotes)

    def selected(self) -> list[str]:
        """Select each value, texts as their bytes, and behind them the kinds of all."""
        names = [self.quotes[column] for column in self.columns]
        values = [f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END" for name in names]
        return [*values, " || ".join(f"substr(typeof({name}), 1, 1)" for name in names)]

    def image(self, row: Sequence[object]) -> dict[str, str | None]:
        """Turn a fetched row into its image."""
        *values, kinds = row
        cells = (self._cell(value, kind) for value, kind in zip(values, cast("str", kinds), strict=True))
        return dict(zip(self.columns, cells, strict=True))

    def placed(self, column: str, cell: str | None) -> tuple[str, object]:  # noqa: ARG002 - a dialect's parameters
        """Return a placeholder and the value as the driver takes it."""
        if cell is None:
            return "?", None
        kind, text = cell[:2], cell[2:]
        if kind == "x:":
            # A function's result is in the encoding of the file, a bare parameter would be taken for UTF-8.
            return "CAST(substr(?, 1) AS TEXT)", bytes.fromhex(text)
        return "?", _value(kind, text)

    def numbered(self, number: int) -> str:
        """Return the cell of a whole number."""
        return f"i:{number}"

    def spoken(self, cell: str | None) -> str:
        """Return a cell as people read it."""
        if cell is None:
            return "NULL"
        if cell[:2] in {"b:", "x:"}:
            return f"0x{cell[2:]}"
        return str(float.fromhex(cell[2:])) if cell[:2] == "r:" else cell[2:]

    def _cell(self, value: object, kind: str) -> str | None:
        if value is None:
            return None
        if isinstance(value, bytes):
            return self._text(value) if kind == "t" else f"b:{value.hex()}"
        return f"r:{value.hex()}" if isinstance(value, float) else f"i:{value}"

    def _text(self, raw: bytes) -> str:
        try:
            text = raw.decode(self._encoding)
        except UnicodeDecodeError:
            return f"x:{raw.hex()}"
        return f"t:{text}" if _ALTERED.isdisjoint(text) else f"x:{raw.hex()}"


class SqliteRows(DatabaseRows):
    """The rows of one open transaction on an SQLite file."""

    snapshot: SqliteSnapshot
    guids_at_once: ClassVar[int] = 64

    def describe(self, table: str) -> StoredTable:
        """Introspect a table: the row id comes first where no column is its alias."""
        schema, name = self.snapshot.resolve(table)
        quote = self.connection.dialect.identifier_preparer.quote_identifier
        found = self.tuples(_COLUMNS, (name,))
        keys = sorted((pk, column) for column, _, pk, _ in found if pk)
        columns = [
            Column(column, kind, generated=hidden in _GENERATED)
            for column, kind, _, hidden in found
            if hidden != _VIRTUAL
        ]
        key = tuple(column for _, column in keys)
        hidden, alias = self.snapshot.row_id_names(table)
        if alias is not None:
            key = (alias,)
        elif hidden is not None:
            key = (hidden,)
            columns.insert(0, Column(hidden, "INTEGER"))
        encoding = str(self.scalar("PRAGMA encoding")).lower()
        names = {column.name: quote(column.name) for column in columns}
        qualified = ".".join(quote(part) for part in (schema, name) if part is not None)
        return SqliteTable(TableShape(table, tuple(columns), key), qualified, names, encoding)

    def is_key(self, table: StoredTable, column: str) -> bool:
        """Say so of the hidden row id, too, which has several names and may have a column for an alias."""
        if super().is_key(table, column):
            return True
        hidden, alias = self.snapshot.row_id_names(table.shape.table)
        return hidden is not None and self.snapshot.same_name(hidden, column) and table.address == (alias or hidden,)

    def at_once(self, table: StoredTable, column: str, wanted: int) -> int:
        """Ask for as many as fit where no index begins with the column: each statement reads the whole table."""
        if wanted <= self.guids_at_once:
            return self.guids_at_once
        _, name = self.snapshot.resolve(table.shape.table)
        if self.tuples(_INDEXED, (name, column)):
            return self.guids_at_once
        room = self.snapshot.driver.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        return max(self.guids_at_once, room // _PARAMETERS)

    def asked(self, table: StoredTable, column: str, wanted: Sequence[uuid.UUID]) -> Condition:
        """Ask for the bytes and for each spelling; repeated, so that few statements differ."""
        size = next(size for size in (1, 4, 16, self.guids_at_once, len(wanted)) if size >= len(wanted))
        padded = [*wanted, *list(wanted[-1:]) * (size - len(wanted))]
        values = [*(self.packed(guid) for guid in padded), *self.spellings(padded)]
        return f"{table.quotes[column]} IN ({', '.join('?' * len(values))})", tuple(values)

    def normalised(self, table: StoredTable, column: str, wanted: Sequence[uuid.UUID]) -> Condition:
        """Take blanks, hyphens and braces out of every text of the table."""
        name = table.quotes[column]
        bare = f"lower(trim(CAST({name} AS TEXT), ?))"
        for noise in guid_spelling.NOISE:
            bare = f"replace({bare}, '{noise}', '')"
        texts, packed = self.bare(wanted), [self.packed(guid) for guid in wanted]
        sql = f"{name} IN ({', '.join('?' * len(packed))}) OR {bare} IN ({', '.join('?' * len(texts))})"
        return sql, (*packed, guid_spelling.BLANKS + guid_spelling.BEYOND_ASCII, *texts)

    def value(self, table: StoredTable, column: str, cell: str) -> bytes | str | None:  # noqa: ARG002 - a dialect's parameters
        """Return the bytes of a blob, and any other value as text."""
        kind, text = cell[:2], cell[2:]
        if kind == "b:":
            return bytes.fromhex(text)
        if kind == "x:":
            return bytes.fromhex(text).decode("utf-8", "replace")
        return str(_value(kind, text))

    def is_plain(self, table: StoredTable, column: str, cell: str) -> bool:
        """Say so; a number is a plain text id only where the column's type makes a number of its text, too."""
        if cell[:2] in {"i:", "r:"} and table.by_name[column].type.upper() in _NO_AFFINITY:
            return False
        return super().is_plain(table, column, cell)

    def written(self, table: StoredTable, column: str, value: bytes | str) -> str:  # noqa: ARG002 - a dialect's parameters
        """Return a cell of a blob or of a text."""
        return f"b:{value.hex()}" if isinstance(value, bytes) else f"t:{value}"

    def is_binary(self, table: StoredTable, column: str) -> bool:
        """Judge by a value that the column holds; SQLite's declared types bind nobody."""
        name = table.quotes[column]
        sql = f"SELECT typeof({name}) FROM {table.name} WHERE {name} IS NOT NULL LIMIT 1"  # noqa: S608 - quoted identifiers
        return bool(self.scalar(sql) == "blob")

    def refresh(self) -> None:
        """Forget all tables where the schema changed."""
        version = self.scalar("PRAGMA schema_version")
        if version != self.known.version:
            self.known.clear()
            self.known.version = version

    def lock_merges(self, *, exclusively: bool) -> None:
        """Do nothing: the transaction began by locking the file."""

    def begin(self, *, lock: bool, asking: Asking) -> None:
        """Begin the work, and tell a guard of it: its row stands until ``end``, and nobody else ever sees it."""
        super().begin(lock=lock, asking=asking)
        self._tell_guard("INSERT OR IGNORE INTO {} (id, turn) VALUES (?, 0)")

    def end(self) -> None:
        """Let a guard look at merges again."""
        self._tell_guard("DELETE FROM {} WHERE id = ?")

    def _tell_guard(self, statement: str) -> None:
        name = self.source.profile.merging.guard
        if self.tuples(_GUARDED, (f"{name}_insert", f"{name}_update", name)):
            quote = self.connection.dialect.identifier_preparer.quote_identifier
            self.run(statement.format(quote(name)), (RESTORING_ID,))

    def denied(self, table: StoredTable, verbs: Collection[str]) -> Sequence[str]:  # noqa: ARG002 - a dialect's parameters
        """Try to begin a change of nothing: only the file and its folder have rights."""
        version = self.scalar("PRAGMA user_version")
        try:
            with self.source.translated(writing=True):
                self.run(f"PRAGMA user_version = {version:d}")
        except PermissionDenied:
            return tuple(verbs)
        return ()


def _value(kind: str, text: str) -> int | float | str | bytes:
    if kind == "i:":
        return int(text)
    if kind == "r:":
        return float.fromhex(text)
    return bytes.fromhex(text) if kind == "b:" else text
