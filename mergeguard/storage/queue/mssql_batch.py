"""The end of a batch in SQL Server: what is done is deleted, failures are noted, the dead are moved, all fenced."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from mergeguard.errors import WriteFailed
from mergeguard.storage.queue.finishing import NO_PAUSE, PARKED, Finish, Step, lost
from mergeguard.storage.queue.mssql_lists import pieces
from mergeguard.storage.queue.mssql_tables import PARTS
from mergeguard.storage.queue.parking import spelt
from mergeguard.storage.queue.statements import Group

BURY = """
    INSERT INTO mergeguard_dead_event (id, chain, source, priority, queue, size, received, tries, [file], body,
                                       kind, message, reason, died, done_before)
    SELECT e.id, e.chain, c.source, c.priority, e.queue, e.size, e.received, e.tries + 1, e.[file], e.body,
           ?, ?, ?, SYSUTCDATETIME(), c.done + ?
    FROM mergeguard_event AS e JOIN mergeguard_chain AS c ON c.id = e.chain WHERE e.chain = ? AND e.id = ?
"""
RANGES = ("bigint", "bigint", "bigint")
DELETE = """
    DELETE e FROM mergeguard_event AS e JOIN {given} AS k (chain, first, last)
    ON e.chain = k.chain AND e.id BETWEEN k.first AND k.last
"""
EVENTS = ("bigint", "bigint")
TRIED = """
    UPDATE e SET tries = e.tries + 1 FROM mergeguard_event AS e JOIN {given} AS k (chain, id)
    ON e.chain = k.chain AND e.id = k.id
"""
UNPARK = "DELETE FROM mergeguard_parked WHERE chain = ?"
"""A row that stands there already is left over: somebody freed the chain by hand."""
PARK = """
    INSERT INTO mergeguard_parked (chain, event, status, guids, message, since)
    SELECT e.chain, e.id, CONVERT(nvarchar(40), ?), CONVERT(nvarchar(max), ?), CONVERT(nvarchar(max), ?),
        SYSUTCDATETIME() FROM mergeguard_event AS e WHERE e.chain = ? AND e.id = ?
"""
"""What is done is not parked."""
STEPS = ("bigint", "bigint", "bigint", "bigint", "bigint")
FENCED = f"""
    UPDATE c SET done_id = CASE WHEN k.done_id > c.done_id THEN k.done_id ELSE c.done_id END, done = c.done + k.done,
        retry_at = CASE WHEN k.pause >= 0 THEN DATEADD(millisecond, k.pause % 1000,
            DATEADD(second, k.pause / 1000, SYSUTCDATETIME()))
            WHEN k.pause = {PARKED} THEN CONVERT(datetime2(6), '9999-12-31T00:00:00', 126) END
    FROM mergeguard_chain AS c JOIN {{given}} AS k (id, epoch, done_id, done, pause)
    ON c.id = k.id AND c.epoch = k.epoch WHERE c.owner = ?
"""  # noqa: S608 - a constant
TOKENS = ("bigint", "bigint")
END_CHAINS = """
    DELETE c FROM mergeguard_chain AS c JOIN {given} AS k (id, epoch) ON c.id = k.id AND c.epoch = k.epoch
    WHERE c.owner = ?
"""
COUNT = """
    UPDATE mergeguard_queue SET events = events + ?, inline_bytes = inline_bytes + ?, file_bytes = file_bytes + ?,
        done = done + ?, dead = dead + ?, dead_bytes = dead_bytes + ?, retries = retries + ?
    WHERE queue = ? AND part = ?
"""
STATE = "SELECT XACT_STATE()"
_COMMITTABLE = 1
_KIND, _REASON, _STATUS = 400, 100, 40


def send(driver: Any, groups: Sequence[Group]) -> None:  # noqa: ANN401 - pyodbc has no types
    """Send handlers' statements, each for all of its rows."""
    cursor = driver.cursor()
    for statement, rows in groups:
        if len(rows) == 1:
            cursor.execute(statement, *rows[0])
        else:
            cursor.executemany(statement, rows)
    cursor.close()


def finish(driver: Any, finished: Finish) -> None:  # noqa: ANN401 - as above
    """Send all, and look whether each statement found what it had to find.

    Raises:
        LeaseLost: one of them did not.
    """
    cursor = driver.cursor()
    for statement, values, rows in _statements(finished):
        cursor.execute(statement, *values)
        if rows is not None and cursor.rowcount != rows:
            raise lost()
    cursor.close()


def insist(driver: Any) -> None:  # noqa: ANN401 - as above
    """Raise where a handler hid an error that ended the transaction, or after which it can only be rolled back.

    Raises:
        WriteFailed: nothing of this transaction can be committed.
    """
    cursor = driver.cursor()
    state = cursor.execute(STATE).fetchone()[0]
    cursor.close()
    if state != _COMMITTABLE:
        raise WriteFailed("a statement failed, and its handler did not say so")


def _statements(finished: Finish) -> Iterator[tuple[str, Sequence[Any], int | None]]:
    """Yield statements with their values, and how many rows each has to find, if any. The chains are locked late."""
    worker, steps = finished.claim.worker, finished.steps
    for step in steps:
        if step.dead is not None and step.failure is not None:
            why = (step.failure.kind[:_KIND], step.failure.message, step.failure.reason.value[:_REASON])
            yield BURY, (*why, step.done, step.lease.chain, step.dead.id), 1
    yield from _each(
        DELETE, RANGES, [(*_chain(one), one.gone[0].id, one.gone[-1].id, len(one.gone)) for one in finished.moved]
    )
    for chain, parking in finished.parked:
        yield UNPARK, (chain,), None
        yield PARK, (parking.status[:_STATUS], spelt(parking), parking.message, chain, parking.event), 1
    yield from _each(TRIED, EVENTS, [(*_chain(one), one.tried.id, 1) for one in steps if one.tried is not None])
    kept = [
        (*_chain(one), one.lease.epoch, one.done_id, one.done, _milliseconds(one), 1) for one in steps if not one.ends
    ]
    yield from _each(FENCED, STEPS, kept, worker)
    yield from _each(END_CHAINS, TOKENS, [(*_chain(one), one.lease.epoch, 1) for one in steps if one.ends], worker)
    change = finished.change
    inline, files = change.inline_bytes, change.file_bytes
    counts = (change.events, inline, files, change.done, change.dead, change.dead_bytes, change.retries)
    yield COUNT, (*counts, int(finished.claim.queue), 1 + zlib.crc32(worker.encode()) % (PARTS - 1)), 1


def _each(
    statement: str, types: Sequence[str], rows: Sequence[tuple[int, ...]], *after: str
) -> Iterator[tuple[str, Sequence[Any], int]]:
    """Yield a statement for rows; the last of each row's numbers says how many rows it has to find."""
    if rows:
        found = sum(row[-1] for row in rows)
        # A batch has so few chains that they fit into one statement.
        for piece, values in pieces(statement, types, [row[:-1] for row in rows], after=after):
            yield piece, values, found


def _milliseconds(step: Step) -> int:
    """Return how long a chain waits for its next try, rounded up, or what stands in place of a length."""
    return step.microseconds if step.microseconds <= NO_PAUSE else -(-step.microseconds // 1000)


def _chain(step: Step) -> tuple[int]:
    return (step.lease.chain,)
