"""Databases that go away, come back, deadlock, lock and refuse commits: no event is lost, charged or done twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from processor.conftest import Ground, new, register
from processor.test_running_stores import PATIENCE, Effects, empty, running, until

from mergeguard.core.events import Event, Queue
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.running import Processor
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.store import EventStore
from mergeguard.storage.source import Options

postgresql_only = pytest.mark.parametrize("ground", ["postgresql"], indirect=True)
sqlite_only = pytest.mark.parametrize("ground", ["sqlite"], indirect=True)


def assert_unharmed(ground: Ground, store: EventStore, ids: list[int]) -> None:
    assert sorted(event for event, *_ in ground.effects()) == ids
    assert not store.dead()
    assert sum(one.retries for one in store.sizes()) == 0, "an outage is no failed try"
    assert not store.stranded()


class Database:
    """The administrator of the database under a test."""

    def __init__(self, url: str) -> None:
        plain = url.replace("+psycopg", "", 1)
        self.name = plain.rpartition("/")[2]
        self._admin = plain.rpartition("/")[0] + "/postgres"

    def run(self, *statements: str) -> None:
        with closing(psycopg.connect(self._admin, autocommit=True)) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def cut(self) -> None:
        """End every connection there is."""
        self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")

    def shut(self) -> None:
        self.run(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS false')
        self.cut()

    def reopen(self) -> None:
        self.run(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS true')


@postgresql_only
def test_connections_that_are_cut_again_and_again_harm_nothing(ground: Ground) -> None:
    store, database = ground.store(), Database(ground.url)
    ids = register(store, *(new(number % 19 + 1) for number in range(400)))
    gate = threading.Semaphore(0)
    settings = ground.settings(claim_events=16, claim_chains=8)
    with running(
        ground.store(), lambda: settings, Effects(lambda _event, _batch: gate.acquire(timeout=PATIENCE) and None)
    ):
        for _ in range(8):
            gate.release(40)
            until(store, lambda: gate._value == 0)
            database.cut()
            gate.release(10)
        gate.release(100_000)
        until(store, patient(empty(store)))
    assert_unharmed(ground, store, ids)


def patient(is_so: Callable[[], bool]) -> Callable[[], bool]:
    """Ask again where the connection of the test itself was cut."""

    def ask() -> bool:
        try:
            return is_so()
        except Exception:  # noqa: BLE001 - the test's own connection
            return False

    return ask


@postgresql_only
def test_a_database_that_is_shut_pauses_work_and_is_probed(ground: Ground) -> None:
    store, database = ground.store(), Database(ground.url)
    ids = register(store, *(new(number % 19 + 1) for number in range(200)))
    begun = threading.Event()
    settings = ground.settings(claim_events=4, claim_chains=4, probe_seconds=0.05)
    shut = threading.Event()

    def act(_event: Event, _batch: EventBatch) -> None:
        begun.set()
        shut.wait(PATIENCE)

    handler = Effects(act)
    with running(ground.store(), lambda: settings, handler) as processor:
        assert begun.wait(PATIENCE)
        database.shut()
        shut.set()
        until_paused(processor, 4)
        calls = sum(handler.tries.values())
        until_paused(processor, 8)
        assert sum(handler.tries.values()) == calls, "nobody works meanwhile"
        database.reopen()
        until(store, patient(empty(store)))
    assert processor.outage is None
    assert_unharmed(ground, store, ids)


def until_paused(processor: Processor, probes: int) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        outage = processor.outage
        if outage is not None and outage.probes >= probes:
            return
        pause.wait(0.01)
    pytest.fail("the outage was not noticed")


@postgresql_only
def test_deadlocks_between_handlers_harm_nothing(ground: Ground) -> None:
    Database(ground.url).run(f"ALTER DATABASE \"{ground.engine.url.database}\" SET deadlock_timeout = '10ms'")
    with ground.connected() as connection:
        connection.exec_driver_sql("CREATE TABLE pair (id int PRIMARY KEY, hits int NOT NULL DEFAULT 0)")
        connection.exec_driver_sql("INSERT INTO pair (id) VALUES (0), (1)")
    store = ground.store()
    ids = register(store, *(new(number + 1, queue=Queue(1 + number % 2)) for number in range(60)))
    deadlocks = []

    def act(event: Event, batch: EventBatch) -> None:
        for row in (event.id % 2, 1 - event.id % 2):
            try:
                batch.connection.exec_driver_sql(f"UPDATE pair SET hits = hits + 1 WHERE id = {row}")
            except Exception as error:
                deadlocks.append(error)
                raise

    settings = ground.settings(claim_events=4, claim_chains=4, fast_threads=2, normal_threads=2)
    with running(ground.store(), lambda: settings, Effects(act)):
        until(store, empty(store))
    assert_unharmed(ground, store, ids)
    with ground.connected() as connection:
        assert connection.exec_driver_sql("SELECT hits FROM pair").scalars().all() == [60, 60]


@postgresql_only
def test_an_event_that_waits_for_a_lock_holds_back_itself_alone(ground: Ground) -> None:
    with ground.connected() as connection:
        connection.exec_driver_sql("CREATE TABLE held (id int PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO held VALUES (1)")
    store = ground.store()
    ids = register(store, *(new(number + 1) for number in range(30)))

    def act(event: Event, batch: EventBatch) -> None:
        if event.id == ids[0]:
            batch.connection.exec_driver_sql("UPDATE held SET id = 1")

    working = open_store(ground.url, Options(lock_timeout=0.1))
    ground.stores.append(working)
    with ground.engine.connect() as other:
        other.exec_driver_sql("UPDATE held SET id = 1")
        with running(working, ground.settings, Effects(act)):
            until(store, lambda: sum(one.events for one in store.sizes()) == 1)
            other.rollback()
            until(store, empty(store))
    assert_unharmed(ground, store, ids)


@postgresql_only
def test_a_commit_that_is_refused_is_charged_to_the_one_event_that_is_to_blame(ground: Ground) -> None:
    """A deferred constraint speaks only at the commit, when all the neighbours stand in the same transaction."""
    with ground.connected() as connection:
        connection.exec_driver_sql("CREATE TABLE parent (id bigint PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE child (id bigint REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    store = ground.store()
    ids = register(store, *(new(number + 1) for number in range(20)))
    bad = ids[13]

    def act(event: Event, batch: EventBatch) -> None:
        if event.id == bad:
            batch.add("INSERT INTO child VALUES (?)", (event.id,))

    with running(ground.store(), ground.settings, Effects(act)):
        until(store, empty(store))
    assert sorted(event for event, *_ in ground.effects()) == [number for number in ids if number != bad]
    assert [(one.event.id, one.event.tries) for one in store.dead()] == [(bad, 4)]
    assert sum(one.retries for one in store.sizes()) == 3


@sqlite_only
def test_another_process_that_holds_the_file_costs_no_try(ground: Ground) -> None:
    store = ground.store()
    ids = register(store, *(new(number % 7 + 1) for number in range(100)))
    working = open_store(ground.url, Options(lock_timeout=0.1))
    ground.stores.append(working)
    path = ground.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        handler = Effects(lambda _event, batch: batch.connection and None)
        with running(working, ground.settings, handler):
            threading.Event().wait(1.0)  # several times the patience of the store
            other.execute("COMMIT")
            until(store, empty(store))
    assert_unharmed(ground, store, ids)


@sqlite_only
def test_a_disk_that_is_full_costs_no_try(ground: Ground) -> None:
    store, full = ground.store(), [True]
    ids = register(store, *(new(number % 7 + 1) for number in range(50)))
    refused = threading.Event()

    def act(_event: Event, batch: EventBatch) -> None:
        pages = batch.connection.exec_driver_sql("PRAGMA page_count").scalar()
        limit = pages if full[0] else 1_000_000
        batch.connection.exec_driver_sql(f"PRAGMA max_page_count = {limit}")
        if full[0]:
            refused.set()
            batch.connection.exec_driver_sql("CREATE TABLE more AS SELECT zeroblob(1000000) AS x")

    with running(ground.store(), ground.settings, Effects(act)):
        assert refused.wait(PATIENCE)
        full[0] = False
        until(store, patient(empty(store)))
    assert_unharmed(ground, store, ids)
