"""Reads SQLite tables by the thousand rows: SQL joins a column's values into one, and Python makes no object a value.

It is as fast as Arrow drivers are and needs none of them. It stays on connections that see the snapshot: the one that
holds it, and a second one where that is safe (``beside``). SQLite lets every value have a type of its own, so
only the rows whose values are stored in the usual way of their column travel packed; the others, usually none, follow
as single rows.

``group_concat`` keeps the bytes of blobs. What it gave is measured all the same before it is believed, and a chunk
that does not measure up is read row by row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import sqlalchemy as sa

from mergeguard.storage.source import Batch, Column, Kind, Selection
from mergeguard.storage.sqlite import packing as sqlite_packing
from mergeguard.storage.sqlite.beside import Beside
from mergeguard.storage.sqlite.packing import Packing, Value, sample

if TYPE_CHECKING:
    from mergeguard.storage.sqlite.source import SqliteSnapshot

PACKED_ROWS = 16_384
"""Rows a chunk: few enough for the processor's cache, many enough to forget what a statement costs."""
CHUNKS_ALONE = 4
"""So many chunks are read before a second connection is worth opening."""
_TOO_BIG = frozenset({sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_NOMEM})

Key: TypeAlias = Any
"""A value of the column that a table is stored by."""
Chunk: TypeAlias = tuple[Key, Key | None]
"""Where some rows begin and end."""
Read: TypeAlias = tuple[int, Batch]
"""How many rows were read, and they."""


