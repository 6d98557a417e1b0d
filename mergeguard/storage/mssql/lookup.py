"""Writes the lookup into SQL Server: packed chunks into a temporary table, then one set-based DELETE and INSERT.

A chunk holds some two hundred rows as one ``varbinary`` value, because the drivers pay for each value and each row that
they send. Nothing touches the lookup before all of it has arrived; then its table is locked whole, so that a reader
without row versions, too, sees the old lookup or the new one and never half of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from mergeguard.core import guids
from mergeguard.core.guids import Guids
from mergeguard.errors import Locked, Unsupported, WriteFailed
from mergeguard.storage.lookup.database import PHASE, LookupWriter
from mergeguard.storage.mssql import doctor as mssql_doctor
from mergeguard.storage.source import LookupChange, Progress

# old, current, depth, whether there is a current, status: bytes of a row in a chunk.
ROW_BYTES = 16 + 16 + 4 + 1 + 1
ROWS_A_CHUNK = 8000 // ROW_BYTES
CHUNKS_AT_ONCE = 200
DELETED = 255
"""The status of a row that only deletes."""

CREATE_CHUNKS = "CREATE TABLE #mergeguard_chunks (chunk varbinary(8000) NOT NULL)"
INSERT_CHUNK = "INSERT INTO #mergeguard_chunks (chunk) VALUES (?)"
TAKE_TURN = (
    "SET NOCOUNT ON; DECLARE @turn int; EXEC @turn = sp_getapplock @Resource = ?, @LockMode = 'Exclusive', "
    "@LockOwner = 'Transaction', @LockTimeout = ?; SELECT @turn"
)
COUNT_ROWS = "SELECT COUNT_BIG(*) FROM #mergeguard_rows"
SETTINGS = (
    "SET XACT_ABORT ON",
    "SET ANSI_PADDING ON",  # else the zeros at the end of a guid would be cut off
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
)


class MssqlLookupWriter(LookupWriter):
    """One write of the lookup, inside a transaction that is already open."""

    def write(self, change: LookupChange, progress: Progress) -> None:
        """Bring the stored lookup to ``change``; the caller commits."""
        if self.lookup.table.count(".") > 1:
            raise Unsupported(f"{self.lookup.table} lies in another database", hint="name it as schema.table")
        # First a statement that begins the transaction to which the application lock will belong.
        self._run(CREATE_CHUNKS)
        self._take_turn()
        self.prepare()
        self._upload(change, progress)
        target = self.connection.dialect.identifier_preparer.format_table(self.table)
        # All rows are read: a statement left open would keep the connection busy.
        self.connection.exec_driver_sql(lock_table(target)).all()
        if change.full:
            self._run(f"DELETE FROM {target}")  # noqa: S608 - a quoted identifier
        else:
            self._run(delete_rows(target, self._names[0], text=self.form == "text"))
        names = tuple(change.status_names) or ("",)
        self._run(insert_rows(target, self._names, len(names), text=self.form == "text"), names)

    def guid_type(self, stored: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:  # noqa: ARG002 - a hook's parameters
        """Return a type that can be a key, whatever the merge table uses."""
        if self.form == "uuid":
            return mssql.UNIQUEIDENTIFIER()
        return sa.BINARY(16) if self.form == "bytes" else sa.CHAR(36)

    @property
    def _names(self) -> list[str]:
        quote = self.connection.dialect.identifier_preparer.quote_identifier
        return [quote(column.name) for column in self.table.columns]

    def _run(self, sql: str, parameters: tuple[object, ...] | None = None) -> None:
        self.connection.exec_driver_sql(sql, parameters)

    def _take_turn(self) -> None:
        """Let one build of this lookup run at a time."""
        resource = f"mergeguard:{self.lookup.table.casefold()}"[:255]
        wait = int(self.source.options.lock_timeout * 1000)
        if self.connection.exec_driver_sql(TAKE_TURN, (resource, wait)).scalar_one() < 0:
            raise Locked(f"{self.source.info.target}: another build of {self.lookup.table} is under way")

    def _upload(self, change: LookupChange, progress: Progress) -> None:
        rows = packed_rows(change, swap=self._swaps())
        cursor = self.connection.connection.cursor()
        try:
            self._prepare_bulk(cursor)
            step = ROWS_A_CHUNK * CHUNKS_AT_ONCE
            for start in range(0, len(rows), step):
                cursor.executemany(INSERT_CHUNK, [(chunk,) for chunk in chunks(rows[start : start + step])])
                progress(PHASE, min(start + step, len(rows)), len(rows))
        finally:
            cursor.close()
        for statement in unpack_chunks("binary(16)" if self.form == "bytes" else "uniqueidentifier"):
            self._run(statement)
        arrived = self.connection.exec_driver_sql(COUNT_ROWS).scalar_one()
        if arrived != len(rows):
            raise WriteFailed(f"{len(rows)} rows were sent and {arrived} arrived; nothing was changed")

    def _swaps(self) -> bool:
        """Say whether guids are sent in SQL Server's order: as text they pass through uniqueidentifier, too."""
        return self.form != "bytes" or self.source.profile.merge.byte_order == "sqlserver"

    def _prepare_bulk(self, cursor: Any) -> None:  # noqa: ANN401 - a pyodbc cursor
        """Send arrays of parameters where the driver can: Microsoft's, and not FreeTDS."""
        pyodbc: Any = self.connection.dialect.loaded_dbapi
        # Told the type, pyodbc need not ask the server, which cannot describe a temporary table.
        cursor.setinputsizes([(pyodbc.SQL_VARBINARY, 8000, 0)])
        cursor.fast_executemany = "msodbcsql" in mssql_doctor.odbc_driver(self.connection).lower()


