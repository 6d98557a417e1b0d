"""Claims in SQL Server: which chains a worker gets, and how it keeps, loses or gives them back.

A chain is locked by writing its row: a hint alone is not trusted with the order of events.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from operator import itemgetter
from typing import Any

from mergeguard.core.events import NO_SOURCE, Claim, Event, Lease, Queue
from mergeguard.storage.queue.mssql_lists import pieces
from mergeguard.storage.queue.mssql_sessions import Run

PARTS = 4
"""As in PostgreSQL: the part of a claim's events that one chain takes at most."""
_MILLISECOND = dt.timedelta(milliseconds=1)
OFFERED = """
    SELECT CASE WHEN EXISTS (SELECT 1 FROM mergeguard_chain WITH (READPAST, READCOMMITTEDLOCK)
                             WHERE queue = ? AND owner IS NULL AND since IS NOT NULL)
        OR EXISTS (SELECT 1 FROM mergeguard_chain WITH (READPAST, READCOMMITTEDLOCK)
                   WHERE queue = ? AND owner IS NULL AND retry_at IS NOT NULL AND retry_at <= SYSUTCDATETIME())
        THEN 1 ELSE 0 END
"""
WAKE = """
    UPDATE c SET since = c.retry_at, retry_at = NULL OUTPUT inserted.id
    FROM mergeguard_chain AS c WITH (ROWLOCK, UPDLOCK, READPAST, READCOMMITTEDLOCK)
    WHERE c.queue BETWEEN ? AND ? AND c.owner IS NULL AND c.retry_at IS NOT NULL AND c.retry_at <= SYSUTCDATETIME()
"""
LOCK = """
    WITH ready AS (
        SELECT TOP (?) id, done_id, epoch, since
        FROM mergeguard_chain WITH (ROWLOCK, UPDLOCK, READPAST, READCOMMITTEDLOCK)
        WHERE queue = ? AND owner IS NULL AND since IS NOT NULL ORDER BY since
    )
    UPDATE ready SET epoch = epoch + 1 OUTPUT inserted.since, inserted.id, inserted.done_id
"""
RUN_TYPES = ("int", "bigint", "bigint")
RUNS = """
    SELECT TOP (?) k.chain, e.id, e.queue, e.size, e.received, e.tries, e.body, e.[file]
    FROM {given} AS k (place, chain, done_id)
    CROSS APPLY (
        SELECT TOP (?) id, queue, size, received, tries, body, [file] FROM mergeguard_event
        WHERE chain = k.chain AND id > k.done_id ORDER BY id
    ) AS e
    ORDER BY k.place, e.id
"""
LEASE = """
    UPDATE c SET owner = ?, since = NULL, lease_until = DATEADD(millisecond, ?, SYSUTCDATETIME())
    OUTPUT inserted.id, inserted.epoch, CONVERT(char(36), inserted.source), inserted.priority, inserted.lease_until
    FROM mergeguard_chain AS c JOIN {given} AS k (id) ON c.id = k.id WHERE c.owner IS NULL
"""
TOKEN_TYPES = ("bigint", "bigint")
MINE = """
    UPDATE c SET epoch = c.epoch OUTPUT inserted.id, inserted.done_id
    FROM mergeguard_chain AS c JOIN {given} AS k (id, epoch) ON c.id = k.id AND c.epoch = k.epoch WHERE c.owner = ?
"""
EXPIRED = """
    UPDATE c SET epoch = c.epoch OUTPUT inserted.id, inserted.done_id
    FROM mergeguard_chain AS c WITH (ROWLOCK, UPDLOCK, READPAST, READCOMMITTEDLOCK)
    WHERE c.owner IS NOT NULL AND c.lease_until <= SYSUTCDATETIME()
"""
FREE = """
    UPDATE c SET owner = NULL, lease_until = NULL, queue = COALESCE(h.queue, c.queue),
        since = CASE WHEN h.queue IS NOT NULL AND c.retry_at IS NULL THEN SYSUTCDATETIME() END,
        retry_at = CASE WHEN h.queue IS NOT NULL THEN c.retry_at END
    FROM mergeguard_chain AS c JOIN {given} AS k (id, done_id) ON c.id = k.id
    OUTER APPLY (
        SELECT TOP (1) e.queue FROM mergeguard_event AS e WHERE e.chain = k.id AND e.id > k.done_id ORDER BY e.id
    ) AS h
"""
RENEW = """
    UPDATE c SET lease_until = DATEADD(millisecond, ?, SYSUTCDATETIME()) OUTPUT inserted.id
    FROM mergeguard_chain AS c JOIN {given} AS k (id, epoch) ON c.id = k.id AND c.epoch = k.epoch WHERE c.owner = ?
"""


