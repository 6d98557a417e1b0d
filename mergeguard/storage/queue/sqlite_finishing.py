"""The end of a batch: what is done is deleted, failures are noted, the dead are moved, all under the lease's token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from mergeguard.core.events import Claim, Event, Failure, Ran
from mergeguard.storage.queue.finishing import lost, require_next
from mergeguard.storage.queue.sqlite_claiming import mine
from mergeguard.storage.queue.sqlite_clock import length
from mergeguard.storage.queue.sqlite_parking import FOR_EVER, park
from mergeguard.storage.queue.sqlite_transaction import Transaction

Statement: TypeAlias = tuple[str, Sequence[Any]]
_DONE = "DELETE FROM mergeguard_event WHERE chain = ? AND id <= ?"
_TRIED = "UPDATE mergeguard_event SET tries = tries + 1 WHERE chain = ? AND id = ?"
_BURY = """
    INSERT INTO mergeguard_dead_event (id, chain, source, priority, queue, size, received, tries, file, body,
                                       kind, message, reason, died, done_before)
    SELECT e.id, e.chain, c.source, c.priority, e.queue, e.size, e.received, e.tries + 1, e.file, e.body,
           ?, ?, ?, ?, c.done + ?
    FROM mergeguard_event AS e JOIN mergeguard_chain AS c ON c.id = e.chain WHERE e.chain = ? AND e.id = ?
"""
_DELETE = "DELETE FROM mergeguard_event WHERE chain = ? AND id = ?"
_GIVE_BACK = """
    UPDATE mergeguard_chain
    SET owner = NULL, lease_until = NULL, retry_at = ?1, done = done + ?2,
        head = (SELECT min(id) FROM mergeguard_event WHERE chain = ?3),
        queue = coalesce((SELECT queue FROM mergeguard_event WHERE chain = ?3 ORDER BY id LIMIT 1), queue)
    WHERE id = ?3 AND owner = ?4 AND epoch = ?5
"""
_END_CHAIN = "DELETE FROM mergeguard_chain WHERE id = ? AND owner = ? AND epoch = ?"


def send(transaction: Transaction, statements: Iterable[Statement]) -> None:
    """Send a unit of work in its order; equal statements that stand together go together."""
    for statement, alike in groupby(statements, key=itemgetter(0)):
        transaction.driver.executemany(statement, [row for _, row in alike])


def finish(transaction: Transaction, claim: Claim, ran: Sequence[Ran]) -> None:
    """Write down what became of leases, and give their chains back: nobody can look before the commit.

    Raises:
        LeaseLost: one of them is somebody else's by now.
        ValueError: the failed or parked event is not the one after those that are done.
    """
    for one in ran:
        require_next(one)
    _delete_done(transaction, ran)
    ended: list[tuple[int, str, int]] = []
    given_back: list[tuple[object, ...]] = []
    for one in ran:
        retry_at = None if one.failure is None else _fail(transaction, one, one.failure)
        if one.parked is not None:
            park(transaction, one.lease.chain, one.parked)
            retry_at = FOR_EVER
        is_over = one.done or (one.failure is not None and retry_at is None)
        if one.lease.chain < 0 and is_over:
            ended.append(mine(claim, one.lease))
        else:
            given_back.append((retry_at, one.done, *mine(claim, one.lease)))
    _all_of(transaction, _END_CHAIN, ended, len(ended))
    _all_of(transaction, _GIVE_BACK, given_back, len(given_back))


def _delete_done(transaction: Transaction, ran: Sequence[Ran]) -> None:
    done = [(one.lease.chain, one.lease.events[: one.done]) for one in ran if one.done]
    # Of a chain all events up to the last one that is done: others stand there only if somebody else was there.
    _all_of(
        transaction, _DONE, [(chain, events[-1].id) for chain, events in done], sum(len(events) for _, events in done)
    )
    for _, events in done:
        transaction.leave(events)
        transaction.change(events[0].queue).done += len(events)


def _all_of(transaction: Transaction, statement: str, rows: Sequence[Sequence[object]], count: int) -> None:
    """Change so many rows with a statement; if they are not there, somebody else has changed them.

    Raises:
        LeaseLost: they were not.
    """
    if rows and transaction.driver.executemany(statement, rows).rowcount != count:
        raise lost()


def _fail(transaction: Transaction, ran: Ran, failure: Failure) -> int | None:
    """Note a failed try; return when the next is due, ``None`` where the event is dead."""
    lease = ran.lease
    event = lease.events[ran.done]
    if failure.retry_after is None:
        _bury(transaction, event, failure, lease.chain, ran.done)
        return None
    _all_of(transaction, _TRIED, [(lease.chain, event.id)], 1)
    transaction.change(event.queue).retries += 1
    return transaction.now + length(failure.retry_after)


def _bury(transaction: Transaction, event: Event, failure: Failure, chain: int, done: int) -> None:
    why = (failure.kind, failure.message, failure.reason.value, transaction.now, done)
    _all_of(transaction, _BURY, [(*why, chain, event.id)], 1)
    transaction.driver.execute(_DELETE, (chain, event.id))
    transaction.leave((event,))
    change = transaction.change(event.queue)
    change.dead += 1
    change.dead_bytes += event.size
