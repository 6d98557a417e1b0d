"""The event queue in PostgreSQL, for workers of many processes and hosts; see ``store.EventStore``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mergeguard.core.events import NO_SOURCE, Claim, Denied, Event, Lease, NewEvent, Queue, Registered
from mergeguard.storage.queue import postgresql_claiming as claiming
from mergeguard.storage.queue import postgresql_reading as reading
from mergeguard.storage.queue import postgresql_registering as registering
from mergeguard.storage.queue import postgresql_tables as tables
from mergeguard.storage.queue.postgresql_batch import PostgresqlBatch
from mergeguard.storage.queue.postgresql_sessions import Run, Sessions
from mergeguard.storage.queue.store import ChainState, DeadCount, DeadEvent, QueueSize

if TYPE_CHECKING:
    from mergeguard.storage.postgresql import PostgresqlSource

_EXHUME = """
    DELETE FROM mergeguard_dead_event WHERE id = %s RETURNING source, priority, queue, size, body, file
"""
_COUNT_DEAD = """
    UPDATE mergeguard_queue SET dead = dead - 1, dead_bytes = dead_bytes - %s WHERE queue = %s AND part = 0
"""


class PostgresqlEventStore:
    """The queue of one database.

    Args:
        source: the database. It is given up with this store.
    """

    def __init__(self, source: PostgresqlSource) -> None:
        self._source = source
        self._sessions = Sessions(source)

    def create(self) -> None:
        """Create the tables that are missing; where all stand, no right to create any is needed."""
        with self._sessions.transaction() as run:
            run(tables.LOCK)
            if (run(tables.STAND).fetchone() or (0,))[0] < 4:
                for statement in tables.TABLES:
                    run(statement.encode())
                run(tables.COUNTERS, (tables.PARTS,))

    def register(self, events: Sequence[NewEvent], *, file_limit: int = 0) -> Sequence[Registered | Denied]:
        """Register events in one transaction."""
        if not events:
            return []
        with self._sessions.transaction() as run:
            return registering.register(run, events, file_limit)

    def claim(
        self, queue: Queue, worker: str, lease: dt.timedelta, *, events: int = 512, chains: int = 64
    ) -> Claim | None:
        """Lease the longest-waiting chains whose head is of ``queue``."""
        with self._sessions.reading() as run:
            if not claiming.is_offered(run, queue):
                return None
        with self._sessions.transaction() as run:
            return claiming.claim(run, queue, worker, lease, events=events, chains=chains)

    @contextmanager
    def batch(self, claim: Claim) -> Iterator[PostgresqlBatch]:
        """Begin the transaction of a claim; it commits at the end, or rolls back and raises."""
        with self._sessions.opened() as connection:
            connection.begin()
            batch = PostgresqlBatch(self._sessions, connection, claim)
            yield batch
            batch.end()

    def release(self, claim: Claim) -> None:
        """Give back the chains of a claim that still are its own."""
        with self._sessions.transaction() as run:
            claiming.release(run, claim)

    def renew(self, claim: Claim, lease: dt.timedelta) -> Sequence[Lease]:
        """Prolong the leases; return those that are still held."""
        with self._sessions.transaction() as run:
            return claiming.renew(run, claim, lease)

    def sweep(self) -> int:
        """Free chains whose lease has expired or whose time to retry has come; return how many."""
        with self._sessions.transaction() as run:
            return claiming.sweep(run)

    def stranded(self) -> Sequence[ChainState]:
        """Return chains that have events and that nobody would ever pick up."""
        with self._sessions.transaction() as run:
            return reading.stranded(run)

    def sizes(self) -> Sequence[QueueSize]:
        """Return the counters of all five queues, in one snapshot."""
        with self._sessions.transaction() as run:
            return reading.sizes(run)

    def chains(self, *, limit: int = 1000) -> Sequence[ChainState]:
        """Return the chains with events, the longest waiting first."""
        with self._sessions.transaction() as run:
            return reading.chains(run, limit)

    def waiting(self, *, limit: int = 1000, source: str | None = None) -> Sequence[Event]:
        """Return pending events in registration order, without their bodies."""
        with self._sessions.transaction() as run:
            return reading.waiting(run, limit, source)

    def dead(self, *, limit: int = 1000) -> Sequence[DeadEvent]:
        """Return dead events, the oldest first, with their bodies."""
        with self._sessions.transaction() as run:
            return reading.dead(run, limit)

    def event(self, event: int) -> Event | DeadEvent | None:
        """Return one event with its body."""
        with self._sessions.transaction() as run:
            return reading.event(run, event)

    def retry(self, event: int) -> int | None:
        """Register a dead event again, at the end of its line; return its new id."""
        with self._sessions.transaction() as run:
            found = self._exhumed(run, event)
            if found is None:
                return None
            registration = registering.Registration()
            registration.add(found)
            return registration.write(run)[0]

    def later_done(self, event: int) -> int:
        """Return how many later events of a dead event's key are done."""
        with self._sessions.transaction() as run:
            return reading.later_done(run, event)

    def drop(self, event: int) -> bool:
        """Remove a dead event for ever; return whether there was one."""
        with self._sessions.transaction() as run:
            return self._exhumed(run, event) is not None

    def files(self) -> Mapping[str, int]:
        """Return the files that rows name, with the event's id."""
        with self._sessions.transaction() as run:
            return reading.files(run)

    def dead_counts(self, *, limit: int = 1000) -> Sequence[DeadCount]:
        """Return the (source, priority) pairs with dead events, those with the most first."""
        with self._sessions.transaction() as run:
            return reading.dead_counts(run, limit)

    def now(self) -> dt.datetime:
        """Return the database's time."""
        with self._sessions.transaction() as run:
            return reading.now(run)

    def close(self) -> None:
        """Close all connections."""
        self._sessions.close()
        self._source.close()

    @staticmethod
    def _exhumed(run: Run, event: int) -> NewEvent | None:
        """Take a dead event out of its table and off the counters."""
        row = run(_EXHUME, (event,)).fetchone()
        if row is None:
            return None
        source, priority, queue, size, body, file = row
        run(_COUNT_DEAD, (size, queue))
        return NewEvent(source or NO_SOURCE, priority, Queue(queue), size, body, file)
