"""Parked events in PostgreSQL: why they wait, and what lets them go."""

from __future__ import annotations

from collections.abc import Sequence

from mergeguard.core.events import NO_SOURCE, Event, Queue
from mergeguard.storage.queue.parking import parked_event
from mergeguard.storage.queue.postgresql_sessions import Run
from mergeguard.storage.queue.store import ParkedEvent

FOR_EVER = "timestamptz '9999-12-31 00:00:00+00'"
PARK = """
    INSERT INTO mergeguard_parked (chain, event, status, guids, message, since)
    SELECT e.chain, e.id, CAST(%s AS text), CAST(%s AS text), CAST(%s AS text), clock_timestamp()
    FROM mergeguard_event AS e WHERE e.chain = %s AND e.id = %s
    ON CONFLICT (chain) DO UPDATE SET event = excluded.event, status = excluded.status, guids = excluded.guids,
        message = excluded.message, since = excluded.since
"""
"""A row that stands there already is left over: somebody freed the chain by hand. What is done is not parked."""
_STANDS = "SELECT to_regclass('mergeguard_parked') IS NOT NULL"
_PARKED = f"""
    SELECT e.id, c.source, c.priority, e.queue, e.size, e.received, e.tries, e.file,
        p.status, p.guids, p.message, p.since
    FROM mergeguard_parked AS p
    JOIN mergeguard_chain AS c ON c.id = p.chain AND c.retry_at >= {FOR_EVER}
    JOIN mergeguard_event AS e ON e.chain = p.chain AND e.id = p.event
    WHERE p.event > %s ORDER BY p.event LIMIT %s
"""  # noqa: S608 - a constant
_LOCK = f"""
    SELECT c.id FROM mergeguard_parked AS p JOIN mergeguard_chain AS c ON c.id = p.chain
    WHERE p.event = ANY(%s::bigint[]) AND c.retry_at >= {FOR_EVER}
    ORDER BY c.source, c.priority, c.id FOR NO KEY UPDATE OF c
"""  # noqa: S608 - a constant
_FREE = """
    UPDATE mergeguard_chain SET retry_at = NULL, since = CASE WHEN owner IS NULL THEN clock_timestamp() END
    WHERE id = ANY(%s::bigint[])
"""
"""A chain whose worker has not given it back yet is made ready by that."""
_FORGET = "DELETE FROM mergeguard_parked WHERE chain = ANY(%s::bigint[])"


def stands(run: Run) -> bool:
    """Say whether the database has the table: an earlier version did not make it."""
    row = run(_STANDS).fetchone()
    return row is not None and bool(row[0])


def wake(run: Run, events: Sequence[int]) -> int:
    """Make the chains of parked events ready, locked in the order in which everybody does; return how many."""
    if not events or not stands(run):
        return 0
    chains = [int(row[0]) for row in run(_LOCK, (list(events),))]
    if chains:
        run(_FREE, (chains,))
        run(_FORGET, (chains,))
    return len(chains)


def parked(run: Run, limit: int, after: int) -> Sequence[ParkedEvent]:
    """Return parked events without their bodies."""
    if not stands(run):
        return []
    found = []
    for *columns, status, guids, message, since in run(_PARKED, (after, limit)):
        number, source, priority, queue, size, received, tries, file = columns
        event = Event(number, source or NO_SOURCE, priority, Queue(queue), size, received, tries, None, file)
        found.append(parked_event(event, status, guids, message, since))
    return found
