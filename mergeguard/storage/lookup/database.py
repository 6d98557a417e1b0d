"""Writes the lookup table in one transaction: readers see the old one or the new one, never half.

``LookupWriter`` works on every database, row by row; a dialect replaces ``insert`` and ``delete`` by its bulk ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import sqlalchemy as sa

from mergeguard.core import guids
from mergeguard.core.guids import Guids
from mergeguard.errors import (
    CannotCheck,
    ConnectFailed,
    Locked,
    LoginFailed,
    NotADatabase,
    PermissionDenied,
    ProfileError,
    TargetNotFound,
    UnknownSchema,
    Unsupported,
    WriteFailed,
)
from mergeguard.storage.profile import Lookup
from mergeguard.storage.source import LookupChange, Progress

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource

GuidForm = Literal["bytes", "uuid", "text"]
"""How a guid column stores its guids: 16 bytes, the database's own uuid type, or text."""
PHASE = "writing lookup"
HYPHENATED = "-".join("_" * digits for digits in (8, 4, 4, 4, 12))
"""The LIKE pattern of a guid's 36 characters."""
_CHUNK = 10_000
PLAIN_FAILURES = (
    PermissionDenied,
    Locked,
    LoginFailed,
    ConnectFailed,
    TargetNotFound,
    NotADatabase,
    UnknownSchema,
    Unsupported,
)
"""They say already what is wrong and that nothing was written."""


def write_lookup(source: DatabaseSource, lookup: Lookup, change: LookupChange, progress: Progress) -> None:
    """Write ``change`` into the lookup table of ``source``, whole or not at all.

    Raises:
        PermissionDenied, Locked: nothing was changed.
        WriteFailed: any other failure; the transaction was rolled back.
    """
    refuse_merge_table(source, lookup)
    with failing_as_write(), source.translated(writing=True):
        connection = source.connect_to_write()
        try:
            source.begin_write(connection)
            source.writer_class(source, connection, lookup).write(change, progress)
            connection.commit()
        finally:
            # Closing rolls back what was not committed; where even that fails the database does it by itself.
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()


def refuse_merge_table(source: DatabaseSource, lookup: Lookup) -> None:
    """Refuse to write the lookup into the table of merges.

    Raises:
        ProfileError: the profile gives both the same name.
    """
    if lookup.table.casefold() == source.profile.merge.table.casefold():
        raise ProfileError(
            f"the lookup table and the merge table are both {lookup.table}",
            hint="give the lookup a table of its own: [lookup] table",
        )


@contextmanager
def failing_as_write() -> Iterator[None]:
    """Let a failure to read, inside a write, be a failed write: what was written is rolled back."""
    try:
        yield
    except CannotCheck as error:
        if isinstance(error, PLAIN_FAILURES):
            raise
        raise WriteFailed(error.message, hint="the lookup is as it was; run the command again") from error


