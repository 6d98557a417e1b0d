"""Claims: which chains a worker gets, and how it keeps, loses or gives them back.

A claim locks *chains*, never events: one that skips locked events slides past the head of a line.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from mergeguard.core.events import NO_SOURCE, Claim, Event, Lease, Queue
from mergeguard.storage.queue.postgresql_sessions import HURRY

if TYPE_CHECKING:
    import psycopg

DEEPER = 8
"""A chain may give so many times its equal share of a claim where others have less."""
_WAKE = """
    WITH due AS (
        SELECT id FROM mergeguard_chain
        WHERE queue = ANY(%s::smallint[]) AND owner IS NULL AND retry_at <= statement_timestamp()
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE mergeguard_chain AS c SET since = c.retry_at, retry_at = NULL FROM due WHERE c.id = due.id
"""
_CLAIM = """
    WITH ready AS (
        SELECT id, since FROM mergeguard_chain
        WHERE queue = %s AND owner IS NULL AND since IS NOT NULL
        ORDER BY since LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE mergeguard_chain AS c
    SET owner = %s, epoch = c.epoch + 1, lease_until = statement_timestamp() + %s::interval, since = NULL
    FROM ready WHERE c.id = ready.id
    RETURNING ready.since, c.id, c.epoch, c.source, c.priority, c.done_id, c.lease_until
"""
_RUNS = """
    SELECT e.chain, e.id, e.queue, e.size, e.received, e.tries, e.body, e.file
    FROM (
        SELECT k.chain, r.id FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS k (chain, done_id, place)
        CROSS JOIN LATERAL (
            SELECT w.id, row_number() OVER (ORDER BY w.id) AS turn FROM (
                SELECT id FROM mergeguard_event
                WHERE chain = k.chain AND id > k.done_id ORDER BY id LIMIT %s
            ) AS w
        ) AS r
        ORDER BY r.turn, k.place LIMIT %s
    ) AS first
    JOIN mergeguard_event AS e ON e.chain = first.chain AND e.id = first.id
"""
"""The first of each chain, then the second of each, until there are enough; a read begins behind what is done."""
_MINE = """
    SELECT c.id, c.done_id FROM mergeguard_chain AS c
    JOIN unnest(%s::bigint[], %s::bigint[]) AS k (id, epoch) ON c.id = k.id
    WHERE c.owner = %s AND c.epoch = k.epoch
    ORDER BY c.source, c.priority, c.id FOR NO KEY UPDATE OF c
"""
_EXPIRED = """
    SELECT id, done_id FROM mergeguard_chain WHERE owner IS NOT NULL AND lease_until <= statement_timestamp()
    FOR NO KEY UPDATE SKIP LOCKED
"""
_FREE = """
    UPDATE mergeguard_chain AS c
    SET owner = NULL, lease_until = NULL, queue = coalesce(h.queue, c.queue),
        since = CASE WHEN h.queue IS NOT NULL AND c.retry_at IS NULL THEN clock_timestamp() END,
        retry_at = CASE WHEN h.queue IS NOT NULL THEN c.retry_at END
    FROM unnest(%s::bigint[], %s::bigint[]) AS k (id, done_id)
    LEFT JOIN LATERAL (
        SELECT e.queue FROM mergeguard_event AS e WHERE e.chain = k.id AND e.id > k.done_id ORDER BY e.id LIMIT 1
    ) AS h ON true
    WHERE c.id = k.id
"""
_RENEW = """
    WITH mine AS (
        SELECT c.id FROM mergeguard_chain AS c
        JOIN unnest(%s::bigint[], %s::bigint[]) AS k (id, epoch) ON c.id = k.id
        WHERE c.owner = %s AND c.epoch = k.epoch
        ORDER BY c.source, c.priority, c.id FOR NO KEY UPDATE OF c
    )
    UPDATE mergeguard_chain AS c SET lease_until = statement_timestamp() + %s::interval
    FROM mine WHERE c.id = mine.id RETURNING c.id
"""


@dataclass(frozen=True, slots=True)
class _Chain:
    """A chain as it was leased."""

    since: dt.datetime
    id: int
    epoch: int
    source: Any
    priority: int
    done_id: int
    until: dt.datetime


def claim(
    cursor: psycopg.Cursor[Any], queue: Queue, worker: str, lease: dt.timedelta, *, events: int, chains: int
) -> Claim | None:
    """Lease chains that are ready, and read the events at their heads."""
    with cursor.connection.pipeline():
        cursor.execute(HURRY)
        cursor.execute(_WAKE, ([int(queue)],))
        cursor.execute(_CLAIM, (int(queue), max(1, min(chains, events)), worker, lease))
        leased = sorted((_Chain(*row) for row in cursor.fetchall()), key=lambda chain: (chain.since, chain.id))
    if not leased:
        return None
    runs = _runs(cursor, leased, events)
    found: list[Lease] = []
    for chain in leased:
        run = _run(runs[chain.id], chain, queue)
        if run:
            found.append(Lease(chain.id, chain.epoch, run))
    if len(found) < len(leased):
        kept = {lease.chain for lease in found}
        _free(cursor, [(chain.id, chain.done_id) for chain in leased if chain.id not in kept])
    return Claim(worker, queue, tuple(found), leased[0].until) if found else None


def release(cursor: psycopg.Cursor[Any], claimed: Claim) -> None:
    """Give back the chains that are still held.

    First they are locked, then a statement of its own looks for events: one that did both would not see an event
    that was registered while it waited for the lock, and strand its chain.
    """
    cursor.execute(HURRY)
    cursor.execute(_MINE, (*_tokens(claimed.leases), claimed.worker))
    _free(cursor, cursor.fetchall())


def renew(cursor: psycopg.Cursor[Any], claimed: Claim, lease: dt.timedelta) -> Sequence[Lease]:
    """Prolong the leases that are still held, and return them."""
    cursor.execute(HURRY)
    cursor.execute(_RENEW, (*_tokens(claimed.leases), claimed.worker, lease))
    held = {int(row[0]) for row in cursor.fetchall()}
    return [one for one in claimed.leases if one.chain in held]


def sweep(cursor: psycopg.Cursor[Any]) -> int:
    """Free the chains whose lease has expired or whose time to retry has come; return how many."""
    cursor.execute(HURRY)
    cursor.execute(_EXPIRED)
    expired = cursor.fetchall()
    _free(cursor, expired)
    cursor.execute(_WAKE, ([int(queue) for queue in Queue],))
    return len(expired) + cursor.rowcount


def _runs(cursor: psycopg.Cursor[Any], leased: Sequence[_Chain], events: int) -> dict[int, list[Any]]:
    """Return the first events of each chain, in a statement that sees all that was there when they were leased."""
    deep = min(events, DEEPER * -(-events // len(leased)))
    cursor.execute(_RUNS, ([one.id for one in leased], [one.done_id for one in leased], deep, events))
    runs = defaultdict[int, list[Any]](list)
    for chain, *row in cursor.fetchall():
        runs[chain].append(row)
    return runs


def _run(rows: Iterable[Any], chain: _Chain, queue: Queue) -> tuple[Event, ...]:
    """Return the events of one queue at the head of a chain; the first of another queue ends them."""
    source = NO_SOURCE if chain.source is None else chain.source
    return tuple(
        Event(number, source, chain.priority, queue, size, received, tries, body, file)
        for number, _, size, received, tries, body, file in takewhile(
            lambda row: row[1] == int(queue), sorted(rows, key=lambda row: row[0])
        )
    )


def _free(cursor: psycopg.Cursor[Any], chains: Sequence[tuple[int, int]]) -> None:
    """End the leases of chains that this transaction has locked: they are ready, retrying or idle now."""
    if chains:
        cursor.execute(_FREE, ([chain for chain, _ in chains], [done for _, done in chains]))


def _tokens(leases: Sequence[Lease]) -> tuple[list[int], list[int]]:
    return [lease.chain for lease in leases], [lease.epoch for lease in leases]
