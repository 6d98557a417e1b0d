"""Reads any selection through ADBC, on a second connection that is put on the snapshot of the first.

Where that cannot be done (the package is missing, a pooler sends us to another server, a type that has no place here)
nothing is lost but speed: ``batches`` returns ``None`` and the caller reads row by row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import base

from mergeguard.storage.cells import arrow_cells
from mergeguard.storage.postgresql.columns import Travelling
from mergeguard.storage.source import Batch, Kind, Selection

if TYPE_CHECKING:
    from mergeguard.storage.postgresql.source import PostgresqlSnapshot

Adbc: TypeAlias = Any
"""ADBC publishes no types."""
BYTES_A_ROW = 64
"""About what a row of guids, a number and a time takes on its way."""
_GUID_TYPES = frozenset({"extension<arrow.uuid>", "string", "binary"})
_SNAPSHOT_NAME = re.compile(r"[0-9A-F-]+")


class ArrowReader:
    """The second connection of one snapshot; made at first use and made again after a read that was given up."""

    def __init__(self, snapshot: PostgresqlSnapshot) -> None:
        self._snapshot = snapshot
        self._connection: Adbc = None
        self.given_up = False
        """Whether the connection cannot be had; then nobody asks again."""

    def batches(self, selection: Selection, columns: Sequence[Travelling] | None) -> Iterator[Batch] | None:
        """Return the batches of a selection; ``None`` where it cannot be read this way."""
        if self.given_up or (columns is None and any(asked.kind is not Kind.GUID for asked in selection.columns)):
            return None
        if self._connection is None and not self._connect():
            return None
        kinds = [asked.kind for asked in selection.columns] + [Kind.INTEGER] * selection.counted
        cursor = self._connection.cursor()
        try:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(self._batch_bytes())})
            cursor.execute(self._sql(selection, columns))
            reader = cursor.fetch_record_batch()
        except Exception:  # noqa: BLE001 - whatever it is, the row-by-row way meets it again and reports it
            self._drop(cursor)
            return None
        if not _fits(reader.schema, kinds, columns):
            self._drop(cursor)
            return None
        return self._drawn(cursor, reader, kinds)

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _batch_bytes(self) -> int:
        return self._snapshot.source.options.batch_rows * BYTES_A_ROW

    def _drawn(self, cursor: Adbc, reader: Adbc, kinds: Sequence[Kind]) -> Iterator[Batch]:
        order = self._snapshot.source.profile.merge.byte_order
        finished = False
        try:
            while (batch := self._next(reader)) is not None:
                if batch.num_rows:
                    yield tuple(arrow_cells.cells(kind, batch.column(at), order) for at, kind in enumerate(kinds))
            finished = True
        finally:
            if finished:
                cursor.close()
            else:
                self._drop(cursor)

    def _next(self, reader: Adbc) -> Adbc:
        """Return the next batch, ``None`` at the end."""
        try:
            return next(reader, None)
        except OSError as error:  # as Arrow calls whatever happens to a stream
            from adbc_driver_manager import AdbcStatusCode, OperationalError  # noqa: PLC0415 - an optional package

            raise OperationalError(str(error), status_code=AdbcStatusCode.IO) from None

    def _drop(self, cursor: Adbc) -> None:
        """End a read in the middle: the server may still be sending, so the connection goes too."""
        with suppress(Exception):
            cursor.close()
        self.close()

    def _sql(self, selection: Selection, columns: Sequence[Travelling] | None) -> str:
        snapshot = self._snapshot
        if columns is None:
            statement: sa.ClauseElement = cast("sa.ClauseElement", snapshot.statement(selection))
        else:
            values = [column.expression for column in columns]
            select = sa.select(*values).select_from(snapshot.from_clause(selection))
            statement = select.add_columns(sa.func.count()).group_by(*values) if selection.counted else select
        # ADBC takes no parameters in a bulk read; a selection with values from outside does not come here.
        dialect = base.PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]
        return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))

    def _connect(self) -> bool:
        try:
            from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - an optional package
        except ImportError:
            self.given_up = True
            return False
        try:
            self._connection = dbapi.connect(self._conninfo(), autocommit=True)
            for statement in self._beginning():
                with self._connection.cursor() as cursor:
                    cursor.execute(statement)
        except Exception:  # noqa: BLE001 - a pooler, a full server, another host: the first connection still reads
            self.close()
            self.given_up = True
        return not self.given_up

    def _conninfo(self) -> str:
        """Return where the first connection went, with its password; it must never be printed."""
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - loaded long before, for the first connection

        info = self._snapshot.source.raw(self._snapshot.connection).info
        parts: dict[str, str | int | None] = {**info.get_parameters()}
        parts.update(host=info.host, port=info.port, password=info.password)
        return make_conninfo("", **parts)

    def _beginning(self) -> Iterator[str]:
        name = self._snapshot.connection.scalar(sa.text("SELECT pg_export_snapshot()"))
        if not _SNAPSHOT_NAME.fullmatch(str(name)):
            raise ValueError(f"a snapshot named {name}")
        yield "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        yield f"SET TRANSACTION SNAPSHOT '{name}'"
        yield f"SET LOCAL lock_timeout = '{self._snapshot.source.lock_timeout}'"
        yield "SET LOCAL timezone = 'UTC'"
        yield "SET LOCAL max_parallel_workers_per_gather = 0"


def _fits(schema: Adbc, kinds: Sequence[Kind], columns: Sequence[Travelling] | None) -> bool:
    """Say whether the columns are what was asked for; of a query nobody knows before it is asked."""
    if columns is not None:
        return True
    types = [str(field.type) for field in schema][: len(kinds)]
    guids = len(kinds) - (kinds[-1] is Kind.INTEGER)
    return len(types) == len(kinds) and all(spelled in _GUID_TYPES for spelled in types[:guids])
