"""Claims: which chains a worker gets, and how it keeps or loses them.

Nothing here waits for the disk: a lease means something only to processes that a power cut ends as well, and every
write that does wait for the disk takes those before it along.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, TypeAlias

from mergeguard.core.events import NO_SOURCE, Claim, Event, Lease, Queue
from mergeguard.storage.queue.sqlite_clock import length, moment
from mergeguard.storage.queue.sqlite_transaction import Transaction

Row: TypeAlias = tuple[Any, ...]
_READY = """
    SELECT id, source, priority, epoch FROM mergeguard_chain
    WHERE queue = ? AND head IS NOT NULL AND owner IS NULL AND retry_at IS NULL ORDER BY head LIMIT ?
"""
_RUN = """
    SELECT id, queue, size, received, tries, body, file FROM mergeguard_event
    WHERE chain = ? AND id > ? ORDER BY id LIMIT ?
"""
_LEASE = "UPDATE mergeguard_chain SET owner = ?, epoch = epoch + 1, lease_until = ? WHERE id = ?"
_EXPIRED = "mergeguard_chain WHERE owner IS NOT NULL AND lease_until <= ?"
_DUE = "mergeguard_chain WHERE retry_at IS NOT NULL AND retry_at <= ?"
_EXPIRE = f"UPDATE mergeguard_chain SET owner = NULL, lease_until = NULL WHERE id IN (SELECT id FROM {_EXPIRED})"  # noqa: S608 - a constant
_WAKE = f"UPDATE mergeguard_chain SET retry_at = NULL WHERE id IN (SELECT id FROM {_DUE})"  # noqa: S608 - a constant
_MINE = "id = ? AND owner = ? AND epoch = ?"
_HELD = f"SELECT 1 FROM mergeguard_chain WHERE {_MINE}"  # noqa: S608 - a constant
_RENEW = f"UPDATE mergeguard_chain SET lease_until = ? WHERE {_MINE}"  # noqa: S608 - a constant
_RELEASE = f"UPDATE mergeguard_chain SET owner = NULL, lease_until = NULL WHERE {_MINE}"  # noqa: S608 - a constant
_OFFERED = f"""
    SELECT EXISTS (SELECT 1 FROM mergeguard_chain
                   WHERE queue = ? AND head IS NOT NULL AND owner IS NULL AND retry_at IS NULL)
        OR EXISTS (SELECT 1 FROM {_EXPIRED}) OR EXISTS (SELECT 1 FROM {_DUE})
"""  # noqa: S608 - constants


def offered(driver: sqlite3.Connection, queue: Queue, now: int) -> bool:
    """Say whether a claim may find something; a worker that has nothing to do then needs no turn to write."""
    return bool(driver.execute(_OFFERED, (int(queue), now, now)).fetchone()[0])


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
    """Lease the chains whose heads have waited longest, with a fair share of the events for each."""
    sweep(transaction)
    driver = transaction.driver
    ready = driver.execute(_READY, (int(queue), max(0, min(chains, events)))).fetchall()
    until = transaction.now + length(lease)
    runs = _shared_out(driver, [chain for chain, *_ in ready], events)
    leases = [
        Lease(chain, epoch + 1, found)
        for (chain, source, priority, epoch), rows in zip(ready, runs, strict=True)
        if (found := _events(rows, queue, source, priority))
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
    return [one for one in leases if driver.execute(_HELD, mine(claimed, one)).fetchone()]


def mine(claimed: Claim, lease: Lease) -> tuple[int, str, int]:
    """Return what a chain's row says as long as a lease is held."""
    return lease.chain, claimed.worker, lease.epoch


def _shared_out(driver: sqlite3.Connection, chains: Sequence[int], events: int) -> Sequence[list[Row]]:
    """Read the beginnings of chains: the same share of each, and what the short ones leave for the long ones."""
    runs: list[list[Row]] = []
    for at, chain in enumerate(chains):
        share = -(-events // (len(chains) - at))
        runs.append(driver.execute(_RUN, (chain, 0, share)).fetchall())
        events -= len(runs[-1])
    for chain, run in zip(chains, runs, strict=True):
        if events and run:
            more = driver.execute(_RUN, (chain, run[-1][0], events)).fetchall()
            run.extend(more)
            events -= len(more)
    return runs


def _events(rows: Iterable[Row], queue: Queue, source: bytes | None, priority: int) -> tuple[Event, ...]:
    """Return the events of one queue at the head of a chain; the first of another queue ends them."""
    key, own = NO_SOURCE if source is None else uuid.UUID(bytes=source), int(queue)
    return tuple(
        Event(number, key, priority, queue, size, moment(received), tries, body, file)
        for number, _, size, received, tries, body, file in takewhile(lambda row: row[1] == own, rows)
    )
