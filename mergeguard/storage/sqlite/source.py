"""SQLite: reading never changes the file, its lookup is written in bulk through the plain driver."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, cast

import sqlalchemy as sa

from mergeguard.errors import CannotCheck, UsageError
from mergeguard.storage.database.source import DatabaseSnapshot, DatabaseSource
from mergeguard.storage.database.writing import DatabaseWriting
from mergeguard.storage.profile import Lookup, Profile
from mergeguard.storage.source import Batch, Column, Kind, LookupChange, Options, Progress, Selection, silent
from mergeguard.storage.sqlite import doctor as sqlite_doctor
from mergeguard.storage.sqlite import file as sqlite_file
from mergeguard.storage.sqlite.lookup import SqliteLookupWriter
from mergeguard.storage.sqlite.packed import PackedReader
from mergeguard.storage.sqlite.rows import SqliteRows

FETCH_ROWS = 2000
"""Rows fetched at a time: more of them at once overflow the processor's cache and wake the garbage collector."""
ROW_IDS = ("rowid", "oid", "_rowid_")
"""The names of the hidden row id; a column of the table may take one of them away."""
_TABLE_KIND = sa.text("SELECT type FROM sqlite_master WHERE name = :name COLLATE NOCASE AND type IN ('table', 'view')")
_DEFINITION = sa.text("SELECT sql FROM sqlite_master WHERE name = :table COLLATE NOCASE AND type = 'table'")
_PRIMARY_KEY = sa.text("SELECT name, type FROM pragma_table_info(:table) WHERE pk > 0")
_UNDECODABLE = "Could not decode to UTF-8"


