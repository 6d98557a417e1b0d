"""SQL Server: read with SELECTs alone, without NOLOCK, in SNAPSHOT isolation where the database allows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, cast

import sqlalchemy as sa

from mergeguard.errors import UnknownSchema
from mergeguard.storage.database.source import DatabaseSnapshot, DatabaseSource
from mergeguard.storage.mssql import columns as mssql_columns
from mergeguard.storage.mssql import doctor as mssql_doctor
from mergeguard.storage.mssql import odbc as mssql_odbc
from mergeguard.storage.mssql.arrow import ArrowReader, arrow_odbc
from mergeguard.storage.mssql.cells import Strings, unpacked
from mergeguard.storage.mssql.columns import Statement
from mergeguard.storage.mssql.lookup import SETTINGS, MssqlLookupWriter
from mergeguard.storage.mssql.rows import MssqlRows
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.source import Batch, Kind, Selection

APPLICATION = "MergeGuard"
LOGIN_SECONDS = 15
ISOLATION_OPTIONS = (
    "SELECT snapshot_isolation_state, is_read_committed_snapshot_on FROM sys.databases WHERE database_id = DB_ID()"
)
VERSION = (
    "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), "
    "CAST(SERVERPROPERTY('Edition') AS nvarchar(128)), DB_NAME()"
)
BEGIN = "DECLARE @begun int; IF @@TRANCOUNT = 0 SELECT TOP (1) @begun = 1 FROM sys.objects"
"""Begins the transaction that the driver has only promised: a read of a table does. What BEGIN TRANSACTION begins there
takes two commits, and a driver sends one."""
TYPES_OF_THEIR_OWN = ("geography", "geometry", "hierarchyid", "json", "vector")
"""Those of the server that SQLAlchemy does not know: what they hold is nothing that a scan reads."""
ROWS = "SELECT SUM(rows) FROM sys.partitions WHERE object_id = OBJECT_ID(?) AND index_id IN (0, 1)"
SNAPSHOT = "snapshot (SNAPSHOT isolation: the whole scan saw one moment)"
ROW_VERSIONS = "READ COMMITTED with row versions: each query saw one moment, the scan as a whole did not"
LOCKING = "READ COMMITTED: not one consistent snapshot; rows that moved meanwhile may be missing or read twice"
NO_SNAPSHOT_NOTE = (
    "the database does not allow SNAPSHOT isolation; ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON would give "
    "a scan one consistent view"
)
TWO_MOMENTS_NOTE = "a query of the profile was read through a connection of its own, at another moment than the tables"


class MssqlSnapshot(DatabaseSnapshot):
    """One open transaction, and beside it one of arrow-odbc where that is installed."""

    streams: ClassVar[bool] = False
    system_schemas: ClassVar[frozenset[str]] = frozenset({
        "information_schema", "sys", "guest", "db_accessadmin", "db_backupoperator", "db_datareader", "db_datawriter",
        "db_ddladmin", "db_denydatareader", "db_denydatawriter", "db_owner", "db_securityadmin",
    })  # fmt: skip

    def __init__(self, source: DatabaseSource, connection: sa.Connection, isolation: str) -> None:
        super().__init__(source, connection, isolation)
        self._arrow: ArrowReader | None = None
        if isolation in {ROW_VERSIONS, LOCKING}:
            self.notes.append(NO_SNAPSHOT_NOTE)

    @property
    def consistent(self) -> bool:
        """Whether all reads see one moment."""
        return self.isolation == SNAPSHOT

    def batches(self, selection: Selection) -> Iterator[Batch]:
        """Read the selection packed; a query as it stands, for only the server knows its types."""
        arrow = self._arrow_reader()
        order = self.source.profile.merge.byte_order
        if selection.query is None:
            statement = self.packed_statement(selection)
            fetched = self._fetch(statement) if arrow is None else arrow.fetch(statement)
            for columns in fetched:
                yield unpacked(statement, columns, order)
        elif arrow is None or selection.where or selection.counted:
            if arrow is not None and self.consistent:
                self.notes.append(TWO_MOMENTS_NOTE)
            yield from self.read_rows(selection)
        else:
            kinds = [column.kind for column in selection.columns]
            for batch in arrow.query(selection.query, kinds, order):
                yield _complete(batch, kinds)

    def expected(self, selection: Selection) -> int | None:
        """Return the number of rows that the catalogue has counted; ``None`` for a view, a query or a part."""
        if selection.query is not None or selection.where or selection.counted:
            return None
        table = self.quoted(selection.table or self.source.profile.merge.table)
        rows = self.connection.exec_driver_sql(ROWS, (table,)).scalar()
        return None if rows is None else int(rows)

    def as_text(self, column: sa.ColumnElement[object]) -> sa.ColumnElement[str]:
        """Return a column as text that keeps every character."""
        return sa.cast(column, sa.Unicode)

    def packed_statement(self, selection: Selection) -> Statement:
        """Write the packed SELECT of a table's columns."""
        schema, name = self.resolve(selection.table or self.source.profile.merge.table)
        found = {column["name"]: column["type"] for column in self.inspector.get_columns(name, schema=schema)}
        asked = [column.name for column in selection.columns] + [column for column, _ in selection.where]
        types = {one: next(kind for known, kind in found.items() if self.same_name(one, known)) for one in asked}
        return mssql_columns.select(selection, self._qualified(schema, name), types, self._quote)

    def quoted(self, table: str) -> str:
        """Return a table's name as SQL spells it."""
        return self._qualified(*self.resolve(table))

    def same_name(self, one: str, other: str) -> bool:
        """Say whether two identifiers name the same thing here: nearly every collation ignores case."""
        return one.casefold() == other.casefold()

    def find(self, table: str) -> tuple[str | None, str] | None:
        """Find a table; its schema is marked as one name, for SQLAlchemy would look for a database in ``a.b``.

        Raises:
            UnknownSchema: the name has three parts, as that of a table of another database has.
        """
        found = super().find(table)
        if found is None and table.count(".") > 1:
            *_, schema, name = table.split(".")
            raise UnknownSchema(
                f"{table} would lie in another database: MergeGuard reads the tables of one",
                hint=f"put the database into the URL, and name the table as {schema or 'dbo'}.{name}",
            )
        return found and (_one_name(found[0]), found[1])

    def close(self) -> None:
        """End the second connection, if there is one."""
        if self._arrow is not None:
            self._arrow.close()

    def _listed(self, schema: str | None) -> list[str]:
        return super()._listed(_one_name(schema))

    def _fetch(self, statement: Statement) -> Iterator[list[Strings]]:
        """Run a packed statement through pyodbc."""
        result = self.connection.exec_driver_sql(statement.sql, statement.parameters or None)
        try:
            while rows := result.cursor.fetchmany(self.source.options.batch_rows):
                yield [Strings.of(column) for column in zip(*rows, strict=True)]
        finally:
            result.close()

    def _arrow_reader(self) -> ArrowReader | None:
        """Return the second connection, opened at the first read."""
        source = cast("MssqlSource", self.source)
        if self._arrow is None and not self.alone and source.options.fast and (module := arrow_odbc()) is not None:
            settings = [*source.settings(), f"SET TRANSACTION ISOLATION LEVEL {_level(self.isolation)}"]
            self._arrow = ArrowReader(module, source.connection_string(), settings, source.options.batch_rows)
        return self._arrow

    def _quote(self, name: str) -> str:
        return self.connection.dialect.identifier_preparer.quote_identifier(name)

    def _qualified(self, schema: str | None, name: str) -> str:
        return ".".join(self._quote(part) for part in (schema, name) if part is not None)


