"""The event queue on a server, for workers of many processes and hosts; a dialect brings its statements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from mergeguard.core.events import Claim, Denied, Event, Lease, NewEvent, Queue, Registered
from mergeguard.storage.queue.server_batch import ServerBatch
from mergeguard.storage.queue.store import ChainState, DeadCount, DeadEvent, ParkedEvent, QueueSize

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mergeguard.storage.database.source import DatabaseSource


class Sessions(Protocol):
    """Connections of a store."""

    def translated(self) -> AbstractContextManager[None]:
        """Raise the driver's errors as MergeGuard's own."""

    def opened(self) -> AbstractContextManager[sa.Connection]:
        """Offer a connection; what is open at the end is rolled back."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Offer what sends statements, and commit at the end."""

    def single(self) -> AbstractContextManager[Any]:
        """Offer what sends one statement, which is a transaction of its own."""

    def close(self) -> None:
        """Close the connections that nobody uses."""


class ServerEventStore:
    """The queue of one database.

    Args:
        source: the database. It is given up with this store.
        sessions: its connections.
    """

    making: ClassVar[ModuleType]
    registering: ClassVar[ModuleType]
    claiming: ClassVar[ModuleType]
    finishing: ClassVar[ModuleType]
    parking: ClassVar[ModuleType]
    reading: ClassVar[ModuleType]
    batches: ClassVar[type[ServerBatch]] = ServerBatch

    def __init__(self, source: DatabaseSource, sessions: Sessions) -> None:
        self._source = source
        self._sessions = sessions

    def create(self) -> None:
        """Create the tables that are missing; where all stand, no right to create any is needed."""
        with self._sessions.transaction() as run:
            self.making.create(run)

    def register(self, events: Sequence[NewEvent], *, file_limit: int = 0) -> Sequence[Registered | Denied]:
        """Register events in one transaction."""
        if not events:
            return []
        with self._sessions.transaction() as run:
            found: Sequence[Registered | Denied] = self.registering.register(run, events, file_limit)
        return found

    def claim(
        self, queue: Queue, worker: str, lease: dt.timedelta, *, events: int = 512, chains: int = 128
    ) -> Claim | None:
        """Lease the longest-waiting chains whose head is of ``queue``."""
        with self._sessions.single() as run:
            if not self.claiming.is_offered(run, queue):
                return None
        with self._sessions.transaction() as run:
            found: Claim | None = self.claiming.claim(run, queue, worker, lease, events=events, chains=chains)
        return found

    @contextmanager
    def batch(self, claim: Claim) -> Iterator[ServerBatch]:
        """Begin the transaction of a claim; it commits at the end, or rolls back and raises."""
        with self._sessions.opened() as connection:
            connection.begin()
            driver = connection.connection.driver_connection
            batch = self.batches(
                connection,
                claim,
                lambda groups: self.finishing.send(driver, groups),
                lambda finish: self.finishing.finish(driver, finish),
                lambda: self.finishing.insist(driver),
                self._sessions.translated,
            )
            yield batch
            batch.end()

    def release(self, claim: Claim) -> None:
        """Give back the chains of a claim that still are its own."""
        with self._sessions.transaction() as run:
            self.claiming.release(run, claim)

    def renew(self, claim: Claim, lease: dt.timedelta) -> Sequence[Lease]:
        """Prolong the leases; return those that are still held."""
        with self._sessions.transaction() as run:
            found: Sequence[Lease] = self.claiming.renew(run, claim, lease)
        return found

    def sweep(self) -> int:
        """Free chains whose lease has expired or whose time to retry has come; return how many."""
        with self._sessions.transaction() as run:
            found: int = self.claiming.sweep(run)
        return found

    def parked(self, *, limit: int = 1000, after: int = 0) -> Sequence[ParkedEvent]:
        """Return parked events with an id above ``after``, by their ids, without their bodies."""
        with self._sessions.transaction() as run:
            found: Sequence[ParkedEvent] = self.parking.parked(run, limit, after)
        return found

    def wake(self, events: Sequence[int]) -> int:
        """Let parked events be tried again at once; return how many of these were parked."""
        with self._sessions.transaction() as run:
            woken: int = self.parking.wake(run, events)
        return woken

    def stranded(self) -> Sequence[ChainState]:
        """Return chains that have events and that nobody would ever pick up."""
        with self._sessions.transaction() as run:
            found: Sequence[ChainState] = self.reading.stranded(run)
        return found

    def sizes(self) -> Sequence[QueueSize]:
        """Return the counters of all five queues, in one snapshot."""
        with self._sessions.transaction() as run:
            found: Sequence[QueueSize] = self.reading.sizes(run)
        return found

    def chains(self, *, limit: int = 1000) -> Sequence[ChainState]:
        """Return the chains with events, the longest waiting first."""
        with self._sessions.transaction() as run:
            found: Sequence[ChainState] = self.reading.chains(run, limit)
        return found

    def waiting(self, *, limit: int = 1000, source: str | None = None) -> Sequence[Event]:
        """Return pending events in registration order, without their bodies."""
        with self._sessions.transaction() as run:
            found: Sequence[Event] = self.reading.waiting(run, limit, source)
        return found

    def dead(self, *, limit: int = 1000) -> Sequence[DeadEvent]:
        """Return dead events, the oldest first, with their bodies."""
        with self._sessions.transaction() as run:
            found: Sequence[DeadEvent] = self.reading.dead(run, limit)
        return found

    def dead_after(self, event: int, *, limit: int = 1000) -> Sequence[DeadEvent]:
        """Return dead events with an id above ``event``, by their ids, with their bodies."""
        with self._sessions.transaction() as run:
            found: Sequence[DeadEvent] = self.reading.dead_after(run, event, limit)
        return found

    def event(self, event: int) -> Event | DeadEvent | None:
        """Return one event with its body."""
        with self._sessions.transaction() as run:
            found: Event | DeadEvent | None = self.reading.event(run, event)
        return found

    def retry(self, event: int) -> int | None:
        """Register a dead event again, at the end of its line; return its new id."""
        with self._sessions.transaction() as run:
            buried: NewEvent | None = self.registering.exhume(run, event)
            number: int | None = None if buried is None else self.registering.write(run, [buried])[0]
        return number

    def later_done(self, event: int) -> int:
        """Return how many later events of a dead event's key are done."""
        with self._sessions.transaction() as run:
            found: int = self.reading.later_done(run, event)
        return found

    def drop(self, event: int) -> bool:
        """Remove a dead event for ever; return whether there was one."""
        with self._sessions.transaction() as run:
            return self.registering.exhume(run, event) is not None

    def files(self) -> Mapping[str, int]:
        """Return the files that rows name, with the event's id."""
        with self._sessions.transaction() as run:
            found: Mapping[str, int] = self.reading.files(run)
        return found

    def dead_counts(self, *, limit: int = 1000) -> Sequence[DeadCount]:
        """Return the (source, priority) pairs with dead events, those with the most first."""
        with self._sessions.transaction() as run:
            found: Sequence[DeadCount] = self.reading.dead_counts(run, limit)
        return found

    def now(self) -> dt.datetime:
        """Return the database's time."""
        with self._sessions.transaction() as run:
            found: dt.datetime = self.reading.now(run)
        return found

    def close(self) -> None:
        """Close all connections."""
        self._sessions.close()
        self._source.close()
