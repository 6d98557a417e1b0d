"""One worker process of ``queueing_work.py``: says ``ready``, waits for a line, works until the queue is empty or its
share is done, and says how many events it did in how many seconds.

    python scripts/bench/queueing_worker.py WAY URL NAME SHARE

Ways: ``bare`` (claim by chain and nothing else), ``grouped`` (likewise, and one INSERT for a batch), ``store``,
``worker`` (the processor's own), ``procrastinate``. The last one runs where procrastinate is installed, and needs
nothing of MergeGuard.
"""
# ruff: noqa: PLC0415 - a peer is imported only where it is installed

from __future__ import annotations

import contextlib
import datetime as dt
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mergeguard.core.events import Event
    from mergeguard.processor.handlers import EventBatch

EFFECT = "INSERT INTO effect (event) VALUES (?)"
AT_ONCE, CHAINS = 512, 128
PAUSE = 0.002
LEASE = dt.timedelta(minutes=5)

# The bare loop: the same chains and the same rows; no expiry, tokens, counters, tries or dead, and its release may
# strand a chain.
CLAIM = """
    WITH ready AS (
        SELECT id FROM mergeguard_chain WHERE queue = 1 AND owner IS NULL AND since IS NOT NULL
        ORDER BY since LIMIT 64 FOR UPDATE SKIP LOCKED
    )
    UPDATE mergeguard_chain AS c SET owner = %s, lease_until = now() + interval '5 minutes', since = NULL
    FROM ready WHERE c.id = ready.id RETURNING c.id, c.done_id
"""
READ = """
    SELECT k.chain, e.id, e.body FROM unnest(%s::bigint[], %s::bigint[]) AS k (chain, done_id) CROSS JOIN LATERAL (
        SELECT id, body FROM mergeguard_event WHERE chain = k.chain AND id > k.done_id ORDER BY id LIMIT %s
    ) AS e LIMIT %s
"""
DELETE = "DELETE FROM mergeguard_event WHERE chain = ANY(%s::bigint[]) AND id = ANY(%s::bigint[])"
RELEASE = """
    UPDATE mergeguard_chain AS c SET owner = NULL, lease_until = NULL, done_id = k.done_id,
        since = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_event AS e WHERE e.chain = c.id AND e.id > k.done_id)
                THEN clock_timestamp() END
    FROM unnest(%s::bigint[], %s::bigint[]) AS k (id, done_id) WHERE c.id = k.id
"""
LEFT = "SELECT EXISTS (SELECT 1 FROM mergeguard_event WHERE queue = 1)"


