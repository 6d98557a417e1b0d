"""A whole processor with its threads on real databases: order, retries, the dead, files, stopping, settings."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from processor.conftest import Ground, line_of, new, register

from mergeguard.core.events import NO_SOURCE, Event, NewEvent, Queue, Reason
from mergeguard.processor.handlers import EventBatch, Handler
from mergeguard.processor.running import Processor, run_workers
from mergeguard.processor.settings import Settings
from mergeguard.processor.stored_events import StoreHandler
from mergeguard.storage.queue.handled import create_handled
from mergeguard.storage.queue.store import DeadEvent, EventStore

ADD = "INSERT INTO effects (event, line) VALUES (?, ?)"
PATIENCE = 60.0
"""Seconds after which a wait is a failure of the test."""


@dataclass
class Effects:
    """Writes one row an event, and lets the test know what it does."""

    before: Callable[[Event, EventBatch], None] = lambda _event, _batch: None
    tries: Counter[int] = field(default_factory=Counter)

    def handle(self, event: Event, _body: bytes, batch: EventBatch) -> None:
        self.tries[event.id] += 1
        batch.add(ADD, (event.id, line_of(event)))
        self.before(event, batch)


@contextmanager
def running(store: EventStore, settings: Callable[[], Settings], handler: Handler) -> Iterator[Processor]:
    processor, stop = Processor(store, settings, handler), threading.Event()
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(processor.run(stop)))
    thread.start()
    try:
        yield processor
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert ended == [True]


def until(store: EventStore, is_so: Callable[[], bool]) -> None:
    """Wait for what other threads do; the pause only spares the processor."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if is_so():
            return
        pause.wait(0.01)
    pytest.fail(f"it never came to be; waiting: {store.waiting(limit=5)}, dead: {store.dead(limit=5)}")


def empty(store: EventStore) -> Callable[[], bool]:
    return lambda: not sum(one.events for one in store.sizes())


def assert_in_order(ground: Ground) -> None:
    lines: dict[str, list[int]] = defaultdict(list)
    for event, line, _place in ground.effects():
        if not line.startswith(str(NO_SOURCE)):
            lines[line].append(event)
    assert all(events == sorted(events) for events in lines.values())


def test_every_event_has_its_effect_once_and_in_order(ground: Ground) -> None:
    store = ground.store()
    ids = register(store, *(new(number % 7, number % 2, queue=Queue(1 + number % 2)) for number in range(300)))
    with running(store, ground.settings, Effects()):
        until(store, empty(store))
    assert sorted(event for event, *_ in ground.effects()) == ids
    assert_in_order(ground)
    assert not store.stranded()


def test_failing_events_keep_their_place_and_their_neighbours_their_effects(ground: Ground) -> None:
    store = ground.store()
    ids = register(store, *(new(number % 5 + 1, 0) for number in range(100)))
    flaky, poison = set(ids[10:40:7]), set(ids[50:90:9])

    def misbehave(event: Event, batch: EventBatch) -> None:
        if event.id in poison or (event.id in flaky and event.tries < 2):
            raise ValueError(f"try {event.tries + 1} \0 of {event.id}")

    with running(store, ground.settings, Effects(misbehave)):
        until(store, empty(store))
    assert {event for event, *_ in ground.effects()} == set(ids) - poison
    assert_in_order(ground)
    dead = {one.event.id: one for one in store.dead()}
    assert set(dead) == poison
    for one in dead.values():
        assert (one.event.tries, one.failure.kind, one.failure.reason) == (4, "ValueError", Reason.RETRIES)
        assert one.failure.message.startswith("try 4 ")
    assert sum(one.retries for one in store.sizes()) == 2 * len(flaky) + 3 * len(poison)


@pytest.mark.parametrize("how", ["added", "executed", "driver", "swallowed"])
def test_a_statement_that_the_database_refuses_is_charged_to_its_own_event(ground: Ground, how: str) -> None:
    store = ground.store()
    ids = register(store, *(new(number + 1) for number in range(40)))
    bad = set(ids[5:40:11])

    def write(event: Event, batch: EventBatch) -> None:
        if event.id not in bad:
            return
        statement = "INSERT INTO effects (event) VALUES (-1)"  # its line is missing
        if how == "added":
            batch.add(statement)
        elif how == "executed":
            batch.connection.exec_driver_sql(statement)
        elif how == "driver":
            batch.connection.connection.cursor().execute(statement)
        else:
            _swallow(batch, statement)

    with running(store, ground.settings, Effects(write)):
        until(store, empty(store))
    harmless = how == "swallowed" and ground.engine.dialect.name == "sqlite"  # there a transaction outlives it
    gone = set() if harmless else bad
    assert {event for event, *_ in ground.effects()} == set(ids) - gone
    assert {one.event.id for one in store.dead()} == gone
    assert sum(one.retries for one in store.sizes()) == 3 * len(gone)


