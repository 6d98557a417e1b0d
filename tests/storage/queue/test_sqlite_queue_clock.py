"""The clock of a queue on SQLite: whatever the wall clock does, leases expire, retries come due, nothing goes back."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.events import Failure, NewEvent, Queue, Ran
from mergeguard.storage.queue.sqlite import SqliteEventStore
from mergeguard.storage.queue.sqlite_clock import EPOCH, Clock, length, moment

SECOND = 1_000_000_000
HOUR = dt.timedelta(hours=1)


@dataclass
class Watch:
    """Two clocks that a test sets; nanoseconds."""

    wall: int = 1_700_000_000 * SECOND
    ran: int = 0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.ran)

    def pass_by(self, nanoseconds: int, jump: int = 0) -> None:
        self.ran += nanoseconds
        self.wall = max(0, self.wall + nanoseconds + jump)


spans = st.integers(0, 10 * SECOND)
jumps = st.one_of(st.just(0), st.integers(-2_000_000_000 * SECOND, 10_000 * SECOND))


@given(st.lists(st.tuples(spans, jumps, st.integers(0, 2**52)), min_size=1, max_size=20))
def test_time_never_goes_back_and_never_runs_slower_than_it_is(turns: list[tuple[int, int, int]]) -> None:
    watch = Watch()
    clock = watch.clock()
    before = clock.now(0)
    for passed, jump, stored in turns:
        watch.pass_by(passed, jump)
        now = clock.now(stored)
        assert now >= max(before + passed // 1000, stored, watch.wall // 1000)
        before = now


@given(st.lists(spans, min_size=1, max_size=50))
def test_many_looks_do_not_slow_it_down(steps: list[int]) -> None:
    watch = Watch()
    clock = watch.clock()
    began = clock.now(0)
    watch.wall = 0
    for passed in steps:
        watch.ran += passed
        now = clock.now(0)
    assert now - began in {sum(steps) // 1000, sum(steps) // 1000 + 1}


@given(st.integers(0, 2**53), st.timedeltas(dt.timedelta(0), dt.timedelta(days=400)))
def test_times_are_stored_exactly(microseconds: int, span: dt.timedelta) -> None:
    assert moment(microseconds) == EPOCH + dt.timedelta(microseconds=microseconds)
    assert moment(microseconds + length(span)) - moment(microseconds) == span


def opened(path: Path, watch: Watch) -> SqliteEventStore:
    store = SqliteEventStore(path, clock=watch.clock())
    store.create()
    return store


def test_a_lease_expires_and_a_retry_comes_due_although_the_clock_was_set_back(tmp_path: Path) -> None:
    watch = Watch()
    store = opened(tmp_path / "q.db", watch)
    store.register([NewEvent(uuid.UUID(int=1), 1, Queue.FAST, 1, b"x")])
    claim = store.claim(Queue.FAST, "a", dt.timedelta(seconds=5))
    assert claim is not None
    watch.pass_by(4 * SECOND, jump=-3_600 * SECOND)
    assert store.claim(Queue.FAST, "b", HOUR) is None
    assert store.sweep() == 0
    watch.pass_by(1 * SECOND)
    assert store.sweep() == 1
    taken = store.claim(Queue.FAST, "b", HOUR)
    assert taken is not None
    later = Failure(taken.leases[0].events[0].id, "ValueError", "", dt.timedelta(milliseconds=100))
    with store.batch(taken) as batch:
        batch.finish([Ran(taken.leases[0], 0, later)])
    store.release(taken)
    watch.pass_by(99_999_000, jump=-3_600 * SECOND)
    assert store.claim(Queue.FAST, "b", HOUR) is None
    watch.pass_by(1_000)
    assert store.claim(Queue.FAST, "b", HOUR) is not None
    store.close()


def test_another_process_goes_on_from_the_latest_time_in_the_file(tmp_path: Path) -> None:
    watch, behind = Watch(), Watch(wall=1_600_000_000 * SECOND)
    first, second = opened(tmp_path / "q.db", watch), opened(tmp_path / "q.db", behind)
    event = NewEvent(uuid.UUID(int=1), 1, Queue.FAST, 1, b"x")
    first.register([event])
    second.register([event])
    assert second.now() >= first.now()
    received = [event.received for event in first.waiting()]
    assert received == sorted(received)
    claim = first.claim(Queue.FAST, "a", HOUR)
    assert claim is not None
    behind.pass_by(3_599 * SECOND)
    assert second.sweep() == 0
    behind.pass_by(1 * SECOND)
    assert second.sweep() == 1
    first.close()
    second.close()
