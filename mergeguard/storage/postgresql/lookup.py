"""Writes the lookup into PostgreSQL by binary COPY, in one transaction that no reader has to wait for.

A new table gets its primary key after its rows. A table that stands is never truncated, swapped or locked against
readers: rows are deleted and copied, readers see the old ones until the commit, and grants, views and foreign keys on
the table stay. Two builds of the same lookup wait for each other on an advisory lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from mergeguard.core import guids
from mergeguard.core.guids import Guids
from mergeguard.storage.database.ahead import ahead
from mergeguard.storage.lookup.database import PHASE, LookupWriter
from mergeguard.storage.postgresql.columns import quoted, relation
from mergeguard.storage.source import LookupChange, Progress

if TYPE_CHECKING:
    from mergeguard.storage.postgresql.source import PostgresqlSource

Rows: TypeAlias = npt.NDArray[np.intp]
CHUNK = 65_536
"""Rows sent at a time."""
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_TEXTS = frozenset({"text", "character varying", "character"})
_GUID_BYTES = {"uuid": 16, "bytea": 16, **dict.fromkeys(_TEXTS, 36)}
_DEPTHS = {"smallint": ">i2", "integer": ">i4", "bigint": ">i8"}
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
_KEY = {
    "uuid": "CAST(encode({}, 'hex') AS uuid)",
    "bytea": "{}",
    **dict.fromkeys(_TEXTS, "CAST(CAST(encode({}, 'hex') AS uuid) AS text)"),
    "character": "CAST(CAST(CAST(encode({}, 'hex') AS uuid) AS text) AS bpchar)",
}
"""How the server makes a value of each type from 16 bytes."""


class PostgresqlLookupWriter(LookupWriter):
    """One write of the lookup through psycopg's COPY."""

    source: PostgresqlSource
    writes_parts: ClassVar[bool] = True
    is_new = False
    types: tuple[str, ...] = ()
    """How the table stores old, current, depth and status."""

    def write(self, change: LookupChange, progress: Progress) -> None:
        """Bring the stored lookup to ``change``; the caller commits."""
        self.connection.execute(_LOCK, {"key": f"mergeguard lookup {self.lookup.table}"})
        super().write(change, progress)
        if self.is_new:
            key = sa.PrimaryKeyConstraint(self.table.c[0])
            self.table.append_constraint(key)
            self.connection.execute(sa.schema.AddConstraint(key))

    def prepare(self) -> None:
        """Find the lookup table or create it, and learn the types of its columns."""
        self.is_new = self.snapshot.find(self.lookup.table) is None
        super().prepare()
        found = relation(self.connection, self.table.schema, self.table.name)
        stored = {} if found is None else found.columns
        self.types = tuple(stored[column.name].type for column in self.table.columns)

    def define(self, schema: str | None, name: str, guid: sa.types.TypeEngine[Any]) -> sa.Table:
        """Describe the table; a new one begins without its key, which is three times faster made after the rows."""
        table = super().define(schema, name, guid)
        if not self.is_new:
            return table
        columns = (sa.Column(column.name, column.type, nullable=column.nullable) for column in table.columns)
        return sa.Table(table.name, sa.MetaData(), *columns, schema=schema)

    def delete(self, olds: Guids) -> None:
        """Delete the rows of ``olds``, sent as packed bytes and cut up by the server."""
        key = _KEY.get(self.types[0])
        if key is None:
            super().delete(olds)
            return
        part = key.format("substr(CAST(:packed AS bytea), place * 16 + 1, 16)")
        places = f"SELECT {part} AS key FROM generate_series(0, CAST(:rows AS integer) - 1) AS place"  # noqa: S608 - from _KEY
        wanted = sa.text(places).columns(sa.column("key")).subquery("wanted")
        statement = self.table.delete().where(self.table.c[0] == wanted.c.key)
        for start in range(0, len(olds), CHUNK):
            chunk = self._as_stored(olds[start : start + CHUNK], self.types[0])
            self.connection.execute(statement, {"packed": chunk.tobytes(), "rows": len(chunk)})

    def insert(self, change: LookupChange, progress: Progress) -> None:
        """Copy all rows of ``change`` in."""
        old, current, depth, status = self.types
        if old not in _GUID_BYTES or current not in _GUID_BYTES or depth not in _DEPTHS or status not in _TEXTS:
            super().insert(change, progress)
            return
        done = 0
        with self.source.raw(self.connection).cursor() as cursor, cursor.copy(self._copy_statement()) as copy:
            copy.write(_HEADER)
            for rows, records in ahead(self._packed(change)):
                copy.write(records)
                done += rows
                progress(PHASE, done, len(change.olds))
            copy.write(_TRAILER)

    def _packed(self, change: LookupChange) -> Iterator[tuple[int, bytes]]:
        """Yield so many rows and their records, a chunk each."""
        for rows in self._groups(change):
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                yield len(chunk), self._records(change, chunk)

    def _copy_statement(self) -> bytes:
        columns = ", ".join(quoted(column.name) for column in self.table.columns)
        return f"COPY {quoted(self.table.schema, self.table.name)} ({columns}) FROM STDIN (FORMAT BINARY)".encode()

    def _groups(self, change: LookupChange) -> Iterator[Rows]:
        """Yield row numbers whose records are all of one length: of one status, and with a current or without."""
        code = change.statuses.astype(np.intp) * 2 + change.has_current
        order = np.arange(len(code)) if self.is_new else guids.order(change.olds)  # a key is built fastest in order
        code = code[order]
        for value in np.unique(code):
            yield order[code == value]

    def _records(self, change: LookupChange, rows: Rows) -> bytes:
        """Return the rows of one group in COPY's binary form: a length before each value, -1 for NULL."""
        old, current, depth, _ = self.types
        has_current = bool(change.has_current[rows[0]])
        status = change.status_names[int(change.statuses[rows[0]])].encode()
        fields: list[tuple[str, str, object]] = [("columns", ">i2", 4)]
        fields += self._field("old", f"V{_GUID_BYTES[old]}", self._values(change.olds[rows], old))
        if has_current:
            fields += self._field("current", f"V{_GUID_BYTES[current]}", self._values(change.currents[rows], current))
            fields += self._field("depth", _DEPTHS[depth], change.depths[rows])
        else:
            fields += [("no current", ">i4", -1), ("no depth", ">i4", -1)]
        fields += self._field("status", f"S{len(status)}", status)
        records = np.empty(len(rows), [(name, form) for name, form, _ in fields])
        for name, _, values in fields:
            records[name] = values
        return records.tobytes()

    def _field(self, name: str, form: str, values: object) -> list[tuple[str, str, object]]:
        return [(f"{name} length", ">i4", np.dtype(form).itemsize), (name, form, values)]

    def _values(self, column: Guids, stored: str) -> npt.NDArray[np.void]:
        if stored in _TEXTS:
            return guids.to_texts(column).view("V36")
        return self._as_stored(column, stored).view("V16").reshape(-1)

    def _as_stored(self, column: Guids, stored: str) -> Guids:
        """Return guids in the byte order in which the table holds them."""
        if stored == "bytea" and self.source.profile.merge.byte_order == "sqlserver":
            return guids.swap_sql_server(column)
        return np.ascontiguousarray(column)
