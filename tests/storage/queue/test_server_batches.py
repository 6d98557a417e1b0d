"""A savepoint that the database no longer has: what is told then, and what is not hidden by it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, cast

import pytest
import sqlalchemy as sa

from mergeguard.core.events import Claim
from mergeguard.errors import WriteFailed
from mergeguard.storage.queue import mssql_batch
from mergeguard.storage.queue.server_batch import ServerBatch
from mergeguard.storage.queue.store import BatchLost


class DriverError(Exception):
    """As pyodbc says it: the state, and words that end with the server's number."""


DriverError.__module__ = "pyodbc"
NO_SAVEPOINT = sa.exc.DBAPIError(
    "ROLLBACK", {}, DriverError("42000", "[42000] No savepoint of that name was found (6401)")
)
GONE = sa.exc.DBAPIError("ROLLBACK", {}, DriverError("08S01", "[08S01] Communication link failure (10054)"))


class Nested:
    """A savepoint of SQLAlchemy that cannot be rolled back to."""

    def __init__(self, refusal: Exception | None) -> None:
        self.refusal = refusal
        self.ended: list[str] = []

    def commit(self) -> None:
        self.ended.append("commit")

    def rollback(self) -> None:
        self.ended.append("rollback")
        if self.refusal is not None:
            raise self.refusal


def made(nested: Nested, insist: Any = lambda: None) -> ServerBatch:
    class Connection:
        def begin_nested(self) -> Nested:
            return nested

    connection, claim = cast("sa.Connection", Connection()), cast("Claim", None)
    return ServerBatch(connection, claim, lambda _: None, lambda _: None, insist, nullcontext)


def failing(batch: ServerBatch, error: BaseException) -> None:
    with batch.savepoint():
        assert batch.connection is not None
        raise error


def test_what_could_not_be_undone_alone_loses_the_batch() -> None:
    with pytest.raises(BatchLost, match="a bug") as caught:
        failing(made(Nested(NO_SAVEPOINT)), ValueError("a bug"))
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_what_could_be_undone_is_told_as_it_is(error: BaseException) -> None:
    nested = Nested(None)
    with pytest.raises(type(error)):
        failing(made(nested), error)
    assert nested.ended == ["rollback"]


def test_a_savepoint_that_nothing_was_sent_behind_is_no_concern_of_the_database() -> None:
    nested = Nested(NO_SAVEPOINT)
    batch = made(nested)
    with pytest.raises(ValueError, match="a bug"), batch.savepoint():  # noqa: PT012 - what raises adds first
        batch.add("INSERT", (1,))
        raise ValueError("a bug")
    assert nested.ended == []


@pytest.mark.parametrize(("error", "refusal"), [(ValueError("a bug"), GONE), (KeyboardInterrupt(), NO_SAVEPOINT)])
def test_an_outage_or_an_end_is_told_as_before(error: BaseException, refusal: sa.exc.DBAPIError) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught:
        failing(made(Nested(refusal)), error)
    assert caught.value is refusal


@pytest.mark.parametrize(("state", "lost"), [(1, False), (0, True), (-1, True)])
def test_a_hidden_error_that_took_the_transaction_of_sql_server_loses_the_batch(state: int, *, lost: bool) -> None:
    class Driver:
        def cursor(self) -> Driver:
            return self

        def execute(self, statement: str) -> Driver:
            assert statement == mssql_batch.STATE
            return self

        def fetchone(self) -> tuple[int]:
            return (state,)

        def close(self) -> None: ...

    nested = Nested(NO_SAVEPOINT)
    batch = made(nested, lambda: mssql_batch.insist(Driver()))
    with pytest.raises(BatchLost) if lost else nullcontext() as caught, batch.savepoint():
        assert batch.connection is not None
    assert nested.ended == (["rollback"] if lost else ["commit"])
    assert not lost or isinstance(caught.value.__cause__, WriteFailed)
