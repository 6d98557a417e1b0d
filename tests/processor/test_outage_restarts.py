"""PostgreSQL stopped in the middle of what the queue does, and started again: by the store, and by a whole server.

Each step of an event's way is held up by a lock until the server is down, so it is stopped within a statement of that
step. What was answered is there afterwards, what was not can be asked for again, and nobody is charged with a try.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from queue_places import LEASE, SOURCES, PostgresqlPlace, claimed, event, finish, ids, registered
from serving_world import Served, Site
from stopping_server import How, StoppingServer, stopping_server

from mergeguard.core.events import NO_SOURCE, Claim, Queue, Ran
from mergeguard.errors import ConnectFailed, ConnectionLost
from mergeguard.processor.failures import Verdict, verdict_of_handler

PATIENCE = 60.0
A, B, *_ = SOURCES
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
AWAY = (ConnectionLost, ConnectFailed)


@pytest.fixture(scope="module")
def server(postgres_server: object) -> Iterator[StoppingServer]:
    # Where that one cannot run, this one cannot.
    with stopping_server() as made:
        yield made


@pytest.fixture
def place(server: StoppingServer) -> Iterator[PostgresqlPlace]:
    with closing(PostgresqlPlace(server.url)) as made:
        made.clear()
        yield made


@contextmanager
def stopped_at(server: StoppingServer, place: PostgresqlPlace, table: str, how: How) -> Iterator[None]:
    """Run a block in which a statement comes to a table while nobody may write to it; then the server stops.

    The backend that holds the table is frozen meanwhile: told to end, it would give the table up, and a busy machine
    may let the statement that waited go on and be committed before it is told to end as well.
    """
    plain, held, told_to_end = server.url.replace("+psycopg", "", 1), threading.Event(), threading.Event()

    def stop() -> None:
        with psycopg.connect(plain) as holder, psycopg.connect(plain, autocommit=True) as watcher:
            holder.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
            held.set()
            _until(lambda: bool((watcher.execute(WAITING).fetchone() or (0,))[0]))
            os.kill(holder.info.backend_pid, signal.SIGSTOP)
            with ThreadPoolExecutor(1) as threads:
                stopping = threads.submit(server.stop, how)
                try:
                    assert told_to_end.wait(PATIENCE)
                finally:
                    with suppress(ProcessLookupError):
                        os.kill(holder.info.backend_pid, signal.SIGCONT)
                stopping.result()
            for connection in (holder, watcher):
                connection.close()

    with ThreadPoolExecutor(1) as threads:
        stopping = threads.submit(stop)
        assert held.wait(PATIENCE)
        try:
            with pytest.raises((*AWAY, psycopg.OperationalError, sa.exc.OperationalError)) as told:
                yield
        finally:
            told_to_end.set()
        stopping.result()
    assert verdict_of_handler(told.value) is Verdict.OUTAGE, told.value
    place.engine.dispose()


def batch_of(place: PostgresqlPlace, claim: Claim, between: Callable[[Any], None]) -> None:
    with place.store.batch(claim) as batch:
        for lease in claim.leases:
            for one in lease.events:
                batch.add("INSERT INTO effect (event, worker) VALUES (?, ?)", (one.id, claim.worker))
        between(batch)
        batch.finish([Ran(lease, len(lease.events)) for lease in claim.leases])


STEPS = {
    "registering": "mergeguard_event",
    "claiming": "mergeguard_chain",
    "running": "effect",
    "finishing": "mergeguard_queue",
    "releasing": "mergeguard_chain",
}
"""What the queue does, and the table that it waits for meanwhile."""


@pytest.mark.parametrize(("step", "how"), [(step, how) for step, how in zip(STEPS, ["immediate", "fast"] * 3)])  # noqa: B905 - turn by turn
def test_a_server_that_stops_within_a_step_loses_nothing_and_charges_nobody(
    server: StoppingServer, place: PostgresqlPlace, step: str, how: How
) -> None:
    numbers = registered(place, event(A), event(B), event(A), event(NO_SOURCE))
    claim = claimed(place) if step in {"running", "finishing", "releasing"} else None
    if step == "releasing" and claim is not None:
        finish(place, claim)
    try:
        with stopped_at(server, place, STEPS[step], how):
            if claim is None:
                place.store.register([event(A)]) if step == "registering" else claimed(place)
            elif step == "releasing":
                place.store.release(claim)
            else:
                batch_of(place, claim, lambda batch: batch.connection if step == "running" else None)
        with pytest.raises(AWAY):
            place.store.register([event(A)])
        with pytest.raises(AWAY):
            place.store.claim(Queue.FAST, "w", LEASE)
    finally:
        server.start()

    is_done = step == "releasing"
    seen = place.look()
    assert sorted(seen.done) == (numbers if is_done else []), "effect_once: what was not committed is not there"
    assert sorted(seen.pending) == ([] if is_done else numbers), "no_loss, no_invention"
    later = registered(place, event(A), event(B))
    place.pass_time()
    place.store.sweep()
    heir = claimed(place, "heir")
    lines = [[numbers[0], numbers[2], later[0]], [numbers[1], later[1]], [numbers[3]]]
    assert sorted(ids(heir)) == sorted([later[:1], later[1:]] if is_done else lines), "order"
    assert {one.tries for lease in heir.leases for one in lease.events} == {0}, "an outage is no failed try"
    finish(place, heir)
    place.store.release(heir)
    assert sorted(place.look().done) == [*numbers, *later]
    assert list(place.store.stranded()) == []
    assert {(one.events, one.retries, one.dead) for one in place.store.sizes()} == {(0, 0, 0)}


def test_a_whole_server_goes_on_after_its_database_was_stopped(
    server: StoppingServer, place: PostgresqlPlace, tmp_path: Path
) -> None:
    place.run("DROP TABLE IF EXISTS mergeguard_handled")
    (tmp_path / "EventQueue").mkdir()
    site = Site(server.url, tmp_path / "EventQueue", {"MERGEGUARD_PROBE_SECONDS": "0.05"})
    posted = [b"<m>%d</m>" % number for number in range(30)]
    site.largest = 500_000
    with site.serve() as served:
        assert served.post(b"x" * 600_000) == (503, "server busy: events cannot be kept now\n"), "its disk is full"
        assert [*(site.root / "EvtQueue").iterdir()] == []
        accepted = _posted(served, posted[:10])
        assert len(accepted) == 10
        stop = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            answers = threads.submit(_posted, served, posted[10:20], stop.set)
            assert stop.wait(PATIENCE)
            server.stop("immediate")
            try:
                accepted |= answers.result()
                status, text = served.post(b"<m>away</m>")
                assert (status, text) == (503, "server busy: the database does not take events now\n")
                assert not json.loads(served.get("/readyz")[1])["ready"]
            finally:
                server.start()
        _until(lambda: json.loads(served.get("/readyz")[1])["ready"])
        accepted |= _posted(served, posted[20:])
        assert len(accepted) >= 20
        with suppress(*AWAY):
            place.store.sizes()  # the test's own connections were lost as well
        place.engine.dispose()
        _until(lambda: not any(one.events for one in place.store.sizes()))
        assert served.stop() == 0
    handled = [row[0] for row in place.rows("SELECT body_sha256 FROM mergeguard_handled")]
    assert len(handled) == len(set(handled)), "effect_once"
    assert {_digest(body) for body in accepted} <= set(handled), "no_loss"
    assert set(handled) <= {_digest(body) for body in posted}, "no_invention: who was told busy was not let in"
    assert {(one.retries, one.dead) for one in place.store.sizes()} == {(0, 0)}
    assert list(place.store.stranded()) == []


def _posted(served: Served, bodies: Sequence[bytes], began: Callable[[], object] = lambda: None) -> set[bytes]:
    """Post one after the other, of two agents; return those that were let in."""
    accepted = set()
    for at, body in enumerate(bodies):
        status, _ = served.post(body, f"?source={SOURCES[at % 2]}")
        assert status in {200, 503}
        if status == 200:
            accepted.add(body)
        began()
    return accepted


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _until(is_so: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if is_so():
            return
        pause.wait(0.01)
    pytest.fail("it never came to be")
