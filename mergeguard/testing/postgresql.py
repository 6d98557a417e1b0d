"""PostgreSQL for the scheduler: connections whose statements are steps, and who waits for whom by the server's word."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

import psycopg
from psycopg.pq import TransactionStatus

from mergeguard.testing.actor import last_step, reads, through
from mergeguard.testing.history import Fault, Kind, Step

_RAISE = "DO $$ BEGIN RAISE EXCEPTION 'made by the test kit' USING ERRCODE = '{}'; END $$"
_CODES = {Fault.DEADLOCK: "40P01", Fault.SERIALIZATION: "40001"}
_WAITS = "SELECT pid, pg_blocking_pids(pid) FROM unnest(CAST(%s AS int[])) AS pid"
_TERMINATE = "SELECT pg_terminate_backend(%s, 10000)"


class StepCursor(psycopg.Cursor[Any]):
    """A cursor whose statements are steps."""

    step: Step | None = None

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # noqa: ANN401 - as the driver's own
        """Execute, when it is this session's turn."""
        do = super().execute
        session = cast("StepConnection", self.connection)
        done = through(session, _kind(query), _text(query), _values(params), lambda: do(query, params, **options))
        self.step = last_step()
        return done

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:  # noqa: ANN401 - as the driver's own
        """Execute many times, as one step."""
        do, every = super().executemany, list(params_seq)
        session = cast("StepConnection", self.connection)
        through(session, Kind.STATEMENT, _text(query), every, lambda: do(query, every, **options))

    def fetchone(self) -> Any:  # noqa: ANN401 - as the driver's own
        """Fetch a row and note it."""
        row = super().fetchone()
        reads(self.step, [] if row is None else [row])
        return row

    def fetchmany(self, size: int = 0) -> list[Any]:
        """Fetch rows and note them."""
        rows = super().fetchmany(size)
        reads(self.step, rows)
        return rows

    def fetchall(self) -> list[Any]:
        """Fetch all rows and note them."""
        rows = super().fetchall()
        reads(self.step, rows)
        return rows

    def __next__(self) -> Any:  # noqa: ANN401 - as the driver's own
        row = super().__next__()
        reads(self.step, [row])
        return row


class StepConnection(psycopg.Connection[Any]):
    """A connection whose statements and commits are steps, in the thread of an actor; elsewhere one like any other."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as the driver's own
        super().__init__(*args, **options)
        self.cursor_factory = StepCursor

    def commit(self) -> None:
        """Commit, when it is this session's turn."""
        if self.has_transaction():
            through(self, Kind.COMMIT, "COMMIT", (), super().commit)
        else:
            super().commit()

    def rollback(self) -> None:
        """Roll back; nobody has to wait for that."""
        if self.has_transaction():
            through(self, Kind.ROLLBACK, "ROLLBACK", (), super().rollback)
        else:
            super().rollback()

    @contextmanager
    def transaction(self, *args: Any, **options: Any) -> Iterator[psycopg.Transaction]:  # noqa: ANN401 - as the driver's own
        """Begin a transaction or a savepoint whose end is a step."""
        kind, word = (Kind.STATEMENT, "RELEASE SAVEPOINT") if self.has_transaction() else (Kind.COMMIT, "COMMIT")
        inner = super().transaction(*args, **options)
        begun = inner.__enter__()
        try:
            yield begun
        except BaseException:
            if not inner.__exit__(*sys.exc_info()):
                raise
        else:
            through(self, kind, word, (), lambda: inner.__exit__(None, None, None))

    @contextmanager
    def pipeline(self) -> Iterator[Any]:
        """Send each statement by itself: one that only waits to be sent is no step."""
        yield _NoPipeline()

    # What the scheduler asks.

    def session_id(self) -> int:
        """Return the process id of the session."""
        return 0 if self.closed else self.info.backend_pid

    def has_transaction(self) -> bool:
        """Say whether a transaction is open, a failed one too."""
        return not self.closed and self.info.transaction_status in {
            TransactionStatus.INTRANS,
            TransactionStatus.INERROR,
            TransactionStatus.ACTIVE,
        }

    def fail_with(self, fault: Fault) -> None:
        """Raise within the server, so that transaction and error are as they would be."""
        psycopg.Cursor(self).execute(_RAISE.format(_CODES[fault]))

    def touch(self) -> None:
        """Ask for nothing."""
        psycopg.Cursor(self).execute("SELECT 1")

    def give_up(self) -> None:
        """Roll back; a connection that is lost has nothing left to roll back."""
        with suppress(psycopg.Error):
            super().rollback()

    def is_busy(self, error: BaseException) -> bool:  # noqa: ARG002 - here statements wait by themselves
        """Say no: a session that must wait is asleep in the server."""
        return False


class _NoPipeline:
    def sync(self) -> None:
        """Do nothing: everything has been sent."""


class PostgresqlWatcher:
    """A connection beside the actors', through which the scheduler looks at the locks.

    Args:
        connection: its own, in autocommit; of the same login as the actors or of a superuser.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def waits(self, sessions: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """Return, for each session that waits for a lock, the sessions that it waits for."""
        found = self.connection.execute(_WAITS, [list(sessions)]).fetchall()
        return {pid: blockers for pid, blockers in found if blockers}

    def terminate(self, session: int) -> None:
        """End a session, and wait until it is gone."""
        self.connection.execute(_TERMINATE, [session])


def _kind(query: object) -> Kind:
    word = _text(query).strip().rstrip(";").upper()
    if word in {"COMMIT", "END", "COMMIT TRANSACTION", "COMMIT WORK"}:
        return Kind.COMMIT
    return Kind.ROLLBACK if word in {"ROLLBACK", "ROLLBACK TRANSACTION"} else Kind.STATEMENT


def _text(query: object) -> str:
    if isinstance(query, bytes):
        return query.decode()
    return query if isinstance(query, str) else str(getattr(query, "as_string", lambda: query)())


def _values(params: object) -> Sequence[object]:
    if isinstance(params, Mapping):
        return list(params.items())
    return list(params) if isinstance(params, (list, tuple)) else []
