"""Several sessions on a real PostgreSQL: free-running, cut off, and without rights."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from threading import Barrier

import pytest
import sqlalchemy as sa
from queue_places import LEASE, SOURCES, PostgresqlPlace, claimed, event, finish, ids, process, registered
from queue_scenarios import WAITING, locked, waits

from mergeguard.core.events import NO_SOURCE, Failure, Queue, Ran, Registered
from mergeguard.errors import ConnectionLost, LeaseLost, Locked, MergeGuardError, PermissionDenied
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.source import Options

A, B, *_ = SOURCES
QUEUES = (Queue.FAST, Queue.NORMAL)
HERE = "FROM pg_stat_activity WHERE datname = current_database()"
"""Sessions of this test's own database: others share the server and must not feel what is done here."""
CUT = f"SELECT pg_terminate_backend(pid) {HERE} AND application_name = 'mergeguard'"
_NONE = "since = NULL, retry_at = NULL, owner = NULL, lease_until = NULL"
CHAINS = {
    "idle": _NONE,
    "ready": _NONE.replace("since = NULL", "since = now()"),
    "retrying": _NONE.replace("retry_at = NULL", "retry_at = now() + interval '1 hour'"),
    "leased": "since = NULL, retry_at = NULL, owner = 'somebody', lease_until = now() + interval '1 hour'",
}
"""What a chain's row says."""


@pytest.fixture
def trail(postgresql: PostgresqlPlace) -> PostgresqlPlace:
    """A queue whose effects are numbered."""
    postgresql.run("DROP TABLE IF EXISTS trail")
    postgresql.run("CREATE TABLE trail (place bigserial, event bigint, source uuid, priority integer)")
    return postgresql


def produce(place: PostgresqlPlace, seed: int) -> list[int]:
    chosen = random.Random(seed)
    numbers = []
    for _ in range(25):
        events = [
            event(chosen.choice([*SOURCES, NO_SOURCE]), priority=chosen.randrange(2), queue=chosen.choice(QUEUES))
            for _ in range(chosen.randrange(1, 5))
        ]
        numbers += registered(place, *events)
    return numbers


def work(place: PostgresqlPlace, worker: str, producers: list[Future[list[int]]], fails: bool) -> int:
    """Process until everything is done; some tries fail, some leases expire, some workers forget to release."""
    chosen, lost = random.Random(worker), 0
    while not all(one.done() for one in producers) or any(one.events for one in place.store.sizes()):
        place.store.sweep()
        claim = place.store.claim(chosen.choice(QUEUES), worker, LEASE, events=8, chains=3)
        if claim is None:
            if fails:
                place.pass_time()  # somebody forgot to release
            continue
        if fails and chosen.random() < 0.1:
            place.pass_time()
        try:
            with place.store.batch(claim) as batch:
                ran = []
                for lease in claim.leases:
                    bad = chosen.randrange(len(lease.events)) if fails and chosen.random() < 0.2 else None
                    for done in lease.events[:bad]:
                        row = (done.id, done.source, done.priority)
                        batch.add("INSERT INTO trail (event, source, priority) VALUES (?, ?, ?)", row)
                    failure = None
                    if bad is not None:
                        after = dt.timedelta(0) if lease.events[bad].tries < 2 else None
                        failure = Failure(lease.events[bad].id, "E", "m", after)
                    ran.append(Ran(lease, len(lease.events[:bad]), failure))
                batch.finish(ran)
        except (LeaseLost, Locked):
            lost += 1
        if not fails or chosen.random() < 0.9:
            place.store.release(claim)
    return lost


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_lost_doubled_or_reordered_among_threads(trail: PostgresqlPlace, fails: bool) -> None:
    with ThreadPoolExecutor(6) as threads:
        producers = [threads.submit(produce, trail, seed) for seed in range(2)]
        workers = [threads.submit(work, trail, str(one), producers, fails) for one in range(3)]
        numbers = sorted(number for producer in producers for number in producer.result())
        for worker in workers:
            worker.result()
    dead = [one.event.id for one in trail.store.dead()]
    effects = trail.rows("SELECT event, source, priority FROM trail ORDER BY place")
    assert sorted([row[0] for row in effects] + dead) == numbers, "no_loss, effect_once"
    lines = defaultdict(list)
    for number, source, priority in effects:
        if source != NO_SOURCE:
            lines[source, priority].append(number)
    assert all(line == sorted(line) for line in lines.values()), "order"
    assert trail.store.stranded() == []
    trail.pass_time()
    trail.store.sweep()
    assert trail.store.chains() == []
    assert {one.events for one in trail.store.sizes()} == {0}


