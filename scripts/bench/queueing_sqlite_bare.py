"""Bare loops on an SQLite file, for ``queueing_sqlite.py``: how fast the work can be at most, with nothing promised.

``by_rows`` has no order to keep: it reads 512 rows, inserts 512, deletes 512 and commits. ``by_chain`` is the
one-writer ceiling of a queue that keeps the order of a source: one thread leases up to 64 chains with about 512
events, writes the effects, the deletions and how far each chain is in one transaction, and gives the chains back in
its last statement. It checks its leases, but has no expiry, tries, retries, dead events, counters or second writer.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence

AT_ONCE, CHAINS = 512, 128
EFFECT = "INSERT INTO effect (event) VALUES (?)"
LEASE = 300_000_000
"""Microseconds."""
TABLES = """
    CREATE TABLE chain (
        id INTEGER PRIMARY KEY, source BLOB NOT NULL, priority INTEGER NOT NULL, queue INTEGER NOT NULL, since INTEGER,
        owner TEXT, epoch INTEGER NOT NULL DEFAULT 0, lease_until INTEGER, done INTEGER NOT NULL DEFAULT 0,
        UNIQUE (source, priority)
    );
    CREATE INDEX chain_ready ON chain (queue, since) WHERE owner IS NULL AND since IS NOT NULL;
    CREATE TABLE event (chain INTEGER NOT NULL, id INTEGER NOT NULL, body BLOB, PRIMARY KEY (chain, id)) WITHOUT ROWID;
"""
READY = "SELECT id, epoch FROM chain WHERE queue = 1 AND owner IS NULL AND since IS NOT NULL ORDER BY since LIMIT ?"
TAKE = "UPDATE chain SET owner = 'bench', epoch = epoch + 1, lease_until = ?, since = NULL WHERE id = ?"
READ = "SELECT id, body FROM event WHERE chain = ? ORDER BY id LIMIT ?"
DELETE = "DELETE FROM event WHERE chain = ? AND id <= ?"
DONE = "UPDATE chain SET done = ? WHERE id = ? AND owner = 'bench' AND epoch = ?"
RELEASE = """
    UPDATE chain SET owner = NULL, lease_until = NULL,
        since = CASE WHEN EXISTS (SELECT 1 FROM event WHERE event.chain = chain.id) THEN ? END
    WHERE id = ?
"""


def fill_rows(connection: sqlite3.Connection, keys: Sequence[uuid.UUID], body: bytes) -> None:
    connection.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, source BLOB, body BLOB)")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO event (source, body) VALUES (?, ?)", ((key.bytes, body) for key in keys))
    connection.execute("COMMIT")


def by_rows(connection: sqlite3.Connection) -> None:
    while rows := connection.execute("SELECT id, source, body FROM event LIMIT ?", (AT_ONCE,)).fetchall():
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(EFFECT, [(row[0],) for row in rows])
        connection.executemany("DELETE FROM event WHERE id = ?", [(row[0],) for row in rows])
        connection.execute("COMMIT")


def fill_chains(connection: sqlite3.Connection, keys: Sequence[uuid.UUID], body: bytes) -> None:
    connection.executescript(TABLES)
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys), 1)}
    chains = [(number, key.bytes, number) for key, number in numbers.items()]
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO chain (id, source, priority, queue, since) VALUES (?, ?, 0, 1, ?)", chains)
    events = ((numbers[key], number, body) for number, key in enumerate(keys, 1))
    connection.executemany("INSERT INTO event (chain, id, body) VALUES (?, ?, ?)", events)
    connection.execute("COMMIT")


def by_chain(connection: sqlite3.Connection) -> None:
    """Do what waits, the longest-waiting chains first. As ours, a claim does not wait for the disk."""
    while True:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        ready = connection.execute(READY, (CHAINS,)).fetchall()
        now = time.time_ns() // 1000
        connection.executemany(TAKE, [(now + LEASE, chain) for chain, _ in ready])
        runs = list(_runs(connection, [chain for chain, _ in ready]))
        connection.execute("COMMIT")
        connection.execute("PRAGMA synchronous = FULL")
        if not ready:
            return
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(EFFECT, [(event,) for run in runs for event, _ in run])
        last = [run[-1][0] for run in runs]
        connection.executemany(DELETE, [(chain, number) for (chain, _), number in zip(ready, last, strict=True)])
        fences = [(number, chain, epoch + 1) for (chain, epoch), number in zip(ready, last, strict=True)]
        if connection.executemany(DONE, fences).rowcount != len(ready):
            raise SystemExit("a lease was lost")
        connection.executemany(RELEASE, [(now, chain) for chain, _ in ready])
        connection.execute("COMMIT")


def _runs(connection: sqlite3.Connection, chains: Sequence[int]) -> Iterator[list[tuple[int, bytes]]]:
    """Yield the first events of each chain; what the short ones leave of the budget goes to those after them."""
    left = AT_ONCE
    for place, chain in enumerate(chains):
        run = connection.execute(READ, (chain, max(1, left // (len(chains) - place)))).fetchall()
        left -= len(run)
        yield run
