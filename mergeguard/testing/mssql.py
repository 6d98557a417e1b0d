"""SQL Server for the scheduler: a connection of pyodbc whose statements are steps, and who waits for whom.

The login needs VIEW SERVER STATE to see who blocks whom, and ALTER ANY CONNECTION where sessions are to be ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mergeguard.testing.actor import last_step, reads, through
from mergeguard.testing.history import Fault, Kind, Step

SESSION: Final = "SELECT @@SPID"
OPEN: Final = "SELECT @@TRANCOUNT"
WAITS: Final = """
    SELECT session_id, blocking_session_id FROM sys.dm_exec_requests
    WHERE blocking_session_id > 0 AND session_id IN ({})
"""
KILL: Final = "KILL {:d}"
SINCE: Final = "SELECT CONVERT(varchar(30), login_time, 126) FROM sys.dm_exec_sessions WHERE session_id = ?"
GONE: Final = (
    "SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id = ? AND CONVERT(varchar(30), login_time, 126) = ?"
)
"""The server gives the number of a session that is gone to the next one that comes."""
_CODES = {Fault.DEADLOCK: ("40001", 1205), Fault.SERIALIZATION: ("42000", 3960)}


class MssqlConnection:
    """Stands before a pyodbc connection; what is not here is the connection's own."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - pyodbc publishes no types
        self._connection = connection
        self._session: int = connection.cursor().execute(SESSION).fetchone()[0]
        self._open = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the driver
        return getattr(self._connection, name)

    def cursor(self) -> MssqlCursor:
        """Return a cursor whose statements are steps."""
        return MssqlCursor(self, self._connection.cursor())

    def commit(self) -> None:
        """Commit, when it is this session's turn."""
        if self._open:
            through(self, Kind.COMMIT, "COMMIT", (), lambda: self._end(self._connection.commit))
        else:
            self._connection.commit()

    def rollback(self) -> None:
        """Roll back; nobody has to wait for that."""
        if self._open:
            through(self, Kind.ROLLBACK, "ROLLBACK", (), lambda: self._end(self._connection.rollback))
        else:
            self._connection.rollback()

    def began(self) -> None:
        """Take down that a statement was sent: without autocommit it opens a transaction."""
        self._open = not self._connection.autocommit

    def session_id(self) -> int:
        """Return the number of the session."""
        return self._session

    def has_transaction(self) -> bool:
        """Say whether a transaction is open."""
        return self._open

    def fail_with(self, fault: Fault) -> None:
        """Roll back and raise what the driver would: this server lets nobody raise these numbers."""
        self._end(self._connection.rollback)
        state, number = _CODES[fault]
        import pyodbc  # noqa: PLC0415 - the driver of one database

        raise pyodbc.Error(state, f"[{state}] made by the test kit ({number})")

    def touch(self) -> None:
        """Ask for nothing."""
        self._connection.cursor().execute("SELECT 1")

    def give_up(self) -> None:
        """Roll back; a connection that is lost has nothing left to roll back."""
        try:
            self._end(self._connection.rollback)
        except Exception:  # noqa: BLE001 - drivers fail here in their own words
            self._open = False

    def is_busy(self, error: BaseException) -> bool:  # noqa: ARG002 - here statements wait by themselves
        """Say no: a session that must wait is asleep in the server."""
        return False

    def _end(self, do: Any) -> None:  # noqa: ANN401 - of the driver
        self._open = False
        do()


class MssqlCursor:
    """Stands before a pyodbc cursor."""

    def __init__(self, connection: MssqlConnection, cursor: Any) -> None:  # noqa: ANN401 - pyodbc publishes no types
        self._connection = connection
        self._cursor = cursor
        self._step: Step | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the driver
        return getattr(self._cursor, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._cursor, name, value)

    def execute(self, sql: str, *values: object) -> MssqlCursor:
        """Execute, when it is this session's turn."""
        self._made(sql, values, lambda: self._cursor.execute(sql, *values))
        return self

    def executemany(self, sql: str, values: Sequence[Sequence[object]]) -> None:
        """Execute many times, as one step."""
        self._made(sql, values, lambda: self._cursor.executemany(sql, values))

    def fetchone(self) -> Any:  # noqa: ANN401 - of the driver
        """Fetch a row and note it."""
        row = self._cursor.fetchone()
        reads(self._step, [] if row is None else [tuple(row)])
        return row

    def fetchall(self) -> Any:  # noqa: ANN401 - of the driver
        """Fetch all rows and note them."""
        rows = self._cursor.fetchall()
        reads(self._step, [tuple(row) for row in rows])
        return rows

    def fetchmany(self, *size: int) -> Any:  # noqa: ANN401 - of the driver
        """Fetch rows and note them."""
        rows = self._cursor.fetchmany(*size)
        reads(self._step, [tuple(row) for row in rows])
        return rows

    def _made(self, sql: str, values: Sequence[object], do: Any) -> None:  # noqa: ANN401 - of the driver
        def send() -> None:
            self._connection.began()
            do()

        through(self._connection, Kind.STATEMENT, sql, values, send)
        self._step = last_step()


class MssqlWatcher:
    """A connection beside the actors', in autocommit."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - pyodbc publishes no types
        self._connection = connection

    def waits(self, sessions: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """Return, for each session that waits for a lock, the session that it waits for."""
        if not sessions:
            return {}
        marks = ", ".join("?" * len(sessions))
        rows = self._connection.cursor().execute(WAITS.format(marks), list(sessions)).fetchall()
        return {session: (blocker,) for session, blocker in rows}

    def terminate(self, session: int) -> None:
        """End a session, and ask until it is gone."""
        cursor = self._connection.cursor()
        since = cursor.execute(SINCE, session).fetchone()
        if since is None:
            return
        cursor.execute(KILL.format(session))
        while cursor.execute(GONE, session, since[0]).fetchone()[0]:
            pass
