"""The end of a batch in PostgreSQL: what is done is deleted, failures are noted, the dead are moved, all fenced."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mergeguard.storage.queue.finishing import NO_PAUSE, PARKED, Finish, Step, lost
from mergeguard.storage.queue.parking import spelt
from mergeguard.storage.queue.postgresql_lists import numbers
from mergeguard.storage.queue.postgresql_parking import FOR_EVER, PARK
from mergeguard.storage.queue.postgresql_tables import PARTS
from mergeguard.storage.queue.statements import Group, of_rows, with_percents

if TYPE_CHECKING:
    import psycopg

ROWS = 64
"""Of an INSERT at once: always as many, so that the server keeps its plan."""
PARAMETERS = 65_535
"""Of one statement, at most: the protocol counts them in two bytes."""
_BURY = """
    INSERT INTO mergeguard_dead_event (id, chain, source, priority, queue, size, received, tries, file, body,
                                       kind, message, reason, died, done_before)
    SELECT e.id, e.chain, c.source, c.priority, e.queue, e.size, e.received, e.tries + 1, e.file, e.body,
           %s, %s, %s, clock_timestamp(), c.done + %s
    FROM mergeguard_event AS e JOIN mergeguard_chain AS c ON c.id = e.chain WHERE e.chain = %s AND e.id = %s
"""
_DELETE = """
    DELETE FROM mergeguard_event AS e USING unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS k (chain, first, last)
    WHERE e.chain = k.chain AND e.id BETWEEN k.first AND k.last
"""
_TRIED = """
    UPDATE mergeguard_event AS e SET tries = e.tries + 1
    FROM unnest(%s::bigint[], %s::bigint[]) AS k (chain, id) WHERE e.chain = k.chain AND e.id = k.id
"""
_FENCED = f"""
    WITH mine AS (
        SELECT c.id, k.done_id, k.done, k.pause FROM mergeguard_chain AS c
        JOIN unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
            AS k (id, epoch, done_id, done, pause) ON c.id = k.id
        WHERE c.owner = %s AND c.epoch = k.epoch
        ORDER BY c.source, c.priority, c.id FOR NO KEY UPDATE OF c
    )
    UPDATE mergeguard_chain AS c
    SET done_id = greatest(c.done_id, mine.done_id), done = c.done + mine.done,
        retry_at = CASE WHEN mine.pause >= 0 THEN clock_timestamp() + mine.pause * interval '1 microsecond'
            WHEN mine.pause = {PARKED} THEN {FOR_EVER} END
    FROM mine WHERE c.id = mine.id
"""  # noqa: S608 - constants
"""Locks the chains in the order in which everybody does, and leaves out those that are another worker's."""
_HOLD = """
    SELECT 1 FROM mergeguard_chain AS c JOIN unnest(%s::bigint[], %s::bigint[]) AS k (id, epoch) ON c.id = k.id
    WHERE c.owner = %s AND c.epoch = k.epoch
    ORDER BY c.source, c.priority, c.id FOR NO KEY UPDATE OF c
"""
_RELEASE = f"""
    UPDATE mergeguard_chain AS c
    SET done_id = greatest(c.done_id, k.done_id), done = c.done + k.done, owner = NULL, lease_until = NULL,
        queue = coalesce(h.queue, c.queue),
        since = CASE WHEN h.queue IS NOT NULL AND k.pause = {NO_PAUSE} THEN clock_timestamp() END,
        retry_at = CASE WHEN h.queue IS NULL THEN NULL
            WHEN k.pause >= 0 THEN clock_timestamp() + k.pause * interval '1 microsecond'
            WHEN k.pause = {PARKED} THEN {FOR_EVER} END
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS k (id, done_id, done, pause)
    LEFT JOIN LATERAL (
        SELECT e.queue FROM mergeguard_event AS e WHERE e.chain = k.id AND e.id > k.done_id ORDER BY e.id LIMIT 1
    ) AS h ON true
    WHERE c.id = k.id
"""  # noqa: S608 - constants
"""Looks for events that stand in line, behind the lock, as a release by itself does, and for the same reason."""
_END_CHAINS = """
    DELETE FROM mergeguard_chain AS c USING unnest(%s::bigint[], %s::bigint[]) AS k (id, epoch)
    WHERE c.id = k.id AND c.owner = %s AND c.epoch = k.epoch
"""
_COUNT = """
    UPDATE mergeguard_queue SET events = events + %s, inline_bytes = inline_bytes + %s, file_bytes = file_bytes + %s,
        done = done + %s, dead = dead + %s, dead_bytes = dead_bytes + %s, retries = retries + %s
    WHERE queue = %s AND part = %s
"""


