"""The transaction of a claim on a server: effects of handlers, and the mark that says they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mergeguard.core.events import Claim, Ran
from mergeguard.storage import failures
from mergeguard.storage.queue.finishing import Finish
from mergeguard.storage.queue.statements import Group, UnitOfWork
from mergeguard.storage.queue.store import BatchLost

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(slots=True)
class _Savepoint:
    mark: int
    """Where it stands in the unit of work."""
    nested: sa.NestedTransaction | None = None
    """Once it is set in the database."""


class ServerBatch:
    """See ``store.Batch``.

    Args:
        connection: in the open transaction.
        claim: whose events take effect.
        send: sends handlers' statements, each for several rows.
        finish: writes down what became of the leases.
        insist: raises where a handler hid an error: its savepoint cannot be released, only rolled back.
        translated: raises the driver's errors as MergeGuard's own.
    """

    def __init__(
        self,
        connection: sa.Connection,
        claim: Claim,
        send: Callable[[Sequence[Group]], None],
        finish: Callable[[Finish], None],
        insist: Callable[[], None],
        translated: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._connection = connection
        self._claim = claim
        self._work = UnitOfWork(send)
        self._write = finish
        self._insist = insist
        self._translated = translated
        self._savepoints: list[_Savepoint] = []

    @property
    def connection(self) -> sa.Connection:
        """The connection in the open transaction, with what was added to the unit of work standing in it.

        A savepoint that is open is only set now: one whose handlers do nothing but add costs the server nothing.
        """
        for savepoint in self._savepoints:
            if savepoint.nested is None:
                self._work.flush(savepoint.mark)
                savepoint.nested = self._connection.begin_nested()
        self._work.flush()
        return self._connection

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        """Add a statement to the unit of work."""
        self._work.add(statement, row)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what a handler did if it raises."""
        savepoint = _Savepoint(self._work.position)
        self._savepoints.append(savepoint)
        try:
            yield
            if savepoint.nested is not None:
                self._work.flush()
                self._insist()
                savepoint.nested.commit()
        except BaseException as error:
            self._work.drop(savepoint.mark)
            if savepoint.nested is not None:
                _undo(savepoint.nested, error)
            raise
        finally:
            self._savepoints.pop()

    def finish(self, ran: Sequence[Ran]) -> None:
        """Write down what became of the leases."""
        self._finish(Finish.of(self._claim, ran))

    def _finish(self, finish: Finish) -> None:
        self._work.flush()
        if finish.steps:
            with self._translated():
                self._write(finish)

    def end(self) -> None:
        """Commit."""
        self._work.flush()
        with self._translated():
            self._connection.commit()


def _undo(nested: sa.NestedTransaction, error: BaseException) -> None:
    """Roll back to a savepoint.

    Raises:
        BatchLost: it is gone, and its transaction with it.
    """
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - workers start without SQLAlchemy

    try:
        nested.rollback()
    except SQLAlchemyError as refused:
        if not isinstance(error, Exception | SystemExit) or failures.is_outage(refused):
            raise
        raise BatchLost(str(error)) from error


class ReleasingBatch(ServerBatch):
    """A batch whose ``finish`` may give the chains back; see ``store.Releasing``."""

    def finish_and_release(self, ran: Sequence[Ran]) -> bool:
        """Write down what became of the leases, and that their chains are free; say whether all of the claim are."""
        finish = Finish.of(self._claim, ran, releases=True)
        self._finish(finish)
        return len(finish.steps) == len(self._claim.leases)
