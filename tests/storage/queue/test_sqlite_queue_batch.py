"""The transaction of a batch on SQLite: late, short, with savepoints, and only ever ended by the batch itself."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.events import Claim, Failure, NewEvent, Queue, Ran
from mergeguard.errors import LeaseLost, Locked
from mergeguard.storage.queue.sqlite import SqliteEventStore
from mergeguard.storage.queue.store import Batch

HOUR = dt.timedelta(hours=1)
INSERT = "INSERT INTO effect (a) VALUES (?)"


class Place:
    """A queue with a table for effects."""

    def __init__(self, folder: Path, patience: float = 30) -> None:
        self.store = SqliteEventStore(folder / "q.db", patience=patience)
        self.store.create()
        self.ask("CREATE TABLE effect (a UNIQUE)")

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.store.path, isolation_level=None)) as other:
            return other.execute(statement).fetchall()

    def effects(self) -> list[object]:
        return [row[0] for row in self.ask("SELECT a FROM effect ORDER BY rowid")]

    def claim(self, events: int = 1) -> Claim:
        self.store.register([NewEvent(uuid.UUID(int=1), 1, Queue.FAST, 1, b"x")] * events)
        claim = self.store.claim(Queue.FAST, "w", HOUR)
        assert claim is not None
        return claim

    def run(self, claim: Claim, *steps: Callable[[Batch], None]) -> None:
        """Take steps in a batch and finish it."""
        with self.store.batch(claim) as batch:
            for step in steps:
                step(batch)
            batch.finish(whole(claim))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.store.close()


def whole(claim: Claim) -> list[Ran]:
    return [Ran(lease, len(lease.events)) for lease in claim.leases]


def by_connection(batch: Batch, number: int) -> None:
    batch.connection.execute(sa.text("INSERT INTO effect (a) VALUES (:a)"), {"a": number})


def by_driver(batch: Batch, number: int) -> None:
    batch.connection.connection.driver_connection.execute(INSERT, (number,))


def by_unit(batch: Batch, number: int) -> None:
    batch.add(INSERT, (number,))


WAYS: list[Callable[[Batch, int], None]] = [by_unit, by_connection, by_driver]


class Refused(Exception):
    """What a handler raises."""


@dataclass
class Inside:
    """A savepoint with writes, or further savepoints, inside; it may be undone."""

    parts: list[Inside | Callable[[Batch, int], None]]
    fails: bool


parts = st.recursive(
    st.sampled_from(WAYS),
    lambda inner: st.builds(Inside, st.lists(inner, max_size=4), st.booleans()),
    max_leaves=12,
)


class Programme:
    """Runs parts on a batch, and says which of the writes must stand."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.number = 0

    def run(self, steps: list[Inside | Callable[[Batch, int], None]]) -> list[int]:
        kept: list[int] = []
        for step in steps:
            if isinstance(step, Inside):
                kept += self.inside(step)
                continue
            self.number += 1
            step(self.batch, self.number)
            kept.append(self.number)
        return kept

    def inside(self, step: Inside) -> list[int]:
        with suppress(Refused), self.batch.savepoint():
            kept = self.run(step.parts)
            if step.fails:
                raise Refused
            return kept
        return []


