"""What a database does for the event queue. Every time is the database's own; a call is one transaction or says so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mergeguard.core.events import Claim, Denied, Event, Failure, Lease, NewEvent, Parking, Queue, Ran, Registered


@dataclass(frozen=True, slots=True)
class QueueSize:
    """Exact counters of one queue, as they stand in a transaction."""

    queue: Queue
    events: int
    """Pending, leased and parked ones."""
    inline_bytes: int
    file_bytes: int
    registered: int
    """Ever."""
    done: int
    """Ever."""
    dead: int
    """That are kept now."""
    dead_bytes: int
    retries: int
    """Ever."""
    oldest: dt.datetime | None = None
    """When the oldest of its pending events, of those that head a chain, was registered."""
    parked: int = 0
    """Of the events: those that wait for somebody to mend merges; each holds its chain."""


@dataclass(frozen=True, slots=True)
class ChainState:
    """One (source, priority) that has events, for people."""

    source: str
    """As text; that of an event without one is the empty guid."""
    priority: int
    queue: Queue
    events: int
    oldest: dt.datetime | None
    owner: str | None
    lease_until: dt.datetime | None
    retry_at: dt.datetime | None
    inline_bytes: int = 0
    """Of its pending events."""
    file_bytes: int = 0
    tries: int = 0
    """Failed tries of its head so far."""
    done: int = 0
    """Ever."""
    parked: bool = False
    """Whether its head is parked; ``retry_at`` is ``None`` then."""


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that keeps its place, and its chain waiting, until somebody mends the merges of its guids."""

    event: Event
    """Without its body."""
    parking: Parking
    since: dt.datetime
    """When it was parked, by the database's clock; anew at each time."""


@dataclass(frozen=True, slots=True)
class DeadCount:
    """How many dead events one (source, priority) has."""

    source: str
    priority: int
    events: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that left the line, with the reason; its body is kept until it is exported or dropped."""

    event: Event
    failure: Failure
    died: dt.datetime


class BatchLost(Exception):
    """What failed, the cause of this, could not be undone by itself: the database took back all of a batch, or will.

    SQL Server does so when a trigger fails. To go on would mark events as done whose effects are gone.
    """


class Batch(Protocol):
    """The one transaction in which the events of a claim take effect and are done."""

    @property
    def connection(self) -> Any:  # noqa: ANN401 - a sqlalchemy.Connection: this module stays free of drivers
        """A ``sqlalchemy.Connection`` in the open transaction; handlers write through it or its driver connection.

        What was added to the unit of work before stands in it. On SQLite the transaction, and with it the lock of the
        file, is only taken when this is asked for: a handler that can say all it has to say by ``add`` does not.
        """

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        """Add a statement to the unit of work, which is sent in order, in as few round trips as there may be.

        A statement that fails makes ``finish`` or the end of the batch raise, for all of its events: whoever wants to
        know which of them it was runs them one by one.

        Args:
            statement: with a ``?`` for each value, whatever the driver's own style.
            row: the values, of types that the driver takes.
        """

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what a handler did if it raises; the neighbours keep theirs.

        Raises:
            BatchLost: the neighbours could not keep theirs; nothing of this batch may be committed.
        """

    def finish(self, ran: Sequence[Ran]) -> None:
        """Delete what is done, note failures, park, move the dead, count; check owner and epoch of every chain.

        Raises:
            LeaseLost: another worker has one of the chains: everything of this transaction is rolled back.
        """


@runtime_checkable
class Releasing(Protocol):
    """A batch that can give back its chains by its commit, so that nobody has to do it afterwards."""

    def finish_and_release(self, ran: Sequence[Ran]) -> bool:
        """Do what ``finish`` does, and have the commit give back the chains that ran; say whether that is all of them.

        Raises what ``finish`` does.
        """


class EventStore(Protocol):
    """The queue of one database. Safe to use from several threads: each call takes a connection of its own."""

    def create(self) -> None:
        """Create the tables that are missing, those that an earlier version did not have among them."""

    def register(self, events: Sequence[NewEvent], *, file_limit: int = 0) -> Sequence[Registered | Denied]:
        """Register events in one transaction, each after the ones before it; answers in the same order.

        The pending bytes in files never exceed ``file_limit`` (bytes; 0: no limit): an event that would make them
        exceed it is denied, exactly and at once, and nothing of it is left.
        """

    def claim(
        self, queue: Queue, worker: str, lease: dt.timedelta, *, events: int = 512, chains: int = 128
    ) -> Claim | None:
        """Lease the longest-waiting chains whose head is of ``queue``; ``None`` when there is none."""

    def batch(self, claim: Claim) -> AbstractContextManager[Batch]:
        """Begin the transaction of a claim; it commits at the end, or rolls back and raises."""

    def release(self, claim: Claim) -> None:
        """Give back the chains of a claim that still are its own, in the statement after the commit of its batch."""

    def renew(self, claim: Claim, lease: dt.timedelta) -> Sequence[Lease]:
        """Prolong the leases; return those that are still held."""

    def sweep(self) -> int:
        """Free chains whose lease has expired or whose time to retry has come; return how many."""

    def parked(self, *, limit: int = 1000, after: int = 0) -> Sequence[ParkedEvent]:
        """Return parked events with an id above ``after``, by their ids, without their bodies."""

    def wake(self, events: Sequence[int]) -> int:
        """Let parked events be tried again at once; return how many of these were parked. No try is counted."""

    def stranded(self) -> Sequence[ChainState]:
        """Return chains that have events and that nobody would ever pick up: always none, or there is a bug.

        A chain whose head is parked is none of them as long as it is noted why.
        """

    def sizes(self) -> Sequence[QueueSize]:
        """Return the counters of all five queues, in one snapshot."""

    def chains(self, *, limit: int = 1000) -> Sequence[ChainState]:
        """Return the chains with events, the longest waiting first."""

    def waiting(self, *, limit: int = 1000, source: str | None = None) -> Sequence[Event]:
        """Return pending events in registration order, without their bodies."""

    def dead(self, *, limit: int = 1000) -> Sequence[DeadEvent]:
        """Return dead events, the oldest first, with their bodies."""

    def dead_after(self, event: int, *, limit: int = 1000) -> Sequence[DeadEvent]:
        """Return dead events with an id above ``event``, by their ids, with their bodies: to go through all of them."""

    def event(self, event: int) -> Event | DeadEvent | None:
        """Return one event with its body."""

    def retry(self, event: int) -> int | None:
        """Register a dead event again, at the end of its line; return its new id.

        ``None`` where there is no such dead event. Later events of its key may be done: ``later_done`` says how many.
        """

    def later_done(self, event: int) -> int:
        """Return how many later events of a dead event's key are done: a retry would come out of order with them."""

    def drop(self, event: int) -> bool:
        """Remove a dead event for ever; return whether there was one."""

    def files(self) -> Mapping[str, int]:
        """Return the files that rows name, with the event's id: pending and dead ones."""

    def dead_counts(self, *, limit: int = 1000) -> Sequence[DeadCount]:
        """Return the (source, priority) pairs with dead events, those with the most first."""

    def now(self) -> dt.datetime:
        """Return the database's time, aware: ages are counted from it, never from the clock of this machine."""

    def close(self) -> None:
        """Close all connections."""
