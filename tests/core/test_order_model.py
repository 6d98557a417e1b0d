from __future__ import annotations

import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.events import NO_SOURCE, Claim, Event, Failure, Lease, NewEvent, Parking, Queue, Ran
from mergeguard.core.order import Order, OrderBroken, State, Thresholds, queue_for, retry_delay

A, B = uuid.UUID(int=1), uuid.UUID(int=2)
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
ASCENDING = st.lists(st.integers(0, 10**9), min_size=3, max_size=3).map(sorted)


def new(source: uuid.UUID = A, priority: int = 0, queue: Queue = Queue.FAST, file: str | None = None) -> NewEvent:
    return NewEvent(source, priority, queue, 10, None if file else b"x" * 10, file)


def filled(*events: NewEvent) -> Order:
    order = Order()
    for number, event in enumerate(events, 1):
        order.register(event, number)
    return order


def lease(order: Order, *numbers: int, epoch: int = 1) -> Lease:
    found = []
    for number in numbers:
        one = order.events[number]
        found.append(Event(number, one.source, one.priority, one.queue, one.size, NOW, order.tries[number]))
    return Lease(1, epoch, tuple(found))


def claim(order: Order, *numbers: int, epoch: int = 1, queue: Queue = Queue.FAST, worker: str = "w") -> Claim:
    made = Claim(worker, queue, (lease(order, *numbers, epoch=epoch),), NOW + HOUR)
    order.claim(made, NOW)
    return made


# --- Which queue, which delay ---


@given(size=st.integers(0, 10**9), priority=st.integers(-(2**31), 2**31 - 1), limits=ASCENDING)
def test_each_event_has_one_queue_and_size_only_moves_it_up(size: int, priority: int, limits: list[int]) -> None:
    thresholds = Thresholds(*limits, priority=1000)
    queue = queue_for(size, priority, thresholds)
    if priority >= 1000:
        assert queue is Queue.PRIORITY
        return
    assert queue.value == 1 + sum(size >= limit for limit in limits)
    assert queue_for(size + 1, priority, thresholds) >= queue


@pytest.mark.parametrize(
    ("size", "queue"),
    [
        (0, Queue.FAST), (14_999, Queue.FAST), (15_000, Queue.NORMAL), (1_048_575, Queue.NORMAL),
        (1_048_576, Queue.SLOW), (20_971_519, Queue.SLOW), (20_971_520, Queue.LARGE),
    ],
)  # fmt: skip
def test_the_usual_thresholds_are_the_seeds(size: int, queue: Queue) -> None:
    assert queue_for(size, 0) is queue


