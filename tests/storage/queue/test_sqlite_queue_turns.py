"""Who writes when, among the threads of one process, and what many ask for at once."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.events import Denied, NewEvent, Queue, Registered
from mergeguard.errors import Locked, WriteFailed
from mergeguard.storage.queue import sqlite_turns
from mergeguard.storage.queue.sqlite import SqliteEventStore
from mergeguard.storage.queue.sqlite_transaction import Transaction
from mergeguard.storage.queue.sqlite_turns import Job, Turns


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEventStore]:
    made = SqliteEventStore(tmp_path / "q.db")
    made.create()
    yield made
    made.close()


def event(number: int, body: bytes = b"x") -> NewEvent:
    return NewEvent(uuid.UUID(int=number), 1, Queue.FAST, len(body), body)


class Crowd:
    """Threads that each call something once; their answers and errors by their number."""

    def __init__(self, calls: list[Callable[[], object]]) -> None:
        self.answers: dict[int, object] = {}
        self.errors: dict[int, BaseException] = {}
        self.threads = [threading.Thread(target=self._call, args=pair) for pair in enumerate(calls)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join()

    def _call(self, number: int, call: Callable[[], object]) -> None:
        try:
            self.answers[number] = call()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.errors[number] = error


def until(turns: Turns, waiting: int) -> None:
    """Wait until so many jobs stand in line."""
    while len(turns._waiting) < waiting:
        pass


def statements(store: SqliteEventStore) -> list[str]:
    """Return a list that all statements of the writer are appended to from now on."""
    seen: list[str] = []
    with store._writer.lead():
        store._writer.driver.set_trace_callback(seen.append)
    return seen


def test_posts_that_wait_together_share_one_commit(store: SqliteEventStore) -> None:
    seen = statements(store)
    crowd = Crowd([lambda number=number: store.register([event(number)]) for number in range(32)])  # type: ignore[misc]
    with store._writer.lead():
        crowd.start()
        until(store._writer._turns, 32)
    crowd.join()
    assert [line for line in seen if line in {"BEGIN IMMEDIATE", "COMMIT"}] == ["BEGIN IMMEDIATE", "COMMIT"]
    ids = [answer[0].id for answer in crowd.answers.values()]  # type: ignore[index]
    assert sorted(ids) == list(range(1, 33))
    bodies = {number: store.event(answer[0].id) for number, answer in crowd.answers.items()}  # type: ignore[index]
    assert all(found.source == uuid.UUID(int=number) for number, found in bodies.items())  # type: ignore[union-attr]


def test_a_caller_is_answered_after_the_commit_that_holds_its_events(store: SqliteEventStore) -> None:
    def post(number: int) -> bool:
        (answer,) = store.register([event(number % 5)])
        assert isinstance(answer, Registered)
        with closing(sqlite3.connect(store.path)) as other:
            found = other.execute("SELECT chain FROM mergeguard_event WHERE id = ?", (answer.id,)).fetchone()
        return found is not None

    crowd = Crowd([lambda number=number: post(number) for number in range(64)])  # type: ignore[misc]
    crowd.start()
    crowd.join()
    assert crowd.errors == {}
    assert list(crowd.answers.values()) == [True] * 64


def test_what_one_asks_for_in_vain_touches_none_of_the_others(store: SqliteEventStore) -> None:
    def damage(transaction: Transaction) -> None:
        transaction.driver.execute("DELETE FROM mergeguard_queue")
        transaction.driver.execute("INSERT INTO mergeguard_event (id) VALUES (1)")

    calls: list[Callable[[], object]] = [lambda number=number: store.register([event(number)]) for number in range(5)]  # type: ignore[misc]
    calls.insert(3, lambda: store._write(damage))
    crowd = Crowd(calls)
    with store._writer.lead():
        crowd.start()
        until(store._writer._turns, 6)
    crowd.join()
    assert {number: type(error) for number, error in crowd.errors.items()} == {3: WriteFailed}
    assert store.sizes()[Queue.FAST].events == 5
    assert len(store.waiting()) == 5
    assert {chain.source for chain in store.chains()} == {str(uuid.UUID(int=number)) for number in range(1, 5)} | {
        str(uuid.UUID(int=0))
    }


def test_who_looks_within_a_commit_sees_what_was_registered_in_it(store: SqliteEventStore) -> None:
    def look(transaction: Transaction) -> list[int]:
        return [row[0] for row in transaction.driver.execute("SELECT id FROM mergeguard_event ORDER BY id")]

    calls: list[Callable[[], object]] = [lambda at=at: store.register([event(at)]) for at in range(3)]  # type: ignore[misc]
    crowd = Crowd([lambda: store._write(look), *calls])
    with store._writer.lead():
        crowd.start()
        until(store._writer._turns, 4)
    crowd.join()
    assert crowd.answers[0] == [1, 2, 3]


def test_a_file_that_is_registered_twice_at_once_is_refused_once(store: SqliteEventStore) -> None:
    posts = [NewEvent(uuid.UUID(int=at), 1, Queue.FAST, 1, file=f"{at // 2}.NSE") for at in range(6)]
    crowd = Crowd([lambda post=post: store.register([post]) for post in posts])  # type: ignore[misc]
    with store._writer.lead():
        crowd.start()
        until(store._writer._turns, 6)
    crowd.join()
    assert (len(crowd.answers), len(crowd.errors)) == (3, 3)
    assert {type(error) for error in crowd.errors.values()} == {WriteFailed}
    assert set(store.files()) == {"0.NSE", "1.NSE", "2.NSE"}
    assert store.sizes()[Queue.FAST].registered == 3
    assert len(store.chains()) == 3


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 120))
def test_the_file_limit_is_exact_however_many_ask(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int
) -> None:
    store = SqliteEventStore(tmp_path_factory.mktemp("queue") / "q.db")
    store.create()
    posts = [NewEvent(uuid.UUID(int=1), 1, Queue.LARGE, size, file=f"{at}.NSE") for at, size in enumerate(sizes)]
    crowd = Crowd([lambda post=post: store.register([post], file_limit=limit)[0] for post in posts])  # type: ignore[misc]
    crowd.start()
    crowd.join()
    taken = sum(size for at, size in enumerate(sizes) if isinstance(crowd.answers[at], Registered))
    denied = [size for at, size in enumerate(sizes) if isinstance(crowd.answers[at], Denied)]
    assert store.sizes()[Queue.LARGE].file_bytes == taken <= limit
    assert all(taken + size > limit for size in denied)
    assert len(store.files()) == len(sizes) - len(denied)
    store.close()


def test_who_waits_too_long_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    store = SqliteEventStore(tmp_path / "q.db", patience=0.01)
    store.create()
    crowd = Crowd([lambda: store.register([event(1)])])
    with store._writer.lead():
        crowd.start()
        crowd.join()
    assert isinstance(crowd.errors[0], Locked)
    assert crowd.errors[0].retryable
    store.register([event(2)])
    assert [waiting.source.int for waiting in store.waiting()] == [2]
    store.close()


def test_another_program_that_writes_for_too_long_is_reported(tmp_path: Path) -> None:
    store = SqliteEventStore(tmp_path / "q.db", patience=0.01)
    store.create()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked, match=r"q\.db"):
            store.register([event(1)])
        assert store.claim(Queue.FAST, "w", store.now() - store.now()) is None, "to find nothing takes no lock"
        other.execute("ROLLBACK")
    assert store.register([event(1)]) == [Registered(1)]
    store.close()


def test_more_than_a_group_are_done_in_turn(store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_turns, "GROUP", 3)
    seen = statements(store)
    crowd = Crowd([lambda number=number: store.register([event(number)]) for number in range(8)])  # type: ignore[misc]
    with store._writer.lead():
        crowd.start()
        until(store._writer._turns, 8)
    crowd.join()
    assert seen.count("COMMIT") == 3
    assert sorted(answer[0].id for answer in crowd.answers.values()) == list(range(1, 9))  # type: ignore[index]


class Stopped(BaseException):
    """As Ctrl-C comes."""


def test_a_leader_that_is_interrupted_leaves_nothing_and_gives_up_the_lead(store: SqliteEventStore) -> None:
    def stop(transaction: Transaction) -> None:
        transaction.driver.execute("UPDATE mergeguard_queue SET events = 7")
        raise Stopped

    with pytest.raises(Stopped):
        store._write(stop)
    assert store.register([event(1)]) == [Registered(1)]
    assert store.sizes()[Queue.FAST].events == 1


def test_one_who_waits_and_is_interrupted_hands_the_lead_on() -> None:
    turns = Turns(30)
    jobs: list[Job[Any]] = [Job(lambda _: None, alone=True) for _ in range(2)]
    assert turns.enter(jobs[0])

    class Lock:
        """Is interrupted just after it was woken to lead."""

        def acquire(self, **_: float) -> bool:
            turns.hand_over()
            raise Stopped

        def release(self) -> None:
            return

    jobs[1].wake = Lock()  # type: ignore[assignment]
    with pytest.raises(Stopped):
        in_another_thread(lambda: turns.enter(jobs[1]))
    assert turns._leader is None


def in_another_thread(call: Callable[[], object]) -> None:
    """Call something in a thread of its own, and raise what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def test_who_has_the_lead_and_asks_for_more_is_told_at_once(store: SqliteEventStore) -> None:
    with store._writer.lead(), pytest.raises(RuntimeError, match="connection"):
        store.register([event(1)])
    assert store.register([event(1)]) == [Registered(1)]
