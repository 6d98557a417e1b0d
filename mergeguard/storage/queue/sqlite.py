"""The event queue in an SQLite file: for one machine, with any number of threads and processes.

The file is in WAL mode: who reads does not wait for who writes. What is answered is on the disk.
docs/explanation/event-queue-sqlite.md says how it works and where its limits are.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from mergeguard.core.events import Claim, Denied, Event, Lease, NewEvent, Queue, Ran, Registered
from mergeguard.errors import Unsupported
from mergeguard.storage import failures
from mergeguard.storage.queue import sqlite_claiming, sqlite_dead, sqlite_parking, sqlite_reading, sqlite_registering
from mergeguard.storage.queue.sqlite_batch import Connections, SqliteBatch
from mergeguard.storage.queue.sqlite_clock import Clock, moment
from mergeguard.storage.queue.sqlite_patience import patiently
from mergeguard.storage.queue.sqlite_tables import TABLES, Driver, connect
from mergeguard.storage.queue.sqlite_transaction import Transaction
from mergeguard.storage.queue.sqlite_writer import Writer
from mergeguard.storage.queue.store import Batch, ChainState, DeadCount, DeadEvent, ParkedEvent, QueueSize

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds to wait for a turn to write."""
_READERS = 4
"""Connections for reading that are kept open."""
_CHECKPOINT = 10_000
"""Pages of log (40 MB) after which a commit moves them into the database: most are newer versions of the same few."""