def test_retries_wait_for_their_number_in_tenths_of_a_second() -> None:
    assert [retry_delay(number) // dt.timedelta(milliseconds=1) for number in (1, 2, 3)] == [100, 200, 300]
    assert retry_delay(2, HOUR) == 2 * HOUR


# --- Who may start ---


def test_heads_are_claimable_and_those_behind_them_are_not() -> None:
    order = filled(new(A), new(A), new(B, queue=Queue.SLOW), new(B), new(NO_SOURCE), new(NO_SOURCE))
    assert order.claimable(Queue.FAST, NOW) == [(A, 0), (NO_SOURCE, -5), (NO_SOURCE, -6)]
    assert order.claimable(Queue.SLOW, NOW) == [(B, 0)]
    claim(order, 1)
    assert (A, 0) not in order.claimable(Queue.FAST, NOW)
    assert [order.state(number) for number in (1, 2, 3)] == [State.LEASED, State.LEASED, State.PENDING]


@pytest.mark.parametrize(
    ("numbers", "check"), [((2,), "order"), ((1, 3), "order"), ((1, 2, 3), "order"), ((9,), "no_invention")]
)
def test_a_lease_that_is_no_prefix_of_its_line_breaks_the_order(numbers: tuple[int, ...], check: str) -> None:
    order = filled(new(A), new(A), new(A, queue=Queue.LARGE))
    events = tuple(Event(number, A, 0, Queue.FAST, 10, NOW, 0) for number in numbers)
    with pytest.raises(OrderBroken) as broken:
        order.claim(Claim("w", Queue.FAST, (Lease(1, 1, events),), NOW + HOUR), NOW)
    assert broken.value.check == check


def test_two_leases_of_one_key_overlap() -> None:
    order = filled(new(A), new(A))
    claim(order, 1)
    with pytest.raises(OrderBroken, match="no_overlap"):
        claim(order, 1, epoch=2)


def test_a_token_that_does_not_grow_is_none() -> None:
    order = filled(new(A), new(A))
    order.release(claim(order, 1))
    with pytest.raises(OrderBroken, match="no_overlap"):
        claim(order, 1, epoch=1)


def test_an_id_out_of_order_is_seen() -> None:
    order = Order()
    order.register(new(A), 5)
    order.register(new(B), 4)
    with pytest.raises(OrderBroken, match="order"):
        order.register(new(A), 3)
    with pytest.raises(OrderBroken, match="no_invention"):
        order.register(new(B), 5)


# --- What becomes of it ---


def test_done_and_dead_leave_and_are_counted() -> None:
    order = filled(new(A), new(A, file="f"), new(A))
    held = claim(order, 1, 2, 3)
    order.finish(held, [Ran(held.leases[0], 1, Failure(2, "E", "m", None))], NOW)
    assert [order.state(number) for number in (1, 2, 3)] == [State.DONE, State.DEAD, State.LEASED]
    account = order.accounts[Queue.FAST]
    assert (account.events, account.done, account.dead, account.dead_bytes, account.file_bytes) == (1, 1, 1, 10, 0)
    assert (order.waiting(), order.dead()) == ([3], [2])


def test_a_retry_keeps_its_place_and_waits() -> None:
    order = filled(new(A), new(A))
    held = claim(order, 1, 2)
    order.finish(held, [Ran(held.leases[0], 0, Failure(1, "E", "m", HOUR))], NOW)
    order.release(held)
    assert order.state(1) is State.RETRYING
    assert order.claimable(Queue.FAST, NOW) == []
    assert order.claimable(Queue.FAST, NOW + HOUR) == [(A, 0)]
    with pytest.raises(OrderBroken, match="retry"):
        claim(order, 1, epoch=2)
    again = Claim("w", Queue.FAST, (lease(order, 1, 2, epoch=2),), NOW + 3 * HOUR)
    order.claim(again, NOW + HOUR)
    assert order.tries == {1: 1, 2: 0}


@pytest.mark.parametrize("noted", [dt.timedelta(0), HOUR, 2 * HOUR])
def test_a_retry_that_was_due_once_may_be_leased_after_the_clock_was_set_back_and_need_not(noted: dt.timedelta) -> None:
    order = filled(new())
    made = claim(order, 1)
    order.finish(made, [Ran(made.leases[0], 0, Failure(1, "E", "m", HOUR))], NOW)
    order.release(made)
    order.note_due(NOW + noted)
    assert order.claimable(Queue.FAST, NOW) == []
    if noted < HOUR:
        with pytest.raises(OrderBroken, match="retry"):
            claim(order, 1, epoch=2)
        return
    again = claim(order, 1, epoch=2)
    order.finish(again, [Ran(again.leases[0], 0, Failure(1, "E", "m", HOUR))], NOW)
    order.release(again)
    with pytest.raises(OrderBroken, match="retry"):  # of another try nobody has seen the time yet
        claim(order, 1, epoch=3)


def test_tries_that_were_not_told_are_seen() -> None:
    order = filled(new(A))
    wrong = Event(1, A, 0, Queue.FAST, 10, NOW, 1)
    with pytest.raises(OrderBroken, match="retry"):
        order.claim(Claim("w", Queue.FAST, (Lease(1, 1, (wrong,)),), NOW + HOUR), NOW)


def test_who_lost_the_lease_may_not_finish() -> None:
    order = filled(new(A))
    lost = claim(order, 1)
    order.sweep(NOW + HOUR)
    assert not order.holds(lost, lost.leases[0])
    assert order.renew(lost, NOW + 2 * HOUR) == []
    with pytest.raises(OrderBroken, match="no_overlap"):
        order.finish(lost, [Ran(lost.leases[0], 1)], NOW)


def test_a_prolonged_lease_is_kept() -> None:
    order = filled(new(A))
    held = claim(order, 1)
    assert order.renew(held, NOW + 2 * HOUR) == list(held.leases)
    order.sweep(NOW + HOUR)
    assert order.holds(held, held.leases[0])


def test_the_chain_of_an_event_without_a_source_goes_with_it() -> None:
    order = filled(new(NO_SOURCE))
    held = claim(order, 1)
    order.finish(held, [Ran(held.leases[0], 1)], NOW)
    assert not order.holds(held, held.leases[0])


def test_a_dead_event_comes_again_or_is_dropped() -> None:
    order = filled(new(A), new(A))
    held = claim(order, 1, 2)
    order.finish(held, [Ran(held.leases[0], 0, Failure(1, "E", "m", None))], NOW)
    order.finish(held, [Ran(lease(order, 2), 1)], NOW)
    assert order.later_done(1) == 1
    order.revive(1, 7)
    assert (order.state(1), order.state(7), order.waiting()) == (State.DROPPED, State.LEASED, [7])
    with pytest.raises(OrderBroken, match="no_loss"):
        order.drop(1)


@given(sizes=st.lists(st.integers(0, 9), max_size=8), limit=st.integers(0, 20))
def test_files_are_let_in_until_the_limit(sizes: list[int], limit: int) -> None:
    order, pending = Order(), 0
    for number, size in enumerate(sizes, 1):
        event = NewEvent(A, 0, Queue.FAST, size, None, f"{number}")
        assert order.admits(event, limit) is (not limit or pending + size <= limit)
        if order.admits(event, limit):
            order.register(event, number)
            pending += size
    assert order.admits(new(A), 1), "an inline event always is"


# --- Parking ---


@given(again=st.sampled_from(["done", "fails", "dies", "parks"]))
def test_whoever_still_holds_a_parked_event_may_end_its_parking(again: str) -> None:
    order = filled(new(A), new(A))
    held = claim(order, 1, 2)
    order.finish(held, [Ran(held.leases[0], 0, parked=Parking(1, (B,), "split", "m"))], NOW)
    assert (order.parked(), order.accounts[Queue.FAST].parked) == ([1], 1)
    ran = {
        "done": Ran(held.leases[0], 2),
        "fails": Ran(held.leases[0], 0, Failure(1, "E", "m", HOUR)),
        "dies": Ran(held.leases[0], 0, Failure(1, "E", "m", None)),
        "parks": Ran(held.leases[0], 0, parked=Parking(1, (A,), "cycle", "m")),
    }[again]
    order.finish(held, [ran], NOW)
    assert order.parked() == ([1] if again == "parks" else [])
    assert order.accounts[Queue.FAST].parked == len(order.parked())


def test_waking_asks_for_parked_events_alone() -> None:
    order = filled(new(A), new(B))
    held = claim(order, 1)
    order.finish(held, [Ran(held.leases[0], 0, parked=Parking(1, (), "split", "m"))], NOW)
    order.release(held)
    assert order.claimable(Queue.FAST, NOW) == [(B, 0)]
    assert (order.wake([2]), order.wake([1, 2]), order.wake([1])) == (0, 1, 0)
    assert order.claimable(Queue.FAST, NOW) == [(A, 0), (B, 0)]