@given(steps=st.lists(parts, max_size=8))
def test_what_was_not_undone_stands_in_the_order_it_was_written(
    steps: list[Inside | Callable[[Batch, int], None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = Place(tmp_path_factory.mktemp("queue"))
    claim = place.claim()
    with place.store.batch(claim) as batch:
        kept = Programme(batch).run(steps)
        assert place.effects() == [], "nothing is seen before the commit"
        batch.finish(whole(claim))
    assert place.effects() == kept
    assert place.store.sizes()[Queue.FAST].done == 1
    place.store.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_that_raises_leaves_nothing(place: Place, way: Callable[[Batch, int], None]) -> None:
    claim = place.claim()

    def fail() -> None:
        with place.store.batch(claim) as batch:
            way(batch, 1)
            batch.finish(whole(claim))
            raise Refused

    with pytest.raises(Refused):
        fail()
    assert place.effects() == []
    place.run(claim, lambda batch: way(batch, 1))
    assert place.effects() == [1]


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_that_is_not_finished_leaves_nothing(place: Place, way: Callable[[Batch, int], None]) -> None:
    claim = place.claim()
    with pytest.raises(RuntimeError, match="not finished"), place.store.batch(claim) as batch:
        way(batch, 1)
    assert place.effects() == []
    assert place.store.renew(claim, HOUR) == list(claim.leases)


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_handler_cannot_end_the_transaction(place: Place, end: str) -> None:
    claim = place.claim()

    def misbehave() -> None:
        with place.store.batch(claim) as batch:
            by_connection(batch, 1)
            getattr(batch.connection, end)()

    with pytest.raises(RuntimeError, match="the batch"):
        misbehave()
    assert place.effects() == []
    assert len(place.store.waiting()) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_worker_that_lost_its_lease_commits_nothing(place: Place, way: Callable[[Batch, int], None]) -> None:
    claim = place.claim(3)
    place.store.renew(claim, dt.timedelta(0))
    assert place.store.sweep() == 1
    other = place.store.claim(Queue.FAST, "other", HOUR)
    assert other is not None
    with pytest.raises(LeaseLost):
        place.run(claim, lambda batch: way(batch, 1))
    place.store.release(claim)
    assert place.effects() == []
    assert place.store.renew(other, HOUR) == list(other.leases)


def test_a_lease_that_is_lost_between_finish_and_commit_is_noticed(place: Place) -> None:
    claim = place.claim(3)
    other = []

    def late() -> None:
        with place.store.batch(claim) as batch:
            by_unit(batch, 1)
            batch.finish(whole(claim))
            place.store.renew(claim, dt.timedelta(0))
            place.store.sweep()
            other.append(place.store.claim(Queue.FAST, "other", HOUR))

    with pytest.raises(LeaseLost):
        late()
    assert other[0] is not None
    assert place.effects() == []
    assert len(place.store.waiting()) == 3


def test_a_lease_lost_that_was_caught_still_leaves_nothing(place: Place) -> None:
    claim = place.claim()
    place.store.renew(claim, dt.timedelta(0))
    assert place.store.sweep() == 1
    for way in WAYS:
        with place.store.batch(claim) as batch:
            way(batch, 1)
            with pytest.raises(LeaseLost):
                batch.finish(whole(claim))
        assert place.effects() == []


def test_a_statement_that_fails_fails_as_the_driver_says_it(place: Place) -> None:
    claim = place.claim()
    with pytest.raises(sqlite3.IntegrityError):
        place.run(claim, lambda batch: by_unit(batch, 1), lambda batch: by_unit(batch, 1))
    with pytest.raises(sqlite3.OperationalError, match="missing"):
        place.run(claim, lambda batch: batch.add("INSERT INTO missing (a) VALUES (?)", (1,)))
    assert place.effects() == []
    assert len(place.store.waiting()) == 1


def test_one_that_fails_among_neighbours_costs_them_nothing(place: Place) -> None:
    claim = place.claim(3)
    (lease,) = claim.leases
    with place.store.batch(claim) as batch:
        by_connection(batch, 1)
        with suppress(sa.exc.IntegrityError), batch.savepoint():
            by_unit(batch, 2)
            by_connection(batch, 1)
        failure = Failure(lease.events[1].id, "IntegrityError", "twice", HOUR)
        batch.finish([Ran(lease, 1, failure)])
    assert place.effects() == [1]
    assert [event.tries for event in place.store.waiting()] == [1, 0]


def test_a_unit_of_work_holds_no_lock_and_a_connection_does(tmp_path: Path) -> None:
    place = Place(tmp_path, patience=0.01)
    claim = place.claim()
    other = SqliteEventStore(place.store.path, patience=0.01)
    post = [NewEvent(uuid.UUID(int=2), 1, Queue.FAST, 1, b"x")]
    with place.store.batch(claim) as batch:
        by_unit(batch, 1)
        other.register(post)
        place.store.register(post)
        by_connection(batch, 2)
        with pytest.raises(Locked):
            other.register(post)
        batch.finish(whole(claim))
    other.register(post)
    assert place.effects() == [1, 2]
    assert len(place.store.waiting()) == 3
    other.close()
    place.store.close()


def test_a_connection_that_cannot_be_had_is_a_lock_that_cannot_be_had(tmp_path: Path) -> None:
    place = Place(tmp_path, patience=0.01)
    claim = place.claim()
    with closing(sqlite3.connect(place.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked), place.store.batch(claim) as batch:
            _ = batch.connection
    place.run(claim, lambda batch: by_connection(batch, 1))
    assert place.effects() == [1]
    place.store.close()


def test_a_failure_must_be_of_the_event_after_those_that_are_done(place: Place) -> None:
    claim = place.claim(2)
    (lease,) = claim.leases
    wrong = Failure(lease.events[1].id, "ValueError", "", None)
    with pytest.raises(ValueError, match="after"), place.store.batch(claim) as batch:
        batch.finish([Ran(lease, 0, wrong)])
    assert len(place.store.waiting()) == 2