class MssqlSource(DatabaseSource):
    """A SQL Server database behind a ``mssql+pyodbc`` URL, ``odbc_connect`` and data source names included."""

    kind: ClassVar[str] = "mssql"
    product: ClassVar[str] = "SQL Server"
    snapshot_class: ClassVar[type[DatabaseSnapshot]] = MssqlSnapshot
    writer_class: ClassVar[type[MssqlLookupWriter]] = MssqlLookupWriter
    rows_class: ClassVar[type[DatabaseRows] | None] = MssqlRows
    locks_sessions: ClassVar[bool] = True

    @contextmanager
    def snapshot(self) -> Iterator[MssqlSnapshot]:
        """Open a read-only view; ``isolation`` says how consistent it is."""
        with super().snapshot() as opened:
            snapshot = cast("MssqlSnapshot", opened)
            try:
                yield snapshot
            finally:
                snapshot.close()

    def doctor(self) -> Sequence[tuple[str, str, bool]]:
        """Return (check, finding, fine?) rows."""
        rows = super().doctor()
        with self.snapshot() as snapshot, self.translated():
            return [*rows, *mssql_doctor.checks(snapshot)]

    def make_engine(self) -> sa.Engine:
        """Make the engine; the URL with its password stays out of it, for SQLAlchemy prints ``odbc_connect``."""
        engine = sa.create_engine("mssql+pyodbc://", hide_parameters=True, poolclass=sa.pool.NullPool)
        # The driver manager's pool would hand a session's isolation level on to the next one.
        self._pyodbc(engine).pooling = False
        sa.event.listen(engine, "do_connect", self._connect)
        begin_at_savepoints(engine)
        # Else a look at a table that has one warns the user of SQLAlchemy.
        dialect: Any = engine.dialect
        dialect.ischema_names = {**dialect.ischema_names, **dict.fromkeys(TYPES_OF_THEIR_OWN, sa.types.NullType)}
        return engine

    def connection_string(self) -> str:
        """Return the ODBC connection string, password included: for a driver and nothing else."""
        return mssql_odbc.connection_string(self.url, self._pyodbc(self.engine).drivers(), APPLICATION)

    def settings(self) -> list[str]:
        """Return the SET statements of every session: wait for no lock too long, and be the one to give way."""
        return [f"SET LOCK_TIMEOUT {int(self.options.lock_timeout * 1000)}", "SET DEADLOCK_PRIORITY LOW"]

    def begin_snapshot(self, connection: sa.Connection) -> str:
        """Begin the transaction in the best isolation that the database allows, and say which that is."""
        for setting in self.settings():
            connection.exec_driver_sql(setting)
        snapshot_state, row_versions = connection.exec_driver_sql(ISOLATION_OPTIONS).one()
        connection.rollback()
        isolation = SNAPSHOT if snapshot_state == 1 else ROW_VERSIONS if row_versions else LOCKING
        # Not through SQLAlchemy's option, which sets the level back at the end and fails where the connection is lost.
        connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {_level(isolation)}")
        connection.commit()  # FreeTDS begins a transaction at once, and its isolation is that of its beginning
        connection.begin()
        return isolation

    def begin_write(self, connection: sa.Connection) -> None:
        """Begin the transaction of a lookup write: any error rolls all of it back."""
        for setting in (*self.settings(), *SETTINGS):
            connection.exec_driver_sql(setting)

    def prepare_to_write(self, connection: sa.Connection) -> None:
        """Set the session up once: bounded waits, and any error rolls everything back."""
        self.begin_write(connection)
        connection.commit()  # FreeTDS begins a transaction at once, and its isolation is that of its beginning

    def begin_changes(self, connection: sa.Connection) -> None:
        """Begin a transaction that changes rows."""
        connection.begin()

    def lock_session(self, rows: DatabaseRows) -> None:
        """Take the merge lock alone, for the session."""
        cast("MssqlRows", rows).take("Session", exclusively=True)

    def unlock_session(self, rows: DatabaseRows) -> None:
        """Give up the merge lock of the session."""
        cast("MssqlRows", rows).give()

    def describe(self, connection: sa.Connection) -> None:
        """Put the server's version and the database's name into ``info``."""
        version, edition, database = connection.exec_driver_sql(VERSION).one()
        self.info = replace(self.info, server=f"{self.product} {version} ({edition})", database=database)

    def _connect(self, _dialect: object, _record: object, _args: object, _keywords: object) -> Any:  # noqa: ANN401 - pyodbc has no types
        return self._pyodbc(self.engine).connect(self.connection_string(), autocommit=False, timeout=LOGIN_SECONDS)

    def _pyodbc(self, engine: sa.Engine) -> Any:  # noqa: ANN401 - pyodbc has no types
        return engine.dialect.loaded_dbapi


def begin_at_savepoints(engine: sa.Engine) -> None:
    """Begin the transaction before a savepoint is set in it: SQLAlchemy would do so with BEGIN TRANSACTION."""

    def begin(connection: sa.Connection, _name: str) -> None:
        connection.exec_driver_sql(BEGIN).close()

    sa.event.listen(engine, "savepoint", begin)


def _level(isolation: str) -> str:
    return "SNAPSHOT" if isolation == SNAPSHOT else "READ COMMITTED"


def _one_name(schema: str | None) -> str | None:
    return None if schema is None else sa.quoted_name(schema, quote=True)


def _complete(batch: Batch, kinds: Sequence[Kind]) -> Batch:
    if len(batch) < len(kinds):
        raise UnknownSchema(
            f"the query gives {len(batch)} columns and {len(kinds)} are needed",
            hint="the profile's query must be a SELECT that names what it gives",
        )
    return batch
