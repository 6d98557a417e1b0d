"""Reads SQL Server through arrow-odbc: blocks of rows in one call of the driver instead of a call a cell.

arrow-odbc makes a connection of its own, so a snapshot reads *all* its data through it, in one transaction that is
begun as the pyodbc one is: what it sees is as consistent as what pyodbc would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from mergeguard.storage.cells.database_cells import cells
from mergeguard.storage.mssql.cells import Strings
from mergeguard.storage.mssql.columns import TEXT_CHARACTERS, Statement
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Batch, Kind

_BUFFER_BYTES = 16 * 1024 * 1024
"""Of one block of rows; arrow-odbc fills one while the other is read."""


def arrow_odbc() -> Any | None:  # noqa: ANN401 - a module without types
    """Return the module where it is installed and can hold a transaction, else ``None``."""
    try:
        import arrow_odbc as module  # noqa: PLC0415 - optional, and it loads the driver manager
    except (ImportError, OSError):  # an OSError where there is no driver manager
        return None
    return module if hasattr(module, "connect") and hasattr(module.Connection, "execute") else None


class ArrowReader:
    """One connection with one transaction, for reading alone."""

    def __init__(self, module: Any, connection_string: str, settings: Sequence[str], batch_rows: int) -> None:  # noqa: ANN401 - a module
        self._batch_rows = batch_rows
        self._encoding = module.TextEncoding.UTF16
        self._connection = module.connect(connection_string, autocommit=False)
        for setting in settings:
            self._connection.execute(setting)
        self._connection.commit()  # FreeTDS begins a transaction at once, and its isolation is that of its beginning

    def fetch(self, statement: Statement) -> Iterator[list[Strings]]:
        """Run a packed statement and yield its columns, a block of rows at a time."""
        for batch in self._batches(statement.sql, statement.parameters):
            yield [strings(column) for column in batch.columns]

    def query(self, sql: str, kinds: Sequence[Kind], order: ByteOrder) -> Iterator[Batch]:
        """Run any query and yield its first columns as cells; it may have fewer columns than ``kinds``."""
        for batch in self._batches(sql, ()):
            yield tuple(cells(kind, values(c), order) for kind, c in zip(kinds, batch.columns, strict=False))

    def close(self) -> None:
        """End the transaction and the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # A connection that broke in the middle cannot be rolled back; the first error is the one to tell.
            with suppress(Exception):
                connection.rollback()

    def _batches(self, sql: str, parameters: Sequence[str]) -> Iterator[Any]:
        reader = self._connection.read_arrow_batches(
            sql,
            batch_size=self._batch_rows,
            parameters=list(parameters) or None,
            max_bytes_per_batch=_BUFFER_BYTES,
            max_text_size=TEXT_CHARACTERS,
            max_binary_size=2 * TEXT_CHARACTERS,
            map_schema=_any_length,
            payload_text_encoding=self._encoding,
        )
        return (batch for batch in reader if batch.num_rows)


def _any_length(schema: Any) -> Any:  # noqa: ANN401 - an Arrow schema
    """Take fixed-size columns as columns of any length: where a driver misstates the size, arrow-odbc would abort."""
    import pyarrow as pa  # noqa: PLC0415 - comes with arrow-odbc

    fields = [f.with_type(pa.binary()) if pa.types.is_fixed_size_binary(f.type) else f for f in schema]
    return pa.schema(fields)


def strings(column: Any) -> Strings:  # noqa: ANN401 - an Arrow array
    """View a binary Arrow array as byte strings, without a Python step a value."""
    import pyarrow as pa  # noqa: PLC0415 - comes with arrow-odbc

    rows = len(column)
    unit = np.dtype(np.int64 if pa.types.is_large_binary(column.type) else np.int32)
    offsets = np.frombuffer(column.buffers()[1], unit, rows + 1, column.offset * unit.itemsize).astype(np.int64)
    lengths = np.diff(offsets)
    lengths[column.is_null().to_numpy(zero_copy_only=False)] = -1
    data = column.buffers()[2]
    return Strings(memoryview(b"" if data is None else data)[int(offsets[0]) : int(offsets[-1])], lengths)


def values(column: Any) -> list[object]:  # noqa: ANN401 - an Arrow array
    """Return the values of any Arrow array as Python objects; times are cut to microseconds."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    found: list[object] = column.to_pylist()
    return found
