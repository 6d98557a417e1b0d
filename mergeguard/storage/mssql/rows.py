"""SQL Server's rows as images: each cell is the text of a value in the style of its type that loses nothing."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, cast

from mergeguard.core.repair.plan import Column, Image, TableShape
from mergeguard.errors import Locked
from mergeguard.storage.cells import guid_spelling
from mergeguard.storage.database.stored_table import Condition, StoredTable
from mergeguard.storage.merging import lock as merge_lock
from mergeguard.storage.mssql import values as mssql_values
from mergeguard.storage.mssql.values import Stored
from mergeguard.storage.rows.database import DatabaseRows

_COLUMNS = """
SELECT c.name, CASE WHEN c.system_type_id = 240 THEN TYPE_NAME(c.user_type_id) ELSE TYPE_NAME(c.system_type_id) END,
    c.max_length, c.precision, c.scale, c.collation_name, CAST(c.is_nullable AS int), CAST(c.is_identity AS int),
    CAST(c.is_computed AS int), COALESCE(COLUMNPROPERTY(c.object_id, c.name, 'GeneratedAlwaysType'), 0)
FROM sys.columns AS c WHERE c.object_id = OBJECT_ID(?) ORDER BY c.column_id
"""
_KEYS = """
SELECT i.index_id, COL_NAME(k.object_id, k.column_id)
FROM sys.indexes AS i JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
WHERE i.object_id = OBJECT_ID(?) AND i.is_unique = 1 AND i.is_disabled = 0 AND i.has_filter = 0
    AND k.is_included_column = 0
ORDER BY CASE WHEN i.is_primary_key = 1 THEN 0 ELSE 1 END, i.index_id, k.key_ordinal
"""
_FULL_NAME = "SELECT OBJECT_SCHEMA_NAME(OBJECT_ID(?)), OBJECT_NAME(OBJECT_ID(?))"
_PERMISSION = "SELECT HAS_PERMS_BY_NAME(?, 'OBJECT', ?)"
ROWS_CHANGED = "SET NOCOUNT ON; {}; SELECT @@ROWCOUNT"
TAKE_LOCK = (
    "SET NOCOUNT ON; DECLARE @begun int, @turn int; SELECT TOP (1) @begun = 1 FROM sys.objects; "
    "EXEC @turn = sp_getapplock @Resource = ?, @LockMode = ?, @LockOwner = ?, @LockTimeout = ?; SELECT @turn"
)
"""A SELECT stands before the lock because it begins the transaction to which the lock may belong."""
GIVE_LOCK = "SET NOCOUNT ON; EXEC sp_releaseapplock @Resource = ?, @LockOwner = 'Session'"
LOCK_TABLE = "SELECT TOP (1) 1 FROM {} WITH (TABLOCK, HOLDLOCK)"
"""A shared lock of the whole table until the transaction ends: others may read it and not write."""
IDENTITY_INSERT = "SET IDENTITY_INSERT {} {}"
RESOURCE_CHARACTERS = 255
_PADDED = (1, 4, 16, 64)


class MssqlTable(StoredTable):
    """One table of a SQL Server database."""

    max_parameters: ClassVar[int] = 2000
    locks = (" WITH (UPDLOCK, ROWLOCK)", "")

    def __init__(self, shape: TableShape, name: str, quotes: dict[str, str], stored: Mapping[str, Stored]) -> None:
        self.stored = stored
        super().__init__(shape, name, quotes)
        self.identity = any(column.identity for column in shape.columns)

    def selected(self) -> list[str]:
        """Select the text of each value."""
        return [mssql_values.selected(self.stored[column], self.quotes[column]) for column in self.columns]

    def image(self, row: Sequence[object]) -> dict[str, str | None]:
        """Turn a fetched row into its image."""
        return dict(zip(self.columns, map(mssql_values.cell, row), strict=True))

    def placed(self, column: str, cell: str | None) -> tuple[str, object]:
        """Return a conversion to the column's own type, and the text."""
        return mssql_values.placed(self.stored[column], cell)

    def spoken(self, cell: str | None) -> str:
        """Return a cell as people read it."""
        if cell is None:
            return "NULL"
        return f"0x{cell[1:]}" if cell.startswith(mssql_values.WILD) else cell

    def delete(self, place: Condition) -> Condition:
        """Return the statement that deletes; of rows that nothing tells apart it takes one."""
        sql, values = super().delete(place)
        return sql if self.address else sql.replace("DELETE", "DELETE TOP (1)", 1), values

    def update(self, columns: Sequence[str], after: Image, place: Condition) -> Condition:
        """Return the statement that writes; of rows that nothing tells apart it takes one."""
        sql, values = super().update(columns, after, place)
        return sql if self.address else sql.replace("UPDATE", "UPDATE TOP (1)", 1), values

    def same(self, image: Image) -> Condition:
        """Return the condition that a row equals ``image``: byte by byte, and first by what an index may know."""
        parts: list[str] = []
        values: list[object] = []
        for column in self.columns:
            name, cell, stored = self.quotes[column], image[column], self.stored[column]
            if cell is None:
                parts.append(f"{name} IS NULL")
                continue
            mark, value = self.placed(column, cell)
            if stored.exact:
                parts.append(f"{name} = {mark}")
            else:
                raw = f"CONVERT(varbinary(max), {mssql_values.as_text(stored, name)})"
                parts.append(f"{raw} = CAST(? AS varbinary(max))")
                value = _utf16(cell)
            values.append(value)
        return " AND ".join(parts), tuple(values)


