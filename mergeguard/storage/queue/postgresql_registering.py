"""Registration: events get their ids and stand behind the ones before them, all in one statement.

The order of the locks is the counters of part 0, then chains by key; nobody takes them the other way round. A chain
is locked before an id is taken, so within a chain ids ascend in the order of commits. What one statement reads is of
one moment, but a row that it locks is read anew, and an INSERT that meets a row finds it whenever that was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mergeguard.core.events import NO_SOURCE, Denied, NewEvent, Queue, Reason, Registered
from mergeguard.storage.queue.postgresql_lists import guids, numbers
from mergeguard.storage.queue.postgresql_sessions import Run

_LOCK_COUNTERS = "SELECT 1 FROM mergeguard_queue WHERE part = 0 ORDER BY queue FOR UPDATE"
_FILE_BYTES = "SELECT sum(file_bytes)::bigint FROM mergeguard_queue"
_IDLE = "c.since IS NULL AND c.owner IS NULL AND c.retry_at IS NULL"
_REGISTER = f"""
    WITH counted AS (
        UPDATE mergeguard_queue AS q SET events = q.events + k.events, inline_bytes = q.inline_bytes + k.inline_bytes,
            file_bytes = q.file_bytes + k.file_bytes, registered = q.registered + k.events
        FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[])
            AS k (queue, events, inline_bytes, file_bytes)
        WHERE q.queue = k.queue AND q.part = 0
        RETURNING q.queue
    ), asked AS MATERIALIZED (
        SELECT k.* FROM unnest(%s::uuid[], %s::integer[], %s::smallint[]) AS k (source, priority, queue)
        WHERE (SELECT count(*) FROM counted) > 0
    ), locked AS MATERIALIZED (
        SELECT c.id, k.source, k.priority, k.queue, c.is_idle
        FROM asked AS k CROSS JOIN LATERAL (
            SELECT c.id, {_IDLE} AS is_idle FROM mergeguard_chain AS c
            WHERE c.source = k.source AND c.priority = k.priority FOR NO KEY UPDATE
        ) AS c
    ), woken AS (
        UPDATE mergeguard_chain AS c
        SET since = clock_timestamp(), queue = k.queue, owner = NULL, lease_until = NULL, retry_at = NULL
        FROM locked AS k WHERE c.id = k.id AND k.is_idle
    ), made AS (
        INSERT INTO mergeguard_chain AS c (source, priority, queue, since)
        SELECT k.source, k.priority, k.queue, clock_timestamp() FROM asked AS k
        WHERE NOT EXISTS (SELECT FROM locked AS c WHERE c.source = k.source AND c.priority = k.priority)
        ORDER BY k.source, k.priority
        ON CONFLICT (source, priority) WHERE source IS NOT NULL
        DO UPDATE SET since = CASE WHEN {_IDLE} THEN excluded.since ELSE c.since END,
            queue = CASE WHEN {_IDLE} THEN excluded.queue ELSE c.queue END
        RETURNING c.id, c.source, c.priority
    ), placed AS MATERIALIZED (
        SELECT nextval('mergeguard_event_id') AS id, e.*
        FROM (
            SELECT k.*, c.id AS chain
            FROM unnest(%s::uuid[], %s::integer[], %s::smallint[], %s::bigint[], %b::bytea[], %s::text[])
                WITH ORDINALITY AS k (source, priority, queue, size, body, file, place)
            LEFT JOIN (
                SELECT id, source, priority FROM locked UNION ALL SELECT id, source, priority FROM made
            ) AS c ON c.source = k.source AND c.priority = k.priority
            ORDER BY k.place
        ) AS e
    ), own AS (
        INSERT INTO mergeguard_chain (id, priority, queue, since)
        SELECT -e.id, e.priority, e.queue, clock_timestamp() FROM placed AS e WHERE e.source IS NULL
    )
    INSERT INTO mergeguard_event (chain, id, queue, size, received, body, file)
    SELECT CASE WHEN e.source IS NULL THEN -e.id ELSE e.chain END, e.id, e.queue, e.size, clock_timestamp(),
        e.body, e.file
    FROM placed AS e RETURNING id
"""  # noqa: S608 - a constant
"""Counters, then the chains that stand, then those that do not, then ids, for which all chains have to be sorted out.

