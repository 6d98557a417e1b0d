"""The event queue in an SQLite file beside other queues there, and beside bare loops: the same work, as durably.

    python scripts/bench/queueing_sqlite.py [--events 20000] [--sources 500] [--backlog 0] [--rounds 3] [--folder DIR]

Work: events of many sources (Zipf), each inserts one row. All files are in WAL mode with full synchronisation; put the
folder on a real disk. Peers get fewer events, so that a round ends, one worker, and their quickest way of working;
`pip install huey litequeue` where they are wanted. Figures are events a second, as parts of the bare loop's: one
thread that reads 512 rows, inserts 512, deletes 512 and commits, without chains, leases, tries or counters.

For registering the bare loop inserts 32 rows and commits, and ours are 32 threads that each post one event at a time.
"""
# ruff: noqa: PLC0415 - a peer is imported only where it is installed

from __future__ import annotations

import argparse
import datetime as dt
import random
import sqlite3
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from measure import print_machine, rounds

from mergeguard.core.events import Event, NewEvent, Queue, Ran
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.settings import Settings
from mergeguard.processor.worker import Worker
from mergeguard.storage.queue.sqlite import SqliteEventStore

LEASE = dt.timedelta(minutes=5)
BODY = b"<message>" + b"x" * 182 + b"</message>"
EFFECT = "INSERT INTO effect (event) VALUES (?)"
POSTERS = 32
AT_ONCE = 512


@dataclass(frozen=True)
class Amount:
    """How much work there is."""

    events: int
    sources: int
    backlog: int
    peers: int
    """Events for a peer."""

    def keys(self) -> list[uuid.UUID]:
        """Return the source of each event; always the same."""
        draw = random.Random(7)
        weights = [1 / (rank + 1) for rank in range(self.sources)]
        numbers = draw.choices(range(1, self.sources + 1), weights, k=self.events)
        return [uuid.UUID(int=number << 64 | number) for number in numbers]


