"""What people and reports ask of the event queue in SQL Server; the cost grows with chains, not with the backlog."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from mergeguard.core.events import NO_SOURCE, Event, Failure, Queue, Reason
from mergeguard.storage.queue import mssql_parking
from mergeguard.storage.queue.mssql_sessions import Run
from mergeguard.storage.queue.parking import retry_of
from mergeguard.storage.queue.store import ChainState, DeadCount, DeadEvent, QueueSize

_EVENT = "e.id, CONVERT(char(36), c.source), c.priority, e.queue, e.size, e.received, e.tries, {body}, e.[file]"
_HEAD = "SELECT TOP (1) queue, tries, received FROM mergeguard_event WHERE chain = c.id AND id > c.done_id ORDER BY id"
_SUMS = """
    SELECT COUNT(*) AS events, MIN(received) AS oldest,
        COALESCE(SUM(CASE WHEN [file] IS NULL THEN size END), 0) AS inline_bytes,
        COALESCE(SUM(CASE WHEN [file] IS NOT NULL THEN size END), 0) AS file_bytes
    FROM mergeguard_event WHERE chain = c.id
"""
_CHAIN = (
    "SELECT {top} CONVERT(char(36), c.source), c.priority, h.queue, s.events, "  # noqa: S608 - constants
    "s.oldest, c.owner, c.lease_until, "
    f"c.retry_at, s.inline_bytes, s.file_bytes, h.tries, c.done FROM {{chains}} AS c CROSS APPLY ({_HEAD}) AS h "
    f"CROSS APPLY ({_SUMS}) AS s {{where}} ORDER BY h.received, c.id"
)
CHAINS = _CHAIN.format(top="TOP (?)", chains="mergeguard_chain", where="")
STRANDED = _CHAIN.format(
    top="", chains="mergeguard_chain", where="WHERE c.owner IS NULL AND c.since IS NULL AND c.retry_at IS NULL"
)
FORGOTTEN = _CHAIN.format(
    top="",
    chains="mergeguard_chain",
    where="WHERE c.retry_at >= CONVERT(datetime2(6), '9999-12-31T00:00:00', 126) "
    "AND NOT EXISTS (SELECT 1 FROM mergeguard_parked AS p WHERE p.chain = c.id)",
)
"""Parked, and nobody knows why: nothing would ever wake them."""
WITHOUT_CHAIN = _CHAIN.format(
    top="",
    chains="(SELECT DISTINCT chain AS id, CAST(NULL AS uniqueidentifier) AS source, -1 AS priority, "
    "CAST(NULL AS nvarchar(200)) AS owner, CAST(NULL AS datetime2(6)) AS lease_until, "
    "CAST(NULL AS datetime2(6)) AS retry_at, CAST(0 AS bigint) AS done_id, "
    "CAST(0 AS bigint) AS done FROM mergeguard_event AS o "
    "WHERE NOT EXISTS (SELECT 1 FROM mergeguard_chain AS m WHERE m.id = o.chain))",
    where="",
)
SIZES = f"""
    SELECT q.queue, q.events, q.inline_bytes, q.file_bytes, q.registered, q.done, q.dead, q.dead_bytes, q.retries,
        COALESCE(p.parked, 0), h.oldest
    FROM (
        SELECT queue, SUM(events) AS events, SUM(inline_bytes) AS inline_bytes, SUM(file_bytes) AS file_bytes,
            SUM(registered) AS registered, SUM(done) AS done, SUM(dead) AS dead, SUM(dead_bytes) AS dead_bytes,
            SUM(retries) AS retries
        FROM mergeguard_queue GROUP BY queue
    ) AS q
    LEFT JOIN (
        SELECT h.queue, MIN(h.received) AS oldest FROM mergeguard_chain AS c
        CROSS APPLY ({_HEAD}) AS h GROUP BY h.queue
    ) AS h ON h.queue = q.queue
    LEFT JOIN (
        SELECT queue, COUNT(*) AS parked FROM mergeguard_chain
        WHERE retry_at >= CONVERT(datetime2(6), '9999-12-31T00:00:00', 126) GROUP BY queue
    ) AS p ON p.queue = q.queue
    ORDER BY q.queue