class SqliteSnapshot(DatabaseSnapshot):
    """One read transaction on one connection."""

    source: SqliteSource
    streams: ClassVar[bool] = False
    default_row_id: ClassVar[str | None] = "rowid"

    def __init__(self, source: DatabaseSource, connection: sa.Connection, isolation: str) -> None:
        super().__init__(source, connection, isolation)
        self.fetch_rows = min(FETCH_ROWS, source.options.batch_rows)
        self._counts: dict[str, int] = {}

    def batches(self, selection: Selection) -> Iterator[Batch]:
        """Read the selection packed, where it is one of a table that is stored by a key; else row by row."""
        key = None if selection.query is not None or selection.counted else self._key(selection)
        packed = None if key is None else PackedReader(self, selection, key[0], by_rowid=key[1]).batches()
        return self.read_rows(selection) if packed is None else packed

    def fetch(self, statement: sa.Executable, kinds: Sequence[Kind]) -> Iterator[Batch]:
        """Read through the driver's cursor; texts that are no UTF-8 are read with their wrong bytes replaced."""
        done = 0
        try:
            for batch in super().fetch(statement, kinds):
                done += 1
                yield batch
        except sa.exc.OperationalError as error:
            if _UNDECODABLE not in str(error.orig):
                raise
            # Decoding in Python costs as much again as the read, so it is done only now. Same snapshot, same statement:
            # the rows come in the same order, and those that were given out are passed over.
            self.driver.text_factory = _decoded
            yield from islice(super().fetch(statement, kinds), done, None)

    def expected(self, selection: Selection) -> int | None:
        """Return the number of rows of a table that is read whole."""
        if selection.query is not None or selection.where or selection.counted:
            return None
        return self.count(selection)

    def count(self, selection: Selection) -> int | None:
        """Return how many rows a selection's table has; ``None`` for a view, where counting may be dear."""
        _, name = self.resolve(selection.table or self.source.profile.merge.table)
        if self._is_view(name):
            return None
        if name not in self._counts:
            table = self.from_clause(replace(selection, columns=()))
            self._counts[name] = self.connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        return self._counts[name]

    def same_name(self, one: str, other: str) -> bool:
        """Compare names as SQLite does: without case, ASCII letters only."""
        return _folded(one) == _folded(other)

    def has_hidden_column(self, schema: str | None, table: str, column: str) -> bool:  # noqa: ARG002 - a hook's parameters
        """Every table can be asked for ``rowid``; one that has none gets its rows numbered."""
        return _folded(column) in ROW_IDS

    def from_clause(self, selection: Selection) -> sa.FromClause:
        """Return the table; one without row ids, if it is asked for them, with its rows numbered from 1."""
        table = super().from_clause(selection)
        asked = [column.name for column in selection.columns if _folded(column.name) in ROW_IDS]
        if selection.query is not None or not asked:
            return table
        _, name = self.resolve(selection.table or self.source.profile.merge.table)
        if self._has(name, asked[0]):
            return table
        numbers = [sa.func.row_number().over().label(sa.quoted_name(name, quote=True)) for name in dict.fromkeys(asked)]
        return sa.select(*numbers, sa.literal_column("*")).select_from(table).subquery("numbered")

    @property
    def driver(self) -> sqlite3.Connection:
        """The driver's own connection."""
        return cast("sqlite3.Connection", self.connection.connection.driver_connection)

    def is_rowid(self, selection: Selection, column: Column) -> bool:
        """Say whether a column is the row id of its table, under one of its names or as INTEGER PRIMARY KEY."""
        _, name = self.resolve(selection.table or self.source.profile.merge.table)
        if all(not self.same_name(known["name"], column.name) for known in self.inspector.get_columns(name)):
            return _folded(column.name) in ROW_IDS
        key = self.connection.execute(_PRIMARY_KEY, {"table": name}).all()
        if [(_folded(one), _folded(kind)) for one, kind in key] != [(_folded(column.name), "integer")]:
            return False
        # INTEGER PRIMARY KEY DESC is, for history's sake, an index like any other.
        return not re.search(r"\bDESC\b", str(self.connection.scalar(_DEFINITION, {"table": name})), re.IGNORECASE)

    def row_id_names(self, table: str) -> tuple[str | None, str | None]:
        """Return the name under which a table's hidden row id can be asked for, and the column that is its alias.

        Both are ``None`` for a view, for a table without row ids, and where columns took all the names away.
        """
        _, name = self.resolve(table)
        own = [known["name"] for known in self.inspector.get_columns(name)]
        hidden = next((one for one in ROW_IDS if one not in {_folded(known) for known in own}), None)
        if self._is_view(name) or (hidden is not None and not self._has(name, hidden)):
            return None, None
        selection = Selection((), table)
        alias = next((one for one in own if self.is_rowid(selection, Column(one, Kind.ROW_ID))), None)
        return hidden, alias

    def _key(self, selection: Selection) -> tuple[sa.ColumnElement[Any], bool] | None:
        """Return the column that a table is stored by and whether it is the row id; ``None`` where there is no one."""
        if self.connection.exec_driver_sql("PRAGMA encoding").scalar() != "UTF-8":
            return None
        _, name = self.resolve(selection.table or self.source.profile.merge.table)
        own = {_folded(known["name"]) for known in self.inspector.get_columns(name)}
        hidden = next((one for one in ROW_IDS if one not in own), None)
        if hidden is not None and self._has(name, hidden):
            return sa.column(sa.quoted_name(hidden, quote=True)), True
        if hidden is None or self._is_view(name) or any(_folded(one.name) in ROW_IDS for one in selection.columns):
            return None
        key = self.inspector.get_pk_constraint(name)["constrained_columns"]
        return (sa.column(sa.quoted_name(key[0], quote=True)), False) if len(key) == 1 else None

    def _listed(self, schema: str | None) -> list[str]:
        schemas = (_folded(name) for name in self.inspector.get_schema_names())
        return [] if schema is not None and _folded(schema) not in schemas else super()._listed(schema)

    def _has(self, name: str, column: str) -> bool:
        """Say whether a table has this row id, of its own or hidden."""
        if any(self.same_name(known["name"], column) for known in self.inspector.get_columns(name)):
            return True
        if self._is_view(name):
            return False
        # Quoted and alone, a name that is missing would be taken for a text; so it is asked for with its table.
        table = sa.table(sa.quoted_name(name, quote=True)).alias("asked")
        try:
            self.connection.execute(sa.select(sa.column(column, _selectable=table)).select_from(table).limit(0))
        except sa.exc.OperationalError:
            return False
        return True

    def _is_view(self, name: str) -> bool:
        return bool(self.connection.scalar(_TABLE_KIND, {"name": name}) == "view")


