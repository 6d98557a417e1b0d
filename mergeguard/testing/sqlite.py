"""SQLite for the scheduler: it has no view of who waits; a database that is busy says so, and the step is tried again.

A session refused is set aside and tries again after each step of the others. Where all are refused (two readers that
want to write) the one whose step began last is given the error.

A session that is ended is one whose file went away: what it had open is rolled back, as whoever opens the file next
would do, and all that it asks for fails with an I/O error.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast
from weakref import WeakValueDictionary

from mergeguard.errors import Unsupported
from mergeguard.testing.actor import last_step, reads, through
from mergeguard.testing.history import Fault, Kind, Step


class SqliteCursor(sqlite3.Cursor):
    """A cursor whose statements are steps."""

    step: Step | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> SqliteCursor:  # noqa: ANN401 - as the driver's own
        """Execute, when it is this session's turn."""
        do, session = super().execute, cast("SqliteConnection", self.connection)
        values = list(parameters.items()) if isinstance(parameters, Mapping) else list(parameters)

        def send() -> None:
            session.require()
            do(sql, parameters)

        through(session, _kind(sql), sql, values, send)
        self.step = last_step()
        return self

    def executemany(self, sql: str, parameters: Any, /) -> SqliteCursor:  # noqa: ANN401 - as the driver's own
        """Execute many times, as one step."""
        do, session, every = super().executemany, cast("SqliteConnection", self.connection), list(parameters)

        def send() -> None:
            session.require()
            do(sql, every)

        through(session, Kind.STATEMENT, sql, every, send)
        return self

    def fetchone(self) -> Any:  # noqa: ANN401 - as the driver's own
        """Fetch a row and note it."""
        row = super().fetchone()
        reads(self.step, [] if row is None else [row])
        return row

    def fetchall(self) -> list[Any]:
        """Fetch all rows and note them."""
        rows = super().fetchall()
        reads(self.step, rows)
        return rows


class SqliteConnection(sqlite3.Connection):
    """A connection whose statements and commits are steps: ``sqlite3.connect(path, factory=SqliteConnection)``.

    It never waits by itself, and may be used from any thread: those of actors come and go.
    """

    def __init__(self, database: Any, timeout: float = 0.0, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - as the driver's own; nobody waits
        super().__init__(database, 0.0, *args, **(options | {"check_same_thread": False}))
        self.is_lost = False
        self._number = next(_numbers)
        _SESSIONS[self._number] = self

    def cursor(self, factory: Any = SqliteCursor) -> Any:  # noqa: ANN401 - as the driver's own
        """Return a cursor whose statements are steps."""
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:  # noqa: ANN401 - as the driver's own
        """Execute, when it is this session's turn."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:  # noqa: ANN401 - as the driver's own
        """Execute many times, as one step."""
        return self.cursor().executemany(sql, parameters)

    def commit(self) -> None:
        """Commit, when it is this session's turn."""
        self.require()
        if self.in_transaction:
            through(self, Kind.COMMIT, "COMMIT", (), super().commit)

    def rollback(self) -> None:
        """Roll back; nobody has to wait for that."""
        if self.in_transaction:
            through(self, Kind.ROLLBACK, "ROLLBACK", (), super().rollback)

    def session_id(self) -> int:
        """Return a number of the kit's own: there is no server that would number sessions."""
        return self._number

    def has_transaction(self) -> bool:
        """Say whether a transaction is open."""
        return self.in_transaction

    def fail_with(self, fault: Fault) -> None:
        """Roll back and raise what SQLite says when a transaction cannot go on."""
        self.give_up()
        raise sqlite3.OperationalError(f"database is locked (made by the test kit: {fault.value})")

    def touch(self) -> None:
        """Ask for nothing."""
        self.require()
        sqlite3.Cursor(self).execute("SELECT 1")

    def lose(self) -> None:
        """Lose the file: what is open is rolled back, and nothing goes through any more."""
        self.is_lost = True
        self.interrupt()
        self.give_up()

    def require(self) -> None:
        """Raise what SQLite says of a file that it can no longer read, where this session has lost it."""
        if self.is_lost:
            error = sqlite3.OperationalError("disk I/O error (made by the test kit: the session is ended)")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
            raise error

    def give_up(self) -> None:
        """Roll back."""
        with suppress(sqlite3.Error):
            super().rollback()

    def is_busy(self, error: BaseException) -> bool:
        """Say whether another session holds the lock of the file; no waiting helps one whose snapshot is old."""
        code: int = getattr(error, "sqlite_errorcode", 0)
        is_old = code == sqlite3.SQLITE_BUSY_SNAPSHOT
        return not is_old and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


_numbers = itertools.count(1)
_SESSIONS: Final[WeakValueDictionary[int, SqliteConnection]] = WeakValueDictionary()


class SqliteWatcher:
    """Does not know who waits: who must says so itself."""

    def waits(self, sessions: Sequence[int]) -> Mapping[int, Sequence[int]]:  # noqa: ARG002 - a protocol's parameters
        """Return that nobody waits."""
        return {}

    def terminate(self, session: int) -> None:
        """End a session of the kit: it loses its file.

        Raises:
            Unsupported: it is none of the kit's.
        """
        found = _SESSIONS.get(session)
        if found is None:
            raise Unsupported(f"session {session} is none that the test kit opened", hint="use 'connect', or a sandbox")
        found.lose()


def connect(path: str | Path) -> SqliteConnection:
    """Open a file for an actor."""
    return sqlite3.connect(path, factory=SqliteConnection)


def _kind(sql: str) -> Kind:
    word = sql.strip().rstrip(";").upper()
    if word in {"COMMIT", "END", "COMMIT TRANSACTION", "END TRANSACTION"}:
        return Kind.COMMIT
    return Kind.ROLLBACK if word in {"ROLLBACK", "ROLLBACK TRANSACTION"} else Kind.STATEMENT
