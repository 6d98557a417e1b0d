"""Whose fault it is that a try failed: the event's own, or that of a database which is away or busy with others.

Only the event's own failures count as tries. Whatever the database does to a batch, however long, costs no event
one of its retries; nor does it cost one that its guids lead nowhere for now.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator

from mergeguard.core.events import MOST_PARKED_GUIDS, Event, Failure, Parking, Reason
from mergeguard.core.order import retry_delay
from mergeguard.errors import (
    ConnectFailed,
    ConnectionLost,
    EventParked,
    EventRefused,
    FolderAway,
    LeaseLost,
    Locked,
    LostBody,
    MalformedEvent,
    MergeGuardError,
)
from mergeguard.storage import failures as storage_failures

_AT_ONCE = {MalformedEvent: Reason.MALFORMED, LostBody: Reason.LOST_BODY, EventRefused: Reason.REFUSED}
_MESSAGE = 4000
"""Characters of a message that are kept."""
_KIND = 200
"""Characters of an exception's name that are kept."""
_DEEPEST = 10
"""Errors that were raised from each other and are looked at."""


class Verdict(enum.Enum):
    """What to do about an error."""

    FAILED = enum.auto()
    """The event's own fault: a try is counted, or it is parked."""
    CLASH = enum.auto()
    """Deadlock, lock timeout, serialization failure, folder away: roll back, try again, nothing is counted."""
    OUTAGE = enum.auto()
    """The database is away: wait until it is back, nothing is counted."""
    LOST = enum.auto()
    """Another worker has the chain: roll back and forget it."""


_GRAVEST_FIRST = (Verdict.LOST, Verdict.OUTAGE, Verdict.CLASH, Verdict.FAILED)


def verdict_of_handler(error: BaseException) -> Verdict:
    """Judge what a handler raised, or the statements that it left to be sent, whatever they were wrapped in."""
    verdicts = {_verdict(one) for one in _chain(error)}
    return next(verdict for verdict in _GRAVEST_FIRST if verdict in verdicts)


def verdict_of_commit(error: BaseException) -> Verdict:
    """Judge what refused a commit: the event's own is what the driver says of its statements, or of its data."""
    verdict = verdict_of_handler(error)
    if verdict is not Verdict.FAILED or not isinstance(error, MergeGuardError):
        return verdict
    refused = any(storage_failures.is_refused_data(one) for one in _chain(error))
    return Verdict.FAILED if refused else Verdict.OUTAGE


def verdict_of_store(error: BaseException) -> Verdict:
    """Judge what the queue itself raised: never a failed try."""
    verdict = verdict_of_handler(error)
    return Verdict.OUTAGE if verdict is Verdict.FAILED else verdict


def _verdict(error: BaseException) -> Verdict:
    if isinstance(error, LeaseLost):
        return Verdict.LOST
    if isinstance(error, OSError):
        return Verdict.FAILED  # of files and services of its own, not of the database
    known = _known(error)
    if isinstance(known, Locked | FolderAway):
        return Verdict.CLASH
    away = isinstance(known, ConnectFailed | ConnectionLost) or storage_failures.is_outage(error)
    return Verdict.OUTAGE if away else Verdict.FAILED


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from."""
    one: BaseException | None = error
    for _ in range(_DEEPEST):
        if one is None:
            return
        yield one
        one = one.__cause__ or one.__context__


def is_of_the_database(error: BaseException) -> bool:
    """Say whether the database refused a statement: perhaps because of what an event before it did."""
    return not isinstance(error, MergeGuardError | OSError) and storage_failures.as_error(error, "") is not None


def failure_of(event: Event, error: BaseException, *, limit: int, step: dt.timedelta) -> Failure:
    """Return how a try ended: retry number n comes n steps later, and after ``limit`` retries the event is dead."""
    reason = next((why for kind, why in _AT_ONCE.items() if isinstance(error, kind)), None)
    again = reason is None and event.tries < limit
    return Failure(
        event=event.id,
        kind=type(error).__name__[:_KIND],
        message=told(error),
        retry_after=retry_delay(event.tries + 1, step) if again else None,
        reason=reason or Reason.RETRIES,
    )


def parking_of(event: Event, error: EventParked) -> Parking:
    """Return why an event waits for somebody to mend the merges of its guids."""
    guids = tuple(dict.fromkeys(error.guids))[:MOST_PARKED_GUIDS]
    return Parking(event.id, guids, error.status, told(error))


def told(error: BaseException) -> str:
    """Return the error in words for the log and for the row of a dead event: no driver's noise, no password."""
    known = _known(error)
    text = known.message if known is not None else _words(error)
    storable = text[:_MESSAGE].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return storable or type(error).__name__


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a handler's exception may be as broken as its handler
        return ""


def _known(error: BaseException) -> MergeGuardError | None:
    if isinstance(error, MergeGuardError):
        return error
    return None if isinstance(error, OSError) else storage_failures.as_error(error, "the event queue", writing=True)
