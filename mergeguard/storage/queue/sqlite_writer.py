"""All writes of one process to an SQLite file: one transaction at a time, each for as many callers as wait.

A transaction is begun IMMEDIATE: one that wanted to write only later would be refused at once if another process wrote
in between, however long it was ready to wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from mergeguard.errors import WriteFailed
from mergeguard.storage.queue.sqlite_clock import Clock
from mergeguard.storage.queue.sqlite_patience import patiently, primary_code
from mergeguard.storage.queue.sqlite_tables import Driver
from mergeguard.storage.queue.sqlite_transaction import Transaction
from mergeguard.storage.queue.sqlite_turns import Job, Turns

T = TypeVar("T")
_PAST_REPAIR = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)
"""After these a connection is opened anew."""
_INTERRUPTED = "the write was interrupted; nothing of it was kept"


class Writer:
    """The one that writes.

    Args:
        connect: opens the connection; called when the first job comes, and again after one that is past repair.
        clock: of the queue.
        patience: seconds to wait for a turn within this process, and as many for other processes.
    """

    def __init__(self, connect: Callable[[], Driver], clock: Clock, patience: float) -> None:
        self._connect = connect
        self._clock = clock
        self._patience = patience
        self._turns = Turns(patience)
        self._driver: Driver | None = None
        self._durable: bool | None = None

    @property
    def driver(self) -> Driver:
        """The connection, opened if need be; only for who has the lead."""
        if self._driver is None:
            self._driver, self._durable = self._connect(), None
        return self._driver

    def submit(self, run: Callable[[Transaction], T], *, durable: bool = True, early: bool = False) -> T:
        """Run a job in a transaction, perhaps together with those of other threads; return after its commit.

        A job that raises leaves nothing, and the others of its transaction are not touched by it.

        Args:
            run: the work; it may be run again after a rollback, and perhaps by another thread.
            durable: return only when the disk has it. What is not still comes before all that is durable later.
            early: run it before others.

        Raises:
            Locked: there was no turn in time.
        """
        job = Job(run, durable=durable, early=early)
        if self._turns.enter(job):
            group = [job]
            try:
                group = self._turns.group(job)
                self._run(group)
            finally:
                for other in group:
                    if other is not job:
                        other.wake.release()
                self._turns.hand_over()
        return job.answer()

    @contextmanager
    def lead(self) -> Iterator[None]:
        """Keep everybody else in this process from writing."""
        job: Job[None] = Job(lambda _: None, alone=True)
        if not self._turns.enter(job):
            raise AssertionError("nobody else does a job that is to be done alone")
        try:
            yield
        finally:
            self._turns.hand_over()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Transaction]:
        """Begin a transaction, commit it at the end, or roll it back if something was raised; only with the lead."""
        self._begin(durable=durable)
        try:
            transaction = Transaction(self.driver, self._clock)
            yield transaction
            transaction.save()
            self.driver.execute("COMMIT")
        except BaseException as error:
            self._undo(error)
            raise

    def close(self) -> None:
        """Close the connection, after what is being written now."""
        with self.lead():
            if self._driver is not None:
                self._driver.close()
                self._driver = None

    def _run(self, group: Sequence[Job[Any]]) -> None:
        for job in group:
            job.error = WriteFailed(_INTERRUPTED)  # until it is done
        if not self._together(group):
            for job in group:
                self._together([job])

    def _together(self, group: Sequence[Job[Any]]) -> bool:
        """Do jobs in one transaction; return whether that is their answer, for good or ill."""
        began = False
        try:
            with self.transaction(durable=any(job.durable for job in group)) as transaction:
                began = True
                for job in group:
                    if not job.early:
                        transaction.write_entries()
                    job.result = job.run(transaction)
        except Exception as error:  # noqa: BLE001 - whose fault it was is found out by doing them one by one
            if began and len(group) > 1:
                return False
            for job in group:
                job.error = error
            return True
        for job in group:
            job.error = None
        return True

    def _begin(self, *, durable: bool) -> None:
        driver = self.driver
        if durable is not self._durable:
            driver.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        try:
            patiently(lambda: driver.execute("BEGIN IMMEDIATE"), self._patience)
        except BaseException as error:
            self._undo(error)
            raise

    def _undo(self, error: BaseException) -> None:
        driver = self._driver
        if driver is None:
            return
        with suppress(sqlite3.Error):
            if driver.in_transaction:
                driver.execute("ROLLBACK")
        if driver.in_transaction or primary_code(error) in _PAST_REPAIR:
            self._driver = None
            with suppress(sqlite3.Error):
                driver.close()