def connected(path: Path) -> sqlite3.Connection:
    """Open a file as all of them are opened."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS effect (event)")
    return connection


def rate(count: int, work: Callable[[], object]) -> float:
    """Return how many a second are done."""
    begin = time.perf_counter()
    work()
    return count / (time.perf_counter() - begin)


# --- processing ---


def bare(folder: Path, amount: Amount) -> float:
    with closing(connected(folder / "bare.db")) as connection:
        connection.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, source BLOB, body BLOB)")
        connection.execute("BEGIN")
        rows = ((key.bytes, BODY) for key in amount.keys())  # noqa: SIM118 - a method of ours
        connection.executemany("INSERT INTO event (source, body) VALUES (?, ?)", rows)
        connection.execute("COMMIT")

        def work() -> None:
            while rows := connection.execute("SELECT id, source, body FROM event LIMIT ?", (AT_ONCE,)).fetchall():
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(EFFECT, [(row[0],) for row in rows])
                connection.executemany("DELETE FROM event WHERE id = ?", [(row[0],) for row in rows])
                connection.execute("COMMIT")

        return rate(amount.events, work)


def filled(folder: Path, amount: Amount) -> SqliteEventStore:
    """Return a store with the events in it, and others that wait in another queue behind."""
    connected(folder / "queue.db").close()
    store = SqliteEventStore(folder / "queue.db")
    store.create()
    keys = amount.keys()
    waiting = [NewEvent(key, 1, Queue.SLOW, len(BODY), BODY) for key in amount.keys()]  # noqa: SIM118 - as above
    for at in range(0, amount.events, 5000):
        store.register([NewEvent(key, 0, Queue.FAST, len(BODY), BODY) for key in keys[at : at + 5000]])
    for at in range(0, amount.backlog, 5000):
        store.register([waiting[(at + number) % len(waiting)] for number in range(min(5000, amount.backlog - at))])
    return store


def by_hand(folder: Path, amount: Amount) -> float:
    """Time the store alone: claim, add a statement an event, finish, release."""
    store = filled(folder, amount)

    def work() -> None:
        while claim := store.claim(Queue.FAST, "bench", LEASE, events=AT_ONCE):
            with store.batch(claim) as batch:
                for lease in claim.leases:
                    for event in lease.events:
                        with batch.savepoint():
                            batch.add(EFFECT, (event.id,))
                batch.finish([Ran(lease, len(lease.events)) for lease in claim.leases])
            store.release(claim)

    return checked(store, amount, rate(amount.events, work))


class Inserting:
    """A handler."""

    def handle(self, event: Event, _body: bytes, batch: EventBatch, /) -> None:
        batch.add(EFFECT, (event.id,))


def by_worker(folder: Path, amount: Amount) -> float:
    """Time one worker of the processor, with all that it does."""
    store, settings = filled(folder, amount), Settings()
    bodies = EventBodies(folder)
    worker = Worker(store, lambda: settings, Inserting(), bodies, clock=time.monotonic, is_stopping=lambda: False)

    def work() -> None:
        while claim := store.claim(Queue.FAST, "bench", LEASE, events=AT_ONCE):
            handled = worker.handle(claim)
            if handled.verdict is not None:
                raise SystemExit(handled.told)
            store.release(claim)

    return checked(store, amount, rate(amount.events, work))


def checked(store: SqliteEventStore, amount: Amount, figure: float) -> float:
    """Make sure that all was done."""
    with closing(sqlite3.connect(store.path)) as connection:
        done = connection.execute("SELECT count(*) FROM effect").fetchone()[0]
    if (done, store.sizes()[Queue.FAST].events) != (amount.events, 0):
        raise SystemExit(f"{done} of {amount.events} events were done")
    store.close()
    return figure


def huey(folder: Path, amount: Amount) -> float:
    import huey as peer

    queue = peer.SqliteHuey(filename=str(folder / "huey.db"), fsync=True, strict_fifo=True)
    with closing(connected(folder / "huey.db")) as connection:

        @queue.task()  # type: ignore[untyped-decorator, unused-ignore]
        def handle(number: int) -> None:
            connection.execute(EFFECT, (number,))

        for number in range(amount.peers):
            handle(number)

        def work() -> None:
            while (task := queue.dequeue()) is not None:
                queue.execute(task)

        return rate(amount.peers, work)


def litequeue(folder: Path, amount: Amount) -> float:
    import litequeue as peer

    with closing(connected(folder / "lite.db")) as connection:
        queue = peer.LiteQueue(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        for _ in range(amount.peers):
            queue.put(BODY.decode())
        connection.execute("COMMIT")

        def work() -> None:
            while (message := queue.pop()) is not None:
                connection.execute(EFFECT, (message.message_id,))
                queue.done(message.message_id)

        return rate(amount.peers, work)


# --- registering ---


def bare_inserts(folder: Path, amount: Amount) -> float:
    with closing(connected(folder / "bare.db")) as connection:
        connection.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, source BLOB, body BLOB)")
        rows = [(key.bytes, BODY) for key in amount.keys()]  # noqa: SIM118 - as above

        def work() -> None:
            for at in range(0, len(rows), POSTERS):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT INTO event (source, body) VALUES (?, ?)", rows[at : at + POSTERS])
                connection.execute("COMMIT")

        return rate(amount.events, work)


def posts(folder: Path, amount: Amount) -> float:
    """Time threads that post one event at a time and wait for their answer."""
    store = SqliteEventStore(folder / "queue.db")
    store.create()
    events = [NewEvent(key, 0, Queue.FAST, len(BODY), BODY) for key in amount.keys()]  # noqa: SIM118 - as above

    def post(number: int) -> None:
        for event in events[number::POSTERS]:
            store.register([event], file_limit=1 << 40)

    threads = [threading.Thread(target=post, args=(number,)) for number in range(POSTERS)]

    def work() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    figure = rate(amount.events, work)
    if store.sizes()[Queue.FAST].events != amount.events:
        raise SystemExit("posts were lost")
    store.close()
    return figure


def groups(folder: Path, amount: Amount) -> float:
    """Time one thread that registers what 32 senders posted, as the intake does."""
    store = SqliteEventStore(folder / "queue.db")
    store.create()
    events = [NewEvent(key, 0, Queue.FAST, len(BODY), BODY) for key in amount.keys()]  # noqa: SIM118 - as above

    def work() -> None:
        for at in range(0, len(events), POSTERS):
            store.register(events[at : at + POSTERS], file_limit=1 << 40)

    figure = rate(amount.events, work)
    store.close()
    return figure


Way = Callable[[Path, Amount], float]
PROCESSING: Mapping[str, Way] = {
    "bare loop": bare,
    "mergeguard, the store": by_hand,
    "mergeguard, a worker": by_worker,
    "huey": huey,
    "litequeue": litequeue,
}
REGISTERING: Mapping[str, Way] = {
    "bare inserts, 32 a commit": bare_inserts,
    "mergeguard, 32 at once": groups,
    "mergeguard, 32 threads": posts,
}


def available(ways: Mapping[str, Way]) -> Iterator[str]:
    """Yield the ways that can be taken here; say which cannot."""
    from importlib.util import find_spec

    for name in ways:
        if name in {"huey", "litequeue"} and find_spec(name) is None:
            print(f"  {name}: not measured")
        else:
            yield name


def compare(title: str, ways: Mapping[str, Way], amount: Amount, times: int, folder: Path | None) -> None:
    """Run the ways in turn and print what part of the first one's rate each has."""
    print(f"\n{title}")

    def one(way: Way) -> float:
        with tempfile.TemporaryDirectory(prefix="mergeguard-bench-", dir=folder) as made:
            return way(Path(made), amount)

    figures = rounds(times, {name: lambda name=name: one(ways[name]) for name in available(ways)})  # type: ignore[misc]
    unit = next(iter(figures))
    for name, values in figures.items():
        parts = sorted(value / base for value, base in zip(values, figures[unit], strict=True))
        print(f"  {name:<32}{shown(parts)}   {statistics.median(values):>10,.0f}/s")
    ours = [name for name in figures if name.startswith("mergeguard")]
    for peer in ("huey", "litequeue"):
        if peer in figures:
            for name in ours:
                times_as_fast = sorted(a / b for a, b in zip(figures[name], figures[peer], strict=True))
                print(f"  {name} / {peer}: {shown(times_as_fast)}")


def shown(values: Sequence[float]) -> str:
    return "".join(f"{figure:>9.2f}" for figure in (values[0], statistics.median(values), values[-1]))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, usual in (("events", 20_000), ("sources", 500), ("backlog", 0), ("peers", 2_000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--folder", type=Path, help="where the files are made")
    given = parser.parse_args()
    amount = Amount(given.events, given.sources, given.backlog, given.peers)
    print_machine()
    behind = f", {amount.backlog:,} others wait" if amount.backlog else ""
    compare(
        f"processing {amount.events:,} events{behind}: min, median, max", PROCESSING, amount, given.rounds, given.folder
    )
    compare(f"registering {amount.events:,} events: min, median, max", REGISTERING, amount, given.rounds, given.folder)


if __name__ == "__main__":
    main()