def packed_rows(change: LookupChange, *, swap: bool) -> npt.NDArray[np.uint8]:
    """Pack upserts and deletes into rows of ``ROW_BYTES`` bytes."""
    count = len(change.olds)
    rows = np.zeros((count + len(change.deletes), ROW_BYTES), np.uint8)

    def ordered(column: Guids) -> Guids:
        return guids.swap_sql_server(column) if swap else column

    rows[:count, :16], rows[count:, :16] = ordered(change.olds), ordered(change.deletes)
    rows[:count, 16:32] = ordered(change.currents)
    rows[:count, 32:36] = change.depths.astype(">i4").reshape(-1, 1).view(np.uint8)
    rows[:count, 36] = change.has_current
    rows[:count, 37], rows[count:, 37] = change.statuses, DELETED
    return rows


def chunks(rows: npt.NDArray[np.uint8]) -> list[bytes]:
    """Cut packed rows into values of at most 8,000 bytes."""
    packed, size = rows.tobytes(), ROWS_A_CHUNK * ROW_BYTES
    return [packed[start : start + size] for start in range(0, len(packed), size)]


def unpack_chunks(guid: str) -> tuple[str, str]:
    """Return the statements that turn the chunks into a table of rows; ``guid`` is the type of its guids."""
    digits = ", ".join(f"({digit})" for digit in range(16))
    has_current = "CASE SUBSTRING(c.chunk, n.place + 37, 1) WHEN 0x01 THEN"
    create = (
        f"CREATE TABLE #mergeguard_rows (old_guid {guid} NOT NULL PRIMARY KEY, current_guid {guid} NULL, "
        "depth int NULL, status tinyint NOT NULL)"
    )
    fill = (
        "INSERT INTO #mergeguard_rows (old_guid, current_guid, depth, status) "  # noqa: S608 - constants
        f"SELECT CAST(SUBSTRING(c.chunk, n.place + 1, 16) AS {guid}), "
        f"{has_current} CAST(SUBSTRING(c.chunk, n.place + 17, 16) AS {guid}) END, "
        f"{has_current} CAST(SUBSTRING(c.chunk, n.place + 33, 4) AS int) END, "
        "CAST(SUBSTRING(c.chunk, n.place + 38, 1) AS tinyint) "
        "FROM #mergeguard_chunks AS c "
        f"JOIN (SELECT (high.digit * 16 + low.digit) * {ROW_BYTES} AS place "
        f"FROM (VALUES {digits}) AS high (digit) CROSS JOIN (VALUES {digits}) AS low (digit)) AS n "
        "ON n.place < DATALENGTH(c.chunk)"
    )
    return create, fill


def lock_table(table: str) -> str:
    """Return the statement that keeps every reader and writer out until the transaction ends."""
    return f"SELECT TOP (1) 1 FROM {table} WITH (TABLOCKX, HOLDLOCK)"  # noqa: S608 - a quoted identifier


def delete_rows(table: str, old: str, *, text: bool) -> str:
    """Return the statement that deletes what is written anew or gone."""
    return (
        f"DELETE t FROM {table} AS t WHERE EXISTS "  # noqa: S608 - quoted identifiers
        f"(SELECT 1 FROM #mergeguard_rows AS r WHERE {_stored('r.old_guid', text=text)} = t.{old})"
    )


def insert_rows(table: str, names: list[str], statuses: int, *, text: bool) -> str:
    """Return the statement that inserts the rows; its parameters are the names of the statuses."""
    cases = " ".join(f"WHEN {number} THEN ?" for number in range(statuses))
    return (
        f"INSERT INTO {table} ({', '.join(names)}) "  # noqa: S608 - quoted identifiers
        f"SELECT {_stored('r.old_guid', text=text)}, {_stored('r.current_guid', text=text)}, r.depth, "
        f"CASE r.status {cases} END FROM #mergeguard_rows AS r WHERE r.status <> {DELETED}"
    )


def _stored(column: str, *, text: bool) -> str:
    """Return a guid as the lookup stores it."""
    return f"LOWER(CAST({column} AS char(36)))" if text else column
