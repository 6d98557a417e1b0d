"""The transaction of a claim on SQLite: as late and as short as the handlers allow.

A handler that adds statements to the unit of work holds no lock: at the end they are written together with the
done-marks, in one transaction with whatever else waits to be written. One that asks for the connection gets it in an
open transaction, and from then on nobody else writes to the file until the batch ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mergeguard.core.events import Claim, Ran
from mergeguard.errors import MergeGuardError, WriteFailed
from mergeguard.storage.queue import finishing, sqlite_finishing
from mergeguard.storage.queue.sqlite_finishing import Statement
from mergeguard.storage.queue.sqlite_tables import Driver
from mergeguard.storage.queue.sqlite_transaction import Transaction
from mergeguard.storage.queue.sqlite_writer import Writer

if TYPE_CHECKING:
    import sqlalchemy as sa

_SAVEPOINT = "mergeguard_{}"


class Connections:
    """Offers the writer's connection as SQLAlchemy's; the engine is made when the first handler asks."""

    def __init__(self) -> None:
        self._engine: sa.Engine | None = None
        self._driver: Driver | None = None

    def open(self, driver: Driver) -> sa.Connection:
        """Return a connection that leaves transactions alone; to be called outside of one."""
        if self._engine is None or self._driver is not driver:
            import sqlalchemy as sa  # noqa: PLC0415 - a store whose handlers add statements does without

            self._driver = driver
            pool = sa.pool.StaticPool
            self._engine = sa.create_engine("sqlite://", creator=lambda: driver, poolclass=pool, hide_parameters=True)
        return self._engine.connect()


class _Savepoint(AbstractContextManager[None]):
    """A savepoint of a batch. There may be one an event, so it is a class: a generator costs as much as the event."""

    __slots__ = ("_batch",)

    def __init__(self, batch: SqliteBatch) -> None:
        self._batch = batch

    def __enter__(self) -> None:
        self._batch.set_savepoint()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return self._batch.undo_savepoint()
        try:
            return self._batch.keep_savepoint()
        except BaseException:
            self._batch.undo_savepoint()
            raise


class SqliteBatch:
    """See ``store.Batch``; entered and left as a context.

    Args:
        writer: of the store.
        connections: of the store.
        claim: whose events take effect.
        translating: wraps what the queue itself does; statements of handlers fail as the driver says it.
        still_held: whether all leases are the claim's own, by a look at the file.
    """

    def __init__(
        self,
        writer: Writer,
        connections: Connections,
        claim: Claim,
        translating: Callable[[], AbstractContextManager[None]],
        still_held: Callable[[Claim, Sequence[Ran]], bool],
    ) -> None:
        self._writer = writer
        self._connections = connections
        self._claim = claim
        self._translating = translating
        self._still_held = still_held
        self._unit: list[Statement] = []
        self._savepoints: list[int] = []
        """How much of the unit of work stood when each of the open savepoints was set; none once it is sent at once."""
        self._ran: list[Ran] | None = None
        self._stack = ExitStack()
        self._connection: sa.Connection | None = None
        self._transaction: Transaction | None = None
        self._failed: BaseException | None = None

    @property
    def connection(self) -> sa.Connection:
        """The connection in the open transaction, which begins now if it has not begun."""
        if self._failed is not None:
            raise self._failed
        connection = self._connection or self._open()
        self._send()
        return connection

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        """Add a statement to the unit of work."""
        self._unit.append((statement, row))

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what is done inside if it raises: what was added is forgotten, what was written is rolled back."""
        return _Savepoint(self)

    def finish(self, ran: Sequence[Ran]) -> None:
        """Say what became of the leases; see ``store.Batch``."""
        if self._failed is not None:
            raise self._failed
        self._ran = [*(self._ran or ()), *ran]
        try:
            self._send()
            with self._translating():
                self._mark(ran)
        except BaseException as error:
            self._failed = error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what was finished; a batch that was not finished, or that failed, leaves nothing."""
        unfinished = RuntimeError("a batch that is not finished leaves nothing") if self._ran is None else None
        failed = error or self._failed or unfinished
        if self._transaction is not None:
            with self._translating():
                self._stack.__exit__(type(failed) if failed else None, failed, trace)
        elif failed is None:
            self._write()
        if failed is unfinished is not None:
            raise unfinished

    def set_savepoint(self) -> None:
        """Remember where the work stands."""
        if self._transaction is not None:
            self._send()
            self._command("SAVEPOINT", len(self._savepoints))
        self._savepoints.append(len(self._unit))

    def keep_savepoint(self) -> None:
        """Keep what was done since the last savepoint."""
        if self._transaction is not None:
            self._send()
            self._command("RELEASE", len(self._savepoints) - 1)
        self._savepoints.pop()

    def undo_savepoint(self) -> None:
        """Undo what was done since the last savepoint."""
        del self._unit[self._savepoints.pop() :]
        if self._transaction is not None:
            self._command("ROLLBACK TO", len(self._savepoints))
            self._command("RELEASE", len(self._savepoints))

    def _mark(self, ran: Sequence[Ran]) -> None:
        if self._transaction is not None:
            sqlite_finishing.finish(self._transaction, self._claim, ran)
        elif not self._still_held(self._claim, ran):
            raise finishing.lost()

    def _write(self) -> None:
        """Write everything in one short transaction."""
        broken: list[sqlite3.Error] = []
        ran = self._ran or ()

        def job(transaction: Transaction) -> None:
            try:
                sqlite_finishing.send(transaction, self._unit)
            except sqlite3.Error as error:
                broken.append(error)
                raise
            sqlite_finishing.finish(transaction, self._claim, ran)

        try:
            with self._translating():
                self._writer.submit(job)
        except MergeGuardError as error:
            if error.__context__ in broken:
                raise broken[-1] from None
            raise

    def _open(self) -> sa.Connection:
        """Begin the transaction, and bring it to where the unit of work is."""
        try:
            with self._translating():
                self._stack.enter_context(self._writer.lead())
                connection = self._connections.open(self._writer.driver)
                self._stack.callback(connection.close)
                self._transaction = self._stack.enter_context(self._writer.transaction())
        except BaseException as error:
            self._failed = error
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        self._connection = connection
        self._replay()
        return connection

    def _replay(self) -> None:
        """Set the savepoints that are open where they belong."""
        unit, sent = self._unit, 0
        for level, mark in enumerate(self._savepoints):
            self._unit = unit[sent:mark]
            self._send()
            self._command("SAVEPOINT", level)
            sent = mark
        self._unit = unit[sent:]
        self._savepoints = [0] * len(self._savepoints)

    def _send(self) -> None:
        """Send the unit of work if the transaction is open."""
        if self._transaction is not None and self._unit and self._failed is None:
            unit, self._unit = self._unit, []
            sqlite_finishing.send(self._transaction, unit)

    def _command(self, command: str, level: int) -> None:
        if self._transaction is None or self._failed is not None:
            return
        if not self._transaction.driver.in_transaction:  # a full disk, for one, may have rolled it back
            self._failed = WriteFailed("the database rolled back the transaction of the batch")
            return
        self._transaction.driver.execute(f"{command} {_SAVEPOINT.format(level)}")
