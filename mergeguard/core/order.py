"""The order of events as a pure model: which queue, which event may start, when a retry is due, what is done or dead.

Time is given, never asked for. ``Order`` is the oracle that every store of the queue is held to: it is told what a
store answered and raises ``OrderBroken``, with the name of the check, where the answer breaks a promise.
"""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mergeguard.core.events import NO_SOURCE, Claim, Lease, NewEvent, Parking, Queue, Ran

Key: TypeAlias = tuple[uuid.UUID, int]
"""Source and priority; an event with the empty source is its own: the empty guid and minus its id."""
RETRY_STEP = dt.timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where one queue ends and the next begins: bytes of an uncompressed body, and a priority."""

    fast: int = 15_000
    slow: int = 1_048_576
    large: int = 20_971_520
    priority: int = 1_000


_DEFAULT = Thresholds()


def queue_for(size: int, priority: int, thresholds: Thresholds = _DEFAULT) -> Queue:
    """Return the queue of an event; a threshold belongs to what is above it."""
    if priority >= thresholds.priority:
        return Queue.PRIORITY
    if size >= thresholds.large:
        return Queue.LARGE
    if size >= thresholds.slow:
        return Queue.SLOW
    return Queue.NORMAL if size >= thresholds.fast else Queue.FAST


def retry_delay(number: int, step: dt.timedelta = RETRY_STEP) -> dt.timedelta:
    """Return how long the retry of this number, counted from 1, waits after the try before it."""
    return number * step


class State(enum.StrEnum):
    """Where a registered event is; it is in exactly one of them."""

    PENDING = "pending"
    LEASED = "leased"
    RETRYING = "waiting for its retry"
    PARKED = "parked"
    DONE = "done"
    DEAD = "dead"
    DROPPED = "dead, and taken away by a person"


class OrderBroken(AssertionError):
    """A store did what it must not do; ``check`` is the name of the promise."""

    def __init__(self, check: str, what: str) -> None:
        super().__init__(f"{check}: {what}")
        self.check = check


@dataclass(slots=True)
class _Held:
    worker: str
    epoch: int
    until: dt.datetime


@dataclass(slots=True)
class _Line:
    """One key: everything that was ever registered of it, in order, and how far it has come."""

    registered: list[int] = field(default_factory=list)
    gone: int = 0
    """So many from the head on are done or dead."""
    epoch: int = 0
    held: _Held | None = None
    retry_at: dt.datetime | None = None
    was_due: bool = False
    """Whether the time of the retry has come once, whatever the clock says by now."""
    parked: Parking | None = None
    """Why its head waits for somebody to mend the merges of its guids."""

    @property
    def waiting(self) -> list[int]:
        return self.registered[self.gone :]


@dataclass(slots=True)
class Account:
    """What the counters of a queue must say."""

    events: int = 0
    inline_bytes: int = 0
    file_bytes: int = 0
    registered: int = 0
    done: int = 0
    dead: int = 0
    dead_bytes: int = 0
    retries: int = 0
    parked: int = 0


class Order:
    """All lines of a queue, as they must be."""

    def __init__(self) -> None:
        self.events: dict[int, NewEvent] = {}
        self.tries: dict[int, int] = {}
        self.ended: dict[int, State] = {}
        self.lines: dict[Key, _Line] = {}
        self.accounts = {queue: Account() for queue in Queue}
        self._keys: dict[int, Key] = {}

    def admits(self, event: NewEvent, file_limit: int) -> bool:
        """Say whether an event fits beside the files that are pending."""
        pending = sum(account.file_bytes for account in self.accounts.values())
        return event.file is None or not file_limit or pending + event.size <= file_limit

    def register(self, event: NewEvent, number: int) -> None:
        """Put an event at the end of its line, under the id that the store gave it."""
        if number in self.events:
            raise OrderBroken("no_invention", f"the id {number} was given twice")
        key = (NO_SOURCE, -number) if event.source == NO_SOURCE else (event.source, event.priority)
        line = self.lines.setdefault(key, _Line())
        if line.registered and number <= line.registered[-1]:
            raise OrderBroken("order", f"{number} stands behind {line.registered[-1]} and has the smaller id")
        line.registered.append(number)
        self.events[number], self.tries[number], self._keys[number] = event, 0, key
        self._enter(event)
        self.accounts[event.queue].registered += 1

    def claimable(self, queue: Queue, now: dt.datetime) -> list[Key]:
        """Return the lines that a worker of a queue must be offered, the oldest head first."""
        free = [key for key, line in self.lines.items() if line.held is None and self._heads(line, queue, now)]
        return sorted(free, key=lambda key: self.lines[key].waiting[0])

    def claim(self, claim: Claim, now: dt.datetime) -> None:
        """Take over what a store leased."""
        if not claim.leases:
            raise OrderBroken("progress", "an empty claim")
        for lease in claim.leases:
            line = self.lines[self.key_of(lease)]
            self._check_lease(line, lease, claim.queue, now)
            line.epoch = lease.epoch
            line.held = _Held(claim.worker, lease.epoch, claim.until)
            line.retry_at, line.was_due = None, False

    def holds(self, claim: Claim, lease: Lease) -> bool:
        """Say whether a lease is still its worker's."""
        held = self.lines[self.key_of(lease)].held
        return held is not None and (held.worker, held.epoch) == (claim.worker, lease.epoch)

    def finish(self, claim: Claim, ran: Sequence[Ran], now: dt.datetime) -> None:
        """Take over what a batch committed."""
        for one in ran:
            if not self.holds(claim, one.lease):
                raise OrderBroken("no_overlap", f"{claim.worker} committed under a lease that it had lost")
            self._advance(one, now)
            key = self.key_of(one.lease)
            if key[0] == NO_SOURCE and not self.lines[key].waiting:
                self.lines[key].held = None  # the chain of one event is gone with it

    def release(self, claim: Claim) -> None:
        """Give back what of a claim is still held."""
        for lease in claim.leases:
            if self.holds(claim, lease):
                self.lines[self.key_of(lease)].held = None

    def renew(self, claim: Claim, until: dt.datetime) -> list[Lease]:
        """Prolong what of a claim is still held, and return it."""
        kept = [lease for lease in claim.leases if self.holds(claim, lease)]
        for lease in kept:
            held = self.lines[self.key_of(lease)].held
            if held is not None:
                held.until = until
        return kept

    def note_due(self, now: dt.datetime) -> None:
        """Remember whose retry is due, before the clock is set back: a store may have seen it, and need not have."""
        for line in self.lines.values():
            line.was_due |= line.retry_at is not None and line.retry_at <= now

    def sweep(self, now: dt.datetime) -> None:
        """End the leases whose time is over."""
        for line in self.lines.values():
            if line.held is not None and line.held.until <= now:
                line.held = None

    def wake(self, numbers: Iterable[int]) -> int:
        """Let those of some events that are parked be tried again; return how many there were."""
        asked = set(numbers)
        woken = [line for line in self.lines.values() if line.parked is not None and line.parked.event in asked]
        for line in woken:
            self._unpark(line)
        return len(woken)

    def revive(self, dead: int, number: int) -> None:
        """Register a dead event again."""
        event = self.events[dead]
        self.drop(dead)
        self.register(event, number)

    def drop(self, dead: int) -> None:
        """Take a dead event away for ever."""
        if self.ended.get(dead) is not State.DEAD:
            raise OrderBroken("no_loss", f"{dead} was taken away and is not dead")
        self.ended[dead] = State.DROPPED
        account = self.accounts[self.events[dead].queue]
        account.dead -= 1
        account.dead_bytes -= self.events[dead].size

    def state(self, number: int) -> State:
        """Return where an event is."""
        ended = self.ended.get(number)
        if ended is not None:
            return ended
        line = self.lines[self._keys[number]]
        if line.held is not None:
            return State.LEASED
        if line.waiting[0] != number:
            return State.PENDING
        if line.parked is not None:
            return State.PARKED
        return State.RETRYING if line.retry_at is not None else State.PENDING

    def waiting(self) -> list[int]:
        """Return the ids that are neither done nor dead, in the order of registration."""
        return sorted(number for line in self.lines.values() for number in line.waiting)

    def parked(self) -> list[int]:
        """Return the ids of the parked events, in the order of registration."""
        return sorted(line.parked.event for line in self.lines.values() if line.parked is not None)

    def dead(self) -> list[int]:
        """Return the ids of the dead events that are kept."""
        return sorted(number for number, state in self.ended.items() if state is State.DEAD)

    def later_done(self, dead: int) -> int:
        """Return how many events behind a dead one in its line are done."""
        line = self.lines[self._keys[dead]]
        return sum(self.ended.get(number) is State.DONE for number in line.registered if number > dead)

    def key_of(self, lease: Lease) -> Key:
        """Return the key of a lease, by its events."""
        unknown = [event.id for event in lease.events if event.id not in self._keys]
        if unknown or not lease.events:
            raise OrderBroken("no_invention", f"a lease of events that were never registered: {unknown}")
        return self._keys[lease.events[0].id]

    def _heads(self, line: _Line, queue: Queue, now: dt.datetime) -> bool:
        waits = line.parked is not None or (line.retry_at is not None and line.retry_at > now)
        return bool(line.waiting) and self.events[line.waiting[0]].queue == queue and not waits

    def _check_lease(self, line: _Line, lease: Lease, queue: Queue, now: dt.datetime) -> None:
        given, waiting = [event.id for event in lease.events], line.waiting
        if line.held is not None and line.held.until > now:
            raise OrderBroken("no_overlap", f"{given} were leased while {line.held.worker} has their chain")
        if given != waiting[: len(given)]:
            raise OrderBroken("order", f"{given} were leased, and the line is {waiting[: len(given) + 1]}")
        if any(self.events[number].queue != queue for number in given):
            raise OrderBroken("order", f"{given} are not all of the queue {queue.name}")
        if line.retry_at is not None and line.retry_at > now and not line.was_due:
            raise OrderBroken("retry", f"{given[0]} was leased before its time to retry")
        if line.parked is not None:
            raise OrderBroken("park", f"{given[0]} was leased while {line.parked.event} is parked")
        if lease.epoch <= line.epoch:
            raise OrderBroken("no_overlap", f"the fencing token {lease.epoch} came after {line.epoch}")
        for event in lease.events:
            if event.tries != self.tries[event.id]:
                raise OrderBroken("retry", f"{event.id} had {self.tries[event.id]} failed tries, not {event.tries}")

    def _advance(self, ran: Ran, now: dt.datetime) -> None:
        line = self.lines[self.key_of(ran.lease)]
        self._unpark(line)  # a worker that tried once more, its lease still held, has found a way
        self._end(line, (event.id for event in ran.lease.events[: ran.done]), State.DONE)
        failure = ran.failure
        if ran.parked is not None:
            self._park(line, ran.parked)
        if failure is None:
            return
        if line.waiting[0] != failure.event:
            raise OrderBroken("order", f"{failure.event} failed and {line.waiting[0]} is the head")
        self.tries[failure.event] += 1
        if failure.retry_after is None:
            self._end(line, (failure.event,), State.DEAD)
        else:
            line.retry_at, line.was_due = now + failure.retry_after, False
            self.accounts[self.events[failure.event].queue].retries += 1

    def _unpark(self, line: _Line) -> None:
        if line.parked is not None:
            self.accounts[self.events[line.parked.event].queue].parked -= 1
            line.parked = None

    def _park(self, line: _Line, parking: Parking) -> None:
        if line.waiting[:1] != [parking.event]:
            raise OrderBroken("order", f"{parking.event} is parked and the line is {line.waiting[:2]}")
        line.parked = parking
        self.accounts[self.events[parking.event].queue].parked += 1

    def _end(self, line: _Line, numbers: Iterable[int], state: State) -> None:
        for number in numbers:
            if line.waiting[:1] != [number]:
                raise OrderBroken("order", f"{number} is {state} and is not the head of its line")
            line.gone += 1
            self.ended[number] = state
            self._leave(number, state)

    def _enter(self, event: NewEvent) -> None:
        account = self.accounts[event.queue]
        account.events += 1
        account.inline_bytes += event.size if event.file is None else 0
        account.file_bytes += event.size if event.file is not None else 0

    def _leave(self, number: int, state: State) -> None:
        event = self.events[number]
        account = self.accounts[event.queue]
        account.events -= 1
        account.inline_bytes -= event.size if event.file is None else 0
        account.file_bytes -= event.size if event.file is not None else 0
        account.done += state is State.DONE
        account.dead += state is State.DEAD
        account.dead_bytes += event.size if state is State.DEAD else 0
