"""Full disks, wrong files, and what is on the disk when a caller is answered."""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
import uuid
from contextlib import closing, suppress
from pathlib import Path

import pytest

from mergeguard import errors
from mergeguard.core.events import NO_SOURCE, Failure, NewEvent, Queue, Ran, Registered
from mergeguard.storage.queue.sqlite import SqliteEventStore

HOUR = dt.timedelta(hours=1)


def made(folder: Path) -> SqliteEventStore:
    store = SqliteEventStore(folder / "q.db")
    store.create()
    return store


def event(number: int, size: int = 1) -> NewEvent:
    return NewEvent(uuid.UUID(int=number), 1, Queue.FAST, size, b"x" * size)


def fill(store: SqliteEventStore, pages: int) -> None:
    """Let the disk be full when the file has so many pages more."""
    with store._writer.lead():
        used = store._writer.driver.execute("PRAGMA page_count").fetchone()[0]
        store._writer.driver.execute(f"PRAGMA max_page_count = {used + pages}")


def empty(store: SqliteEventStore) -> None:
    with store._writer.lead():
        store._writer.driver.execute("PRAGMA max_page_count = 1000000")


def held(store: SqliteEventStore) -> tuple[int, int, int]:
    """Return what is waiting, by rows, by counters and by ids that were given."""
    with closing(sqlite3.connect(store.path)) as connection:
        last = connection.execute("SELECT last_event FROM mergeguard_queue_state").fetchone()[0]
    return len(store.waiting()), store.sizes()[Queue.FAST].events, last


def test_a_full_disk_refuses_what_does_not_fit_and_loses_nothing(tmp_path: Path) -> None:
    store = made(tmp_path)
    fill(store, 20)
    taken = 0
    with suppress(errors.WriteFailed):
        while taken < 1000:
            store.register([event(taken % 7, 2500)])
            taken += 1
    assert 10 < taken < 100
    with pytest.raises(errors.WriteFailed, match="full"):
        store.register([event(3, 2500)])
    assert held(store) == (taken, taken, taken)
    assert store.stranded() == []
    empty(store)
    assert store.register([event(3, 2500)]) == [Registered(taken + 1)]
    store.close()


def test_on_a_full_disk_each_of_a_group_is_answered_for_itself(tmp_path: Path) -> None:
    store = made(tmp_path)
    fill(store, 6)
    outcomes: dict[int, object] = {}

    def post(number: int) -> None:
        try:
            outcomes[number] = store.register([event(number, 50_000 if number % 2 else 10)])
        except errors.WriteFailed as error:
            outcomes[number] = error

    threads = [threading.Thread(target=post, args=(number,)) for number in range(1, 9)]
    with store._writer.lead():
        for thread in threads:
            thread.start()
        while len(store._writer._turns._waiting) < len(threads):
            pass
    for thread in threads:
        thread.join()
    refused = {number for number, outcome in outcomes.items() if isinstance(outcome, errors.WriteFailed)}
    assert refused == {1, 3, 5, 7}
    assert held(store) == (4, 4, 4)
    store.close()


@pytest.mark.parametrize("by_connection", [False, True])
def test_a_batch_on_a_full_disk_leaves_its_events_where_they_are(tmp_path: Path, by_connection: bool) -> None:
    store = made(tmp_path)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("CREATE TABLE effect (a)")
    store.register([event(1), event(1)])
    claim = store.claim(Queue.FAST, "w", HOUR)
    assert claim is not None
    fill(store, 1)

    def batch() -> None:
        with store.batch(claim) as open_batch:
            open_batch.add("INSERT INTO effect (a) VALUES (?)", (b"x" * 100_000,))
            if by_connection:
                _ = open_batch.connection
            open_batch.finish([Ran(claim.leases[0], 2)])

    with pytest.raises(sqlite3.OperationalError, match="full"):
        batch()
    assert held(store) == (2, 2, 2)
    empty(store)
    batch()
    assert held(store) == (0, 0, 2)
    store.close()