class LookupWriter:
    """One write of the lookup, inside a transaction that is already open."""

    writes_parts: ClassVar[bool] = False
    """Whether ``write`` may be called in any transaction, and again and again on one connection."""

    def __init__(self, source: DatabaseSource, connection: sa.Connection, lookup: Lookup) -> None:
        self.source = source
        self.connection = connection
        self.lookup = lookup
        self.snapshot = source.snapshot_class(source, connection, "write transaction")
        """For introspection within the transaction."""
        self.form: GuidForm = "bytes"
        self.table: sa.Table
        """Defined by ``prepare``."""

    def write(self, change: LookupChange, progress: Progress) -> None:
        """Bring the stored lookup to ``change``; the caller commits."""
        self.prepare()
        if change.full:
            self.clear()
        else:
            self.delete(change.deletes)
            self.delete(change.olds)
        progress(PHASE, 0, len(change.olds))
        self.insert(change, progress)

    def prepare(self) -> None:
        """Find the lookup table and how it stores guids, or create it in the image of the merge table."""
        if self.found():
            return
        merge = self.source.profile.merge
        stored = self.stored_type(merge.table, merge.old)
        self.form = self.form_of(stored, merge.table, merge.old)
        schema, _, name = self.lookup.table.rpartition(".")
        self.table = self.define(schema or None, name, self.guid_type(stored))
        self.table.create(self.connection, checkfirst=False)

    def found(self) -> bool:
        """Find the lookup table and how it stores guids; say whether there is one.

        Raises:
            UnknownSchema: a table of this name is no lookup.
        """
        place = self.snapshot.find(self.lookup.table)
        if place is None:
            return False
        self.check_shape()
        stored = self.stored_type(self.lookup.table, self.lookup.old)
        self.form = self.form_of(stored, self.lookup.table, self.lookup.old)
        self.table = self.define(*place, self.guid_type(stored))
        return True

    def is_spelled_otherwise(self) -> bool:
        """Say whether the table holds an old in another spelling than it is written in; see ``LookupBuilding``."""
        if not self.found():
            return False
        other = self.other_spelling(self.table.c[0])
        if other is None:
            return False
        asked: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(self.table).where(other).limit(1)
        return self.connection.execute(asked).first() is not None

    def check_shape(self) -> None:
        """Refuse to write into a table that is not shaped like a lookup: it may be someone else's.

        Raises:
            UnknownSchema: a column of the lookup is missing.
        """
        wanted = (self.lookup.old, self.lookup.current, self.lookup.depth, self.lookup.status)
        known = [name for name, _ in self.snapshot.columns(self.lookup.table)]
        for name in wanted:
            if not any(self.snapshot.same_name(name, column) for column in known):
                raise UnknownSchema(
                    f"table {self.lookup.table} is no lookup: it has no column {name}",
                    hint="name another table in the profile: [lookup] table; it is created where it is missing",
                )

    def define(self, schema: str | None, name: str, guid: sa.types.TypeEngine[Any]) -> sa.Table:
        """Describe the lookup table to SQLAlchemy."""

        def quoted(text: str) -> sa.quoted_name:
            return sa.quoted_name(text, quote=True)

        return sa.Table(
            quoted(name),
            sa.MetaData(),
            sa.Column(quoted(self.lookup.old), guid, primary_key=True, nullable=False, autoincrement=False),
            sa.Column(quoted(self.lookup.current), guid, nullable=True),
            sa.Column(quoted(self.lookup.depth), sa.Integer, nullable=True),
            sa.Column(quoted(self.lookup.status), self.status_type(), nullable=False),
            schema=schema,
        )

    def stored_type(self, table: str, column: str) -> sa.types.TypeEngine[Any]:
        """Return the declared type of a column.

        Raises:
            UnknownSchema: the table or the column does not exist.
        """
        schema, name = self.snapshot.resolve(table)
        for found in self.snapshot.inspector.get_columns(name, schema=schema):
            if self.snapshot.same_name(found["name"], column):
                return found["type"]
        raise UnknownSchema(f"table {table} has no column {column}")

    # Hooks.

    def form_of(self, stored: sa.types.TypeEngine[Any], table: str, column: str) -> GuidForm:  # noqa: ARG002 - a hook's parameters
        """Say how a guid column stores its guids, by its declared type."""
        if isinstance(stored, sa.Uuid):
            return "uuid"
        return "bytes" if isinstance(stored, sa.types._Binary) else "text"  # noqa: SLF001 - the one base of binary types

    def guid_type(self, stored: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
        """Return the type of the lookup's guid columns for a database that stores guids as ``stored``."""
        if self.form == "uuid":
            return sa.Uuid(as_uuid=False)
        return stored if isinstance(stored, sa.types._Binary | sa.String) else sa.String(36)  # noqa: SLF001 - as above

    def status_type(self) -> sa.types.TypeEngine[Any]:
        """Return the type of the status column."""
        return sa.String(16)

    def other_spelling(self, old: sa.ColumnElement[Any]) -> sa.ColumnElement[bool] | None:
        """Return the condition that an old is not as ``parameters`` would send it; ``None`` where none can be so."""
        if self.form != "text":
            return None
        text = sa.type_coerce(old, sa.String)
        # Where the column's collation takes both cases for one, the second half is never true, and a key finds either.
        return sa.or_(text.not_like(HYPHENATED), sa.func.lower(text) != text)

    def parameters(self, column: Guids) -> list[object]:
        """Return guids as the driver is to send them."""
        if self.form == "bytes":
            if self.source.profile.merge.byte_order == "sqlserver":
                column = guids.swap_sql_server(column)
            packed = column.tobytes()
            return [packed[at : at + 16] for at in range(0, len(packed), 16)]
        return [text.decode() for text in guids.to_texts(column).tolist()]

    def clear(self) -> None:
        """Delete all rows."""
        self.connection.execute(self.table.delete())

    def delete(self, olds: Guids) -> None:
        """Delete the rows of ``olds``; those that are not there do not matter."""
        if len(olds) == 0:
            return
        statement = self.table.delete().where(self.table.c[0] == sa.bindparam("old_key"))
        for start in range(0, len(olds), _CHUNK):
            keys = self.parameters(olds[start : start + _CHUNK])
            self.connection.execute(statement, [{"old_key": key} for key in keys])

    def insert(self, change: LookupChange, progress: Progress) -> None:
        """Insert all rows of ``change``, whose olds are not in the table."""
        names = [column.key for column in self.table.columns]
        for start in range(0, len(change.olds), _CHUNK):
            rows = zip(*self.row_values(change, start, start + _CHUNK), strict=True)
            self.connection.execute(self.table.insert(), [dict(zip(names, row, strict=True)) for row in rows])
            progress(PHASE, min(start + _CHUNK, len(change.olds)), len(change.olds))

    def row_values(self, change: LookupChange, start: int, stop: int) -> tuple[list[object], ...]:
        """Return the four columns (old, current, depth, status) of some rows as the driver is to send them."""
        part = slice(start, stop)
        has = change.has_current[part]
        currents = self.parameters(change.currents[part])
        depths = change.depths[part].tolist()
        missing = np.flatnonzero(~has).tolist()
        for row in missing:
            currents[row] = depths[row] = None
        statuses: list[object] = [change.status_names[index] for index in change.statuses[part].tolist()]
        return self.parameters(change.olds[part]), currents, depths, statuses