def _swallow(batch: EventBatch, statement: str) -> None:
    with suppress(Exception):  # what a careless handler does
        batch.connection.exec_driver_sql(statement)


def test_the_plain_handler_stores_events_and_buries_what_is_no_xml(ground: Ground) -> None:
    store = ground.store()
    good = b"<message><to>{1592B913-72F3-4C36-91D2-D4EDA21D2F96}</to><body>100%20</body></message>"
    bad = b"<message>\x03</message>"
    ids = register(store, new(1, body=good), new(1, body=bad), new(1, body=good))
    with running(store, ground.settings, StoreHandler()):
        until(store, empty(store))
    with ground.connected() as connection:
        rows = connection.exec_driver_sql("SELECT event, recipient, body_sha256 FROM mergeguard_handled ORDER BY event")
        stored = [tuple(row) for row in rows]
    recipient, digest = "{1592B913-72F3-4C36-91D2-D4EDA21D2F96}", hashlib.sha256(good).hexdigest()
    assert stored == [(ids[0], recipient, digest), (ids[2], recipient, digest)]
    (dead,) = store.dead()
    assert (dead.event.id, dead.event.body, dead.event.tries) == (ids[1], bad, 1)
    assert (dead.failure.kind, dead.failure.reason) == ("MalformedEvent", Reason.MALFORMED)


def _made_together(ground: Ground, together: threading.Barrier) -> None:
    together.wait()
    create_handled(ground.engine)


def test_many_processes_may_make_the_table_of_the_plain_handler_at_once(ground: Ground) -> None:
    for _ in range(5):
        with ground.connected() as connection:
            connection.exec_driver_sql("DROP TABLE mergeguard_handled")
        together = threading.Barrier(8, timeout=PATIENCE)
        with ThreadPoolExecutor(8) as threads:
            made = [threads.submit(_made_together, ground, together) for _ in range(8)]
        assert [one.result() for one in made] == [None] * 8


def test_files_are_read_checked_and_removed_after_the_commit(ground: Ground) -> None:
    store, settings = ground.store(), ground.settings()
    names = [f"{uuid.UUID(int=number)}.NSE" for number in range(4)]
    for name in names:
        (settings.queue_folder / name).write_bytes(b"<message/>")
    (settings.queue_folder / names[1]).unlink()
    (settings.queue_folder / names[2]).write_bytes(b"<mess")
    events = [NewEvent(uuid.UUID(int=at + 1), 0, Queue.FAST, 10, None, name) for at, name in enumerate(names)]
    ids = register(store, *events)
    with running(store, lambda: settings, StoreHandler()):
        until(store, empty(store))
    reasons = {one.event.id: (one.failure.reason, one.event.file) for one in store.dead()}
    assert reasons == {ids[1]: (Reason.LOST_BODY, names[1]), ids[2]: (Reason.LOST_BODY, names[2])}
    assert [path.name for path in settings.queue_folder.iterdir()] == [names[2]]


def test_dead_events_move_to_the_folder_as_soon_as_one_is_set(ground: Ground) -> None:
    store, current = ground.store(), [ground.settings(event_retry_limit=0)]
    ids = register(store, *(new(number + 1, body=b"<a%d>" % number) for number in range(5)))
    with running(store, lambda: current[0], StoreHandler()):
        until(store, lambda: len(store.dead()) == 5)
        current[0] = replace(current[0], event_failure_backup_folder=Path("bad"))
        until(store, lambda: not store.dead())
    written = {path.read_bytes() for path in (ground.folder / "bad" / "MalformedEvent").glob("*.NSE")}
    assert written == {b"<a%d>" % number for number in range(5)}
    logs = [path.read_text() for path in (ground.folder / "bad" / "MalformedEvent").glob("*.log")]
    assert sorted(int(log.split("event: ")[1].split()[0]) for log in logs) == ids


