"""Parked events in SQL Server: why they wait, and what lets them go."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from mergeguard.core.events import NO_SOURCE, Event, Queue
from mergeguard.storage.queue.mssql_lists import pieces
from mergeguard.storage.queue.mssql_sessions import Run
from mergeguard.storage.queue.parking import parked_event
from mergeguard.storage.queue.store import ParkedEvent

STANDS = "SELECT CASE WHEN OBJECT_ID(N'mergeguard_parked') IS NULL THEN 0 ELSE 1 END"
PARKED = """
    SELECT TOP (?) e.id, CONVERT(char(36), c.source), c.priority, e.queue, e.size, e.received, e.tries, e.[file],
        p.status, p.guids, p.message, p.since
    FROM mergeguard_parked AS p
    JOIN mergeguard_chain AS c ON c.id = p.chain AND c.retry_at >= CONVERT(datetime2(6), '9999-12-31T00:00:00', 126)
    JOIN mergeguard_event AS e ON e.chain = p.chain AND e.id = p.event
    WHERE p.event > ? ORDER BY p.event
"""
LET_GO = """
    UPDATE c SET retry_at = NULL, since = CASE WHEN c.owner IS NULL THEN SYSUTCDATETIME() END OUTPUT inserted.id
    FROM mergeguard_chain AS c
    JOIN mergeguard_parked AS p ON p.chain = c.id
    JOIN {given} AS k (event) ON k.event = p.event
    WHERE c.retry_at >= CONVERT(datetime2(6), '9999-12-31T00:00:00', 126)
"""
"""A chain whose worker has not given it back yet is made ready by that."""
FORGET = "DELETE p FROM mergeguard_parked AS p JOIN {given} AS k (chain) ON p.chain = k.chain"


def stands(run: Run) -> bool:
    """Say whether the database has the table: an earlier version did not make it."""
    return bool(run(STANDS).fetchone()[0])


def wake(run: Run, events: Sequence[int]) -> int:
    """Make the chains of parked events ready; return how many."""
    if not events or not stands(run):
        return 0
    chains: set[int] = set()
    for statement, values in pieces(LET_GO, ("bigint",), [(number,) for number in events]):
        chains |= {int(row[0]) for row in run(statement, values).fetchall()}
    if chains:
        for statement, values in pieces(FORGET, ("bigint",), [(chain,) for chain in sorted(chains)]):
            run(statement, values)
    return len(chains)


def parked(run: Run, limit: int, after: int) -> Sequence[ParkedEvent]:
    """Return parked events without their bodies."""
    if not stands(run):
        return []
    found = []
    for *columns, status, guids, message, since in run(PARKED, (limit, after)).fetchall():
        number, source, priority, queue, size, received, tries, file = columns
        key = NO_SOURCE if source is None else uuid.UUID(source)
        came = received.replace(tzinfo=dt.UTC)
        event = Event(number, key, priority, Queue(queue), size, came, tries, None, file)
        found.append(parked_event(event, status, guids, message, since.replace(tzinfo=dt.UTC)))
    return found
