"""Reads SQLite tables through ADBC: Arrow batches, and no Python object a value.

ADBC takes a column's type from the first rows, while SQLite lets every value have its own. So it is asked only for
the rows whose values all have the usual type of their column; the few others are read through the plain driver.

ADBC brings an SQLite library of its own. Of one process, the library that ends its transaction first takes the POSIX
locks of the other along, so this connection begins after the snapshot's own, reads nothing outside its transaction,
and is closed with the snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import sqlalchemy as sa

from mergeguard.storage import arrow, arrow_cells, database_cells
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Batch, Cells, Column, Kind, Selection

if TYPE_CHECKING:
    from mergeguard.storage.sqlite import SqliteSnapshot

AdbcCursor: TypeAlias = Any
"""An ``adbc_driver_manager.dbapi.Cursor``; typed by name only, for the package is optional."""
BatchReader: TypeAlias = Any
"""A ``pyarrow.RecordBatchReader``."""
Storage = Literal["blob", "text", "integer"]
"""What ``typeof`` says of a value."""
_STORED: dict[Kind, Storage] = {
    Kind.ROW_ID: "integer",
    Kind.INTEGER: "integer",
    Kind.TEXT: "text",
    Kind.TIME: "text",
}
_SAMPLE = 100


class ArrowReader:
    """The second connection of one snapshot; made at first use."""

    def __init__(self, snapshot: SqliteSnapshot, uri: str) -> None:
        self._snapshot = snapshot
        self._uri = uri
        self._connection: Any = None
        self._cursors: list[AdbcCursor] = []
        self.given_up = False
        """Whether the connection cannot be had; then nobody asks again."""

    def batches(self, selection: Selection) -> Iterator[Batch] | None:
        """Return the batches of a selection of a table; ``None`` where it cannot be read this way."""
        if self.given_up:
            return None
        usual = self._usual_rows(selection)
        if usual is None or (self._connection is None and not self._connect()):
            return None
        statement = self._snapshot.statement(selection)
        if not isinstance(statement, sa.Select):
            return None
        kinds = [column.kind for column in selection.columns] + [Kind.INTEGER] * selection.counted
        cursor = self._connection.cursor()
        self._cursors.append(cursor)
        try:
            reader = self._execute(cursor, statement.where(usual))
        except Exception:  # noqa: BLE001 - whatever it is, the plain driver meets it again and reports it
            return None
        if not arrow.fits(reader.schema, kinds):
            return None
        return self._drawn(reader, selection, kinds, statement.where(sa.not_(usual)))

    def close(self) -> None:
        """Close the connection, if there is one."""
        for cursor in self._cursors:
            with suppress(Exception):
                cursor.close()
        self._cursors.clear()
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    def _usual_rows(self, selection: Selection) -> sa.ColumnElement[bool] | None:
        """Return the condition of the rows whose values are stored in the usual way; ``None`` where there is none."""
        conditions = []
        for column in selection.columns:
            stored = _STORED.get(column.kind) or self._sampled(selection, column)
            if stored is None:
                return None
            spelled = sa.literal_column(f"'{stored}'")
            conditions.append(sa.func.typeof(self._snapshot.expression(column)) == spelled)
        return sa.and_(*conditions)

    def _sampled(self, selection: Selection, column: Column) -> Storage | None:
        """Return how most guids of a column are stored, judged by its first rows."""
        found = self._snapshot.connection.execute(sample(self._snapshot, selection.table, column.name)).first()
        stored: dict[str, Storage] = {"blob": "blob", "text": "text"}
        return None if found is None else stored.get(found[0])

    def _connect(self) -> bool:
        try:
            from adbc_driver_sqlite import dbapi  # noqa: PLC0415 - an optional package, and a slow import

            self._connection = dbapi.connect(self._uri)
        except Exception:  # noqa: BLE001 - not installed, or not to be had: the plain driver still reads
            self.given_up = True
        return not self.given_up

    def _execute(self, cursor: AdbcCursor, statement: sa.Select[Any]) -> BatchReader:
        options = {"adbc.sqlite.query.batch_rows": str(self._snapshot.source.options.batch_rows)}
        cursor.adbc_statement.set_options(**options)
        compiled = statement.compile(dialect=self._snapshot.connection.dialect)
        values = [compiled.params[name] for name in compiled.positiontup or ()]
        cursor.execute(str(compiled), values or None)
        return cursor.fetch_record_batch()

    def _drawn(
        self, reader: BatchReader, selection: Selection, kinds: Sequence[Kind], rest: sa.Executable
    ) -> Iterator[Batch]:
        order = self._snapshot.source.profile.merge.byte_order
        rows = 0
        for batch in reader:
            if not batch.num_rows:
                continue
            rows += batch.num_rows
            try:
                yield arrow.cells(batch, kinds, order)
            except UnicodeDecodeError:
                yield tuple(_lenient(kind, array, order) for kind, array in zip(kinds, batch.columns, strict=True))
        if rows != self._snapshot.expected(selection):
            yield from self._snapshot.fetch(rest, kinds)


def sample(snapshot: SqliteSnapshot, table: str | None, column: str) -> sa.Select[Any]:
    """Return the query of (storage class, number of values) among the first values of a column, most frequent first."""
    quoted = sa.column(sa.quoted_name(column, quote=True))
    place = snapshot.from_clause(Selection((), table))
    first = sa.select(sa.func.typeof(quoted).label("stored")).select_from(place).where(quoted.is_not(None))
    stored = first.limit(_SAMPLE).subquery("first_values").c.stored
    return sa.select(stored, sa.func.count()).group_by(stored).order_by(sa.func.count().desc(), stored)


def _lenient(kind: Kind, array: arrow_cells.Array, byte_order: ByteOrder) -> Cells:
    """Read a column whose texts are not all UTF-8 as the plain driver does."""
    if str(array.type) != "string":
        return arrow_cells.cells(kind, array, byte_order)
    raw = array.cast("binary").to_pylist()
    return database_cells.cells(kind, [text.decode("utf-8", "replace") for text in raw])
