"""The statistics: counters as the database has them, ages by its clock, rates between two looks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor.tended_queue import ALICE, BEGAN, BOB, NO_SOURCE, TendedQueue, tended

from mergeguard.core.events import Failure, Queue
from mergeguard.processor.report import Counters, take_statistics


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[TendedQueue]:
    with tended(tmp_path) as made:
        yield made


def test_an_empty_queue(queue: TendedQueue) -> None:
    found = take_statistics(queue.store, file_limit=7)

    assert [line.size.queue for line in found.queues] == [*Queue]
    assert {(line.size.events, line.oldest_seconds, line.in_per_second) for line in found.queues} == {(0, None, None)}
    assert (found.chains, found.dead, found.holders, found.stranded, found.since) == ((), (), (), 0, None)
    assert (found.file_limit, found.taken) == (7, BEGAN)
    assert (found.total.size.events, found.total.oldest_seconds, found.total.in_per_second) == (0, None, None)


def test_depth_bytes_and_ages_of_each_queue_and_of_all(queue: TendedQueue) -> None:
    queue.register(ALICE, b"12345")
    queue.seconds = 10
    queue.register_file(ALICE, b"1234567")
    queue.register(BOB, b"1", queue=Queue.LARGE)
    queue.seconds = 25

    found = take_statistics(queue.store)

    fast, large = found.queues[Queue.FAST], found.queues[Queue.LARGE]
    assert (fast.size.events, fast.size.inline_bytes, fast.size.file_bytes, fast.oldest_seconds) == (2, 5, 7, 25.0)
    assert (large.size.events, large.size.inline_bytes, large.oldest_seconds) == (1, 1, 15.0)
    total = found.total
    assert (total.size.events, total.size.inline_bytes, total.size.file_bytes, total.oldest_seconds) == (3, 6, 7, 25.0)
    assert total.size.oldest == BEGAN


def test_each_source_and_priority_with_its_bytes(queue: TendedQueue) -> None:
    queue.register(ALICE, b"12345")
    queue.register_file(ALICE, b"1234567")
    queue.register(ALICE, b"x", priority=2)
    queue.register(NO_SOURCE, b"y")
    queue.seconds = 5

    found = {(line.state.source, line.state.priority): line for line in take_statistics(queue.store).chains}

    one = found[str(ALICE), 1]
    assert (one.state.events, one.state.inline_bytes, one.state.file_bytes, one.oldest_seconds) == (2, 5, 7, 5.0)
    assert found[str(ALICE), 2].state.events == 1
    assert found[str(NO_SOURCE), 1].state.inline_bytes == 1
    assert len(found) == 3


def test_who_holds_leases_and_for_how_long(queue: TendedQueue) -> None:
    queue.register(ALICE)
    queue.register(BOB)
    queue.take(seconds=30, worker="a:1")
    queue.seconds = 20
    queue.register(ALICE, queue=Queue.LARGE, priority=9)
    queue.take(Queue.LARGE, seconds=60, worker="b:2")
    queue.register(BOB, priority=7)
    queue.take(seconds=60, worker="a:1")

    found = take_statistics(queue.store)

    until = BEGAN + dt.timedelta(seconds=30)
    assert [(one.owner, one.chains) for one in found.holders] == [("a:1", 3), ("b:2", 1)]
    assert found.holders[0].until == until
    assert sorted(line.lease_seconds or 0 for line in found.chains) == [10.0, 10.0, 60.0, 60.0]
    queue.seconds = 45
    assert min(line.lease_seconds or 0 for line in take_statistics(queue.store).chains) == -15.0


def test_retries_and_the_dead(queue: TendedQueue) -> None:
    first = queue.register(ALICE, b"12345")
    queue.finish(failure=Failure(first, "ValueError", "no", dt.timedelta(milliseconds=100)))
    waiting = take_statistics(queue.store)
    assert waiting.chains[0].state.tries == 1
    assert waiting.chains[0].retry_seconds == pytest.approx(0.1)
    assert waiting.total.size.retries == 1
    queue.seconds = 1
    queue.store.sweep()
    queue.kill(first)

    found = take_statistics(queue.store)

    assert [(one.source, one.priority, one.events, one.bytes) for one in found.dead] == [(str(ALICE), 1, 1, 5)]
    assert (found.total.size.dead, found.total.size.dead_bytes, found.chains) == (1, 5, ())


@given(
    before=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    after=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    seconds=st.integers(1, 100),
)
def test_rates_are_the_exact_number_of_events_over_the_time_between(
    tmp_path_factory: pytest.TempPathFactory, before: list[int], after: list[int], seconds: int
) -> None:
    """Each number is how many events a source posts; after each post all but one of its events are done."""
    with tended(tmp_path_factory.mktemp("rates")) as queue:
        done = 0
        for posts in before:
            done += work(queue, posts)
        first = take_statistics(queue.store)
        queue.seconds += seconds
        for posts in after:
            done += work(queue, posts)
        second = take_statistics(queue.store, before=first.counters)

        assert second.total.in_per_second == pytest.approx(sum(after) / seconds)
        assert second.total.out_per_second == pytest.approx((done - first.total.size.done) / seconds)
        assert (second.since, second.total.size.registered) == (first.taken, sum(before) + sum(after))


def work(queue: TendedQueue, posts: int) -> int:
    for _ in range(posts):
        queue.register(ALICE)
    if posts > 1:
        queue.finish(done=posts - 1)
        return posts - 1
    return 0


def test_each_source_has_rates_between_two_looks_that_both_list_it(queue: TendedQueue) -> None:
    for _ in range(3):
        queue.register(ALICE)
    queue.register(NO_SOURCE)
    first = take_statistics(queue.store)
    queue.seconds = 4
    queue.finish(done=1)
    queue.kill(next(event.id for event in queue.store.waiting() if event.source == ALICE))
    for _ in range(2):
        queue.register(ALICE)
    queue.register(BOB)

    found = {line.state.source: line for line in take_statistics(queue.store, before=first.counters).chains}

    alice = found[str(ALICE)]
    assert (alice.in_per_second, alice.out_per_second) == (2 / 4, 1 / 4), "one died: it came in before, and is not out"
    assert (found[str(BOB)].in_per_second, found[str(BOB)].out_per_second) == (None, None)
    assert found[str(NO_SOURCE)].in_per_second is None


def test_no_rate_leads_over_counters_that_fell_or_a_clock_that_stands(queue: TendedQueue) -> None:
    queue.register()
    same = take_statistics(queue.store, before=take_statistics(queue.store).counters)
    assert (same.since, same.total.in_per_second) == (None, None)
    queue.seconds = 5
    another = Counters(BEGAN, dict.fromkeys(Queue, 99), dict.fromkeys(Queue, 0))
    found = take_statistics(queue.store, before=another)
    assert (found.queues[Queue.FAST].in_per_second, found.total.in_per_second) == (None, None)


def test_a_limit_shortens_the_lists_and_no_counter(queue: TendedQueue) -> None:
    for priority in range(5):
        queue.register(priority=priority)
    found = take_statistics(queue.store, limit=2)
    assert (len(found.chains), found.total.size.events) == (2, 5)
