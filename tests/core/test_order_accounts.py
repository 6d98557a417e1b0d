"""The accounts of ``Order`` against a recount of all that was ever registered, whatever happens to the events."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.events import NO_SOURCE, Claim, Event, Failure, Lease, NewEvent, Parking, Queue, Ran
from mergeguard.core.order import Account, Order, OrderBroken, State

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
SOURCES = (uuid.UUID(int=1), uuid.UUID(int=2), NO_SOURCE)
QUEUES = (Queue.FAST, Queue.LARGE)
ENDS = ("done", "fails", "dies", "parks", "nothing")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("register"), st.integers(0, 2), st.integers(0, 1), st.integers(1, 9), st.booleans()),
        st.tuples(st.just("work"), st.sampled_from(QUEUES), st.integers(1, 3), st.sampled_from(ENDS)),
        st.tuples(st.sampled_from(["revive", "drop", "wake"])),
    ),
    max_size=25,
)


class Book:
    """An order, and beside it one line a registered event: what it is, where it came to, how often it was retried."""

    def __init__(self) -> None:
        self.order, self.now, self.last = Order(), NOW, 0
        self.where: dict[int, str] = {}
        self.retries: dict[int, int] = {}

    def register(self, source: int, queue: int, size: int, inline: bool) -> None:
        body, file = (b"x" * size, None) if inline else (None, "f")
        self.last += 1
        self.order.register(NewEvent(SOURCES[source], 0, QUEUES[queue], size, body, file), self.last)
        self.where[self.last] = "pending"

    def work(self, queue: Queue, most: int, end: str) -> None:
        """Take the oldest line that is offered, and end its head in one way, what was taken before it being done."""
        self.now += HOUR
        offered = self.order.claimable(queue, self.now)
        if not offered:
            return
        line = [number for number in self.order.waiting() if self.order._keys[number] == offered[0]]
        taken = [number for number in line if self.order.events[number].queue is queue]
        taken = taken[: min(most, next((at for at, n in enumerate(taken) if n != line[at]), len(taken)))]
        events = tuple(
            Event(n, SOURCES[0], 0, queue, self.order.events[n].size, NOW, self.order.tries[n]) for n in taken
        )
        claim = Claim("w", queue, (Lease(1, self.last * 1000 + self.now.hour + self.now.day * 24, events),), self.now)
        self.order.claim(claim, self.now)
        *done, head = taken if end != "done" else [*taken, 0]
        ran = Ran(claim.leases[0], len(done), *self.ending(head, end)) if end != "nothing" else None
        if ran is not None:
            self.order.finish(claim, [ran], self.now)
            self.where |= dict.fromkeys(done, "done")
        self.order.release(claim)

    def ending(self, head: int, end: str) -> tuple[Failure | None, Parking | None]:
        if end == "parks":
            self.where[head] = "parked"
            return None, Parking(head, (), "split", "m")
        if end == "done":
            return None, None
        if end == "dies":
            self.where[head] = "dead"
            return Failure(head, "E", "m", None), None
        self.retries[head] = self.retries.get(head, 0) + 1
        return Failure(head, "E", "m", HOUR), None

    def revive(self) -> None:
        for dead in self.order.dead()[:1]:
            self.last += 1
            self.order.revive(dead, self.last)
            self.where |= {dead: "dropped", self.last: "pending"}

    def drop(self) -> None:
        for dead in self.order.dead()[-1:]:
            self.order.drop(dead)
            self.where[dead] = "dropped"

    def wake(self) -> None:
        parked = self.order.parked()[:1]
        assert self.order.wake(parked) == len(parked)
        self.where |= dict.fromkeys(parked, "pending")

    def recount(self, queue: Queue) -> Account:
        mine = {number: event for number, event in self.order.events.items() if event.queue is queue}
        there = [event for number, event in mine.items() if self.where[number] in ("pending", "parked")]
        dead = [event.size for number, event in mine.items() if self.where[number] == "dead"]
        return Account(
            events=len(there),
            inline_bytes=sum(event.size for event in there if event.file is None),
            file_bytes=sum(event.size for event in there if event.file is not None),
            registered=len(mine),
            done=sum(self.where[number] == "done" for number in mine),
            dead=len(dead),
            dead_bytes=sum(dead),
            retries=sum(self.retries.get(number, 0) for number in mine),
            parked=sum(self.where[number] == "parked" for number in mine),
        )


@given(STEPS)
def test_accounts_are_what_a_recount_of_all_events_says(steps: list[tuple[object, ...]]) -> None:
    book = Book()
    for name, *given_ in steps:
        getattr(book, str(name))(*given_)
        for queue in QUEUES:
            assert book.order.accounts[queue] == book.recount(queue)
    assert book.order.waiting() == [number for number, where in book.where.items() if where in ("pending", "parked")]
    assert book.order.dead() == [number for number, where in book.where.items() if where == "dead"]


@given(STEPS)
def test_what_is_offered_waits_at_the_head_of_its_line(steps: list[tuple[object, ...]]) -> None:
    book = Book()
    for name, *given_ in steps:
        getattr(book, str(name))(*given_)
    book.now += HOUR
    heads: dict[tuple[uuid.UUID, int], int] = {}
    for number, where in book.where.items():
        if where in ("pending", "parked"):
            source = book.order.events[number].source
            heads.setdefault((source, -number if source == NO_SOURCE else 0), number)
    for queue in QUEUES:
        offered = [n for n in heads.values() if book.where[n] == "pending" and book.order.events[n].queue is queue]
        assert book.order.claimable(queue, book.now) == [book.order._keys[n] for n in sorted(offered)]


def test_a_parked_head_may_not_be_leased() -> None:
    book = Book()
    book.register(0, 0, 1, inline=True)
    book.work(Queue.FAST, 1, "parks")
    (event,) = (Event(1, SOURCES[0], 0, Queue.FAST, 1, NOW, 0),)
    with pytest.raises(OrderBroken) as broken:
        book.order.claim(Claim("w", Queue.FAST, (Lease(1, 10**9, (event,)),), book.now + HOUR), book.now + HOUR)
    assert broken.value.check == "park"
    assert book.order.state(1) is State.PARKED
