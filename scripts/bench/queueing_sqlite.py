"""The event queue in an SQLite file beside other queues there, and beside bare loops: the same work, as durably.

    python scripts/bench/queueing_sqlite.py [--events 20000] [--sources 500] [--backlog 0] [--rounds 3] [--folder DIR]
        [--peers 2000] [--peer-python PATH]

Work: events of many sources (Zipf), each inserts one row; afterwards it is checked that all were done and in which
order. All files are in WAL mode with full synchronisation; put the folder on a real disk. Figures are events a second,
as parts of the two bare loops' of ``queueing_sqlite_bare.py``: the one-writer ceiling, which claims by chain in one
thread, and a harder line, which reads, inserts and deletes 512 rows and has no order to keep.

Peers get fewer events, so that a round ends, one worker, and their quickest way of working. ``--peer-python`` is an
interpreter that has them (``queueing.py`` says how to make it); without it the line says *not measured*.

For registering the bare loop inserts 32 rows and commits, and ours are 32 threads that each post one event at a time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from measure import HERE, print_machine, rounds
from queueing_sqlite_bare import AT_ONCE, EFFECT, by_chain, by_rows, fill_chains, fill_rows
from queueing_work import BODY, check_order, zipf

from mergeguard.core.events import Event, NewEvent, Queue, Ran
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.settings import Settings
from mergeguard.processor.worker import Worker
from mergeguard.storage.queue.sqlite import SqliteEventStore

LEASE = dt.timedelta(minutes=5)
POSTERS = 32


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
        return zipf(self.events, self.sources)


Way = Callable[[Path, Amount], float]
Figures = Mapping[str, list[float]]


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


def ceiling(folder: Path, amount: Amount) -> float:
    with closing(connected(folder / "chain.db")) as connection:
        fill_chains(connection, amount.keys(), BODY)
        figure = rate(amount.events, lambda: by_chain(connection))
        check("the bare loop by chain", connection, amount)
    return figure


def without_order(folder: Path, amount: Amount) -> float:
    with closing(connected(folder / "rows.db")) as connection:
        fill_rows(connection, amount.keys(), BODY)
        figure = rate(amount.events, lambda: by_rows(connection))
        check("the bare loop", connection, amount)
    return figure


def check(way: str, connection: sqlite3.Connection, amount: Amount) -> None:
    """Make sure that each event was done once, and each source's in their order."""
    done = [number - 1 for (number,) in connection.execute("SELECT event FROM effect ORDER BY rowid")]
    if sorted(done) != list(range(amount.events)):
        raise SystemExit(f"{way}: {len(done):,} effects of {amount.events:,} events")
    check_order(way, done, amount.keys())


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
        check("mergeguard", connection, amount)
    if left := store.sizes()[Queue.FAST].events:
        raise SystemExit(f"{left} events are left")
    store.close()
    return figure


def by_peer(name: str, python: str) -> Way:
    def one(folder: Path, amount: Amount) -> float:
        command = [python, str(HERE / "queueing_sqlite_peer.py"), name, str(folder), str(amount.peers)]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={}).stdout)

    return one


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


CEILING, HARDER = "bare loop, one writer by chain", "bare loop without order"
PEERS = ("huey", "litequeue")
PROCESSING: Mapping[str, Way] = {
    CEILING: ceiling,
    HARDER: without_order,
    "mergeguard, the store": by_hand,
    "mergeguard, a worker": by_worker,
}
REGISTERING: Mapping[str, Way] = {
    "bare inserts, 32 a commit": bare_inserts,
    "mergeguard, 32 at once": groups,
    "mergeguard, 32 threads": posts,
}


def compare(title: str, ways: Mapping[str, Way], amount: Amount, times: int, folder: Path | None) -> Figures:
    """Run the ways in turn and print what part of the first one's rate each has."""
    print(f"\n{title}")

    def one(way: Way) -> float:
        with tempfile.TemporaryDirectory(prefix="mergeguard-bench-", dir=folder) as made:
            return way(Path(made), amount)

    figures = rounds(times, {name: lambda name=name: one(ways[name]) for name in ways})  # type: ignore[misc]
    unit = next(iter(figures))
    for name, values in figures.items():
        print(f"  {name:<32}{ratios(values, figures[unit])}   {statistics.median(values):>10,.0f}/s")
    return figures


def print_pairs(figures: Figures) -> None:
    """Print ours beside the harder line and beside each peer."""
    for name in figures:
        if name.startswith("mergeguard"):
            for other in (HARDER, *PEERS):
                if other in figures:
                    print(f"  {name + ' / ' + other:<50}{ratios(figures[name], figures[other])}")


def ratios(values: Sequence[float], others: Sequence[float]) -> str:
    parts = sorted(a / b for a, b in zip(values, others, strict=True))
    return "".join(f"{part:>9.2f}" for part in (parts[0], statistics.median(parts), parts[-1]))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, usual in (("events", 20_000), ("sources", 500), ("backlog", 0), ("peers", 2_000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--folder", type=Path, help="where the files are made")
    parser.add_argument("--peer-python", help="an interpreter that has huey and litequeue")
    given = parser.parse_args()
    amount = Amount(given.events, given.sources, given.backlog, given.peers)
    print_machine()
    behind = f", {amount.backlog:,} others wait" if amount.backlog else ""
    peers = {name: by_peer(name, given.peer_python) for name in PEERS if given.peer_python}
    title = f"processing {amount.events:,} events{behind}: min, median, max"
    print_pairs(compare(title, {**PROCESSING, **peers}, amount, given.rounds, given.folder))
    for name in PEERS:
        if name not in peers:
            print(f"  {name}: not measured")
    compare(f"registering {amount.events:,} events: min, median, max", REGISTERING, amount, given.rounds, given.folder)


if __name__ == "__main__":
    main()