def test_registrations_of_many_keys_never_wait_in_a_circle(postgresql: PostgresqlPlace) -> None:
    start = Barrier(3)

    def register(seed: int) -> int:
        chosen = random.Random(seed)
        start.wait()
        for _ in range(15):
            sources = [*SOURCES, uuid.uuid4()]
            chosen.shuffle(sources)
            registered(postgresql, *[event(source, queue=Queue(chosen.randrange(5))) for source in sources])
        return 15 * 5

    with ThreadPoolExecutor(3) as threads:
        made = sum(threads.map(register, range(3)))
    assert len(postgresql.look().pending) == made


@pytest.mark.parametrize("after", CHAINS)
@pytest.mark.parametrize("before", [None, *CHAINS])
def test_a_chain_that_changes_under_a_registration_is_woken_if_it_is_idle_then(
    postgresql: PostgresqlPlace, before: str | None, after: str
) -> None:
    if before is not None:
        registered(postgresql, event(A))
        postgresql.run(f"UPDATE mergeguard_chain SET {CHAINS[before]}")
    with ThreadPoolExecutor(1) as threads:
        with postgresql.engine.begin() as somebody:
            if before is None:
                row = {"source": A}
                somebody.execute(
                    sa.text("INSERT INTO mergeguard_chain (source, priority, queue) VALUES (:source, 0, 1)"), row
                )
            somebody.execute(sa.text(f"UPDATE mergeguard_chain SET {CHAINS[after]}"))
            waiting = threads.submit(registered, postgresql, event(A, queue=Queue.NORMAL), event(B, queue=Queue.NORMAL))
            waits(postgresql, 1)
        waiting.result()
    [(queue, is_ready, is_leased, retries)] = postgresql.rows(
        "SELECT queue, since IS NOT NULL, owner IS NOT NULL, retry_at IS NOT NULL FROM mergeguard_chain "
        "WHERE source = :source", source=A,
    )  # fmt: skip
    assert (is_ready, is_leased, retries) == (after in {"idle", "ready"}, after == "leased", after == "retrying")
    assert queue == (Queue.NORMAL if after == "idle" else Queue.FAST)


def test_who_finishes_does_not_wait_for_who_registers(postgresql: PostgresqlPlace) -> None:
    registered(postgresql, event(A))
    claim = claimed(postgresql)
    with locked(postgresql, "mergeguard_queue WHERE part = 0"), ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(registered, postgresql, event(B))
        waits(postgresql, 1)
        finish(postgresql, claim)
        postgresql.store.release(claim)
        assert postgresql.rows(WAITING) == [(1,)]
        postgresql.run(f"SELECT pg_cancel_backend(pid) {HERE} AND wait_event_type = 'Lock'")
        with pytest.raises(MergeGuardError):
            waiting.result()
    assert postgresql.look().done
    assert postgresql.look().pending == {}


def test_a_lock_is_not_waited_for_without_end(postgresql: PostgresqlPlace) -> None:

    with (
        closing(open_store(postgresql.url, Options(lock_timeout=0.01))) as store,
        locked(postgresql, "mergeguard_queue"),
        pytest.raises(Locked) as refused,
    ):
        store.register([event(A)])
    assert refused.value.retryable
    assert postgresql.look().pending == {}


def test_a_lost_connection_is_told_and_the_next_call_has_a_new_one(postgresql: PostgresqlPlace) -> None:
    registered(postgresql, event(A))
    postgresql.run(CUT)
    with pytest.raises(ConnectionLost) as told:
        postgresql.store.sizes()
    assert told.value.retryable
    assert "p@ss" not in str(told.value)
    assert postgresql.store.sizes()[Queue.FAST].events == 1


def test_a_connection_lost_in_a_batch_loses_nothing(postgresql: PostgresqlPlace) -> None:
    numbers = registered(postgresql, event(A), event(B))
    claim = claimed(postgresql)
    with pytest.raises(ConnectionLost), postgresql.store.batch(claim) as batch:  # noqa: PT012 - a batch has several steps
        _ = batch.connection.exec_driver_sql("INSERT INTO effect VALUES (1, 'w')")
        postgresql.run(CUT)
        batch.finish([Ran(one, 1) for one in claim.leases])
    with suppress(ConnectionLost):
        postgresql.store.sizes()
    assert sorted(postgresql.look().pending) == numbers
    assert postgresql.look().done == []
    finish(postgresql, claim)
    postgresql.store.release(claim)
    assert sorted(postgresql.look().done) == numbers