def is_offered(run: Run, queue: Queue) -> bool:
    """Say whether a claim may find something."""
    return bool(run(OFFERED, (int(queue), int(queue))).fetchone()[0])


def claim(run: Run, queue: Queue, worker: str, lease: dt.timedelta, *, events: int, chains: int) -> Claim | None:
    """Lock chains that are ready, read the events at their heads, and lease those of which some were read."""
    # All that it answers is read: a driver cancels a statement whose answer it need not read to the end.
    run(WAKE, (int(queue), int(queue))).fetchall()
    found = run(LOCK, (max(1, min(chains, events)), int(queue))).fetchall()
    locked = {chain: done for _, chain, done in sorted(tuple(row) for row in found)}
    if not locked:
        return None
    runs, others = _runs(run, locked, queue, events)
    _free(run, others)
    leased: dict[int, Sequence[Any]] = {}
    for statement, values in pieces(LEASE, ("bigint",), [(one,) for one in runs], (worker, lease // _MILLISECOND)):
        leased |= {chain: rest for chain, *rest in run(statement, values).fetchall()}
    if not leased:
        return None
    leases = tuple(_leased(chain, some, queue, *leased[chain][:3]) for chain, some in runs.items() if chain in leased)
    return Claim(worker, queue, leases, min(until for *_, until in leased.values()).replace(tzinfo=dt.UTC))


def release(run: Run, claimed: Claim) -> None:
    """Give back the chains that are still held: first they are locked, then a statement of its own looks for events."""
    for statement, values in pieces(MINE, TOKEN_TYPES, _tokens(claimed.leases), after=(claimed.worker,)):
        _free(run, run(statement, values).fetchall())


def renew(run: Run, claimed: Claim, lease: dt.timedelta) -> Sequence[Lease]:
    """Prolong the leases that are still held, and return them."""
    held: set[int] = set()
    given = pieces(RENEW, TOKEN_TYPES, _tokens(claimed.leases), (lease // _MILLISECOND,), (claimed.worker,))
    for statement, values in given:
        held |= {row[0] for row in run(statement, values).fetchall()}
    return [one for one in claimed.leases if one.chain in held]


def sweep(run: Run) -> int:
    """Free the chains whose lease has expired or whose time to retry has come; return how many."""
    expired = run(EXPIRED).fetchall()
    _free(run, expired)
    return len(expired) + len(run(WAKE, (int(min(Queue)), int(max(Queue)))).fetchall())


def _runs(
    run: Run, locked: Mapping[int, int], queue: Queue, events: int
) -> tuple[Mapping[int, list[Any]], list[tuple[int, int]]]:
    """Return the first events of chains, up to the first of another queue, and chains that wait in a wrong place."""
    share = max(events // PARTS, -(-events // len(locked)))
    given = [(place, chain, done) for place, (chain, done) in enumerate(locked.items())]
    rows = [row for one in pieces(RUNS, RUN_TYPES, given, (events,), (share,)) for row in run(*one).fetchall()]
    found = defaultdict[int, list[Any]](list)
    for chain, *row in rows:
        found[chain].append(row)
    runs = {
        chain: list(takewhile(lambda row: row[1] == int(queue), sorted(some, key=itemgetter(0))))
        for chain, some in found.items()
        if min(some)[1] == int(queue)
    }
    is_all = len(rows) < events
    return runs, [one for one in locked.items() if one[0] not in runs and (is_all or one[0] in found)]


def _leased(chain: int, run: Iterable[Any], queue: Queue, epoch: int, source: str | None, priority: int) -> Lease:
    key = NO_SOURCE if source is None else uuid.UUID(source)
    events = (
        Event(number, key, priority, queue, size, received.replace(tzinfo=dt.UTC), tries, body, file)
        for number, _, size, received, tries, body, file in run
    )
    return Lease(chain, epoch, tuple(events))


def _free(run: Run, chains: Sequence[Any]) -> None:
    """End the leases of chains that this transaction has locked: they are ready, retrying or idle now."""
    if chains:
        for statement, values in pieces(FREE, TOKEN_TYPES, [tuple(one) for one in chains]):
            run(statement, values)


def _tokens(leases: Sequence[Lease]) -> list[tuple[int, int]]:
    return [(lease.chain, lease.epoch) for lease in leases]
