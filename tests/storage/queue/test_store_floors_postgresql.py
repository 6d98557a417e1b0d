"""Where claims begin to search: behind what a long reader keeps from being cleared away, and never past a chain."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_places import SOURCES, PostgresqlPlace, claimed, event, finish, ids, process, registered
from queue_scenarios import fail

from mergeguard.core.events import Queue
from mergeguard.storage.queue import postgresql_claiming as claiming
from mergeguard.storage.queue import postgresql_floors
from mergeguard.storage.queue.postgresql_floors import BEGINNING, LOOK_SECONDS, MARGIN, Floors

A, B, C, D = SOURCES
NOON = dt.datetime(2026, 2, 3, 12, tzinfo=dt.UTC)


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@given(
    st.lists(
        st.tuples(
            st.floats(0, 2 * LOOK_SECONDS), st.sampled_from([Queue.FAST, Queue.SLOW]), st.none() | st.integers(0, 9)
        ),
        max_size=12,
    )
)
def test_all_is_looked_at_once_a_second_and_the_floor_lies_below_what_was_found(
    searches: list[tuple[float, Queue, int | None]],
) -> None:
    watch = Watch()
    floors = Floors(watch)
    looked: dict[Queue, float] = {}
    first: dict[Queue, dt.datetime] = {}
    for passed, queue, minutes in searches:
        watch.seconds += passed
        floor = floors.of(queue)
        is_due = queue not in looked or watch.seconds - looked[queue] >= LOOK_SECONDS
        assert floor == (BEGINNING if is_due or queue not in first else first[queue] - MARGIN)
        found = None if minutes is None else NOON + dt.timedelta(minutes=minutes)
        floors.found(queue, floor, found)
        if floor == BEGINNING:
            looked[queue] = watch.seconds
        if found is not None:
            first[queue] = found


@pytest.fixture
def watch(postgresql: PostgresqlPlace) -> Iterator[Watch]:
    """The clock of the store's floors."""
    made = Watch()
    store = postgresql.store
    assert hasattr(store, "_floors")
    before, store._floors = store._floors, Floors(made)
    yield made
    store._floors = before


def left_behind(place: PostgresqlPlace, source: object) -> None:
    """Make a chain ready since long ago, as one whose claim came to nothing is."""
    place.run("UPDATE mergeguard_chain SET since = since - interval '1 hour' WHERE source = :source", source=source)


def test_what_is_left_behind_the_floor_is_found_within_a_second(postgresql: PostgresqlPlace, watch: Watch) -> None:
    registered(postgresql, event(A), event(B), event(C))
    process(postgresql, chains=1)
    (old,) = registered(postgresql, event(D))
    left_behind(postgresql, D)
    watch.seconds = LOOK_SECONDS / 2
    assert [old] not in process(postgresql, chains=1), "it is not looked for now"
    watch.seconds = LOOK_SECONDS
    assert process(postgresql, chains=1) == [[old]]


def test_what_is_left_behind_the_floor_is_found_at_once_where_nothing_else_is(
    postgresql: PostgresqlPlace, watch: Watch
) -> None:
    registered(postgresql, event(A))
    process(postgresql)
    (old,) = registered(postgresql, event(D))
    left_behind(postgresql, D)
    watch.seconds = LOOK_SECONDS / 2
    assert process(postgresql) == [[old]]


def test_a_dead_event_that_is_retried_stands_above_what_is_done(postgresql: PostgresqlPlace, watch: Watch) -> None:
    first = registered(postgresql, event(A), event(A), event(A))
    claim = claimed(postgresql)
    finish(postgresql, claim, fail(claim, None))
    postgresql.store.release(claim)
    process(postgresql)
    assert postgresql.rows("SELECT done_id FROM mergeguard_chain") == [(first[2],)]
    again = postgresql.store.retry(first[0])
    assert again is not None
    assert again > first[2]
    watch.seconds = LOOK_SECONDS / 2
    assert process(postgresql) == [[again]]


def test_a_claim_does_not_go_through_what_a_long_reader_keeps(
    postgresql: PostgresqlPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_floors, "MARGIN", dt.timedelta(0))
    plain = postgresql.url.replace("+psycopg", "", 1)
    with psycopg.connect(plain) as reader, psycopg.connect(plain, autocommit=True) as other:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM mergeguard_chain")
        registered(postgresql, *[event(source, priority=at % 8) for at in range(320) for source in (A, B)])
        for _ in range(12):
            process(postgresql, events=16, chains=16)

        def pages(floor: dt.datetime) -> int:
            explained = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + claiming._LOCK.replace(
                " FOR NO KEY UPDATE SKIP LOCKED", ""
            )
            row = other.execute(explained.encode(), (int(Queue.FAST), floor, 1)).fetchone()
            assert row is not None
            return int(row[0][0]["Plan"]["Shared Hit Blocks"]) + int(row[0][0]["Plan"]["Shared Read Blocks"])

        (first,) = other.execute("SELECT min(since) FROM mergeguard_chain").fetchone() or (None,)
        assert first is not None
        assert pages(first) < pages(BEGINNING), "dead entries stand before the first chain, and are passed over"
    assert len(ids(claimed(postgresql))) == 16
