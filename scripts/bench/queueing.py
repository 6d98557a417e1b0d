"""The event queue on PostgreSQL beside queues that keep the same order, and beside bare loops; as durably.

    python scripts/bench/queueing.py [--events 20000] [--sources 500] [--workers 4] [--rounds 3] [--peers 2000]
        [--peer-python PATH] [--pgboss FOLDER]

Work: events of many sources (Zipf), each inserts one row; 4 worker processes; afterwards it is checked that all were
done and in which order. The bare loop claims by chain and does nothing else: no expiry, no tokens, no counters, no
tries. It sends an INSERT an event; the harder line beside it writes the rows of a batch with one INSERT, which a
handler that is given one event cannot ask for, but our unit of work does by 64 rows. Peers get fewer events, so that a
round ends. Registering: groups of 32 posts beside bare INSERTs of 32 rows in a transaction. ``queueing_backlog.py`` has
the rate while others wait.

Where a peer is not installed the line says *not measured*. To install them, and then ``--peer-python
~/peers/bin/python --pgboss ~/pgboss``; pg-boss asks for Node 22.12, and has worked with 20.20:

    python -m venv ~/peers && ~/peers/bin/pip install -r scripts/bench/peers.txt
    cp -r scripts/bench/pgboss ~/pgboss && npm ci --prefix ~/pgboss
"""
# ruff: noqa: PLC0415 - heavy imports stand where they are used

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from measure import HERE, postgresql, print_machine
from queueing_peers import node_of, pgboss, procrastinate
from queueing_work import BODY, Amount, compare, connected, fresh, processed, times_as_fast

POSTS = 32
OURS = "mergeguard, a worker"
HARDER = "bare loop, one INSERT a batch"
PROCRASTINATE = "procrastinate, lock=source"
PGBOSS = "pg-boss, key_strict_fifo"
AT_ONCE = (1, 32)
"""Jobs that a worker of pg-boss fetches: one, as it does by itself, and many."""


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


def peers(url: str, amount: Amount, python: str | None, folder: Path) -> dict[str, Callable[[], float]]:
    """Return the peers that are installed; say which are not."""
    found: dict[str, Callable[[], float]] = {}
    if python:
        found[PROCRASTINATE] = lambda: procrastinate(url, python, amount)
    else:
        print(f"  {PROCRASTINATE}: not measured")
    node = node_of(folder)
    if node:
        for batch in AT_ONCE:
            found[_named(batch)] = lambda batch=batch: pgboss(url, node, folder, amount, batch)  # type: ignore[misc]
    else:
        print(f"  {PGBOSS}: not measured")
    return found


def _named(batch: int) -> str:
    return f"{PGBOSS}, {batch} at once"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, number in {"events": 20_000, "sources": 500, "workers": 4, "peers": 2_000, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--peer-python", help="an interpreter that has procrastinate")
    parser.add_argument("--pgboss", type=Path, default=HERE / "pgboss", help="folder where npm installed pg-boss")
    given = parser.parse_args()
    amount = Amount(given.events, given.sources, given.workers, given.peers)
    print_machine()
    with postgresql(durable=True) as url:
        ways: dict[str, Callable[[], float]] = {
            "bare loop, claim by chain": lambda: processed(url, "bare", amount, amount.events),
            HARDER: lambda: processed(url, "grouped", amount, amount.events),
            "mergeguard, the store": lambda: processed(url, "store", amount, amount.events),
            OURS: lambda: processed(url, "worker", amount, amount.events),
        }
        ways |= peers(url, amount, given.peer_python, given.pgboss.absolute())
        figures = compare(f"processing {amount.events:,} events, {amount.workers} processes", given.rounds, ways)
        for peer in (HARDER, PROCRASTINATE, *map(_named, AT_ONCE)):
            times_as_fast(figures, OURS, peer)
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
