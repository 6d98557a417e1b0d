"""Parked events in an SQLite file: why they wait, and what lets them go."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from typing import Final

from mergeguard.core.events import NO_SOURCE, Event, Parking, Queue
from mergeguard.storage.queue.parking import END_OF_TIME, TABLE, parked_event, spelt
from mergeguard.storage.queue.sqlite_clock import EPOCH, length, moment
from mergeguard.storage.queue.sqlite_transaction import Transaction
from mergeguard.storage.queue.store import ParkedEvent

FOR_EVER: Final = length(END_OF_TIME - EPOCH)
_STANDS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_PARK = """
    INSERT OR REPLACE INTO mergeguard_parked (chain, event, status, guids, message, since) VALUES (?, ?, ?, ?, ?, ?)
"""
_PARKED = """
    SELECT e.id, c.source, c.priority, e.queue, e.size, e.received, e.tries, e.file,
           p.status, p.guids, p.message, p.since
    FROM mergeguard_parked AS p
    JOIN mergeguard_chain AS c ON c.id = p.chain AND c.retry_at >= ?
    JOIN mergeguard_event AS e ON e.chain = p.chain AND e.id = p.event
    WHERE p.event > ? ORDER BY p.event LIMIT ?
"""
_OF = """
    SELECT p.chain FROM mergeguard_parked AS p JOIN mergeguard_chain AS c ON c.id = p.chain
    WHERE p.event = ? AND c.retry_at >= ?
"""
_FREE = "UPDATE mergeguard_chain SET retry_at = NULL WHERE id = ?"
_FORGET = "DELETE FROM mergeguard_parked WHERE chain = ?"


def stands(driver: sqlite3.Connection) -> bool:
    """Say whether the file has the table: an earlier version did not make it."""
    return driver.execute(_STANDS, (TABLE,)).fetchone() is not None


def park(transaction: Transaction, chain: int, parking: Parking) -> None:
    """Note why the head of a chain waits."""
    row = (chain, parking.event, parking.status, spelt(parking), parking.message, transaction.now)
    transaction.driver.execute(_PARK, row)


def wake(transaction: Transaction, events: Sequence[int]) -> int:
    """Make the chains of parked events ready; return how many."""
    driver = transaction.driver
    if not stands(driver):
        return 0
    chains = {row[0] for number in events for row in driver.execute(_OF, (number, FOR_EVER))}
    driver.executemany(_FREE, [(chain,) for chain in chains])
    driver.executemany(_FORGET, [(chain,) for chain in chains])
    return len(chains)


def parked(driver: sqlite3.Connection, limit: int, after: int) -> Sequence[ParkedEvent]:
    """Return parked events without their bodies."""
    if not stands(driver):
        return []
    found = []
    for *columns, status, guids, message, since in driver.execute(_PARKED, (FOR_EVER, after, limit)):
        number, source, priority, queue, size, received, tries, file = columns
        key = NO_SOURCE if source is None else uuid.UUID(bytes=source)
        event = Event(number, key, priority, Queue(queue), size, moment(received), tries, None, file)
        found.append(parked_event(event, status, guids, message, moment(since)))
    return found
