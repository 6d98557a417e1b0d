"""The work of the queue's benchmarks on PostgreSQL: the events, the tables, the workers, and what must hold after it.

An event inserts one row into ``effect``, whose ``place`` says in which order that was done: after every run all events
have one row, and those of a source stand there in the order in which they were registered.
"""
# ruff: noqa: PLC0415 - heavy imports stand where they are used

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from measure import CHECKOUT, HERE, rounds

if TYPE_CHECKING:
    from mergeguard.core.events import Queue
    from mergeguard.storage.queue.store import EventStore

BODY = b"<message>" + b"x" * 182 + b"</message>"
EFFECTS = "CREATE TABLE effect (place bigint GENERATED ALWAYS AS IDENTITY, event bigint NOT NULL)"
TABLES = ("mergeguard_event", "mergeguard_dead_event", "mergeguard_chain", "mergeguard_queue", "effect")
AT_ONCE = 5000


@dataclass(frozen=True)
class Amount:
    """How much work there is."""

    events: int
    sources: int
    workers: int
    peers: int
    """Events for a peer."""

    def keys(self, count: int) -> list[uuid.UUID]:
        """Return the source of each event; always the same, and the first ones whatever the count."""
        return zipf(count, self.sources)


def zipf(count: int, sources: int) -> list[uuid.UUID]:
    """Return the sources of events: the second has half as many as the first one, the third a third."""
    draw = random.Random(7)
    weights = [1 / (rank + 1) for rank in range(sources)]
    return [uuid.UUID(int=number << 64 | number) for number in draw.choices(range(1, sources + 1), weights, k=count)]


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
        connection.execute(EFFECTS)
    store = open_store(url)
    store.create()
    return store


def fill(url: str, keys: Sequence[uuid.UUID]) -> None:
    """Register events in fresh tables: the first one gets the id 1."""
    from mergeguard.core.events import Queue

    with closing(fresh(url)) as store:
        register(store, keys, Queue.FAST)
    settle(url)


def register(store: EventStore, keys: Sequence[uuid.UUID], queue: Queue, priority: int = 0) -> None:
    from mergeguard.core.events import NewEvent

    for at in range(0, len(keys), AT_ONCE):
        store.register([NewEvent(key, priority, queue, len(BODY), BODY) for key in keys[at : at + AT_ONCE]])


def settle(url: str) -> None:
    """Let the server write what it put off, so that it does not do so while something is timed."""
    with connected(url) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def processed(url: str, way: str, amount: Amount, count: int) -> float:
    """Return the events a second of all workers together, until none is left."""
    keys = amount.keys(count)
    fill(url, keys)
    figure = run_workers(url, way, amount.workers)
    check(url, way, keys)
    return figure


def check(url: str, way: str, keys: Sequence[uuid.UUID], first: int = 1) -> None:
    """Make sure that each event was done once, and each source's in their order.

    Args:
        url: of the database.
        way: for the message.
        keys: the source of each event.
        first: the number of the first one.
    """
    with connected(url) as connection:
        done = [number - first for (number,) in connection.execute("SELECT event FROM effect ORDER BY place")]
    if sorted(done) != list(range(len(keys))):
        raise SystemExit(f"{way}: {len(done):,} effects of {len(keys):,} events")
    check_order(way, done, keys)


def check_order(way: str, done: Iterable[int], keys: Sequence[uuid.UUID]) -> None:
    last: dict[uuid.UUID, int] = {}
    for number in done:
        if last.get(keys[number], -1) > number:
            raise SystemExit(f"{way}: event {number} came after event {last[keys[number]]} of its source")
        last[keys[number]] = number


def run_workers(url: str, way: str, workers: int, share: int | None = None) -> float:
    """Run worker processes of ``queueing_worker.py``; return what all of them did a second.

    With a share a worker ends when it has done so many: then the rate is the sum of theirs, each while it worked.
    """
    command = [sys.executable, str(HERE / "queueing_worker.py"), way, url]
    least = 1 << 40 if share is None else share
    done, seconds = timed([[*command, str(number), str(least)] for number in range(workers)])
    if share is None:
        return sum(int(events) for events, _ in done) / seconds
    return sum(int(events) / float(own) for events, own in done)


def timed(commands: Sequence[Sequence[str]]) -> tuple[list[list[str]], float]:
    """Start processes, let them go together; return the words that each says at its end, and the seconds of all.

    Each says ``ready``, waits for a line, works, and says how many events it did.
    """
    workers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"},
        )
        for command in commands
    ]
    if not all(said(worker) == "ready" for worker in workers):
        raise SystemExit("a worker did not start")
    begin = time.perf_counter()
    for worker in workers:
        go(worker)
    done = [said(worker).split() for worker in workers]
    seconds = time.perf_counter() - begin
    for worker in workers:
        worker.communicate()
    if not all(done):
        raise SystemExit("a worker ended before its work did")
    return done, seconds


def go(worker: subprocess.Popen[str]) -> None:
    if worker.stdin is not None:
        worker.stdin.write("go\n")
        worker.stdin.flush()


def said(worker: subprocess.Popen[str]) -> str:
    return worker.stdout.readline().strip() if worker.stdout is not None else ""


def compare(title: str, times: int, ways: Mapping[str, Callable[[], float]]) -> Mapping[str, list[float]]:
    """Run the ways in turn and print what part of the first one's rate each has."""
    print(f"\n{title}\n  {'':<42}{'min':>9}{'median':>9}{'max':>9}")
    figures = rounds(times, ways)
    unit = next(iter(figures))
    for name, values in figures.items():
        shown = "".join(f"{part:>9.3f}" for part in least_median_most(values, figures[unit]))
        print(f"  {name:<42}{shown}   {statistics.median(values):>10,.0f}/s", flush=True)
    return figures


def least_median_most(rates: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """Return the ratios of the rounds."""
    ratios = sorted(a / b for a, b in zip(rates, others, strict=True))
    return ratios[0], statistics.median(ratios), ratios[-1]


def times_as_fast(figures: Mapping[str, list[float]], ours: str, peer: str) -> None:
    if peer in figures:
        shown = "".join(f"{ratio:>9.2f}" for ratio in least_median_most(figures[ours], figures[peer]))
        print(f"  {ours + ' / ' + peer:<62}{shown}")