class PackedReader:
    """One packed read of a table that is stored by ``key``."""

    def __init__(self, snapshot: SqliteSnapshot, selection: Selection, key: Value, *, by_rowid: bool) -> None:
        self._snapshot = snapshot
        self._selection = selection
        self._key = key
        self._rows = min(PACKED_ROWS, snapshot.source.options.batch_rows)
        self._place = snapshot.from_clause(selection)
        if by_rowid:
            # Only a scan by row id gives the rows in its order, which spares reading row ids that have no gap.
            name = snapshot.connection.dialect.identifier_preparer.format_table(self._place)
            self._place = sa.text(name.replace(":", r"\:") + " NOT INDEXED")  # type: ignore[assignment]
        self._is_key = [by_rowid and snapshot.is_rowid(selection, column) for column in selection.columns]
        self._samples = {
            column: snapshot.connection.execute(sample(snapshot, selection.table, column.name)).first()
            for column in selection.columns
            if column.kind is Kind.GUID
        }
        self._nullable = False
        """Whether rows with NULL are packed too; that costs, so it begins with the first chunk that is not complete."""
        self._packings: list[Packing] = []
        self._statements: dict[tuple[bool, bool], sa.Select[Any]] = {}
        """By whether the row ids are left out and whether the chunk has an end; SQLAlchemy compiles each once."""

    def batches(self) -> Iterator[Batch] | None:
        """Return the batches; ``None`` where a column of guids holds nothing that could be packed."""
        if any(found is None or found[0] not in {"blob", "text"} or not found[1] for found in self._samples.values()):
            return None
        self._pack()
        return self._drawn()

    def _pack(self) -> None:
        columns = zip(self._selection.columns, self._is_key, strict=True)
        self._packings = [sqlite_packing.keys(self._key) if key else self._packing(column) for column, key in columns]
        self._statements.clear()

    def _packing(self, column: Column) -> Packing:
        value = self._snapshot.expression(column)
        if column.kind is Kind.GUID:
            stored, size, _ = self._samples[column] or ("blob", 16, 0)
            order = self._snapshot.source.profile.merge.byte_order
            return sqlite_packing.guids_of(value, stored, size, order, nullable=self._nullable)
        if column.kind in {Kind.INTEGER, Kind.ROW_ID}:
            # NULL in a column of row ids is a text.
            nullable = self._nullable and column.kind is Kind.INTEGER
            return sqlite_packing.integers(value, nullable=nullable)
        return sqlite_packing.texts(value, column.kind, nullable=self._nullable)

    def _drawn(self) -> Iterator[Batch]:
        chunks = self._chunks()
        for chunk in islice(chunks, CHUNKS_ALONE):
            yield from self._given(chunk, self._read(*chunk))
        with Beside(self._snapshot.source) as beside:
            for first, second in self._pairs(chunks, beside):
                # Neither is given out before both are there: what a chunk holds may change how the next ones are read.
                ahead = None if second is None else beside.start(partial(self._read, *second))
                read, early = self._read(*first), None if ahead is None else ahead.result()
                was_nullable = self._nullable
                yield from self._given(first, read)
                if second is not None:
                    yield from self._given(second, early if self._nullable == was_nullable else self._read(*second))

    def _pairs(self, chunks: Iterator[Chunk], beside: Beside) -> Iterator[tuple[Chunk, Chunk | None]]:
        """Yield two chunks at a time, where a second connection can be had."""
        first = next(chunks, None)
        twofold = first is not None and beside.open()
        while first is not None:
            yield first, next(chunks, None) if twofold else None
            first = next(chunks, None)

    def _given(self, chunk: Chunk, read: Read | None) -> Iterator[Batch]:
        """Yield the rows of a chunk of which the usual ones have been read."""
        if not self._nullable and (read is None or read[0] != self._rows):
            self._nullable = True
            self._pack()
            read = self._read(*chunk)
        if read is None:
            yield from self._single(*chunk)
            return
        count, batch = read
        if count:
            yield batch
        if count != self._rows:
            yield from self._single(*chunk, sa.not_(self._usual))

    def _read(self, first: Key, end: Key | None, connection: sa.Connection | None = None) -> Read | None:
        connection = connection or self._snapshot.connection
        return self._dense(connection, first, end) or self._packed(connection, self._packings, first, end)

    def _chunks(self) -> Iterator[Chunk]:
        """Yield the bounds [first, end) of ``self._rows`` rows each; the last chunk has no end, maybe fewer rows."""
        keys = self._select([self._key]).order_by(self._key).limit(1)
        onwards = keys.where(self._key >= _bound("first")).offset(self._rows)
        first = self._snapshot.connection.execute(keys).scalar()
        while first is not None:
            end = self._snapshot.connection.execute(onwards, {"first": first}).scalar()
            yield first, end
            first = end

    def _dense(self, connection: sa.Connection, first: Key, end: Key) -> Read | None:
        """Read a chunk whose row ids have no gap, without them; ``None`` where it is not such a chunk."""
        others = [packing for packing, is_key in zip(self._packings, self._is_key, strict=True) if not is_key]
        if len(others) == len(self._packings) or end is None or end - first != self._rows:
            return None
        read = self._packed(connection, others, first, end)
        if read is None or read[0] != self._rows:
            return None
        cells = iter(read[1])
        keys = np.arange(first, end, dtype=np.int64)
        return self._rows, tuple(keys if is_key else next(cells) for is_key in self._is_key)

    def _packed(
        self, connection: sa.Connection, packings: Sequence[Packing], first: Key, end: Key | None
    ) -> Read | None:
        """Read the usual rows of a chunk; ``None`` where they cannot be read this way."""
        form = (len(packings) < len(self._packings), end is not None)
        if form not in self._statements:
            # Counting a column costs as much as joining it.
            values: list[Value] = [
                sa.func.count(),
                *(sa.func.count(packing.value) for packing in packings if packing.nullable),
            ]
            values += [sa.cast(packing.joined, sa.LargeBinary) for packing in packings]
            self._statements[form] = self._select(values).where(*_within(self._key, end), self._usual)
        bounds = {"first": first} if end is None else {"first": first, "end": end}
        try:
            count, *found = connection.execute(self._statements[form], bounds).one()
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "sqlite_errorcode", None) in _TOO_BIG:
                return None
            raise
        present = iter(found)
        nulls = [count - next(present) if packing.nullable else 0 for packing in packings]
        columns = zip(packings, present, nulls, strict=True)
        batch = [packing.read(packed or b"", count, missing) for packing, packed, missing in columns]
        cells = tuple(cells for cells in batch if cells is not None)
        return (count, cells) if len(cells) == len(batch) else None

    def _single(self, first: Key, end: Key | None, *conditions: Value) -> Iterator[Batch]:
        """Read rows of a chunk one by one."""
        values = [self._snapshot.expression(column) for column in self._selection.columns]
        statement = self._select(values).where(*_within(self._key, end), *conditions)
        bounds = {"first": first} if end is None else {"first": first, "end": end}
        return self._snapshot.fetch(statement.params(bounds), [column.kind for column in self._selection.columns])

    @property
    def _usual(self) -> Value:
        """The condition of the rows whose values are all stored in the usual way of their column."""
        return sa.and_(*(packing.usual for packing in self._packings))

    def _select(self, values: Sequence[Value]) -> sa.Select[Any]:
        return sa.select(*values).select_from(self._place).where(*self._snapshot.filters(self._selection))


def _within(key: Value, end: Key | None) -> list[Value]:
    return [key >= _bound("first")] + ([] if end is None else [key < _bound("end")])


def _bound(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=sa.types.NullType())