class MssqlRows(DatabaseRows):
    """The rows of one open transaction of SQL Server."""

    guids_at_once: ClassVar[int] = 64

    def describe(self, table: str) -> StoredTable:
        """Introspect a table."""
        name = self._quoted(*self.snapshot.resolve(table))
        stored = {row[0]: _stored(row) for row in self.tuples(_COLUMNS, (name,))}
        for column in stored.values():
            mssql_values.refuse_unknown(table, column)
        columns = tuple(Column(one.name, one.type, one.generated, one.identity) for one in stored.values())
        shape = TableShape(table, columns, self._key(name, stored))
        return MssqlTable(shape, name, {column: self._quoted(column) for column in stored}, stored)

    def asked(self, table: StoredTable, column: str, wanted: Sequence[uuid.UUID]) -> Condition | None:
        """Ask for values of the column's own type, so that its index is used; repeated, so that few plans differ."""
        stored = cast("MssqlTable", table).stored[column]
        if not stored.comparable:
            return None
        size = next(size for size in _PADDED if size >= len(wanted))
        cells = self._cells(table, column, [*wanted, *list(wanted[-1:]) * (size - len(wanted))])
        if cells is None:
            return None
        placed = [table.placed(column, cell) for cell in cells]
        marks = ", ".join(mark for mark, _ in placed)
        return f"{table.quotes[column]} IN ({marks})", tuple(value for _, value in placed)

    def normalised(self, table: StoredTable, column: str, wanted: Sequence[uuid.UUID]) -> Condition:
        """Take blanks, hyphens and braces out of every text of the table."""
        stored = cast("MssqlTable", table).stored[column]
        name = table.quotes[column]
        text = f"CONVERT(varchar(max), CONVERT(varbinary(max), {name}))" if stored.is_binary else name
        bare = f"LOWER(CONVERT(nvarchar(max), {text}))"
        for blank in guid_spelling.BLANKS:
            bare = f"REPLACE({bare}, NCHAR({ord(blank)}), N'')"
        for noise in guid_spelling.NOISE:
            bare = f"REPLACE({bare}, N'{noise}', N'')"
        texts = self.bare(wanted)
        sql = f"{bare} COLLATE Latin1_General_BIN2 IN ({', '.join('?' * len(texts))})"
        if not stored.is_binary:
            return sql, tuple(texts)
        packed = [f"0x{self.packed(guid).hex()}" for guid in wanted]
        marks = ", ".join("CONVERT(varbinary(16), ?, 1)" for _ in packed)
        return f"CONVERT(varbinary(max), {name}) IN ({marks}) OR {sql}", (*packed, *texts)

    def value(self, table: StoredTable, column: str, cell: str) -> bytes | str:
        """Return the bytes of a binary column, and any other value as text."""
        if self.is_binary(table, column):
            return bytes.fromhex(cell[2:])
        if cell.startswith(mssql_values.WILD):
            return bytes.fromhex(cell[1:]).decode("utf-16-le", "replace")
        return cell

    def written(self, table: StoredTable, column: str, value: bytes | str) -> str:
        """Return the text of a value, as the server would write it."""
        stored = cast("MssqlTable", table).stored[column]
        if stored.is_binary:
            return f"0x{(value.encode() if isinstance(value, str) else value).hex().upper()}"
        text = value if isinstance(value, str) else value.decode("ascii")
        return text.upper() if stored.base == "uniqueidentifier" else text

    def is_binary(self, table: StoredTable, column: str) -> bool:
        """Say whether a column is of a binary type."""
        return cast("MssqlTable", table).stored[column].is_binary

    def single(self, table: StoredTable, image: Image) -> Condition | None:
        """Find and lock one of the rows that equal ``image``; all of them match the condition, so one is taken."""
        where, values = cast("MssqlTable", table).same(image)
        hint = table.locks[0] if self.writing else ""
        found = self.scalar(f"SELECT TOP (1) 1 FROM {table.name}{hint} WHERE {where}", values)  # noqa: S608 - quoted identifiers
        return (where, values) if found else None

    def send(self, statements: Sequence[Condition]) -> int:
        """Send statements one by one; triggers may spoil the driver's count, so the server is asked for it."""
        return sum(int(self.scalar(ROWS_CHANGED.format(sql), values)) for sql, values in statements)

    def put_in(self, table: StoredTable, images: Sequence[Image]) -> int:
        """Insert rows, with the ids that an identity column would make by itself."""
        with self._identity_insert(cast("MssqlTable", table)):
            return super().put_in(table, images)

    def lock_merges(self, *, exclusively: bool) -> None:
        """Take the application lock of the merge table for the transaction."""
        self.take("Transaction", exclusively=exclusively)

    def lock_merge_table(self) -> None:
        """Lock the merge table against writers that know nothing of the merge lock; readers go on."""
        self.tuples(LOCK_TABLE.format(self._merges.name))

    def take(self, owner: str, *, exclusively: bool) -> None:
        """Take the application lock for a ``Transaction`` or for the ``Session``.

        Raises:
            Locked: it was not to be had within the lock timeout.
        """
        wait = int(self.source.options.lock_timeout * 1000)
        mode = "Exclusive" if exclusively else "Shared"
        if self.scalar(TAKE_LOCK, (self.resource, mode, owner, wait)) < 0:
            raise Locked(f"{self.source.info.target}: another repair, or a merge, is under way")

    def give(self) -> None:
        """Give up the application lock of the session."""
        self.run(GIVE_LOCK, (self.resource,))

    @property
    def resource(self) -> str:
        """The name of the application lock."""
        if self.known.lock is None:
            name = self._merges.name
            ((schema, table),) = self.tuples(_FULL_NAME, (name, name))
            self.known.lock = merge_lock.NAME.format(schema=schema, table=table)[:RESOURCE_CHARACTERS]
        return cast("str", self.known.lock)

    def denied(self, table: StoredTable, verbs: Collection[str]) -> Sequence[str]:
        """Ask the catalogue; an id can only be put back by who may ALTER the table."""
        asked = [*verbs, *["ALTER"] * ("INSERT" in verbs and cast("MssqlTable", table).identity)]
        return [verb for verb in asked if not self.scalar(_PERMISSION, (table.name, verb))]

    @contextmanager
    def _identity_insert(self, table: MssqlTable) -> Iterator[None]:
        if not table.identity:
            yield
            return
        self.run(IDENTITY_INSERT.format(table.name, "ON"))
        try:
            yield
        finally:
            # A session has this on for one table at a time; where the insert failed its error is the one to tell.
            with suppress(self._driver_error):
                self.run(IDENTITY_INSERT.format(table.name, "OFF"))

    @property
    def _driver_error(self) -> type[Exception]:
        driver: Any = self.connection.dialect.loaded_dbapi
        return cast("type[Exception]", driver.Error)

    @property
    def _merges(self) -> StoredTable:
        return self.table(self.source.profile.merge.table)

    def _cells(self, table: StoredTable, column: str, wanted: Sequence[uuid.UUID]) -> list[str] | None:
        """Return the cells that may hold some guids; ``None`` where the type tells nothing."""
        stored = cast("MssqlTable", table).stored[column]
        if stored.base == "uniqueidentifier":
            return [str(guid).upper() for guid in wanted]
        if stored.is_binary:
            return [f"0x{self.packed(guid).hex()}" for guid in wanted]
        return self.spellings(wanted) if stored.is_text else None

    def _key(self, name: str, stored: Mapping[str, Stored]) -> tuple[str, ...]:
        """Return the columns of the first unique key that has neither NULLs nor generated columns."""
        keys: dict[int, list[str]] = {}
        for number, column in self.tuples(_KEYS, (name,)):
            keys.setdefault(number, []).append(column)
        fit = (key for key in keys.values() if all(stored[one].not_null and not stored[one].generated for one in key))
        return tuple(next(fit, ()))

    def _quoted(self, *names: str | None) -> str:
        quote = self.connection.dialect.identifier_preparer.quote_identifier
        return ".".join(quote(name) for name in names if name is not None)


def _stored(row: Sequence[Any]) -> Stored:
    name, base, size, precision, scale, collation, nullable, identity, computed, period = row
    made = bool(computed) or bool(period)
    return Stored(name, base, size, precision, scale, collation, not nullable, bool(identity), made)


def _utf16(cell: str) -> bytes:
    wild = cell.startswith(mssql_values.WILD)
    return bytes.fromhex(cell[1:]) if wild else cell.encode("utf-16-le")
