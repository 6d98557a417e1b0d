"""What stands in the queue, for people and reports; each answer is one look at the file."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from mergeguard.core.events import NO_SOURCE, Event, Failure, Queue, Reason
from mergeguard.storage.queue import sqlite_parking
from mergeguard.storage.queue.parking import retry_of
from mergeguard.storage.queue.sqlite_clock import moment
from mergeguard.storage.queue.store import ChainState, DeadCount, DeadEvent, QueueSize

_SIZES = """
    SELECT queue, events, inline_bytes, file_bytes, registered, done, dead, dead_bytes, retries,
           CASE WHEN events THEN
               (SELECT e.received FROM mergeguard_event AS e WHERE e.queue = q.queue ORDER BY e.id LIMIT 1) END,
           (SELECT count(*) FROM mergeguard_chain AS c WHERE c.retry_at >= ? AND c.queue = q.queue)
    FROM mergeguard_queue AS q ORDER BY queue
"""
_CHAIN = """
    SELECT c.source, c.priority, c.queue, count(*), min(e.received), c.owner, c.lease_until, c.retry_at,
           sum(CASE WHEN e.file IS NULL THEN e.size ELSE 0 END), sum(CASE WHEN e.file IS NULL THEN 0 ELSE e.size END),
           (SELECT h.tries FROM mergeguard_event AS h WHERE h.chain = c.id AND h.id = c.head), c.done
    FROM (SELECT * FROM mergeguard_chain WHERE {which}) AS c
    JOIN mergeguard_event AS e ON e.chain = c.id GROUP BY c.id ORDER BY c.head
"""
_CHAINS = _CHAIN.format(which="head IS NOT NULL ORDER BY head LIMIT ?")
_FORGOTTEN = _CHAIN.format(which="retry_at >= ? AND id NOT IN (SELECT chain FROM mergeguard_parked)")
"""Parked, and nobody knows why: nothing would ever wake them."""
_STRANDED = """
    WITH RECURSIVE found (chain) AS (
        SELECT min(chain) FROM mergeguard_event
        UNION ALL
        SELECT (SELECT min(chain) FROM mergeguard_event WHERE chain > found.chain) FROM found
        WHERE found.chain IS NOT NULL
    ), headed (chain, head) AS (
        SELECT chain, (SELECT min(id) FROM mergeguard_event AS e WHERE e.chain = found.chain) FROM found
        WHERE chain IS NOT NULL
    )
    SELECT c.source, coalesce(c.priority, -1), h.queue, count(*), min(e.received), c.owner, c.lease_until, c.retry_at,
           sum(CASE WHEN e.file IS NULL THEN e.size ELSE 0 END), sum(CASE WHEN e.file IS NULL THEN 0 ELSE e.size END),
           h.tries, coalesce(c.done, 0)
    FROM headed AS s
    JOIN mergeguard_event AS h ON h.chain = s.chain AND h.id = s.head
    LEFT JOIN mergeguard_chain AS c ON c.id = s.chain
    JOIN mergeguard_event AS e ON e.chain = s.chain
    WHERE c.id IS NULL OR c.head IS NOT s.head OR c.queue <> h.queue
    GROUP BY s.chain ORDER BY s.head
"""
_PENDING = """
    SELECT e.id, c.source, c.priority, e.queue, e.size, e.received, e.tries, {body}, e.file
    FROM {events} LEFT JOIN mergeguard_chain AS c ON c.id = e.chain WHERE {where}
"""
_EVENTS = "mergeguard_event AS e"
_OLDEST_OF = "SELECT * FROM (SELECT chain, id FROM mergeguard_event WHERE queue = {:d} ORDER BY id LIMIT ?1)"
_OLDEST = f"({' UNION ALL '.join(map(_OLDEST_OF.format, Queue))}) AS o CROSS JOIN {_EVENTS}"
_WAITING = (
    _PENDING.format(body="NULL", events=_OLDEST, where="e.chain = o.chain AND e.id = o.id") + "ORDER BY e.id LIMIT ?1"
)
_OF_SOURCE = "e.chain IN (SELECT id FROM mergeguard_chain WHERE source = ?1)"
_WAITING_OF = _PENDING.format(body="NULL", events=_EVENTS, where=_OF_SOURCE) + "ORDER BY e.id LIMIT ?2"
_WAITING_ALONE = _PENDING.format(body="NULL", events=_EVENTS, where="e.chain < 0") + "ORDER BY e.chain DESC LIMIT ?"
_IN_ANY_QUEUE = f"e.queue IN ({', '.join(map('{:d}'.format, Queue))})"
_EVENT = _PENDING.format(body="e.body", events=_EVENTS, where=f"{_IN_ANY_QUEUE} AND e.id = ?")
_DEAD = """
    SELECT id, source, priority, queue, size, received, tries, body, file, kind, message, reason, died
    FROM mergeguard_dead_event
"""
_DEAD_OLDEST = _DEAD + "ORDER BY died, id LIMIT ?"
_DEAD_AFTER = _DEAD + "WHERE id > ? ORDER BY id LIMIT ?"
_DEAD_EVENT = _DEAD + "WHERE id = ?"
_LATER_DONE = """
    SELECT c.done - d.done_before FROM mergeguard_dead_event AS d JOIN mergeguard_chain AS c ON c.id = d.chain
    WHERE d.id = ?
