"""Registration in SQL Server: one session at a time, by the server's application lock, until its commit.

A chain's row is written before an id is taken, so a worker that gives the chain back waits, and sees the event then.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

from mergeguard.core.events import NO_SOURCE, Denied, NewEvent, Queue, Reason, Registered
from mergeguard.storage.queue.mssql_lists import pieces
from mergeguard.storage.queue.mssql_sessions import Run
from mergeguard.storage.queue.mssql_tables import lock

Key: TypeAlias = tuple[uuid.UUID, int]
FILE_BYTES = "SELECT SUM(file_bytes) FROM mergeguard_queue"
COUNT = (
    "UPDATE mergeguard_queue SET events = events + ?, inline_bytes = inline_bytes + ?, file_bytes = file_bytes + ?, "
    "registered = registered + ? WHERE queue = ? AND part = 0"
)
KEY_TYPES = ("uniqueidentifier", "int", "smallint")
CHAINS = """
    UPDATE c SET
        queue = CASE WHEN c.since IS NULL AND c.owner IS NULL AND c.retry_at IS NULL THEN k.queue ELSE c.queue END,
        since = CASE WHEN c.since IS NULL AND c.owner IS NULL AND c.retry_at IS NULL THEN SYSUTCDATETIME()
            ELSE c.since END
    FROM mergeguard_chain AS c WITH (ROWLOCK)
    JOIN {given} AS k (source, priority, queue) ON c.source = k.source AND c.priority = k.priority
"""
"""Writes every chain, the ones that it has no reason to change too: that is its lock."""
NEW_CHAINS = """
    INSERT INTO mergeguard_chain (source, priority, queue, since)
    SELECT k.source, k.priority, k.queue, SYSUTCDATETIME() FROM {given} AS k (source, priority, queue)
    WHERE NOT EXISTS (SELECT 1 FROM mergeguard_chain AS c WHERE c.source = k.source AND c.priority = k.priority)
"""
FIND_CHAINS = """
    SELECT CONVERT(char(36), c.source), c.priority, c.id FROM mergeguard_chain AS c
    JOIN {given} AS k (source, priority, queue) ON c.source = k.source AND c.priority = k.priority
"""
IDS = (
    "SET NOCOUNT ON; DECLARE @first sql_variant; EXEC sys.sp_sequence_get_range "
    "@sequence_name = N'mergeguard_event_id', @range_size = ?, @range_first_value = @first OUTPUT; "
    "SELECT CAST(@first AS bigint)"
)
OWN_TYPES = ("bigint", "int", "smallint")
OWN_CHAINS = """
    INSERT INTO mergeguard_chain (id, priority, queue, since)
    SELECT k.id, k.priority, k.queue, SYSUTCDATETIME() FROM {given} AS k (id, priority, queue)
"""
EVENT_TYPES = ("bigint", "bigint", "smallint", "bigint", "varbinary(max)", "nvarchar(260)")
EVENTS = """
    INSERT INTO mergeguard_event (chain, id, queue, size, received, tries, body, [file])
    SELECT k.chain, k.id, k.queue, k.size, SYSUTCDATETIME(), 0, k.body, k.name
    FROM {given} AS k (chain, id, queue, size, body, name)
"""
EXHUME = (
    "DELETE FROM mergeguard_dead_event OUTPUT CONVERT(char(36), deleted.source), deleted.priority, deleted.queue, "
    "deleted.size, deleted.body, deleted.[file] WHERE id = ?"
)
COUNT_DEAD = "UPDATE mergeguard_queue SET dead = dead - 1, dead_bytes = dead_bytes - ? WHERE queue = ? AND part = 0"


def register(run: Run, events: Sequence[NewEvent], file_limit: int) -> Sequence[Registered | Denied]:
    """Write events at the ends of their chains; an event that would make the pending files too large is denied."""
    lock(run)
    pending = int(run(FILE_BYTES).fetchone()[0] or 0) if file_limit else 0
    accepted: list[NewEvent] = []
    is_in: list[bool] = []
    for event in events:
        size = 0 if event.file is None else event.size
        fits = not file_limit or event.file is None or pending + size <= file_limit
        is_in.append(fits)
        if fits:
            pending += size
            accepted.append(event)
    numbers = iter(_write(run, accepted))
    return [Registered(next(numbers)) if fits else Denied(Reason.FULL) for fits in is_in]


def write(run: Run, events: Sequence[NewEvent]) -> list[int]:
    """Register events whatever the limit is; return their ids."""
    lock(run)
    return _write(run, events)


def exhume(run: Run, number: int) -> NewEvent | None:
    """Take a dead event out of its table and off the counters."""
    row = run(EXHUME, (number,)).fetchone()
    if row is None:
        return None
    source, priority, queue, size, body, file = row
    run(COUNT_DEAD, (size, queue))
    return NewEvent(NO_SOURCE if source is None else uuid.UUID(source), priority, Queue(queue), size, body, file)


def _write(run: Run, events: Sequence[NewEvent]) -> list[int]:
    if not events:
        return []
    _count(run, events)
    chains = _chains(run, events)
    first = int(run(IDS, (len(events),)).fetchone()[0])
    numbers = range(first, first + len(events))
    own = [(-number, one.priority, int(one.queue)) for number, one in _numbered(numbers, events) if _has_none(one)]
    _send(run, OWN_CHAINS, OWN_TYPES, own)
    rows = [
        (-number if _has_none(one) else chains[one.source, one.priority], number, int(one.queue), one.size, one.body,
         one.file)
        for number, one in _numbered(numbers, events)
    ]  # fmt: skip
    _send(run, EVENTS, EVENT_TYPES, rows)
    return list(numbers)


def _numbered(numbers: Sequence[int], events: Sequence[NewEvent]) -> Sequence[tuple[int, NewEvent]]:
    return list(zip(numbers, events, strict=True))


def _has_none(event: NewEvent) -> bool:
    return event.source == NO_SOURCE


def _count(run: Run, events: Sequence[NewEvent]) -> None:
    counts, inline, files = Counter[Queue](), Counter[Queue](), Counter[Queue]()
    for event in events:
        counts[event.queue] += 1
        (inline if event.file is None else files)[event.queue] += event.size
    for queue in sorted(counts):
        run(COUNT, (counts[queue], inline[queue], files[queue], counts[queue], int(queue)))


def _chains(run: Run, events: Sequence[NewEvent]) -> dict[Key, int]:
    """Write the chains of the keys, those that are new too, and return their ids."""
    heads: dict[Key, Queue] = {}
    for event in events:
        if not _has_none(event):
            heads.setdefault((event.source, event.priority), event.queue)
    rows = [(str(source), priority, int(heads[source, priority])) for source, priority in sorted(heads)]
    found: dict[Key, int] = {}
    if rows:
        _send(run, CHAINS, KEY_TYPES, rows)
        _send(run, NEW_CHAINS, KEY_TYPES, rows)
        for statement, values in pieces(FIND_CHAINS, KEY_TYPES, rows):
            for source, priority, chain in run(statement, values).fetchall():
                found[uuid.UUID(source), priority] = int(chain)
    return found


def _send(run: Run, statement: str, types: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        for piece, values in pieces(statement, types, rows):
            run(piece, values)
