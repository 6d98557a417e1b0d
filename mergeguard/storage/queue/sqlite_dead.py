"""What becomes of dead events when a person decides: they are registered again, or gone for ever."""

from __future__ import annotations

import uuid
from typing import Any

from mergeguard.core.events import NO_SOURCE, NewEvent, Queue, Registered
from mergeguard.storage.queue.sqlite_registering import register
from mergeguard.storage.queue.sqlite_transaction import Transaction

_FIND = "SELECT source, priority, queue, size, body, file FROM mergeguard_dead_event WHERE id = ?"
_DELETE = "DELETE FROM mergeguard_dead_event WHERE id = ?"


def retry(transaction: Transaction, event: int) -> int | None:
    """Register a dead event at the end of its line; return its new id, ``None`` where there is no such event."""
    row = _take(transaction, event)
    if row is None:
        return None
    source, priority, queue, size, body, file = row
    key = NO_SOURCE if source is None else uuid.UUID(bytes=source)
    (answer,) = register(transaction, [NewEvent(key, priority, Queue(queue), size, body, file)])
    return answer.id if isinstance(answer, Registered) else None


def drop(transaction: Transaction, event: int) -> bool:
    """Remove a dead event; return whether there was one."""
    return _take(transaction, event) is not None


def _take(transaction: Transaction, event: int) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = transaction.driver.execute(_FIND, (event,)).fetchone()
    if row is not None:
        _, _, queue, size, _, _ = row
        transaction.driver.execute(_DELETE, (event,))
        change = transaction.change(queue)
        change.dead -= 1
        change.dead_bytes -= size
    return row
