"""The transaction of a claim: effects of handlers, and the mark that says they are done, under the lease's token."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mergeguard.core.events import Claim, Ran
from mergeguard.storage.queue.finishing import Finish, Step, lost
from mergeguard.storage.queue.postgresql_sessions import Sessions, raw
from mergeguard.storage.queue.postgresql_tables import PARTS
from mergeguard.storage.queue.statements import UnitOfWork, with_percents

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

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
_FENCED = """
    WITH mine AS (
        SELECT c.id, k.done_id, k.done, k.pause FROM mergeguard_chain AS c
        JOIN unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
            AS k (id, epoch, done_id, done, pause) ON c.id = k.id
        WHERE c.owner = %s AND c.epoch = k.epoch
        ORDER BY c.source, c.priority, c.id FOR NO KEY UPDATE OF c
    )
    UPDATE mergeguard_chain AS c
    SET done_id = greatest(c.done_id, mine.done_id), done = c.done + mine.done,
        retry_at = CASE WHEN mine.pause >= 0 THEN clock_timestamp() + mine.pause * interval '1 microsecond' END
    FROM mine WHERE c.id = mine.id
"""
"""Locks the chains in the order in which everybody does, and leaves out those that are another worker's."""
_END_CHAINS = """
    DELETE FROM mergeguard_chain AS c USING unnest(%s::bigint[], %s::bigint[]) AS k (id, epoch)
    WHERE c.id = k.id AND c.owner = %s AND c.epoch = k.epoch
"""
_COUNT = """
    UPDATE mergeguard_queue SET events = events + %s, inline_bytes = inline_bytes + %s, file_bytes = file_bytes + %s,
        done = done + %s, dead = dead + %s, dead_bytes = dead_bytes + %s, retries = retries + %s
    WHERE queue = %s AND part = %s
"""


@dataclass(slots=True)
class _Savepoint:
    mark: int
    """Where it stands in the unit of work."""
    nested: sa.NestedTransaction | None = None
    """Once it is set in the database."""


class PostgresqlBatch:
    """See ``store.Batch``.

    Args:
        sessions: translate the driver's errors.
        connection: in the open transaction.
        claim: whose events take effect.
    """

    def __init__(self, sessions: Sessions, connection: sa.Connection, claim: Claim) -> None:
        self._sessions = sessions
        self._connection = connection
        self._claim = claim
        self._work = UnitOfWork(self._send)
        self._savepoints: list[_Savepoint] = []

    @property
    def connection(self) -> sa.Connection:
        """The connection in the open transaction, with what was added to the unit of work standing in it.

        A savepoint that is open is only set now: one whose handlers do nothing but add costs the server nothing.
        """
        for savepoint in self._savepoints:
            if savepoint.nested is None:
                self._work.flush(savepoint.mark)
                savepoint.nested = self._connection.begin_nested()
        self._work.flush()
        return self._connection

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        """Add a statement to the unit of work."""
        self._work.add(statement, row)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what a handler did if it raises."""
        savepoint = _Savepoint(self._work.position)
        self._savepoints.append(savepoint)
        try:
            yield
            if savepoint.nested is not None:
                self._work.flush()
                self._insist()
                savepoint.nested.commit()
        except BaseException:
            self._work.drop(savepoint.mark)
            if savepoint.nested is not None:
                savepoint.nested.rollback()
            raise
        finally:
            self._savepoints.pop()

    def _insist(self) -> None:
        """Raise where a handler hid an error: its savepoint cannot be released, only rolled back."""
        import psycopg  # noqa: PLC0415 - imported by now

        if raw(self._connection).info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            raise psycopg.errors.InFailedSqlTransaction("a statement failed, and its handler did not say so")

    def finish(self, ran: Sequence[Ran]) -> None:
        """Write down what became of the leases."""
        self._work.flush()
        finish = Finish.of(self._claim, ran)
        if finish.steps:
            with self._sessions.translated():
                _finish(raw(self._connection), finish)

    def end(self) -> None:
        """Commit."""
        self._work.flush()
        with self._sessions.translated():
            self._connection.commit()

    def _send(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        with raw(self._connection).cursor() as cursor:
            if len(rows) == 1:
                cursor.execute(with_percents(statement).encode(), rows[0])
            else:
                cursor.executemany(with_percents(statement).encode(), rows)


def _finish(driver: psycopg.Connection[Any], finish: Finish) -> None:
    """Send all at once, and look afterwards whether each statement found what it had to find."""
    with driver.pipeline():
        sent = [(driver.execute(statement, row), rows) for statement, row, rows in _statements(finish)]
    if any(cursor.rowcount != rows for cursor, rows in sent):
        raise lost()


def _statements(finish: Finish) -> Iterator[tuple[str, Sequence[Any], int]]:
    """Yield statements with their values, and how many rows each has to find. The chains are locked late."""
    worker, moved = finish.claim.worker, finish.moved
    for step in finish.steps:
        if step.dead is not None and step.failure is not None:
            why = (step.failure.kind, step.failure.message, step.failure.reason.value)
            yield _BURY, (*why, step.done, step.lease.chain, step.dead.id), 1
    if moved:
        first, last = [step.gone[0].id for step in moved], [step.gone[-1].id for step in moved]
        yield _DELETE, (_chains(moved), first, last), sum(len(step.gone) for step in moved)
    tried = [step for step in finish.steps if step.tried is not None]
    if tried:
        yield _TRIED, (_chains(tried), [step.tried.id for step in tried if step.tried is not None]), len(tried)
    kept = [step for step in finish.steps if not step.ends]
    if kept:
        ids, dones, pauses = ([step.done_id for step in kept], [step.done for step in kept],
                              [step.microseconds for step in kept])  # fmt: skip
        yield _FENCED, (_chains(kept), _epochs(kept), ids, dones, pauses, worker), len(kept)
    ended = [step for step in finish.steps if step.ends]
    if ended:
        yield _END_CHAINS, (_chains(ended), _epochs(ended), worker), len(ended)
    change = finish.change
    inline, files = change.inline_bytes, change.file_bytes
    counts = (change.events, inline, files, change.done, change.dead, change.dead_bytes, change.retries)
    yield _COUNT, (*counts, int(finish.claim.queue), part(worker)), 1


def _chains(steps: Sequence[Step]) -> list[int]:
    return [step.lease.chain for step in steps]


def _epochs(steps: Sequence[Step]) -> list[int]:
    return [step.lease.epoch for step in steps]


def part(worker: str) -> int:
    """Return the part of the counters that a worker writes."""
    return 1 + zlib.crc32(worker.encode()) % (PARTS - 1)
