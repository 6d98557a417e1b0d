"""Registration: events get their ids and stand behind the ones before them."""

from __future__ import annotations

from collections.abc import Sequence

from mergeguard.core.events import Denied, NewEvent, Reason, Registered
from mergeguard.storage.queue.sqlite_transaction import Transaction


def register(
    transaction: Transaction, events: Sequence[NewEvent], file_limit: int = 0
) -> Sequence[Registered | Denied]:
    """Put events at the ends of their chains; an event that would make the pending files too large is denied."""
    answers: list[Registered | Denied] = []
    for event in events:
        if file_limit and event.file is not None and transaction.file_bytes + event.size > file_limit:
            answers.append(Denied(Reason.FULL))
        else:
            answers.append(Registered(transaction.enter(event)))
    return answers