def bare(url: str, name: str, *, is_grouped: bool = False) -> Iterator[int]:
    """Claim in one transaction; effects, deletions and the release in another one.

    Args:
        url: of the database.
        name: of the worker.
        is_grouped: whether the rows of a batch are one INSERT, and not one each.
    """
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection, connection.cursor(binary=True) as cursor:
        yield 0
        while True:
            cursor.execute("SET LOCAL synchronous_commit TO off")
            chains: dict[int, int] = dict(cursor.execute(CLAIM, (name,)).fetchall())
            if not chains:
                connection.commit()
                yield 0
                continue
            most = max(1, 8 * AT_ONCE // len(chains))
            events = cursor.execute(READ, (list(chains), list(chains.values()), most, AT_ONCE)).fetchall()
            connection.commit()
            done = [event for _, event, _ in events]
            if is_grouped:
                cursor.execute("INSERT INTO effect (event) SELECT unnest(%s::bigint[])", (done,))
            else:
                cursor.executemany("INSERT INTO effect (event) VALUES (%s)", [(event,) for event in done])
            cursor.execute(DELETE, (list(chains), done))
            chains |= {chain: event for chain, event, _ in events}
            cursor.execute(RELEASE, (list(chains), list(chains.values())))
            connection.commit()
            yield len(done)


def bare_grouped(url: str, name: str) -> Iterator[int]:
    return bare(url, name, is_grouped=True)


def by_store(url: str, name: str) -> Iterator[int]:
    """Use the store alone: claim, add a statement an event, finish, release."""
    from mergeguard.core.events import Queue, Ran
    from mergeguard.storage.queue.opening import open_store

    with contextlib.closing(open_store(url)) as store:
        store.now()
        yield 0
        while True:
            claim = store.claim(Queue.FAST, name, LEASE, events=AT_ONCE, chains=CHAINS)
            if claim is None:
                yield 0
                continue
            with store.batch(claim) as batch:
                for lease in claim.leases:
                    for event in lease.events:
                        batch.add(EFFECT, (event.id,))
                batch.finish([Ran(lease, len(lease.events)) for lease in claim.leases])
            store.release(claim)
            yield sum(len(lease.events) for lease in claim.leases)


class Inserting:
    """A handler."""

    def handle(self, event: Event, _body: bytes, batch: EventBatch, /) -> None:
        batch.add(EFFECT, (event.id,))


def by_worker(url: str, name: str) -> Iterator[int]:
    """Use a worker of the processor, with all that it does."""
    from mergeguard.core.events import Queue
    from mergeguard.processor.event_bodies import EventBodies
    from mergeguard.processor.settings import Settings
    from mergeguard.processor.worker import Worker
    from mergeguard.storage.queue.opening import open_store

    settings, bodies = Settings(), EventBodies(Path("/tmp"))  # noqa: S108 - every event is inline
    with contextlib.closing(open_store(url)) as store:
        worker = Worker(store, lambda: settings, Inserting(), bodies, clock=time.monotonic, is_stopping=lambda: False)
        store.now()
        yield 0
        while True:
            claim = store.claim(Queue.FAST, name, LEASE, events=AT_ONCE, chains=CHAINS)
            if claim is None:
                yield 0
                continue
            handled = worker.handle(claim)
            if handled.verdict is not None:
                raise SystemExit(str(handled.error))
            store.release(claim)
            yield handled.events


def finished(url: str) -> Callable[[], bool]:
    """Return what asks whether all events of the queue are gone."""
    import psycopg

    connection = psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)
    return lambda: not (connection.execute(LEFT).fetchone() or (False,))[0]


def procrastinate(url: str) -> int:
    """Run procrastinate's own worker, one job at a time, until there is nothing left."""
    import asyncio
    import logging

    import procrastinate as peer
    import psycopg_pool

    logging.disable(logging.WARNING)
    plain = url.replace("+psycopg", "", 1)
    app = peer.App(connector=peer.PsycopgConnector(conninfo=plain, max_size=4))
    done = 0

    async def main() -> int:
        pool = psycopg_pool.AsyncConnectionPool(plain, min_size=1, max_size=1, open=False, kwargs={"autocommit": True})
        await pool.open()

        @app.task(name="insert", queue="bench")
        async def insert(event: int) -> None:
            nonlocal done
            async with pool.connection() as connection:
                await connection.execute("INSERT INTO effect (event) VALUES (%s)", (event,))
            done += 1

        async def is_finished() -> bool:
            async with pool.connection() as connection:
                left = await (await connection.execute("SELECT count(*) FROM procrastinate_jobs")).fetchone()
            return left == (0,)

        async with app.open_async():
            announce()
            while not await is_finished():  # its worker ends when all that is left is locked by others
                await app.run_worker_async(
                    queues=["bench"], wait=False, concurrency=1, install_signal_handlers=False, listen_notify=False,
                    delete_jobs="always",
                )  # fmt: skip
                await asyncio.sleep(PAUSE)
        await pool.close()
        return done

    return asyncio.run(main())


def announce() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    way, url, name, share = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    if way == "procrastinate":
        print(procrastinate(url), flush=True)
        return
    steps = {"bare": bare, "grouped": bare_grouped, "store": by_store, "worker": by_worker}[way](url, name)
    is_finished, done = finished(url), next(steps)  # it is connected
    announce()
    begin = time.perf_counter()
    for step in steps:
        done += step
        if done >= share:
            break
        if step == 0:
            if is_finished():
                break
            time.sleep(PAUSE)
    print(done, time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