class SqliteEventStore:
    """See ``store.EventStore``. Not to be used by a process that was forked from the one that opened it.

    Args:
        path: of the database file, on a disk of this machine; ``create`` makes it if there is none.
        patience: seconds that a call waits for its turn to write, before it raises ``Locked``.
        clock: of the queue.
    """

    def __init__(self, path: Path | str, *, patience: float = PATIENCE, clock: Clock | None = None) -> None:
        self.path = Path(path).absolute()
        self._patience = patience
        self._clock = clock or Clock()
        self._writer = Writer(self._connect_to_write, self._clock, patience)
        self._connections = Connections()
        self._readers: deque[Driver] = deque()

    def create(self) -> None:
        """Create the file and the tables that are missing; the file is in WAL mode from then on."""
        with self._translated():
            patiently(self._create, self._patience)

    def register(self, events: Sequence[NewEvent], *, file_limit: int = 0) -> Sequence[Registered | Denied]:
        """Register events; threads that register at the same time share one transaction and one wait for the disk."""
        return self._write(lambda within: sqlite_registering.register(within, events, file_limit), early=True)

    def claim(
        self, queue: Queue, worker: str, lease: dt.timedelta, *, events: int = 512, chains: int = 128
    ) -> Claim | None:
        """Lease the longest-waiting chains of a queue, those whose time to retry has come among them."""
        if not self._read(lambda driver: sqlite_claiming.offered(driver, queue, self._time(driver))):
            return None
        return self._write(
            lambda within: sqlite_claiming.claim(within, queue, worker, lease, events=events, chains=chains),
            durable=False,
        )

    def batch(self, claim: Claim) -> AbstractContextManager[Batch]:
        """Begin the transaction of a claim; it holds no lock until a handler asks for its connection."""
        return SqliteBatch(self._writer, self._connections, claim, self._translated, self._held)

    def release(self, claim: Claim) -> None:
        """Give back the chains that ``finish`` was not told of: those it was told of are given back with the commit."""
        if self._read(lambda driver: sqlite_claiming.held(driver, claim, claim.leases)):
            self._write(lambda within: sqlite_claiming.release(within, claim), durable=False)

    def renew(self, claim: Claim, lease: dt.timedelta) -> Sequence[Lease]:
        """Prolong the leases; return those that are still held."""
        return self._write(lambda within: sqlite_claiming.renew(within, claim, lease), durable=False)

    def sweep(self) -> int:
        """Free chains whose lease has expired or whose time to retry has come; return how many."""
        if not self._read(lambda driver: sqlite_claiming.due(driver, self._time(driver))):
            return 0
        return self._write(sqlite_claiming.sweep, durable=False)

    def parked(self, *, limit: int = 1000, after: int = 0) -> Sequence[ParkedEvent]:
        """Return parked events with an id above ``after``, by their ids, without their bodies."""
        return self._read(lambda driver: sqlite_parking.parked(driver, limit, after))

    def wake(self, events: Sequence[int]) -> int:
        """Let parked events be tried again at once; return how many of these were parked."""
        return self._write(lambda within: sqlite_parking.wake(within, events)) if events else 0

    def stranded(self) -> Sequence[ChainState]:
        """Return chains whose events nobody would find: always none, or there is a bug."""
        return self._read(sqlite_reading.stranded)

    def sizes(self) -> Sequence[QueueSize]:
        """Return the counters of all five queues, in one snapshot."""
        return self._read(sqlite_reading.sizes)

    def chains(self, *, limit: int = 1000) -> Sequence[ChainState]:
        """Return the chains with events, the longest waiting first."""
        return self._read(lambda driver: sqlite_reading.chains(driver, limit))

    def waiting(self, *, limit: int = 1000, source: str | None = None) -> Sequence[Event]:
        """Return pending events in registration order, without their bodies."""
        return self._read(lambda driver: sqlite_reading.waiting(driver, limit, source))

    def dead(self, *, limit: int = 1000) -> Sequence[DeadEvent]:
        """Return dead events, the oldest first, with their bodies."""
        return self._read(lambda driver: sqlite_reading.dead(driver, limit))

    def dead_after(self, event: int, *, limit: int = 1000) -> Sequence[DeadEvent]:
        """Return dead events with an id above ``event``, by their ids, with their bodies."""
        return self._read(lambda driver: sqlite_reading.dead_after(driver, event, limit))

    def event(self, event: int) -> Event | DeadEvent | None:
        """Return one event with its body."""
        return self._read(lambda driver: sqlite_reading.event(driver, event))

    def retry(self, event: int) -> int | None:
        """Register a dead event again, at the end of its line; return its new id."""
        return self._write(lambda within: sqlite_dead.retry(within, event))

    def later_done(self, event: int) -> int:
        """Return how many later events of a dead event's key are done."""
        return self._read(lambda driver: sqlite_reading.later_done(driver, event))

    def drop(self, event: int) -> bool:
        """Remove a dead event for ever; return whether there was one."""
        return self._write(lambda within: sqlite_dead.drop(within, event))

    def files(self) -> Mapping[str, int]:
        """Return the files that rows name, with the event's id: pending and dead ones."""
        return self._read(sqlite_reading.files)

    def dead_counts(self, *, limit: int = 1000) -> Sequence[DeadCount]:
        """Return the (source, priority) pairs with dead events, those with the most first."""
        return self._read(lambda driver: sqlite_reading.dead_counts(driver, limit))

    def now(self) -> dt.datetime:
        """Return the queue's time: that of this machine, but never before the latest that the file has seen."""
        return moment(self._read(self._time))

    def close(self) -> None:
        """Close all connections, after what is being written."""
        self._writer.close()
        while self._readers:
            self._readers.pop().close()

    def _time(self, driver: sqlite3.Connection) -> int:
        return self._clock.now(sqlite_reading.stored_clock(driver))

    def _held(self, claim: Claim, ran: Sequence[Ran]) -> bool:
        leases = [one.lease for one in ran]
        return len(self._read(lambda driver: sqlite_claiming.held(driver, claim, leases))) == len(leases)

    def _write(self, run: Callable[[Transaction], T], *, durable: bool = True, early: bool = False) -> T:
        with self._translated():
            return self._writer.submit(run, durable=durable, early=early)

    def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        with self._translated():
            return patiently(lambda: self._read_once(ask), self._patience)

    def _read_once(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Ask in a transaction of its own, so that all of an answer is of one moment."""
        try:
            driver = self._readers.pop()
        except IndexError:
            driver = connect(self.path)
            driver.execute("PRAGMA query_only = 1")
        try:
            driver.execute("BEGIN")
            answer = ask(driver)
            driver.execute("COMMIT")
        except BaseException:
            driver.close()
            raise
        if len(self._readers) < _READERS:
            self._readers.append(driver)
        else:
            driver.close()
        return answer

    def _create(self) -> None:
        with closing(connect(self.path, create=True)) as driver:
            if driver.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                raise Unsupported(f"{self.path}: this file system cannot hold an SQLite database in WAL mode")
            driver.execute("BEGIN IMMEDIATE")
            for statement in TABLES:
                driver.execute(statement)
            driver.execute("COMMIT")

    def _connect_to_write(self) -> Driver:
        driver = connect(self.path)
        driver.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        return driver

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with failures.translated(str(self.path), writing=True):
            yield
