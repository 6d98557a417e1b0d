"""An event store in memory with a clock of its own, held to the pure model at each step; for tests of what uses one.

Every call may be made to fail before or after it took effect (``FakeStore.trouble``), as a lost connection does. A
claim's transaction is real in what matters here: effects and done-marks become visible together, or neither does.
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from mergeguard.core.events import NO_SOURCE, Claim, Denied, Event, Failure, Lease, NewEvent, Queue, Ran, Reason
from mergeguard.core.events import Registered as Place
from mergeguard.core.order import Key, Order, OrderBroken, State
from mergeguard.errors import LeaseLost
from mergeguard.storage.queue.store import ChainState, DeadCount, DeadEvent, ParkedEvent, QueueSize

BEGAN = dt.datetime(2024, 2, 29, tzinfo=dt.UTC)


def quiet(_call: str) -> None:
    """No trouble."""


class BadStatement(Exception):
    """What the driver of this store says of a statement that it cannot run."""


BadStatement.__module__ = "sqlite3"  # so that it is known as a driver's


@dataclass
class FakeConnection:
    """What handlers write through; ``execute`` runs at once, in the open transaction."""

    batch: FakeBatch

    def execute(self, statement: str, row: Sequence[Any] = ()) -> None:
        self.batch.send()
        self.batch.run(statement, row)


@dataclass
class FakeBatch:
    """One transaction."""

    store: FakeStore
    claim: Claim
    effects: list[tuple[Any, ...]] = field(default_factory=list)
    unit: list[tuple[str, Sequence[Any]]] = field(default_factory=list)
    ran: Sequence[Ran] | None = None
    aborted: bool = False
    """After a statement failed nothing else runs until it is rolled back, as on PostgreSQL."""

    @property
    def connection(self) -> FakeConnection:
        self.store.meet("connection")
        self.send()
        return FakeConnection(self)

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        self.unit.append((statement, row))

    def send(self) -> None:
        unit, self.unit = self.unit, []
        for statement, row in unit:
            self.run(statement, row)

    def run(self, statement: str, row: Sequence[Any]) -> None:
        self._insist()
        if statement != "effect":
            self.aborted = True
            raise BadStatement(f"no such statement: {statement}")
        self.effects.append(tuple(row))

    def _insist(self) -> None:
        if self.aborted:
            raise BadStatement("the transaction is aborted")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self.store.meet("savepoint")
        effects, unit = list(self.effects), list(self.unit)
        try:
            yield
            self._insist()
        except BaseException:
            self.effects, self.unit, self.aborted = effects, unit, False
            raise

    def finish(self, ran: Sequence[Ran]) -> None:
        self.store.meet("finish")
        self.send()
        self.store.fence(self.claim, ran)
        self.ran = ran


@dataclass
class Dead:
    failure: Failure
    died: dt.datetime


class FakeStore:
    """See ``store.EventStore``; ``create`` and the readings for people are there for completeness."""

    def __init__(self) -> None:
        self.order = Order()
        self.seconds = 0.0
        self.effects: list[tuple[Any, ...]] = []
        """Committed, in the order of commits."""
        self.trouble: Callable[[str], None] = quiet
        """Called with the name of each call before it takes effect, and with ``after NAME`` when it did."""
        self.committed: Callable[[Claim, Sequence[Ran]], None] = lambda _claim, _ran: None
        self.broken: list[OrderBroken] = []
        """Every promise that was broken."""
        self.fenced = True
        self._failures: dict[int, Dead] = {}
        self._received: dict[int, dt.datetime] = {}
        self._parked: dict[int, dt.datetime] = {}
        self._chains: dict[int, Key] = {}
        self._epochs: dict[Key, int] = {}
        self._last = 0
        self._lock = threading.RLock()

    # --- Time ---

    def now(self) -> dt.datetime:
        return BEGAN + dt.timedelta(seconds=self.seconds)

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds

    # --- What workers need ---

    def create(self) -> None:
        self.meet("create")

    def register(self, events: Sequence[NewEvent], *, file_limit: int = 0) -> Sequence[Place | Denied]:
        with self._call("register"):
            return [self._registered(event, file_limit) for event in events]

    def _registered(self, event: NewEvent, file_limit: int) -> Place | Denied:
        if not self.order.admits(event, file_limit):
            return Denied(Reason.FULL)
        self._last += 1
        self.order.register(event, self._last)
        self._received[self._last] = self.now()
        return Place(self._last)

    def claim(
        self, queue: Queue, worker: str, lease: dt.timedelta, *, events: int = 512, chains: int = 128
    ) -> Claim | None:
        with self._call("claim"):
            self.order.sweep(self.now())
            leases: list[Lease] = []
            for key in self.order.claimable(queue, self.now()):
                room = events - sum(len(one.events) for one in leases)
                if len(leases) < chains and room > 0:
                    leases.append(self._leased(key, queue, room))
            if not leases:
                return None
            claim = Claim(worker, queue, tuple(leases), self.now() + lease)
            self.order.claim(claim, self.now())
            return claim

    def _leased(self, key: Key, queue: Queue, room: int) -> Lease:
        numbers = self.order.lines[key].waiting
        other = (at for at, number in enumerate(numbers) if self.order.events[number].queue != queue)
        self._epochs[key] = self._epochs.get(key, 0) + 1
        chain = next((one for one, its in self._chains.items() if its == key), len(self._chains) + 1)
        self._chains[chain] = key
        given = numbers[: min(room, next(other, len(numbers)))]
        return Lease(chain, self._epochs[key], tuple(map(self.event_of, given)))

    def event_of(self, number: int) -> Event:
        new = self.order.events[number]
        return Event(
            id=number,
            source=new.source,
            priority=new.priority,
            queue=new.queue,
            size=new.size,
            received=self._received[number],
            tries=self.order.tries[number],
            body=new.body,
            file=new.file,
        )

    @contextmanager
    def batch(self, claim: Claim) -> Iterator[FakeBatch]:
        self.meet("batch")
        batch = FakeBatch(self, claim)
        yield batch
        if batch.ran is None:
            raise RuntimeError("a batch that is not finished leaves nothing")
        with self._call("commit"):
            batch.send()
            self.fence(claim, batch.ran)
            self.effects.extend(batch.effects)
            self.order.finish(claim, batch.ran, self.now())
            for one in batch.ran:
                if one.failure is not None and one.failure.retry_after is None:
                    self._failures[one.failure.event] = Dead(one.failure, self.now())
                if one.parked is not None:
                    self._parked[one.parked.event] = self.now()
            self.committed(claim, batch.ran)

    def fence(self, claim: Claim, ran: Sequence[Ran]) -> None:
        if self.fenced and not all(self.order.holds(claim, one.lease) for one in ran):
            raise LeaseLost("a lease was lost")

    def release(self, claim: Claim) -> None:
        with self._call("release"):
            self.order.release(claim)

    def renew(self, claim: Claim, lease: dt.timedelta) -> Sequence[Lease]:
        with self._call("renew"):
            return self.order.renew(claim, self.now() + lease)

    def sweep(self) -> int:
        with self._call("sweep"):
            held = sum(line.held is not None for line in self.order.lines.values())
            self.order.sweep(self.now())
            return held - sum(line.held is not None for line in self.order.lines.values())

    def parked(self, *, limit: int = 1000, after: int = 0) -> Sequence[ParkedEvent]:
        with self._call("parked"):
            reasons = [line.parked for line in self.order.lines.values() if line.parked is not None]
            wanted = sorted((one for one in reasons if one.event > after), key=lambda one: one.event)[:limit]
            return [
                ParkedEvent(replace(self.event_of(one.event), body=None), one, self._parked[one.event])
                for one in wanted
            ]

    def wake(self, events: Sequence[int]) -> int:
        with self._call("wake"):
            return self.order.wake(events)

    # --- What people ask ---

    def stranded(self) -> Sequence[ChainState]:
        return ()

    def sizes(self) -> Sequence[QueueSize]:
        with self._call("sizes"):
            return [
                QueueSize(
                    queue, one.events, one.inline_bytes, one.file_bytes, one.registered, one.done, one.dead,
                    one.dead_bytes, one.retries, parked=one.parked,
                )
                for queue, one in self.order.accounts.items()
            ]  # fmt: skip

    def chains(self, *, limit: int = 1000) -> Sequence[ChainState]:
        with self._call("chains"):
            found = []
            for key, line in self.order.lines.items():
                if line.waiting:
                    head = self.event_of(line.waiting[0])
                    held = line.held
                    found.append(
                        ChainState(
                            source=str(NO_SOURCE if key[0] == NO_SOURCE else key[0]),
                            priority=head.priority,
                            queue=head.queue,
                            events=len(line.waiting),
                            oldest=head.received,
                            owner=held.worker if held else None,
                            lease_until=held.until if held else None,
                            retry_at=line.retry_at,
                            tries=head.tries,
                            parked=line.parked is not None,
                        )
                    )
            return found[:limit]

    def waiting(self, *, limit: int = 1000, source: str | None = None) -> Sequence[Event]:
        with self._call("waiting"):
            found = (self.event_of(number) for number in self.order.waiting())
            wanted = [one for one in found if source is None or one.source == uuid.UUID(source)]
            return [replace(one, body=None) for one in wanted[:limit]]

    def dead(self, *, limit: int = 1000) -> Sequence[DeadEvent]:
        with self._call("dead"):
            return [self._dead(number) for number in self.order.dead()[:limit]]

    def dead_after(self, event: int, *, limit: int = 1000) -> Sequence[DeadEvent]:
        with self._call("dead_after"):
            return [self._dead(number) for number in sorted(self.order.dead()) if number > event][:limit]

    def _dead(self, number: int) -> DeadEvent:
        dead = self._failures[number]
        return DeadEvent(self.event_of(number), dead.failure, dead.died)

    def event(self, event: int) -> Event | DeadEvent | None:
        with self._call("event"):
            if event not in self.order.events or self.order.state(event) in (State.DONE, State.DROPPED):
                return None
            return self._dead(event) if self.order.state(event) is State.DEAD else self.event_of(event)

    def retry(self, event: int) -> int | None:
        with self._call("retry"):
            if self.order.ended.get(event) is not State.DEAD:
                return None
            self._last += 1
            self.order.revive(event, self._last)
            self._received[self._last] = self.now()
            return self._last

    def later_done(self, event: int) -> int:
        with self._call("later_done"):
            return self.order.later_done(event)

    def drop(self, event: int) -> bool:
        with self._call("drop"):
            if self.order.ended.get(event) is not State.DEAD:
                return False
            self.order.drop(event)
            return True

    def files(self) -> Mapping[str, int]:
        with self._call("files"):
            numbers = [*self.order.waiting(), *self.order.dead()]
            return {file: number for number in numbers if (file := self.order.events[number].file) is not None}

    def dead_counts(self, *, limit: int = 1000) -> Sequence[DeadCount]:
        with self._call("dead_counts"):
            counts: dict[tuple[str, int], list[int]] = {}
            for number in self.order.dead():
                event = self.order.events[number]
                counts.setdefault((str(event.source), event.priority), []).append(event.size)
            found = [DeadCount(*key, len(sizes), sum(sizes)) for key, sizes in counts.items()]
            return sorted(found, key=lambda one: -one.events)[:limit]

    def close(self) -> None:
        pass

    # --- Trouble ---

    def meet(self, call: str) -> None:
        self.trouble(call)

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        self.meet(name)
        with self._lock:
            try:
                yield
            except OrderBroken as broken:  # whoever called may take it for an outage
                self.broken.append(broken)
                raise
        self.meet(f"after {name}")
