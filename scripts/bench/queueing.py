"""The event queue on PostgreSQL beside a queue that keeps the same order, and beside bare loops; as durably.

    python scripts/bench/queueing.py [--events 20000] [--sources 500] [--workers 4] [--rounds 3]
        [--backlog 500000] [--peers 2000] [--peer-python PATH]

Work: events of many sources (Zipf), each inserts one row; 4 worker processes. The bare loop claims by chain and does
nothing else: no expiry, no tokens, no counters, no tries. Peers get fewer events, so that a round ends.
``--peer-python`` is the interpreter of an environment with procrastinate in it; where there is none, and for pg-boss,
the line says *not measured*. Registering: groups of 32 posts beside bare INSERTs of 32 rows in a transaction.
"""
# ruff: noqa: PLC0415 - heavy imports stand where they are used

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import CHECKOUT, HERE, postgresql, print_machine, rounds

if TYPE_CHECKING:
    from mergeguard.storage.queue.store import EventStore

BODY = b"<message>" + b"x" * 182 + b"</message>"
TABLES = ("mergeguard_event", "mergeguard_dead_event", "mergeguard_chain", "mergeguard_queue", "effect")
POSTS = 32
SCHEMA = """
import sys, procrastinate
with procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=sys.argv[1])).open() as app:
    app.schema_manager.apply_schema()
"""


@dataclass(frozen=True)
class Amount:
    """How much work there is."""

    events: int
    sources: int
    workers: int
    peers: int
    """Events for a peer."""

    def keys(self, count: int) -> list[uuid.UUID]:
        """Return the source of each event; always the same."""
        draw = random.Random(7)
        weights = [1 / (rank + 1) for rank in range(self.sources)]
        numbers = draw.choices(range(1, self.sources + 1), weights, k=count)
        return [uuid.UUID(int=number << 64 | number) for number in numbers]


@contextmanager
def connected(url: str) -> Iterator[Any]:
    import psycopg

    with closing(psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)) as connection:
        yield connection


def fresh(url: str) -> EventStore:
    """Make the tables anew and return the store."""
    from mergeguard.storage.queue.opening import open_store

    with connected(url) as connection:
        for table in TABLES:
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute("DROP SEQUENCE IF EXISTS mergeguard_event_id")
        connection.execute("CREATE TABLE effect (event bigint NOT NULL)")
    store = open_store(url)
    store.create()
    return store


def fill(url: str, amount: Amount, count: int) -> None:
    from mergeguard.core.events import NewEvent, Queue

    store, keys = fresh(url), amount.keys(count)
    for at in range(0, count, 5000):
        store.register([NewEvent(key, 0, Queue.FAST, len(BODY), BODY) for key in keys[at : at + 5000]])
    store.close()
    with connected(url) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def processed(url: str, way: str, amount: Amount, count: int, *, waiting: int = 0) -> float:
    """Return the events a second of all workers together."""
    fill(url, amount, count + waiting)
    figure = run_workers(url, way, [sys.executable], amount, count if waiting else 0, count)
    with connected(url) as connection:
        effects, left = connection.execute(
            "SELECT (SELECT count(*) FROM effect), (SELECT count(*) FROM mergeguard_event)"
        ).fetchone()
    if effects + left != count + waiting or (not waiting and left):
        raise SystemExit(f"{way}: {effects} effects, {left} left of {count + waiting}")
    return figure


def run_workers(url: str, way: str, python: Sequence[str], amount: Amount, shared: int, least: int) -> float:
    """Start the workers, let them go together, and return what they did a second."""
    share = shared // amount.workers if shared else 1 << 40
    command = [*python, str(HERE / "queueing_worker.py"), way, url]
    workers = [
        subprocess.Popen(
            [*command, str(number), str(share)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(CHECKOUT)},
        )
        for number in range(amount.workers)
    ]  # fmt: skip
    for worker in workers:
        if said(worker) != "ready":
            raise SystemExit(f"a worker of {way!r} did not start")
    begin = time.perf_counter()
    for worker in workers:
        if worker.stdin is not None:
            worker.stdin.write("go\n")
            worker.stdin.flush()
    done = sum(int(said(worker) or 0) for worker in workers)
    seconds = time.perf_counter() - begin
    for worker in workers:
        worker.communicate()
    if done < least:
        raise SystemExit(f"{way}: {done} of {least} events were done")
    return done / seconds


def said(worker: subprocess.Popen[str]) -> str:
    return worker.stdout.readline().strip() if worker.stdout is not None else ""


def procrastinate(url: str, python: str, amount: Amount, waiting: int = 0) -> float:
    """Let procrastinate keep the order with a lock for each source."""
    plain = url.replace("+psycopg", "", 1)
    with connected(url) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute("CREATE TABLE effect (event bigint NOT NULL)")
    subprocess.run([python, "-c", SCHEMA, plain], check=True, env={})
    keys = amount.keys(amount.peers + waiting)
    with connected(url) as connection:
        with connection.cursor().copy("COPY procrastinate_jobs (queue_name, task_name, lock, args) FROM STDIN") as copy:
            for number, key in enumerate(keys):
                copy.write_row(("bench", "insert", str(key), f'{{"event": {number}}}'))
        connection.execute("VACUUM ANALYZE")
    return run_workers(url, "procrastinate", [python], amount, amount.peers, amount.peers - amount.workers)