def test_a_stop_lets_the_running_event_finish_and_gives_all_leases_back(ground: Ground) -> None:
    store, stop = ground.store(), threading.Event()
    ids = register(store, *(new(number % 2 + 1) for number in range(50)))
    first = threading.Lock()

    def wait(_event: Event, _batch: EventBatch) -> None:
        if first.acquire(blocking=False):
            stop.set()

    assert run_workers(store, ground.settings, Effects(wait), stop)
    done = [event for event, *_ in ground.effects()]
    assert 1 <= len(done) <= len(ids)
    assert len(done) + sum(one.events for one in store.sizes()) == len(ids)
    assert not [chain for chain in store.chains() if chain.owner is not None]


def test_a_handler_that_does_not_end_is_left_behind_at_a_stop_and_its_event_taken_over(ground: Ground) -> None:
    store, stop, begun, ends = ground.store(), threading.Event(), threading.Event(), threading.Event()
    (only,) = register(store, new(1))
    settings = ground.settings(stop_seconds=0.05, lease_seconds=0.1)

    def hang(_event: Event, _batch: EventBatch) -> None:
        begun.set()
        ends.wait(PATIENCE)

    def stop_it() -> None:
        begun.wait(PATIENCE)
        stop.set()

    telling = threading.Thread(target=stop_it)
    telling.start()
    assert not run_workers(ground.store(), lambda: settings, Effects(hang), stop)
    telling.join(PATIENCE)
    with running(store, lambda: settings, Effects()):
        until(store, empty(store))
    ends.set()
    for thread in threading.enumerate():
        if thread.name.startswith("mergeguard-"):
            thread.join(PATIENCE)
    assert [event for event, *_ in ground.effects()] == [only], "what was left behind has lost its lease"


def test_threads_follow_the_settings_while_they_run(ground: Ground) -> None:
    store, current = ground.store(), [ground.settings(fast_threads=0)]
    ids = register(store, *(new(number + 1) for number in range(5)))
    normal = register(store, new(99, queue=Queue.NORMAL))
    with running(store, lambda: current[0], Effects()):
        until(store, lambda: [event for event, *_ in ground.effects()] == normal)
        current[0] = replace(current[0], fast_threads=2, normal_threads=0)
        until(store, empty(store))
    assert {event for event, *_ in ground.effects()} == {*ids, *normal}


def test_a_knock_wakes_workers_that_would_sleep_for_hours(ground: Ground) -> None:
    store = ground.store()
    settings = ground.settings(idle_milliseconds=3_600_000)
    with running(store, lambda: settings, Effects()) as processor:
        (first,) = register(store, new(1))
        processor.wake([Queue.FAST])
        until(store, lambda: first in {event for event, *_ in ground.effects()})


def test_different_lines_run_at_the_same_time_and_one_line_never_does(ground: Ground) -> None:
    """Q5, the *sometimes*: two handlers meet. On SQLite they may, as long as they ask for no connection."""
    store = ground.store()
    register(store, new(1), new(2), new(0), new(0))
    settings = ground.settings(claim_chains=1, claim_events=1)
    meeting = threading.Barrier(2, timeout=PATIENCE)
    with running(store, lambda: settings, Effects(lambda _event, _batch: meeting.wait() and None)):
        until(store, empty(store))
    assert len(ground.effects()) == 4


def test_long_work_keeps_its_lease(ground: Ground) -> None:
    """The handler outlives its lease several times; whoever waits for the chain does not get it."""
    store, other = ground.store(), ground.store()
    (only,) = register(store, new(1))
    settings = ground.settings(lease_seconds=0.3)
    claimed: list[object] = []

    def linger(_event: Event, _batch: EventBatch) -> None:
        for _ in range(12):
            threading.Event().wait(0.1)
            other.sweep()
            claimed.append(other.claim(Queue.FAST, "thief", settings.lease))

    handler = Effects(linger)
    with running(store, lambda: settings, handler):
        until(store, empty(store))
    assert [one for one in claimed if one is not None] == []
    assert handler.tries[only] == 1


def test_an_event_shown_to_people_says_what_became_of_it(ground: Ground) -> None:
    store = ground.store()
    (only,) = register(store, new(1, body=b"<"))
    with running(store, ground.settings, StoreHandler()):
        until(store, empty(store))
    shown = store.event(only)
    assert isinstance(shown, DeadEvent)
    assert "unclosed token" in shown.failure.message or "no element" in shown.failure.message