def test_the_disk_is_waited_for_by_registrations_and_batches_and_not_by_claims(tmp_path: Path) -> None:
    store = made(tmp_path)

    def synchronous() -> int:
        with store._writer.lead():
            return int(store._writer.driver.execute("PRAGMA synchronous").fetchone()[0])

    normal, full = 1, 2
    store.register([event(1)])
    assert synchronous() == full
    claim = store.claim(Queue.FAST, "w", HOUR)
    assert claim is not None
    assert synchronous() == normal
    with store.batch(claim) as batch:
        batch.finish([Ran(claim.leases[0], 1)])
    assert synchronous() == full
    store.register([event(1)])
    again = store.claim(Queue.FAST, "w", HOUR)
    assert again is not None
    store.register([event(2)])
    for part in (lambda: store.renew(again, HOUR), lambda: store.release(again)):
        part()
        assert synchronous() == normal
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_the_file_itself_forbids_two_chains_of_one_key(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.register([event(1), event(0), event(0)])
    with closing(sqlite3.connect(store.path)) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(
            "INSERT INTO mergeguard_chain (source, priority, queue) SELECT source, priority, queue "
            "FROM mergeguard_chain WHERE source IS NOT NULL"
        )
    store.close()


def test_the_number_of_a_chain_and_its_token_are_never_given_again(tmp_path: Path) -> None:
    store = made(tmp_path)
    seen: set[tuple[int, int]] = set()
    for number in (1, 2, 2):
        store.register([NewEvent(NO_SOURCE, 1, Queue.FAST, 1, b"x"), event(number)])
        claim = store.claim(Queue.FAST, "w", HOUR)
        assert claim is not None
        tokens = {(lease.chain, lease.epoch) for lease in claim.leases}
        assert [lease.chain < 0 for lease in claim.leases] == [True, False]
        assert not tokens & seen
        seen |= tokens
        with store.batch(claim) as batch:
            batch.finish([Ran(lease, 1) for lease in claim.leases])
        store.release(claim)
    assert len(seen) == 6
    store.close()


def test_damage_to_a_chain_is_found_as_stranded(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.register([event(1, 5), event(1, 7), event(2)])
    assert store.stranded() == []
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("UPDATE mergeguard_chain SET head = NULL WHERE source = ?", (uuid.UUID(int=1).bytes,))
        other.execute("DELETE FROM mergeguard_chain WHERE source = ?", (uuid.UUID(int=2).bytes,))
    lost, without_chain = store.stranded()
    assert (lost.source, lost.events, lost.inline_bytes) == (str(uuid.UUID(int=1)), 2, 12)
    assert (without_chain.events, without_chain.priority) == (1, -1)
    assert store.claim(Queue.FAST, "w", HOUR) is None
    store.close()


def test_a_dead_event_counts_what_was_done_behind_it(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.register([event(1)] * 4)
    claim = store.claim(Queue.FAST, "w", HOUR)
    assert claim is not None
    (lease,) = claim.leases
    with store.batch(claim) as batch:
        batch.finish([Ran(lease, 1, Failure(lease.events[1].id, "ValueError", "no", None))])
    store.release(claim)
    assert store.later_done(2) == 0
    again = store.claim(Queue.FAST, "w", HOUR)
    assert again is not None
    with store.batch(again) as batch:
        batch.finish([Ran(again.leases[0], 2)])
    assert store.later_done(2) == 2
    assert store.later_done(1) == 0
    assert store.retry(2) == 5
    assert store.retry(2) is None
    assert not store.drop(2)
    store.close()


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, errors.TargetNotFound), (b"no database " * 100, errors.NotADatabase), (b"", errors.UnknownSchema)],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes | None, expected: type[errors.MergeGuardError]) -> None:
    path = tmp_path / "q.db"
    if content is not None:
        path.write_bytes(content)
    store = SqliteEventStore(path)
    for ask in (store.sizes, lambda: store.register([event(1)])):
        with pytest.raises(expected, match=r"q\.db"):
            ask()
    assert path.exists() == (content is not None)
    store.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.TargetNotFound, match="gone"):
        SqliteEventStore(tmp_path / "gone" / "q.db").create()


def test_to_create_again_changes_nothing(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.register([event(1)])
    before = store.sizes()
    made(tmp_path).close()
    assert store.sizes() == before
    assert store.register([event(1)]) == [Registered(2)]
    store.close()
