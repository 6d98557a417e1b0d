"""Claims: which chains a worker gets, and how it keeps, loses or gives them back.

A claim locks *chains*, never events: one that skips locked events slides past the head of a line.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from operator import itemgetter
from typing import Any

from mergeguard.core.events import NO_SOURCE, Claim, Event, Lease, Queue
from mergeguard.storage.queue.postgresql_floors import BEGINNING, Floors
from mergeguard.storage.queue.postgresql_lists import numbers
from mergeguard.storage.queue.postgresql_sessions import HURRY, Run

PARTS = 4
"""A chain takes a part of a claim's events at most, where there are so many chains that the others fill it."""
OFFERED = """
    SELECT EXISTS (SELECT 1 FROM mergeguard_chain WHERE queue = %s AND owner IS NULL AND since >= %s)
        OR EXISTS (SELECT 1 FROM mergeguard_chain WHERE queue = %s AND owner IS NULL AND since IS NOT NULL)
        OR EXISTS (SELECT 1 FROM mergeguard_chain
                   WHERE queue = %s AND owner IS NULL AND retry_at <= statement_timestamp())
"""
"""Whether a claim may find something: a worker that has nothing to do costs the server this alone."""
_WAKE = """
    WITH due AS (
        SELECT id FROM mergeguard_chain
        WHERE queue = ANY(%s::smallint[]) AND owner IS NULL AND retry_at <= statement_timestamp()
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE mergeguard_chain AS c SET since = c.retry_at, retry_at = NULL FROM due WHERE c.id = due.id RETURNING c.id
"""
_LOCK = """
    SELECT id, done_id, since FROM mergeguard_chain
    WHERE queue = %s AND owner IS NULL AND since >= %s
    ORDER BY since LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""
_RUNS = """
    SELECT k.chain, e.id, e.queue, e.size, e.received, e.tries, e.body, e.file
    FROM unnest(%s::bigint[], %s::bigint[]) AS k (chain, done_id)
    CROSS JOIN LATERAL (
        SELECT * FROM mergeguard_event WHERE chain = k.chain AND id > k.done_id ORDER BY id LIMIT %s
    ) AS e
    LIMIT %s
"""
"""Chain by chain until there are enough; a read begins behind what is done."""
_LEASE = """
    UPDATE mergeguard_chain SET owner = %s, epoch = epoch + 1, since = NULL,
        lease_until = statement_timestamp() + %s::interval
    WHERE id = ANY(%s::bigint[]) RETURNING id, epoch, source, priority, lease_until
"""
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


def is_offered(run: Run, queue: Queue, floor: dt.datetime = BEGINNING) -> bool:
    """Say whether a claim may find something; above the floor it is found at once."""
    row = run(OFFERED, (int(queue), floor, int(queue), int(queue))).fetchone()
    return row is not None and bool(row[0])


def claim(
    run: Run, queue: Queue, worker: str, lease: dt.timedelta, *, events: int, chains: int, floors: Floors | None = None
) -> Claim | None:
    """Lock chains that are ready, read the events at their heads, and lease those of which some were read."""
    run(HURRY)
    run(_WAKE, ([int(queue)],))
    locked = _locked(run, queue, max(1, min(chains, events)), floors or Floors())
    if not locked:
        return None
    runs, others = _runs(run, locked, queue, events)
    _free(run, others)
    if not runs:
        return None
    leased = {chain: rest for chain, *rest in run(_LEASE, (worker, lease, numbers(runs)))}
    leases = tuple(_leased(chain, run, queue, *leased[chain][:3]) for chain, run in runs.items())
    return Claim(worker, queue, leases, min(until for *_, until in leased.values()))


def release(run: Run, claimed: Claim) -> None:
    """Give back the chains that are still held.

    First they are locked, then a statement of its own looks for events: one that did both would not see an event
    that was registered while it waited for the lock, and strand its chain.
    """
    run(HURRY)
    _free(run, run(_MINE, (*_tokens(claimed.leases), claimed.worker)).fetchall())


def renew(run: Run, claimed: Claim, lease: dt.timedelta) -> Sequence[Lease]:
    """Prolong the leases that are still held, and return them."""
    run(HURRY)
    held = {int(row[0]) for row in run(_RENEW, (*_tokens(claimed.leases), claimed.worker, lease))}
    return [one for one in claimed.leases if one.chain in held]


def sweep(run: Run) -> int:
    """Free the chains whose lease has expired or whose time to retry has come; return how many."""
    run(HURRY)
    expired = run(_EXPIRED).fetchall()
    _free(run, expired)
    return len(expired) + len(run(_WAKE, ([int(queue) for queue in Queue],)).fetchall())


def _locked(run: Run, queue: Queue, chains: int, floors: Floors) -> dict[int, int]:
    """Lock the chains that have been ready for longest; return how far each is done."""
    for floor in dict.fromkeys((floors.of(queue), BEGINNING)):
        found = run(_LOCK, (int(queue), floor, chains)).fetchall()
        floors.found(queue, floor, found[0][2] if found else None)
        if found:
            return {chain: done for chain, done, _ in found}
    return {}


def _runs(
    run: Run, locked: Mapping[int, int], queue: Queue, events: int
) -> tuple[Mapping[int, list[Any]], list[tuple[int, int]]]:
    """Return the first events of chains, in a statement that sees all that was there when they were locked.

    The first event of another queue ends a run. Beside the runs stand the chains that wait in the wrong place.
    """
    share = max(events // PARTS, -(-events // len(locked)))
    rows = run(_RUNS, (numbers(locked), numbers(locked.values()), share, events)).fetchall()
    found = defaultdict[int, list[Any]](list)
    for chain, *row in rows:
        found[chain].append(row)
    runs = {chain: _run(run, queue) for chain, run in found.items() if min(run)[1] == int(queue)}
    is_all = len(rows) < events
    return runs, [one for one in locked.items() if one[0] not in runs and (is_all or one[0] in found)]


def _run(rows: Iterable[Any], queue: Queue) -> list[Any]:
    return list(takewhile(lambda row: row[1] == int(queue), sorted(rows, key=itemgetter(0))))


def _leased(chain: int, run: Iterable[Any], queue: Queue, epoch: int, source: Any, priority: int) -> Lease:  # noqa: ANN401 - a guid or NULL
    key = NO_SOURCE if source is None else source
    events = (
        Event(number, key, priority, queue, size, received, tries, body, file)
        for number, _, size, received, tries, body, file in run
    )
    return Lease(chain, epoch, tuple(events))


def _free(run: Run, chains: Sequence[tuple[int, int]]) -> None:
    """End the leases of chains that this transaction has locked: they are ready, retrying or idle now."""
    if chains:
        run(_FREE, (numbers([chain for chain, _ in chains]), numbers([done for _, done in chains])))


def _tokens(leases: Sequence[Lease]) -> tuple[str, str]:
    return numbers([lease.chain for lease in leases]), numbers([lease.epoch for lease in leases])
