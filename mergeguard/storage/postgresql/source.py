"""Reads PostgreSQL in one REPEATABLE READ, READ ONLY transaction, and writes the lookup by COPY.

Three ways to read, each giving the same cells: packed bytes for plain tables (``packed``), ADBC on the
same snapshot for views, queries and partitioned tables where ``mergeguard[fast]`` is installed (``arrow``),
and the row-by-row way of ``database`` for all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, cast

import sqlalchemy as sa

from mergeguard.storage.database.source import DatabaseSnapshot, DatabaseSource
from mergeguard.storage.postgresql import arrow as postgresql_arrow
from mergeguard.storage.postgresql import doctor as postgresql_doctor
from mergeguard.storage.postgresql.columns import Relation, Travelling, relation, travelling
from mergeguard.storage.postgresql.lookup import PostgresqlLookupWriter
from mergeguard.storage.postgresql.packed import block_ranges, packed, unpacked
from mergeguard.storage.postgresql.rows import PostgresqlRows
from mergeguard.storage.profile import Profile
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.source import Batch, Options, Selection

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT = 15
"""Seconds; libpq itself would wait for a host that swallows packets until the kernel gives up."""
RANGE_SCANS_SINCE = (14,)
_READABLE = sa.text("""
    SELECT relname FROM pg_catalog.pg_class
    WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :schema)
      AND relkind IN ('r', 'p', 'v', 'm', 'f') AND (NOT :readable OR has_table_privilege(oid, 'SELECT'))
    ORDER BY relname
""")
_SET = sa.text("SELECT set_config(:name, :value, true)")
# As text they need no Python object each, and what a datetime cannot hold ('infinity') is no failure.
_READ_AS_TEXT = ("uuid", "timestamp", "timestamptz", "date")


class PostgresqlSnapshot(DatabaseSnapshot):
    """One REPEATABLE READ transaction; a second connection of ADBC, where one is made, shares its snapshot."""

    source: PostgresqlSource

    def __init__(self, source: DatabaseSource, connection: sa.Connection, isolation: str) -> None:
        super().__init__(source, connection, isolation)
        self._arrow: postgresql_arrow.ArrowReader | None = None

    def expected(self, selection: Selection) -> int | None:
        """Return the server's own guess, where it has one for what is asked."""
        if selection.query is not None or selection.where or selection.counted:
            return None
        found = self._relation(selection)
        return None if found is None else found.rows

    def batches(self, selection: Selection) -> Iterator[Batch]:
        """Read the selection by the fastest way that fits it."""
        found = None if selection.query is not None else self._relation(selection)
        columns = None if found is None else travelling(selection, found)
        if found is not None and columns is not None and self._fits_blocks(found, selection):
            return self._read_packed(selection, columns, found.blocks)
        if self.source.options.fast and not selection.where and not self.alone:
            batches = self._read_arrow(selection, columns)
            if batches is not None:
                return batches
        return self.read_rows(selection)

    def _relation(self, selection: Selection) -> Relation | None:
        return relation(self.connection, *self.resolve(selection.table or self.source.profile.merge.table))

    def _fits_blocks(self, found: Relation, selection: Selection) -> bool:
        version = self.connection.dialect.server_version_info or (0,)
        return found.has_blocks and not found.toasted and not selection.counted and version >= RANGE_SCANS_SINCE

    def _read_packed(self, selection: Selection, columns: Sequence[Travelling], blocks: int) -> Iterator[Batch]:
        order = self.source.profile.merge.byte_order
        everything: sa.Select[Any] = sa.select(*packed(columns)).select_from(self.from_clause(selection))
        statement = self._narrowed(everything, selection)
        for first, end in block_ranges(blocks, self.source.options.batch_rows):
            row = self._fetch(_in_blocks(statement, first, end))
            if row[0]:
                yield unpacked(columns, row, order)

    def _narrowed(self, statement: sa.Select[Any], selection: Selection) -> sa.Select[Any]:
        for name, value in selection.where:
            statement = statement.where(self.as_text(sa.column(sa.quoted_name(name, quote=True))) == value)
        return statement

    def _fetch(self, statement: sa.Select[Any]) -> Sequence[bytes | int | None]:
        """Run a statement of one row with a binary cursor: SQLAlchemy's would send each byte as two digits."""
        compiled = statement.compile(dialect=self.connection.dialect)
        with self.source.raw(self.connection).cursor(binary=True) as cursor:
            row = cursor.execute(str(compiled).encode(), compiled.params).fetchone()
        return cast("Sequence[bytes | int | None]", row)

    def _read_arrow(self, selection: Selection, columns: Sequence[Travelling] | None) -> Iterator[Batch] | None:
        if self._arrow is None:
            self._arrow = postgresql_arrow.ArrowReader(self)
        return self._arrow.batches(selection, columns)

    def close(self) -> None:
        """Close the second connection, where there is one."""
        if self._arrow is not None:
            self._arrow.close()

    def _listed(self, schema: str | None) -> list[str]:
        return self._names(schema, readable=False)

    def _tables_in(self, schema: str | None) -> list[str]:
        prefix = "" if schema is None else f"{schema}."
        return [prefix + name for name in self._names(schema, readable=True)]

    def _names(self, schema: str | None, *, readable: bool) -> list[str]:
        """Return all that can be selected from, which is more than introspection calls tables and views."""
        asked = {"schema": schema or self.inspector.default_schema_name, "readable": readable}
        return list(self.connection.scalars(_READABLE, asked))