Most chains are locked and nothing else: a new version of each for every event would burden whoever reads it after.
Only one that came to stand since the statement began is met by the INSERT, and then written. What is NULL in an idle
chain is set all the same: its row as it was at the beginning, perhaps leased, must not fail the table's checks.
"""
_EXHUME = """
    DELETE FROM mergeguard_dead_event WHERE id = %s RETURNING source, priority, queue, size, body, file
"""
_COUNT_DEAD = """
    UPDATE mergeguard_queue SET dead = dead - 1, dead_bytes = dead_bytes - %s WHERE queue = %s AND part = 0
"""


def is_short(events: Sequence[NewEvent], file_limit: int) -> bool:
    """Say whether the statement needs no counters locked before it: it takes one, and denies nothing."""
    queue = events[0].queue
    return all(event.queue is queue and (event.file is None or file_limit <= 0) for event in events)


def register(run: Run, events: Sequence[NewEvent], file_limit: int = 0) -> Sequence[Registered | Denied]:
    """Write events at the ends of their chains; an event that would make the pending files too large is denied."""
    if not _is_limited(events, file_limit):
        return [Registered(number) for number in write(run, events)]
    run(_LOCK_COUNTERS)
    pending = _pending_bytes(run)
    let_in: list[NewEvent] = []
    is_in: list[bool] = []
    for event in events:
        size = 0 if event.file is None else event.size
        is_in.append(event.file is None or pending + size <= file_limit)
        if is_in[-1]:
            pending += size
            let_in.append(event)
    numbers = iter(_written(run, let_in))
    return [Registered(next(numbers)) if fits else Denied(Reason.FULL) for fits in is_in]


def write(run: Run, events: Sequence[NewEvent]) -> Sequence[int]:
    """Register events whatever the limit is; return their ids."""
    if not is_short(events, 0):
        run(_LOCK_COUNTERS)
    return _written(run, events)


def exhume(run: Run, number: int) -> NewEvent | None:
    """Take a dead event out of its table and off the counters."""
    row = run(_EXHUME, (number,)).fetchone()
    if row is None:
        return None
    source, priority, queue, size, body, file = row
    run(_COUNT_DEAD, (size, queue))
    return NewEvent(source or NO_SOURCE, priority, Queue(queue), size, body, file)


def _is_limited(events: Iterable[NewEvent], file_limit: int) -> bool:
    return file_limit > 0 and any(event.file is not None for event in events)


def _pending_bytes(run: Run) -> int:
    """Return the bytes in files; nobody else adds to them any more. Workers may still take some away."""
    return int((run(_FILE_BYTES).fetchone() or (0,))[0])


def _written(run: Run, events: Sequence[NewEvent]) -> Sequence[int]:
    """Write counters, chains and events; return the ids in the order of the events."""
    if not events:
        return []
    return sorted([row[0] for row in run(_REGISTER, _values(events)).fetchall()])


def _values(events: Sequence[NewEvent]) -> Sequence[Any]:
    """Return what the statement is given. Guids are numbers here: objects that compare by calls cost too much."""
    sources, priorities = [event.source.int for event in events], [event.priority for event in events]
    queues, sizes = [int(event.queue) for event in events], [event.size for event in events]
    bodies, files = [event.body for event in events], [event.file for event in events]
    heads: dict[tuple[int, int], int] = {}
    for key, queue in zip(zip(sources, priorities, strict=True), queues, strict=True):
        if key[0]:
            heads.setdefault(key, queue)
    keys = sorted(heads)
    return (
        *_counts(queues, sizes, files),
        guids([source for source, _ in keys]),
        numbers([priority for _, priority in keys]),
        numbers([heads[key] for key in keys]),
        guids(sources),
        *map(numbers, (priorities, queues, sizes)),
        _unless_empty(bodies),
        _unless_empty(files),
    )


def _counts(queues: Sequence[int], sizes: Sequence[int], files: Sequence[str | None]) -> Iterator[str]:
    """Yield the queues, and by how much the counters of each grow: events, bytes in rows, bytes in files."""
    grown = {queue: [0, 0, 0] for queue in sorted(set(queues))}
    for queue, size, file in zip(queues, sizes, files, strict=True):
        counters = grown[queue]
        counters[0] += 1
        counters[1 if file is None else 2] += size
    yield numbers(list(grown))
    for at in range(3):
        yield numbers([counters[at] for counters in grown.values()])


def _unless_empty(column: Sequence[Any]) -> Sequence[Any] | None:
    return None if column.count(None) == len(column) else column
