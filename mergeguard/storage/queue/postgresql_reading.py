"""What people and reports ask of the event queue in PostgreSQL.

What watches (sizes, stranded chains) costs as much as there are chains; a list walks the backlog once.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from mergeguard.core.events import NO_SOURCE, Event, Failure, Queue, Reason
from mergeguard.storage.queue import postgresql_parking
from mergeguard.storage.queue.parking import retry_of
from mergeguard.storage.queue.postgresql_parking import FOR_EVER
from mergeguard.storage.queue.postgresql_sessions import Run
from mergeguard.storage.queue.store import ChainState, DeadCount, DeadEvent, QueueSize

_EVENT = "e.id, c.source, c.priority, e.queue, e.size, e.received, e.tries, {body}, e.file"
_CHAIN = """
    SELECT c.source, c.priority, h.queue, s.events, s.oldest, c.owner, c.lease_until, c.retry_at,
        s.inline_bytes, s.file_bytes, h.tries, coalesce(c.done, 0)
    FROM ({chains}) AS c
    CROSS JOIN LATERAL (
        SELECT queue, tries FROM mergeguard_event WHERE chain = c.id ORDER BY id LIMIT 1
    ) AS h
    {sums}
    ORDER BY s.oldest, c.id
"""
_SUMS = """
    SELECT chain, count(*) AS events, min(received) AS oldest,
        coalesce(sum(size) FILTER (WHERE file IS NULL), 0)::bigint AS inline_bytes,
        coalesce(sum(size) FILTER (WHERE file IS NOT NULL), 0)::bigint AS file_bytes
    FROM mergeguard_event
"""
_OF_MANY = f"JOIN ({_SUMS} GROUP BY chain) AS s ON s.chain = c.id"
"""One walk through all events, where most chains are asked for."""
_OF_FEW = f"CROSS JOIN LATERAL ({_SUMS} WHERE chain = c.id GROUP BY chain) AS s"
_CHAINS = _CHAIN.format(
    chains="""
        SELECT c.*, o.received FROM mergeguard_chain AS c CROSS JOIN LATERAL (
            SELECT received FROM mergeguard_event WHERE chain = c.id AND id > c.done_id ORDER BY id LIMIT 1
        ) AS o ORDER BY o.received, c.id LIMIT %s
    """,
    sums=_OF_MANY,
)
_LEFT_ALONE = """
    SELECT found.chain AS id, c.source, coalesce(c.priority, -1) AS priority, c.owner, c.lease_until, c.retry_at, c.done
    FROM found LEFT JOIN mergeguard_chain AS c ON c.id = found.chain
    WHERE found.chain IS NOT NULL AND c.owner IS NULL AND c.since IS NULL AND c.retry_at IS NULL
"""
_STRANDED = f"""
    WITH RECURSIVE found (chain) AS (
        SELECT min(chain) FROM mergeguard_event
        UNION ALL
        SELECT (SELECT min(chain) FROM mergeguard_event WHERE chain > found.chain)
        FROM found WHERE found.chain IS NOT NULL
    )
    {_CHAIN.format(chains=_LEFT_ALONE, sums=_OF_FEW)}
"""  # noqa: S608 - constants
"""One step of the index for each chain that has events, whatever the number of events; a lost chain is found too."""
_FORGOTTEN = _CHAIN.format(
    chains=f"""
        SELECT * FROM mergeguard_chain AS c
        WHERE c.retry_at >= {FOR_EVER} AND NOT EXISTS (SELECT 1 FROM mergeguard_parked AS p WHERE p.chain = c.id)
    """,  # noqa: S608 - constants
    sums=_OF_FEW,
)
"""Parked, and nobody knows why: nothing would ever wake them."""
_SIZES = f"""
    WITH parked AS MATERIALIZED (
        SELECT queue, count(*) AS chains FROM mergeguard_chain WHERE retry_at >= {FOR_EVER} GROUP BY queue
    )
    SELECT q.queue, sum(q.events)::bigint, sum(q.inline_bytes)::bigint, sum(q.file_bytes)::bigint,
        sum(q.registered)::bigint, sum(q.done)::bigint, sum(q.dead)::bigint, sum(q.dead_bytes)::bigint,
        sum(q.retries)::bigint, (
            SELECT min(h.received) FROM mergeguard_chain AS c CROSS JOIN LATERAL (
                SELECT queue, received FROM mergeguard_event WHERE chain = c.id AND id > c.done_id ORDER BY id LIMIT 1
            ) AS h WHERE h.queue = q.queue
        ), coalesce((SELECT chains FROM parked WHERE parked.queue = q.queue), 0)
    FROM mergeguard_queue AS q GROUP BY q.queue ORDER BY q.queue
"""  # noqa: S608 - constants
_WAITING = f"""
    SELECT {_EVENT.format(body="NULL::bytea")}
    FROM (
        SELECT chain, id FROM mergeguard_event
        WHERE NOT %s OR chain IN (SELECT id FROM mergeguard_chain WHERE source IS NOT DISTINCT FROM %s::uuid)
        ORDER BY id LIMIT %s
    ) AS first
    JOIN mergeguard_event AS e ON e.chain = first.chain AND e.id = first.id
    JOIN mergeguard_chain AS c ON c.id = e.chain
    ORDER BY e.id