def bare_inserts(url: str, amount: Amount) -> float:
    """Insert 32 rows with one statement, and commit."""
    keys = amount.keys(amount.events)
    fresh(url).close()
    insert = "INSERT INTO bare (source, priority, body) SELECT * FROM unnest(%s::uuid[], %s::int[], %b::bytea[])"
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bare")
        cursor.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, source uuid, priority int, body bytea)")
        begin = time.perf_counter()
        for at in range(0, len(keys), POSTS):
            some = keys[at : at + POSTS]
            cursor.execute(insert, (some, [0] * len(some), [BODY] * len(some)))
        return len(keys) / (time.perf_counter() - begin)


def groups(url: str, amount: Amount) -> float:
    """Register groups of 32 with the exact size counters."""
    from mergeguard.core.events import NewEvent, Queue

    with closing(fresh(url)) as store:
        events = [NewEvent(key, 0, Queue.FAST, len(BODY), BODY) for key in amount.keys(amount.events)]
        begin = time.perf_counter()
        for at in range(0, len(events), POSTS):
            store.register(events[at : at + POSTS], file_limit=1 << 40)
        return len(events) / (time.perf_counter() - begin)


def posts(url: str, amount: Amount) -> float:
    """Let 64 threads post one event at a time to the registrar: half of them wait while the others are registered."""
    from mergeguard.core.events import NewEvent, Queue
    from mergeguard.processor.intake.payloads import Payloads
    from mergeguard.processor.intake.registrar import Registrar
    from mergeguard.processor.settings import Settings

    settings = Settings()
    with closing(fresh(url)) as store:
        events = [NewEvent(key, 0, Queue.FAST, len(BODY), BODY) for key in amount.keys(amount.events)]
        registrar = Registrar(store, Payloads(Path("/tmp")), lambda: settings)  # noqa: S108 - every event is inline
        registrar.start()

        def post(number: int) -> None:
            for event in events[number :: 2 * POSTS]:
                registrar.register(event)

        threads = [threading.Thread(target=post, args=(number,)) for number in range(2 * POSTS)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begin
        registrar.close()
        return len(events) / seconds


def compare(title: str, times: int, ways: Mapping[str, Callable[[], float]]) -> Mapping[str, list[float]]:
    """Run the ways in turn and print what part of the first one's rate each has."""
    print(f"\n{title}\n  {'':<42}{'min':>9}{'median':>9}{'max':>9}")
    figures = rounds(times, ways)
    unit = next(iter(figures))
    for name, values in figures.items():
        parts = sorted(value / base for value, base in zip(values, figures[unit], strict=True))
        shown = "".join(f"{part:>9.3f}" for part in (parts[0], statistics.median(parts), parts[-1]))
        print(f"  {name:<42}{shown}   {statistics.median(values):>10,.0f}/s", flush=True)
    return figures


def times_as_fast(figures: Mapping[str, list[float]], ours: str, peer: str) -> None:
    if peer in figures:
        ratios = sorted(a / b for a, b in zip(figures[ours], figures[peer], strict=True))
        shown = " ".join(f"{ratio:.1f}" for ratio in (ratios[0], statistics.median(ratios), ratios[-1]))
        print(f"  {ours} / {peer}: {shown}")


def main() -> None:
    parser = argparse.ArgumentParser()
    usual = {"events": 20_000, "sources": 500, "workers": 4, "backlog": 500_000, "peers": 2_000, "rounds": 3}
    for name, number in usual.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--peer-python", help="an interpreter that has procrastinate")
    given = parser.parse_args()
    amount = Amount(given.events, given.sources, given.workers, given.peers)
    print_machine()
    with postgresql(durable=True) as url:
        ways: dict[str, Callable[[], float]] = {
            "bare loop, claim by chain": lambda: processed(url, "bare", amount, amount.events),
            "mergeguard, the store": lambda: processed(url, "store", amount, amount.events),
            "mergeguard, a worker": lambda: processed(url, "worker", amount, amount.events),
        }
        if given.peer_python:
            ways["procrastinate, lock=source"] = lambda: procrastinate(url, given.peer_python, amount)
        figures = compare(f"processing {amount.events:,} events, {amount.workers} processes", given.rounds, ways)
        times_as_fast(figures, "mergeguard, a worker", "procrastinate, lock=source")
        for peer in ["pg-boss, key_strict_fifo", *([] if given.peer_python else ["procrastinate, lock=source"])]:
            print(f"  {peer}: not measured")
        if given.backlog:
            compare(
                f"processing {amount.events:,} events while others wait",
                given.rounds,
                {
                    "nothing else waits": lambda: processed(url, "worker", amount, amount.events),
                    f"{given.backlog:,} wait": lambda: processed(
                        url, "worker", amount, amount.events, waiting=given.backlog
                    ),
                },
            )
        compare(
            f"registering {amount.events:,} events, 32 at once",
            given.rounds,
            {
                "bare inserts, 32 a commit": lambda: bare_inserts(url, amount),
                "mergeguard, groups of 32": lambda: groups(url, amount),
                "mergeguard, 64 threads that post": lambda: posts(url, amount),
            },
        )


if __name__ == "__main__":
    main()