class SqliteSource(DatabaseSource):
    """An SQLite file. It is opened for each snapshot and each write anew, and closed at their end."""

    kind: ClassVar[str] = "sqlite"
    product: ClassVar[str] = "SQLite"
    snapshot_class = SqliteSnapshot
    writer_class = SqliteLookupWriter
    rows_class = SqliteRows

    def __init__(self, url: sa.URL, profile: Profile, options: Options) -> None:
        name = url.database or ""
        if name in {"", ":memory:"} or name.startswith("file:"):
            raise UsageError(
                "an SQLite target is a file" if name in {"", ":memory:"} else "an SQLite target is a path, not a URI",
                hint="write sqlite:///path/of/file.db or the path alone",
            )
        super().__init__(url, profile, replace(options, password=None))
        self.path = Path(name).absolute()
        self.opening: sqlite_file.Opening | None = None
        """How the open snapshot reads the file."""
        self._writing: sa.Engine | None = None
        self._changing: DatabaseWriting | None = None
        self.driver_class = sqlite3.Connection
        """What connections are; the test kit counts the steps of its own."""

    @contextmanager
    def snapshot(self) -> Iterator[SqliteSnapshot]:
        """Open a consistent, read-only view; the file is left byte for byte as it is.

        Raises:
            TargetNotFound, PermissionDenied, NotADatabase, Locked: it cannot be read.
            ConnectionLost: at the end, where a file read without locks turns out to have changed meanwhile.
        """
        self._rest()
        with self.translated():
            opening = self.opening = sqlite_file.look(self.path)
        try:
            with super().snapshot() as opened:
                snapshot = cast("SqliteSnapshot", opened)
                snapshot.notes.extend(f"to read a database in WAL mode, SQLite made {name}" for name in opening.made())
                yield snapshot
        except CannotCheck:
            # Pages that change under a reader look like damage: the change is the better explanation.
            opening.verify()
            raise
        finally:
            self.opening = None
        opening.verify()

    def write_lookup(self, lookup: Lookup, change: LookupChange, progress: Progress = silent) -> None:
        """Create the lookup table if need be and write it, in one transaction, whatever it was worked out from.

        Raises:
            RuntimeError: a snapshot is open; its shared lock would keep the write waiting for ever.
        """
        if self.opening is not None:
            raise RuntimeError("the lookup is written after the snapshot is closed")
        self._rest()
        with self.translated():
            sqlite_file.look(self.path)
        super().write_lookup(lookup, change, progress)

    @contextmanager
    def writing(self) -> Iterator[DatabaseWriting]:
        """Offer transactions that change rows; see ``rows.Writing``.

        Snapshots may be opened between two transactions and never during one.

        Raises:
            RuntimeError: a snapshot is open, or another of these.
        """
        if self.opening is not None or self._changing is not None:
            raise RuntimeError("rows are changed after the snapshot is closed, and by one writer at a time")
        with self.translated():
            sqlite_file.look(self.path)
        with super().writing() as writing:
            self._changing = writing
            try:
                yield writing
            finally:
                self._changing = None

    def _rest(self) -> None:
        """Close the connection of a writer between two transactions, so that a snapshot can be read without locks.

        Raises:
            RuntimeError: it is in the middle of a transaction.
        """
        if self._changing is None or self._changing.connection is None:
            return
        if cast("sqlite3.Connection", self._changing.connection.connection.driver_connection).in_transaction:
            raise RuntimeError("the file is not looked at in the middle of a transaction that changes it")
        self._changing.close()

    def make_engine(self) -> sa.Engine:
        """Make the engine that reads."""
        return self._engine_for(lambda: self._connect(self.opening.uri if self.opening else self._uri("ro")))

    def recover(self) -> None:
        """Let SQLite roll back the unfinished write of a program that died, as the next writer would."""
        self._rest()
        if not sqlite_file.left_behind(self.path):
            return
        with self.translated(), closing(self._connect(self._uri("rw"))) as connection:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()

    def connect_to_write(self) -> sa.Connection:
        """Open the file for writing; it is never created."""
        if self._writing is None:
            self._writing = self._engine_for(lambda: self._connect(self._uri("rw")))
        return self._writing.connect()

    def begin_snapshot(self, connection: sa.Connection) -> str:
        """Begin a deferred transaction and take its lock by a first read."""
        connection.exec_driver_sql("PRAGMA query_only = 1")
        connection.exec_driver_sql("BEGIN")
        try:
            connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sa.exc.OperationalError as error:
            _refuse_unfinished(self.path, error.orig)
            raise
        return self.opening.isolation if self.opening else "snapshot"

    def begin_write(self, connection: sa.Connection) -> None:
        """Begin the write; from here on no one else writes."""
        connection.exec_driver_sql("PRAGMA temp_store = MEMORY")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def doctor(self) -> Sequence[tuple[str, str, bool]]:
        """Return (check, finding, fine?) rows."""
        with self.snapshot() as snapshot, self.translated():
            extra = sqlite_doctor.checks(snapshot)
        return [*super().doctor(), *extra]

    def close(self) -> None:
        """Give back the connections."""
        super().close()
        if self._writing is not None:
            self._writing.dispose()
            self._writing = None

    def _uri(self, mode: str) -> str:
        return f"{self.path.as_uri()}?mode={mode}"

    def _connect(self, uri: str) -> sqlite3.Connection:
        # Without an isolation level the driver leaves transactions to us.
        timeout = self.options.lock_timeout
        return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, factory=self.driver_class)

    def _engine_for(self, creator: Callable[[], sqlite3.Connection]) -> sa.Engine:
        return sa.create_engine("sqlite://", creator=creator, hide_parameters=True, poolclass=sa.pool.NullPool)


def _refuse_unfinished(path: Path, error: BaseException | None) -> None:
    """Explain why a file whose writer died cannot be read as it is: only a writer may bring it back in order.

    Raises:
        CannotCheck: that is the reason.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code not in {sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY}:
        return
    raise CannotCheck(
        f"{path}: a program died while it wrote the file, and its journal still stands beside it",
        hint="open the file once with its own program, or any other that may write it: SQLite then rolls the "
        "unfinished write back",
    )


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _folded(name: str) -> str:
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
