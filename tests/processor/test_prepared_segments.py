"""Handlers that are shown a segment before its events are handled, and whatever fails in it."""

from __future__ import annotations

import datetime as dt
import gc
import uuid
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.events import Event, Failure, Lease, Parking, Queue, Reason
from mergeguard.errors import Locked, LostBody, MalformedEvent
from mergeguard.processor.batch_run import BatchRun, Work
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.looking_ahead import FEWEST, MOST, MOST_BYTES

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Ground:
    """A batch that holds a list, which its savepoints take back."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    @property
    def connection(self) -> Any:
        return self.written

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        self.written.append((statement, *row))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        before = len(self.written)
        try:
            yield
        except BaseException:
            del self.written[before:]
            raise


@dataclass
class Kept:
    """What is kept for a segment: the events to come, and what is not written yet."""

    batch: EventBatch
    coming: list[int]
    held_back: list[int] = field(default_factory=list)

    def settle(self) -> None:
        for number in self.held_back:
            self.batch.add("kept", (number,))
        self.held_back = []


class Handler:
    """Events below zero fail in one of several ways; even ones read, which writes what was held back before."""

    def __init__(self, fails: dict[int, BaseException], *, in_prepare: bool = False) -> None:
        self.fails = fails
        self.in_prepare = in_prepare
        self.prepared: list[list[int]] = []
        self.handled: list[int] = []

    def prepare(self, events: Sequence[tuple[Event, bytes]], batch: EventBatch) -> None:
        assert batch.prepared is None, "what was kept before is forgotten"
        assert all(body == str(event.id).encode() for event, body in events)
        numbers = [event.id for event, _ in events]
        self.prepared.append(numbers)
        if self.in_prepare and self.fails.keys() & set(numbers):
            raise next(self.fails[number] for number in numbers if number in self.fails)
        batch.prepared = Kept(batch, numbers)

    def handle(self, event: Event, body: bytes, batch: EventBatch) -> None:
        assert body == str(event.id).encode()
        self.handled.append(event.id)
        kept = batch.prepared
        if event.id % 2 == 0:
            assert batch.connection is not None
            assert not isinstance(kept, Kept) or not kept.held_back, "who reads sees all that was written before"
        if event.id in self.fails:
            raise self.fails[event.id]
        if isinstance(kept, Kept):
            assert event.id in kept.coming
            kept.held_back.append(event.id)
        else:
            batch.add("kept", (event.id,))


def events(count: int, size: int = 1) -> list[Event]:
    return [Event(number, uuid.UUID(int=number), 0, Queue.FAST, size, NOW, 0) for number in range(1, count + 1)]


def ran(
    handler: Any, every: Sequence[Event], *, segment: int = 128, body: Any = None, ahead: int = MOST, over: Any = None
) -> tuple[Ground, BatchRun, Any]:
    ground = Ground()
    leases = [Lease(number, 1, (event,)) for number, event in enumerate(every)]
    work = Work(handler, body or _body, _failure, over or (lambda: False))
    run = BatchRun(leases, ground, work, segment=segment, ahead=ahead)
    return ground, run, run.run()


def _body(event: Event) -> bytes:
    return str(event.id).encode()


def _failure(event: Event, error: BaseException) -> Failure | Parking:
    return Failure(event.id, type(error).__name__, str(error), None, Reason.MALFORMED)


@given(
    count=st.integers(1, 30),
    fails=st.dictionaries(st.integers(1, 30), st.sampled_from([MalformedEvent("bad"), ValueError(), SystemExit()])),
    segment=st.sampled_from([1, 3, 8, 128]),
    ahead=st.sampled_from([1, 2, 8, 128]),
    in_prepare=st.booleans(),
)
def test_whoever_fails_the_others_leave_what_was_held_back_for_them_once_and_in_order(
    count: int, fails: dict[int, BaseException], segment: int, ahead: int, *, in_prepare: bool
) -> None:
    handler = Handler(fails, in_prepare=in_prepare)
    ground, _, found = ran(handler, events(count), segment=segment, ahead=ahead)
    assert [number for _, number in ground.written] == [one for one in range(1, count + 1) if one not in fails]
    assert {one.failure.event for one in found if one.failure} == {one for one in fails if one <= count}
    assert all(len(numbers) > 1 for numbers in handler.prepared), "one alone is not prepared"


@pytest.mark.parametrize("fails", [{}, {2: Locked("merging")}], ids=["whole", "broken off"])
def test_a_batch_that_is_over_leaves_nothing_to_the_collector(fails: dict[int, BaseException]) -> None:
    batches: list[weakref.ref[EventBatch]] = []

    class Remembering(Handler):
        def prepare(self, events: Sequence[tuple[Event, bytes]], batch: EventBatch) -> None:
            batches.append(weakref.ref(batch))
            super().prepare(events, batch)

    gc.disable()
    try:
        with suppress(Locked):
            ran(Remembering(fails), events(5))
        fails.clear()  # an error holds the frames that it came through
        assert batches
        assert all(batch() is None for batch in batches)
    finally:
        gc.enable()


def test_what_the_database_refuses_to_all_is_nobodys_fault() -> None:
    with pytest.raises(Locked):
        ran(Handler({3: Locked("merging")}, in_prepare=True), events(5))


def test_a_segment_is_prepared_before_its_first_event_and_only_so_much_of_it() -> None:
    handler = Handler({})
    ran(handler, events(9), segment=4)
    assert handler.prepared[0] == [1, 2, 3, 4]
    handler = Handler({})
    ran(handler, events(5, MOST_BYTES // 2))
    assert handler.prepared == [[1, 2], [3, 4]]


def test_what_is_prepared_in_vain_is_prepared_less_of_and_more_of_while_all_is_used() -> None:
    handler = Handler({})
    ground, run, _ = ran(handler, events(100), over=lambda: len(handler.handled) >= 40)
    assert (handler.prepared, run.ahead) == ([list(range(1, 101))], 20)
    assert len(ground.written) == 40
    handler = Handler({})
    _, run, _ = ran(handler, events(100), ahead=20)
    sizes = [len(numbers) for numbers in handler.prepared]
    assert sizes[:3] == [20, 26, 33]
    assert run.ahead > 33
    _, run, _ = ran(Handler({}), events(100), over=lambda: True)
    assert run.ahead == FEWEST


def _plainly(handler: Handler) -> Any:
    """The handler as one that takes events that were not prepared as well."""

    class Plain:
        prepare = handler.prepare

        @staticmethod
        def handle(event: Event, _body: bytes, batch: EventBatch) -> None:
            batch.add("kept", (event.id,))

    return Plain()


def test_a_body_that_is_gone_is_told_when_it_is_its_turn_and_others_are_read_once() -> None:
    reads: list[int] = []

    def body(event: Event) -> bytes:
        reads.append(event.id)
        if event.id == 3:
            raise LostBody("gone")
        return _body(event)

    handler = Handler({})
    ground, _, found = ran(_plainly(handler), events(4), body=body)
    assert handler.prepared[0] == [1, 2]
    assert [number for _, number in ground.written] == [1, 2, 4]
    assert [one.failure.event for one in found if one.failure] == [3]
    reads.clear()
    ran(Handler({}), events(4), body=lambda event: reads.append(event.id) or _body(event))
    assert reads == [1, 2, 3, 4]


def test_a_handler_without_the_second_method_is_told_of_one_event_after_the_other() -> None:
    class Single:
        @staticmethod
        def handle(event: Event, _body: bytes, batch: EventBatch) -> None:
            assert batch.prepared is None
            batch.add("kept", (event.id,))

    ground, _, _ = ran(Single(), events(3))
    assert [number for _, number in ground.written] == [1, 2, 3]