"""  # noqa: S608 - constants
_ONE = f"""
    SELECT {_EVENT.format(body="e.body")}
    FROM mergeguard_chain AS c CROSS JOIN LATERAL (
        SELECT * FROM mergeguard_event WHERE chain = c.id AND id = %s
    ) AS e
"""  # noqa: S608 - constants
DEAD = """
    SELECT id, source, priority, queue, size, received, tries, body, file, kind, message, reason, died
    FROM mergeguard_dead_event
"""
_DEAD = DEAD + "ORDER BY died, id LIMIT %s"
_DEAD_AFTER = DEAD + "WHERE id > %s ORDER BY id LIMIT %s"
_ONE_DEAD = DEAD + "WHERE id = %s"
_LATER_DONE = """
    SELECT c.done - d.done_before FROM mergeguard_dead_event AS d JOIN mergeguard_chain AS c ON c.id = d.chain
    WHERE d.id = %s
"""
_FILES = """
    SELECT file, id FROM mergeguard_event WHERE file IS NOT NULL
    UNION ALL SELECT file, id FROM mergeguard_dead_event WHERE file IS NOT NULL
"""
_DEAD_COUNTS = """
    SELECT source, priority, count(*), sum(size)::bigint FROM mergeguard_dead_event
    GROUP BY source, priority ORDER BY 3 DESC, 1, 2 LIMIT %s
"""


def stranded(run: Run) -> Sequence[ChainState]:
    """Return chains that have events, and that are neither ready nor leased nor retrying nor parked."""
    found = [_chain(row) for row in run(_STRANDED)]
    if postgresql_parking.stands(run):
        found += [_chain(row) for row in run(_FORGOTTEN)]
    return found


def sizes(run: Run) -> Sequence[QueueSize]:
    """Return the counters."""
    return [QueueSize(Queue(queue), *counts) for queue, *counts in run(_SIZES)]


def chains(run: Run, limit: int) -> Sequence[ChainState]:
    """Return the chains with events, the one whose head came first before all."""
    return [_chain(row) for row in run(_CHAINS, (limit,))]


def waiting(run: Run, limit: int, source: str | None) -> Sequence[Event]:
    """Return pending events without their bodies; a source that is no guid has none."""
    try:
        key = NO_SOURCE if not source else uuid.UUID(source)
    except ValueError:
        return []
    asked = (source is not None, None if key == NO_SOURCE else key, limit)
    return [_event(row) for row in run(_WAITING, asked)]


def dead(run: Run, limit: int) -> Sequence[DeadEvent]:
    """Return dead events."""
    return [dead_event(row) for row in run(_DEAD, (limit,))]


def dead_after(run: Run, number: int, limit: int) -> Sequence[DeadEvent]:
    """Return dead events behind one of them, by their ids."""
    return [dead_event(row) for row in run(_DEAD_AFTER, (number, limit))]


def event(run: Run, number: int) -> Event | DeadEvent | None:
    """Return one event."""
    row = run(_ONE, (number,)).fetchone()
    if row is not None:
        return _event(row)
    row = run(_ONE_DEAD, (number,)).fetchone()
    return None if row is None else dead_event(row)


def later_done(run: Run, number: int) -> int:
    """Return how many events were done in a dead one's chain after it had died; its chain is gone where it had none."""
    row = run(_LATER_DONE, (number,)).fetchone()
    return 0 if row is None else int(row[0])


def files(run: Run) -> Mapping[str, int]:
    """Return the files that rows name."""
    return dict(run(_FILES).fetchall())


def dead_counts(run: Run, limit: int) -> Sequence[DeadCount]:
    """Return how many dead events the keys have."""
    return [DeadCount(_source(source), *counts) for source, *counts in run(_DEAD_COUNTS, (limit,))]


def now(run: Run) -> dt.datetime:
    """Return the database's time."""
    row = run("SELECT clock_timestamp()").fetchone()
    assert row is not None  # noqa: S101 - for the type checker
    found: dt.datetime = row[0]
    return found


def dead_event(row: Sequence[Any]) -> DeadEvent:
    """Return a row of ``DEAD``."""
    *values, kind, message, reason, died = row
    found = _event(values)
    return DeadEvent(found, Failure(found.id, kind, message, None, Reason(reason)), died)


def _event(row: Sequence[Any]) -> Event:
    number, source, priority, queue, size, received, tries, body, file = row
    key = NO_SOURCE if source is None else source
    return Event(number, key, priority, Queue(queue), size, received, tries, body, file)


def _chain(row: Sequence[Any]) -> ChainState:
    source, priority, queue, events, oldest, owner, until, retry_at, *others = row
    again, parked = retry_of(retry_at)
    values: list[Any] = [events, oldest, owner, until, again, *others, parked]
    return ChainState(_source(source), priority, Queue(queue), *values)


def _source(source: uuid.UUID | None) -> str:
    return str(NO_SOURCE if source is None else source)
