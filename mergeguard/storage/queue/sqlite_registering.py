"""Registration: events get their ids and stand behind the ones before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mergeguard.core.events import NO_SOURCE, Denied, NewEvent, Reason, Registered
from mergeguard.storage.queue.sqlite_transaction import Transaction

_CHAIN = "SELECT id, head FROM mergeguard_chain WHERE source = ? AND priority = ?"
_NEW_CHAIN = "INSERT INTO mergeguard_chain (source, priority, id, queue, head) VALUES (?, ?, ?, ?, ?)"
_NEW_HEAD = "UPDATE mergeguard_chain SET queue = ?, head = ? WHERE id = ?"
_OWN_CHAIN = "INSERT INTO mergeguard_chain (id, priority, queue, head) VALUES (?, ?, ?, ?)"
_EVENT = """
    INSERT INTO mergeguard_event (id, chain, queue, size, received, file, body) VALUES (?, ?, ?, ?, ?, ?, ?)
"""


def register(
    transaction: Transaction, events: Sequence[NewEvent], file_limit: int = 0
) -> Sequence[Registered | Denied]:
    """Write events at the ends of their chains; an event that would make the pending files too large is denied."""
    answers: list[Registered | Denied] = []
    rows: list[tuple[Any, ...]] = []
    for event in events:
        if file_limit and event.file is not None and transaction.file_bytes + event.size > file_limit:
            answers.append(Denied(Reason.FULL))
            continue
        number = transaction.next_event()
        chain = _chain(transaction, event, number)
        rows.append((number, chain, int(event.queue), event.size, transaction.now, event.file, event.body))
        transaction.enter(event)
        answers.append(Registered(number))
    transaction.driver.executemany(_EVENT, rows)
    return answers


def _chain(transaction: Transaction, event: NewEvent, number: int) -> int:
    """Return the chain that an event joins, which it heads if it is alone there."""
    driver, queue = transaction.driver, int(event.queue)
    if event.source == NO_SOURCE:
        driver.execute(_OWN_CHAIN, (-number, event.priority, queue, number))
        return -number
    key = (event.source.bytes, event.priority)
    known = transaction.chains.get(key)
    if known is not None:
        return known
    found = driver.execute(_CHAIN, key).fetchone()
    chain, head = found or (number, number)
    if found is None:
        driver.execute(_NEW_CHAIN, (*key, chain, queue, number))
    elif head is None:
        driver.execute(_NEW_HEAD, (queue, number, chain))
    transaction.chains[key] = chain
    return int(chain)
