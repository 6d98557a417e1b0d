"""Claims: which chains a worker gets, and how it keeps or loses them.

Nothing here waits for the disk: a lease means something only to processes that a power cut ends as well, and every
write that does wait for the disk takes those before it along.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence

from mergeguard.core.events import NO_SOURCE, Claim, Event, Lease, Queue
from mergeguard.storage.queue import sqlite_runs
from mergeguard.storage.queue.sqlite_clock import EPOCH, length, moment
from mergeguard.storage.queue.sqlite_runs import Row
from mergeguard.storage.queue.sqlite_transaction import Transaction

_READY = """
    SELECT id, source, priority, epoch FROM mergeguard_chain
    WHERE queue = ? AND head IS NOT NULL AND owner IS NULL AND retry_at IS NULL ORDER BY head LIMIT ?
"""
_LEASE = "UPDATE mergeguard_chain SET owner = ?, epoch = epoch + 1, lease_until = ? WHERE id = ?"
_EXPIRED = "mergeguard_chain WHERE owner IS NOT NULL AND lease_until <= ?"
_DUE = "mergeguard_chain WHERE retry_at IS NOT NULL AND retry_at <= ?"
_EXPIRE = f"UPDATE mergeguard_chain SET owner = NULL, lease_until = NULL WHERE id IN (SELECT id FROM {_EXPIRED})"  # noqa: S608 - a constant
_WAKE = f"UPDATE mergeguard_chain SET retry_at = NULL WHERE id IN (SELECT id FROM {_DUE})"  # noqa: S608 - a constant
_MINE = "id = ? AND owner = ? AND epoch = ?"
_HELD = """
    SELECT id, epoch FROM mergeguard_chain INDEXED BY mergeguard_chain_leased WHERE owner IS NOT NULL AND owner = ?
"""
_RENEW = f"UPDATE mergeguard_chain SET lease_until = ? WHERE {_MINE}"  # noqa: S608 - a constant
_RELEASE = f"UPDATE mergeguard_chain SET owner = NULL, lease_until = NULL WHERE {_MINE}"  # noqa: S608 - a constant
_OFFERED = f"""
    SELECT EXISTS (SELECT 1 FROM mergeguard_chain
                   WHERE queue = ? AND head IS NOT NULL AND owner IS NULL AND retry_at IS NULL)
        OR EXISTS (SELECT 1 FROM {_DUE})
"""  # noqa: S608 - constants


def offered(driver: sqlite3.Connection, queue: Queue, now: int) -> bool:
    """Say whether a claim may find something; a worker that has nothing to do then needs no turn to write."""
    return bool(driver.execute(_OFFERED, (int(queue), now)).fetchone()[0])


def due(driver: sqlite3.Connection, now: int) -> bool:
    """Say whether a sweep would find something."""
    return any(
        driver.execute(f"SELECT 1 FROM {which} LIMIT 1", (now,)).fetchone()  # noqa: S608 - constants
        for which in (_EXPIRED, _DUE)
    )


def sweep(transaction: Transaction) -> int:
    """Free the chains whose lease has expired or whose time to retry has come; return how many."""
    driver, now = transaction.driver, transaction.now
    return driver.execute(_EXPIRE, (now,)).rowcount + driver.execute(_WAKE, (now,)).rowcount


def claim(
    transaction: Transaction, queue: Queue, worker: str, lease: dt.timedelta, *, events: int, chains: int
) -> Claim | None:
    """Lease the chains whose heads have waited longest, and a fair share of the events of each."""
    driver = transaction.driver
    driver.execute(_WAKE, (transaction.now,))
    ready = driver.execute(_READY, (int(queue), max(0, min(chains, events)))).fetchall()
    until = transaction.now + length(lease)
    runs = sqlite_runs.read(driver, [chain for chain, *_ in ready], int(queue), events)
    leases = [
        Lease(chain, epoch + 1, tuple(_events(run, queue, source, priority)))
        for (chain, source, priority, epoch), run in zip(ready, runs, strict=True)
        if run
    ]
    driver.executemany(_LEASE, [(worker, until, one.chain) for one in leases])
    return Claim(worker, queue, tuple(leases), moment(until)) if leases else None


def renew(transaction: Transaction, claimed: Claim, lease: dt.timedelta) -> Sequence[Lease]:
    """Prolong the leases that are still held, and return them."""
    until = transaction.now + length(lease)
    run = transaction.driver.execute
    return [one for one in claimed.leases if run(_RENEW, (until, *mine(claimed, one))).rowcount]


def release(transaction: Transaction, claimed: Claim) -> None:
    """Give back the chains that are still held."""
    transaction.driver.executemany(_RELEASE, [mine(claimed, one) for one in claimed.leases])


def held(driver: sqlite3.Connection, claimed: Claim, leases: Iterable[Lease]) -> Sequence[Lease]:
    """Return those of a claim's leases that nobody has taken over."""
    own = set(driver.execute(_HELD, (claimed.worker,)))
    return [one for one in leases if (one.chain, one.epoch) in own]


def mine(claimed: Claim, lease: Lease) -> tuple[int, str, int]:
    """Return what a chain's row says as long as a lease is held."""
    return lease.chain, claimed.worker, lease.epoch


def _events(rows: Iterable[Row], queue: Queue, source: bytes | None, priority: int) -> Iterator[Event]:
    """Yield the events of a run. Many of them were registered at the same moment, which is then worked out once."""
    key, last, when = NO_SOURCE if source is None else uuid.UUID(bytes=source), -1, EPOCH
    for number, _, size, received, tries, body, file in rows:
        if received != last:
            last, when = received, moment(received)
        yield Event(number, key, priority, queue, size, when, tries, body, file)