"""
_FILES = """
    SELECT file, id FROM mergeguard_event WHERE file IS NOT NULL
    UNION ALL SELECT file, id FROM mergeguard_dead_event WHERE file IS NOT NULL
"""
_DEAD_COUNTS = """
    SELECT source, priority, count(*), sum(size) FROM mergeguard_dead_event
    GROUP BY source, priority ORDER BY count(*) DESC, source, priority LIMIT ?
"""
_STORED_CLOCK = "SELECT clock FROM mergeguard_queue_state"


def stored_clock(driver: sqlite3.Connection) -> int:
    """Return the latest time in the file."""
    return int(driver.execute(_STORED_CLOCK).fetchone()[0])


def sizes(driver: sqlite3.Connection) -> Sequence[QueueSize]:
    """Return the counters of the queues."""
    rows = driver.execute(_SIZES, (sqlite_parking.FOR_EVER,)).fetchall()
    found = []
    for queue, *counts, oldest, parked in rows:
        values: list[Any] = [*counts, _time(oldest), parked]
        found.append(QueueSize(Queue(queue), *values))
    return found


def chains(driver: sqlite3.Connection, limit: int) -> Sequence[ChainState]:
    """Return the chains with events, by the age of their heads."""
    return [_chain(row) for row in driver.execute(_CHAINS, (limit,))]


def stranded(driver: sqlite3.Connection) -> Sequence[ChainState]:
    """Return chains whose row does not say where their events begin: no claim would ever find them.

    It costs a few steps of an index for each chain with events, whatever their number.
    """
    found = driver.execute(_STRANDED).fetchall()
    if sqlite_parking.stands(driver):
        found += driver.execute(_FORGOTTEN, (sqlite_parking.FOR_EVER,)).fetchall()
    return [_chain(row) for row in found]


def waiting(driver: sqlite3.Connection, limit: int, source: str | None) -> Sequence[Event]:
    """Return pending events without their bodies."""
    if source is None:
        return [_event(row) for row in driver.execute(_WAITING, (limit,))]
    key = uuid.UUID(source)
    if key == NO_SOURCE:
        return [_event(row) for row in driver.execute(_WAITING_ALONE, (limit,))]
    return [_event(row) for row in driver.execute(_WAITING_OF, (key.bytes, limit))]


def dead(driver: sqlite3.Connection, limit: int) -> Sequence[DeadEvent]:
    """Return dead events with their bodies."""
    return [_dead(row) for row in driver.execute(_DEAD_OLDEST, (limit,))]


def dead_after(driver: sqlite3.Connection, number: int, limit: int) -> Sequence[DeadEvent]:
    """Return dead events behind one of them with their bodies, by their ids."""
    return [_dead(row) for row in driver.execute(_DEAD_AFTER, (number, limit))]


def event(driver: sqlite3.Connection, number: int) -> Event | DeadEvent | None:
    """Return one event with its body."""
    pending = driver.execute(_EVENT, (number,)).fetchone()
    if pending is not None:
        return _event(pending)
    buried = driver.execute(_DEAD_EVENT, (number,)).fetchone()
    return None if buried is None else _dead(buried)


def later_done(driver: sqlite3.Connection, number: int) -> int:
    """Return how many events of a dead one's chain were done after it died."""
    found = driver.execute(_LATER_DONE, (number,)).fetchone()
    return 0 if found is None else int(found[0])


def files(driver: sqlite3.Connection) -> Mapping[str, int]:
    """Return the files that rows name."""
    return dict(driver.execute(_FILES).fetchall())


def dead_counts(driver: sqlite3.Connection, limit: int) -> Sequence[DeadCount]:
    """Return how many dead events each (source, priority) has."""
    return [DeadCount(_text(row[0]), *row[1:]) for row in driver.execute(_DEAD_COUNTS, (limit,))]


def _time(microseconds: int | None) -> dt.datetime | None:
    return None if microseconds is None else moment(microseconds)


def _source(source: bytes | None) -> uuid.UUID:
    return NO_SOURCE if source is None else uuid.UUID(bytes=source)


def _text(source: bytes | None) -> str:
    return str(_source(source))


def _chain(row: Sequence[Any]) -> ChainState:
    source, priority, queue, events, oldest, owner, until, retry_at, inline_bytes, file_bytes, tries, done = row
    again, parked = retry_of(_time(retry_at))
    times, sums = (_time(oldest), owner, _time(until), again), (inline_bytes, file_bytes)
    return ChainState(_text(source), priority, Queue(queue), events, *times, *sums, tries or 0, done, parked)


def _event(row: Sequence[Any]) -> Event:
    number, source, priority, queue, size, received, tries, body, file = row
    return Event(number, _source(source), priority, Queue(queue), size, moment(received), tries, body, file)


def _dead(row: Sequence[Any]) -> DeadEvent:
    kind, message, reason, died = row[9:]
    failure = Failure(row[0], kind, message, None, Reason(reason))
    return DeadEvent(_event(row[:9]), failure, moment(died))