def _in_blocks(statement: sa.Select[Any], first: int, end: int | None) -> sa.Select[Any]:
    statement = statement.where(sa.text("ctid >= CAST(:first AS tid)").bindparams(first=f"({first},0)"))
    if end is None:
        return statement
    return statement.where(sa.text("ctid < CAST(:end AS tid)").bindparams(end=f"({end},0)"))


class PostgresqlSource(DatabaseSource):
    """A PostgreSQL database behind a SQLAlchemy URL, always read through psycopg."""

    kind: ClassVar[str] = "postgresql"
    product: ClassVar[str] = "PostgreSQL"
    snapshot_class = PostgresqlSnapshot
    writer_class = PostgresqlLookupWriter
    rows_class = PostgresqlRows
    locks_sessions: ClassVar[bool] = True

    def __init__(self, url: sa.URL, profile: Profile, options: Options) -> None:
        super().__init__(url.set(drivername="postgresql+psycopg"), profile, options)

    def make_engine(self) -> sa.Engine:
        """Make the engine; what the URL itself says about the connection wins over our defaults."""
        # Not preparing statements lets a pooler stand between; the text of a server that is not UTF-8 comes as UTF-8.
        ours = {"application_name": "mergeguard", "connect_timeout": CONNECT_TIMEOUT}
        arguments = {name: value for name, value in ours.items() if name not in self.url.query}
        return sa.create_engine(
            self.url,
            hide_parameters=True,
            poolclass=sa.pool.NullPool,
            use_native_hstore=False,
            connect_args={**arguments, "client_encoding": "utf8", "prepare_threshold": None},
        )

    @contextmanager
    def snapshot(self) -> Iterator[PostgresqlSnapshot]:
        """Open a consistent, read-only view; it is rolled back at the end."""
        with super().snapshot() as opened:
            snapshot = cast("PostgresqlSnapshot", opened)
            try:
                yield snapshot
            finally:
                snapshot.close()

    def begin_snapshot(self, connection: sa.Connection) -> str:
        """Begin the read: one process of the server, UTC, bounded waits; its statement timeout stays the DBA's."""
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        connection.begin()
        settings = {"timezone": "UTC", "datestyle": "ISO", "max_parallel_workers_per_gather": "0", "jit": "off"}
        self._set(connection, {**settings, "lock_timeout": self.lock_timeout})
        from psycopg.pq import Format  # noqa: PLC0415 - the driver is there once a connection is

        adapters = self.raw(connection).adapters
        text = adapters.get_loader(adapters.types["text"].oid, Format.TEXT)
        for name in _READ_AS_TEXT:
            adapters.register_loader(name, cast("Any", text))
        return "snapshot (REPEATABLE READ, read only)"

    def begin_write(self, connection: sa.Connection) -> None:
        """Begin the write of a lookup; waits are bounded."""
        connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=False)
        connection.begin()
        self._set(connection, {"lock_timeout": self.lock_timeout})

    def prepare_to_write(self, connection: sa.Connection) -> None:
        """Let each transaction read what was committed before each of its statements: after a lock that is all."""
        connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=False)

    def begin_changes(self, connection: sa.Connection) -> None:
        """Begin a transaction that changes rows; its rows settle how long it waits."""
        connection.begin()

    def lock_session(self, rows: DatabaseRows) -> None:
        """Take the merge lock alone, for the session."""
        cast("PostgresqlRows", rows).take("pg_advisory_lock")

    def unlock_session(self, rows: DatabaseRows) -> None:
        """Give up the merge lock of the session."""
        cast("PostgresqlRows", rows).take("pg_advisory_unlock")

    @property
    def lock_timeout(self) -> str:
        """The bound on lock waits as the server takes it; 0 would be no bound."""
        return f"{max(1, round(self.options.lock_timeout * 1000))}ms"

    def raw(self, connection: sa.Connection) -> psycopg.Connection[Any]:
        """Return the driver's connection."""
        return cast("psycopg.Connection[Any]", connection.connection.driver_connection)

    def doctor(self) -> Sequence[tuple[str, str, bool]]:
        """Return (check, finding, fine?) rows."""
        with self.snapshot() as snapshot, self.translated():
            extra = postgresql_doctor.checks(snapshot)
        return [*super().doctor(), *extra]

    def _set(self, connection: sa.Connection, settings: dict[str, str]) -> None:
        for name, value in settings.items():
            connection.execute(_SET, {"name": name, "value": value})
