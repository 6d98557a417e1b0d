"""Values of the event queue: what is registered, leased, done, dead. Nothing here knows a database or a clock."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass

INLINE_CHARACTERS = 3000
"""An event registered by stream with fewer UTF-8 characters lives in its row; larger ones are files."""
NO_SOURCE = uuid.UUID(int=0)
"""The empty source guid: its events have no key, so that they run at the same time."""


MOST_PARKED_GUIDS = 100
"""So many guids of a parked event are kept; when all of them are mended it is tried again."""


class Queue(enum.IntEnum):
    """The queues by their id."""

    PRIORITY = 0
    FAST = 1
    NORMAL = 2
    SLOW = 3
    LARGE = 4


class Reason(enum.StrEnum):
    """Why an event is not registered, or is dead."""

    FULL = "queue full"
    RETRIES = "its tries are spent"
    MALFORMED = "malformed"
    LOST_BODY = "its body is gone"
    REFUSED = "its source is not heard"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that asks to be registered; exactly one of ``body`` and ``file`` is given."""

    source: uuid.UUID
    priority: int
    queue: Queue
    size: int
    """Bytes of the body, uncompressed."""
    body: bytes | None = None
    """Inline."""
    file: str | None = None
    """A file's name in the folder of the queue, already synced to its disk."""


@dataclass(frozen=True, slots=True)
class Registered:
    """An event's place in line: within one source and priority ids ascend in the order of registration."""

    id: int


@dataclass(frozen=True, slots=True)
class Denied:
    """An event that was not registered, with the reason; nothing of it is in the database."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Event:
    """A registered event as a worker gets it."""

    id: int
    source: uuid.UUID
    priority: int
    queue: Queue
    size: int
    received: dt.datetime
    """By the database's clock, aware."""
    tries: int
    """Failed tries so far."""
    body: bytes | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to process the first events of one chain, in order, until a time by the database's clock.

    A chain is one (source, priority). An event with the empty source is a chain of its own.
    """

    chain: int
    epoch: int
    """Fencing token: it grows with each lease of the chain."""
    events: tuple[Event, ...]
    """At least one, in registration order, all of one queue."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one worker got at once."""

    worker: str
    queue: Queue
    leases: tuple[Lease, ...]
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """What a try of an event ended with."""

    event: int
    kind: str
    """The exception's name, as ``BadNSEFolders.config`` maps it."""
    message: str
    retry_after: dt.timedelta | None
    """``None``: no further try, the event is dead."""
    reason: Reason = Reason.RETRIES


@dataclass(frozen=True, slots=True)
class Parking:
    """Why an event waits, its key with it, until somebody mends the merges of its guids; no try is counted."""

    event: int
    guids: tuple[uuid.UUID, ...]
    """As the event has them: those that are in a cycle or a split, at most ``MOST_PARKED_GUIDS``."""
    status: str
    """As the lookup spells it: ``cycle``, ``split``, ``deleted``."""
    message: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a lease: so many of its events are done, from the head on, and perhaps the next one failed.

    Or it is parked: at most one of ``failure`` and ``parked`` is set.
    """

    lease: Lease
    done: int
    failure: Failure | None = None
    parked: Parking | None = None
