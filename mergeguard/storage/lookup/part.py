"""Writes a part of the stored lookup inside a transaction that changes merges.

The bulk ways of the dialects cost more to begin than most such parts have rows, and so do SQLAlchemy's results. A large
part comes as columns and goes their way.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.lookup import Lookup as Columns
from mergeguard.core.repair.plan import Action, RowChange
from mergeguard.storage.lookup.database import LookupWriter
from mergeguard.storage.profile import Lookup
from mergeguard.storage.source import LookupChange, silent

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.rows.database import DatabaseRows

LookupRow: TypeAlias = tuple[uuid.UUID, uuid.UUID | None, int | None, str]
"""(old, current, depth, status)."""
Answers: TypeAlias = Sequence[LookupRow] | Columns
"""A few rows, or many as columns."""
AT_ONCE = 200
"""Rows that one statement names: four parameters each, and the least that a database allows is 999."""


class LookupPartWriter:
    """The lookup of an open database; its table must stand.

    Args:
        source: whose transactions will be written in.
        lookup: where the lookup stands.
        spelled_otherwise: whether it holds olds in other spellings than they are written in; then each part is
            searched for in the whole table, and it is better built anew.
    """

    def __init__(self, source: DatabaseSource, lookup: Lookup, *, spelled_otherwise: bool = False) -> None:
        self._source = source
        self._lookup = lookup
        self._otherwise = spelled_otherwise
        self._writer: LookupWriter | None = None
        self._table = self._mark = ""
        self._columns: list[str] = []

    def travels(self, answers: Answers) -> bool:
        """Say whether these answers are written by statements that may travel with others; else they go alone."""
        return not self._otherwise and not isinstance(answers, Columns)

    def replace(self, rows: DatabaseRows, olds: Iterable[uuid.UUID], answers: Answers) -> None:
        """Delete the rows of ``olds``, however they are spelled, and insert ``answers``, whose olds are among them.

        The caller commits. Answers that ``travels`` refuses must not be written inside ``rows.together``.

        Raises:
            WriteFailed, Locked, PermissionDenied: the database refused; the caller rolls back.
        """
        with self._source.translated(writing=True):
            writer = self.prepare(rows)
            wanted = list(olds)
            if self._otherwise:
                self._take_out(rows, wanted)
            if isinstance(answers, Columns) and writer.writes_parts:
                self._write(rows, wanted, answers)
                return
            told = list(answers)
            if writer.form == "uuid" and self._source.kind == "postgresql":
                self._write_arrays(rows, sorted(wanted), told)
                return
            keys = [self._parameter(writer, old) for old in sorted(wanted)]
            deletes = [self._delete(keys[at : at + AT_ONCE]) for at in range(0, len(keys), AT_ONCE)]
            inserts = [self._insert(writer, told[at : at + AT_ONCE]) for at in range(0, len(told), AT_ONCE)]
            with rows.together():
                rows.send([*deletes, *inserts])

    def _take_out(self, rows: DatabaseRows, olds: Sequence[uuid.UUID]) -> None:
        """Delete the rows of some olds in any spelling that is read as theirs."""
        table = self._lookup.table
        found = list(rows.having(table, rows.column(table, self._lookup.old), olds, thorough=True))
        rows.change([RowChange(Action.REMOVE, table, image, None) for image in found])

    def _write(self, rows: DatabaseRows, olds: Sequence[uuid.UUID], found: Columns) -> None:
        """Write many rows in bulk, by a writer of this transaction alone."""
        change = LookupChange(
            found.olds,
            found.currents,
            found.has_current,
            found.depths,
            found.statuses,
            STATUS_TEXTS,
            guids.from_uuids(olds),
            full=False,
        )
        self._source.writer_class(self._source, rows.connection, self._lookup).write(change, silent)

    def prepare(self, rows: DatabaseRows) -> LookupWriter:
        """Look at the table once a connection: before statements travel together, for it reads answers."""
        if self._writer is None or self._writer.connection is not rows.connection:
            self._writer = self._source.writer_class(self._source, rows.connection, self._lookup)
            LookupWriter.prepare(self._writer)
            preparer = rows.connection.dialect.identifier_preparer
            self._table = preparer.format_table(self._writer.table)
            self._columns = [preparer.format_column(column) for column in self._writer.table.columns]
            self._mark = "?" if rows.connection.dialect.paramstyle == "qmark" else "%s"
        return self._writer

    def _write_arrays(self, rows: DatabaseRows, olds: Sequence[uuid.UUID], answers: Sequence[LookupRow]) -> None:
        """Do the same by statements of PostgreSQL that never differ, so that they are planned once."""
        table, columns = self._table, self._columns
        delete = f"DELETE FROM {table} WHERE {columns[0]} = ANY (CAST(%s AS uuid[]))"  # noqa: S608 - quoted names
        if not answers:
            rows.write(delete, (_array(olds),))
            return
        # Counted first, so that all that goes is gone before the first row comes.
        insert = (
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT a.* FROM (SELECT count(*) FROM gone) AS g, unnest("  # noqa: S608 - as above
            "CAST(%s AS uuid[]), CAST(%s AS uuid[]), CAST(%s AS integer[]), CAST(%s AS text[])) AS a"
        )
        gone = f"{delete} RETURNING 1", (_array(olds),)
        rows.write(insert, tuple(map(_array, zip(*answers, strict=True))), first=gone)

    def _delete(self, keys: Sequence[object]) -> tuple[str, tuple[object, ...]]:
        marks = ", ".join([self._mark] * len(keys))
        return f"DELETE FROM {self._table} WHERE {self._columns[0]} IN ({marks})", tuple(keys)  # noqa: S608 - quoted names

    def _insert(self, writer: LookupWriter, answers: Sequence[LookupRow]) -> tuple[str, tuple[object, ...]]:
        # NULL is written out: a driver may not know of what type a parameter without a value is.
        rows, values = [], list[object]()
        for old, current, depth, status in answers:
            now = None if current is None else self._parameter(writer, current)
            cells = (self._parameter(writer, old), now, depth, status)
            rows.append(f"({', '.join('NULL' if cell is None else self._mark for cell in cells)})")
            values += (cell for cell in cells if cell is not None)
        sql = f"INSERT INTO {self._table} ({', '.join(self._columns)}) VALUES {', '.join(rows)}"  # noqa: S608 - quoted names
        return sql, tuple(values)

    def _parameter(self, writer: LookupWriter, guid: uuid.UUID) -> object:
        """Return a guid as the driver is to send it."""
        if writer.form != "bytes":
            return str(guid)
        return guid.bytes_le if self._source.profile.merge.byte_order == "sqlserver" else guid.bytes


def _array(values: Iterable[object]) -> str:
    """Spell guids, numbers or words of ours as PostgreSQL's text of an array."""
    return "{" + ",".join("NULL" if value is None else f'"{value}"' for value in values) + "}"