def send(driver: psycopg.Connection[Any], groups: Sequence[Group]) -> None:
    """Send handlers' statements, all on one way to the server; plain INSERTs many rows at a time."""
    with driver.pipeline(), driver.cursor() as cursor:
        for statement, rows in groups:
            several, end = _several(statement, rows)
            for start in range(0, end, ROWS):
                cursor.execute(several, [value for row in rows[start : start + ROWS] for value in row])
            if len(rows) - end == 1:
                cursor.execute(with_percents(statement).encode(), rows[end])
            elif rows[end:]:
                cursor.executemany(with_percents(statement).encode(), rows[end:])


def _several(statement: str, rows: Sequence[Sequence[Any]]) -> tuple[bytes, int]:
    """Return a statement for so many rows at once, and for how many of the rows it can be used."""
    whole = len(rows) // ROWS * ROWS
    found = of_rows(statement, ROWS) if whole else None
    if found is None or found[1] * ROWS > PARAMETERS or any(len(row) != found[1] for row in rows):
        return b"", 0
    return with_percents(found[0]).encode(), whole


def finish(driver: psycopg.Connection[Any], finished: Finish) -> None:
    """Send all at once, and look afterwards whether each statement found what it had to find.

    Raises:
        LeaseLost: one of them did not.
    """
    with driver.pipeline():
        sent = [(driver.execute(statement, row), rows) for statement, row, rows in _statements(finished)]
    if any(cursor.rowcount != rows for cursor, rows in sent):
        raise lost()


def insist(driver: psycopg.Connection[Any]) -> None:
    """Raise where a handler hid an error of the server."""
    import psycopg  # noqa: PLC0415 - imported by now

    if driver.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
        raise psycopg.errors.InFailedSqlTransaction("a statement failed, and its handler did not say so")


def _statements(finish: Finish) -> Iterator[tuple[str, Sequence[Any], int]]:
    """Yield statements with their values, and how many rows each has to find. The chains are locked late."""
    worker, moved = finish.claim.worker, finish.moved
    for step in finish.steps:
        if step.dead is not None and step.failure is not None:
            why = (step.failure.kind, step.failure.message, step.failure.reason.value)
            yield _BURY, (*why, step.done, step.lease.chain, step.dead.id), 1
    if moved:
        first, last = numbers([step.gone[0].id for step in moved]), numbers([step.gone[-1].id for step in moved])
        yield _DELETE, (_chains(moved), first, last), sum(len(step.gone) for step in moved)
    for chain, parking in finish.parked:
        yield PARK, (parking.status, spelt(parking), parking.message, chain, parking.event), 1
    tried = [step for step in finish.steps if step.tried is not None]
    if tried:
        ids = numbers([step.tried.id for step in tried if step.tried is not None])
        yield _TRIED, (_chains(tried), ids), len(tried)
    kept = [step for step in finish.steps if not step.ends]
    if kept:
        ids, dones = numbers([step.done_id for step in kept]), numbers([step.done for step in kept])
        pauses = numbers([step.microseconds for step in kept])
        if finish.releases:
            yield _HOLD, (_chains(kept), _epochs(kept), worker), len(kept)
            yield _RELEASE, (_chains(kept), ids, dones, pauses), len(kept)
        else:
            yield _FENCED, (_chains(kept), _epochs(kept), ids, dones, pauses, worker), len(kept)
    ended = [step for step in finish.steps if step.ends]
    if ended:
        yield _END_CHAINS, (_chains(ended), _epochs(ended), worker), len(ended)
    change = finish.change
    inline, files = change.inline_bytes, change.file_bytes
    counts = (change.events, inline, files, change.done, change.dead, change.dead_bytes, change.retries)
    yield _COUNT, (*counts, int(finish.claim.queue), part(worker)), 1


def _chains(steps: Sequence[Step]) -> str:
    return numbers([step.lease.chain for step in steps])


def _epochs(steps: Sequence[Step]) -> str:
    return numbers([step.lease.epoch for step in steps])


def part(worker: str) -> int:
    """Return the part of the counters that a worker writes."""
    return 1 + zlib.crc32(worker.encode()) % (PARTS - 1)