"""  # noqa: S608 - constants
WAITING = (
    f"SELECT TOP (?) {_EVENT.format(body='CAST(NULL AS varbinary(max))')} "  # noqa: S608 - constants
    "FROM mergeguard_chain AS c "
    "JOIN mergeguard_event AS e ON e.chain = c.id {where} ORDER BY e.id"
)
WHERE_SOURCE = {
    "every": "",
    "none": "WHERE c.source IS NULL",
    "one": "WHERE c.source = CAST(? AS uniqueidentifier)",
}
ONE = (
    f"SELECT {_EVENT.format(body='e.body')} FROM mergeguard_chain AS c "  # noqa: S608 - constants
    "JOIN mergeguard_event AS e ON e.chain = c.id AND e.id = ?"
)
_DEAD = (
    "CONVERT(char(36), source), priority, queue, size, received, tries, body, [file], kind, message, reason, died "
    "FROM mergeguard_dead_event"
)
DEAD = f"SELECT TOP (?) id, {_DEAD} ORDER BY died, id"
DEAD_AFTER = f"SELECT TOP (?) id, {_DEAD} WHERE id > ? ORDER BY id"
ONE_DEAD = f"SELECT id, {_DEAD} WHERE id = ?"
LATER_DONE = (
    "SELECT c.done - d.done_before FROM mergeguard_dead_event AS d JOIN mergeguard_chain AS c ON c.id = d.chain "
    "WHERE d.id = ?"
)
FILES = (
    "SELECT [file], id FROM mergeguard_event WHERE [file] IS NOT NULL "
    "UNION ALL SELECT [file], id FROM mergeguard_dead_event WHERE [file] IS NOT NULL"
)
DEAD_COUNTS = (
    "SELECT TOP (?) CONVERT(char(36), source), priority, COUNT(*), SUM(size) FROM mergeguard_dead_event "
    "GROUP BY source, priority ORDER BY COUNT(*) DESC, source, priority"
)
NOW = "SELECT SYSUTCDATETIME()"


def stranded(run: Run) -> Sequence[ChainState]:
    """Return chains that have events, and that are neither ready nor leased nor retrying nor parked."""
    looks = (STRANDED, WITHOUT_CHAIN, *([FORGOTTEN] if mssql_parking.stands(run) else []))
    return [_chain(row) for statement in looks for row in run(statement).fetchall()]


def sizes(run: Run) -> Sequence[QueueSize]:
    """Return the counters."""
    found = []
    for queue, *counts, parked, oldest in run(SIZES).fetchall():
        values: list[Any] = [*map(int, counts), _aware(oldest), int(parked)]
        found.append(QueueSize(Queue(queue), *values))
    return found


def chains(run: Run, limit: int) -> Sequence[ChainState]:
    """Return the chains with events, the one whose head came first before all."""
    return [_chain(row) for row in run(CHAINS, (limit,)).fetchall()]


def waiting(run: Run, limit: int, source: str | None) -> Sequence[Event]:
    """Return pending events without their bodies; a source that is no guid has none."""
    try:
        key = NO_SOURCE if not source else uuid.UUID(source)
    except ValueError:
        return []
    which = "every" if source is None else "none" if key == NO_SOURCE else "one"
    values = (limit, str(key)) if which == "one" else (limit,)
    return [_event(row) for row in run(WAITING.format(where=WHERE_SOURCE[which]), values).fetchall()]


def dead(run: Run, limit: int) -> Sequence[DeadEvent]:
    """Return dead events."""
    return [_dead(row) for row in run(DEAD, (limit,)).fetchall()]


def dead_after(run: Run, number: int, limit: int) -> Sequence[DeadEvent]:
    """Return dead events behind one of them, by their ids."""
    return [_dead(row) for row in run(DEAD_AFTER, (limit, number)).fetchall()]


def event(run: Run, number: int) -> Event | DeadEvent | None:
    """Return one event."""
    row = run(ONE, (number,)).fetchone()
    if row is not None:
        return _event(row)
    row = run(ONE_DEAD, (number,)).fetchone()
    return None if row is None else _dead(row)


def later_done(run: Run, number: int) -> int:
    """Return how many events were done in a dead one's chain after it had died; its chain is gone where it had none."""
    row = run(LATER_DONE, (number,)).fetchone()
    return 0 if row is None else int(row[0])


def files(run: Run) -> Mapping[str, int]:
    """Return the files that rows name."""
    return {file: int(number) for file, number in run(FILES).fetchall()}


def dead_counts(run: Run, limit: int) -> Sequence[DeadCount]:
    """Return how many dead events the keys have."""
    rows = run(DEAD_COUNTS, (limit,)).fetchall()
    return [DeadCount(str(_key(source)), priority, events, int(size)) for source, priority, events, size in rows]


def now(run: Run) -> dt.datetime:
    """Return the database's time."""
    found: dt.datetime = run(NOW).fetchone()[0]
    return found.replace(tzinfo=dt.UTC)


def _event(row: Sequence[Any]) -> Event:
    number, source, priority, queue, size, received, tries, body, file = row
    received = received.replace(tzinfo=dt.UTC)
    return Event(number, _key(source), priority, Queue(queue), size, received, tries, body, file)


def _dead(row: Sequence[Any]) -> DeadEvent:
    *values, kind, message, reason, died = row
    found = _event(values)
    return DeadEvent(found, Failure(found.id, kind, message, None, Reason(reason)), died.replace(tzinfo=dt.UTC))


def _chain(row: Sequence[Any]) -> ChainState:
    source, priority, queue, events, oldest, owner, lease_until, retry_at, *sums = row
    again, parked = retry_of(_aware(retry_at))
    values: list[Any] = [_aware(oldest), owner, _aware(lease_until), again, *map(int, sums), parked]
    return ChainState(str(_key(source)), priority, Queue(queue), events, *values)


def _key(source: str | None) -> uuid.UUID:
    return NO_SOURCE if source is None else uuid.UUID(source)


def _aware(time: dt.datetime | None) -> dt.datetime | None:
    return None if time is None else time.replace(tzinfo=dt.UTC)