def test_who_may_not_create_uses_what_stands(postgresql: PostgresqlPlace) -> None:
    name = f"queue_{uuid.uuid4().hex[:12]}"
    postgresql.run(f"CREATE ROLE {name} LOGIN PASSWORD 'secret word'")
    try:
        tables = "mergeguard_event, mergeguard_dead_event, mergeguard_chain, mergeguard_queue"
        host = postgresql.url.rpartition("@")[2]
        with closing(open_store(f"postgresql://{name}:secret%20word@{host}")) as store:
            store.create()
            with pytest.raises(PermissionDenied) as refused:
                store.sizes()
            assert "secret" not in str(refused.value)
            postgresql.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {name}")
            postgresql.run(f"GRANT USAGE ON SEQUENCE mergeguard_event_id TO {name}")
            assert isinstance(store.register([event(A)])[0], Registered)
            claim = store.claim(Queue.FAST, "w", LEASE)
            assert claim is not None
            store.release(claim)
    finally:
        postgresql.run(f"DROP OWNED BY {name}")
        postgresql.run(f"DROP ROLE {name}")


def test_the_database_itself_forbids_two_chains_of_one_key(postgresql: PostgresqlPlace) -> None:
    registered(postgresql, event(A))
    with pytest.raises(Exception, match="mergeguard_chain_key"):
        postgresql.run(
            "INSERT INTO mergeguard_chain (source, priority, queue) SELECT source, priority, 1 FROM mergeguard_chain"
        )
    with pytest.raises(Exception, match="check constraint"):
        postgresql.run("UPDATE mergeguard_chain SET owner = 'nobody'")


def test_a_read_begins_behind_what_is_done(postgresql: PostgresqlPlace) -> None:
    registered(postgresql, *[event(A) for _ in range(5)])
    (done,) = process(postgresql, events=3)
    assert postgresql.rows("SELECT done_id, done FROM mergeguard_chain") == [(done[-1], 3)]


def test_a_registration_survives_a_power_cut_whatever_the_server_is_set_to(postgresql: PostgresqlPlace) -> None:
    assert postgresql.rows("SHOW synchronous_commit") == [("off",)], "the server of the tests is in a hurry"
    registered(postgresql, event(A))
    claim = claimed(postgresql)
    with postgresql.store.batch(claim) as batch:
        assert batch.connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_long_lines_are_claimed_in_turns(postgresql: PostgresqlPlace) -> None:
    first = registered(postgresql, *[event(A) for _ in range(4)])
    second = registered(postgresql, *[event(B) for _ in range(4)])
    assert process(postgresql, events=2, chains=1) == [first[:2]]
    assert process(postgresql, events=2, chains=1) == [second[:2]], "it waits behind the other one now"
    assert ids(claimed(postgresql)) == [first[2:], second[2:]]


def test_many_rows_of_one_insert_are_what_each_alone_would_be(postgresql: PostgresqlPlace) -> None:
    postgresql.run("DROP TABLE IF EXISTS wide")
    postgresql.run("CREATE TABLE wide (n bigserial, a int, b text, c uuid, d bytea, e timestamptz, f jsonb)")
    registered(postgresql, event(A))
    claim = claimed(postgresql)
    now = postgresql.store.now()
    rows = [
        (None if at % 7 == 0 else at * 10_000, f"%s ? {at}" if at % 3 else None, A if at % 5 else str(B),
         b"\0" * (at % 4), now if at % 2 else None, '{"at": 1}' if at % 11 else None)
        for at in range(1, 300)
    ]  # fmt: skip
    with postgresql.store.batch(claim) as batch:
        for row in rows:
            batch.add("INSERT INTO wide (a, b, c, d, e, f) VALUES (?, ?, ?, ?, ?, ?)", row)
        batch.finish([Ran(claim.leases[0], 1)])
    found = postgresql.rows("SELECT n, a, b, c, d, e, f::text FROM wide ORDER BY n")
    assert [one[0] for one in found] == list(range(1, 300)), "in their order"
    assert [one[1:] for one in found] == [(*row[:2], A if at % 5 else B, *row[3:]) for at, row in enumerate(rows, 1)]


@pytest.mark.parametrize("rows", [[(1, "w")] * 70 + [(1,)], [(1,), (1, "w", 3)] * 64])
def test_a_row_with_too_few_values_is_refused(postgresql: PostgresqlPlace, rows: list[tuple[object, ...]]) -> None:
    numbers = registered(postgresql, event(A))
    claim = claimed(postgresql)
    with pytest.raises(Exception, match="placeholders"), postgresql.store.batch(claim) as batch:  # noqa: PT012 - a batch has several steps
        for row in rows:
            batch.add("INSERT INTO effect (event, worker) VALUES (?, ?)", row)
        batch.finish([Ran(claim.leases[0], 1)])
    assert list(postgresql.look().pending) == numbers
    assert postgresql.look().done == []
