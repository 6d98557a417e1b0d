"""What a post says besides its body, and the event that the two of them make."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mergeguard.core.events import NO_SOURCE, NewEvent, Queue
from mergeguard.core.order import Thresholds, queue_for
from mergeguard.processor.intake.file_names import HIGHEST, LOWEST
from mergeguard.processor.intake.refusals import Refused
from mergeguard.processor.intake.spool import Spooled
from mergeguard.processor.settings import Settings

POST_EVENT: Final = "/Altiris/NS/Agent/PostEvent.aspx"
"""The page that agents post to."""
_SHOWN: Final = 60
"""Characters of a wrong value that are said again."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Whose an event is, and how urgent."""

    source: uuid.UUID = NO_SOURCE
    priority: int = LOWEST
    queue: Queue | None = None
    """Where it goes whatever its size."""

    def around(self, spooled: Spooled, settings: Settings) -> NewEvent:
        """Return the event that asks to be registered."""
        queue = self.queue
        if queue is None:
            queue = queue_for(spooled.size, self.priority, thresholds(settings))
        return NewEvent(self.source, self.priority, queue, spooled.size, spooled.body, spooled.file)


def thresholds(settings: Settings) -> Thresholds:
    """Return what tells the queues apart."""
    return Thresholds(
        fast=settings.fast_queue_threshold,
        slow=settings.slow_queue_threshold,
        large=settings.large_queue_threshold,
        priority=settings.priority_queue_threshold,
    )


def envelope(query: Sequence[tuple[str, str]]) -> Envelope:
    """Return what the query of a post says; names in any case, other ones are let be.

    A missing source is the empty one, a missing priority the lowest.

    Raises:
        Refused: a value cannot be understood, or is given twice.
    """
    said = {name: _only(query, name) for name in ("source", "priority")}
    return Envelope(source_of(said["source"]), priority_of(said["priority"]))


def source_of(text: str) -> uuid.UUID:
    """Return the guid of a source, with or without braces; an empty text is the empty source.

    Raises:
        Refused: it is no guid.
    """
    bare = text.strip()
    if bare[:1] == "{" and bare[-1:] == "}":
        bare = bare[1:-1]
    if not bare:
        return NO_SOURCE
    try:
        guid = uuid.UUID(bare)
    except ValueError:
        guid = None
    # Of all that uuid.UUID takes, only the usual way of writing: a mistyped guid must not become another source.
    if guid is None or str(guid) != bare.lower():
        raise Refused(f"source {text[:_SHOWN]!r} is no guid", hint="write it as 01234567-89ab-cdef-0123-456789abcdef")
    return guid


def priority_of(text: str) -> int:
    """Return a priority; an empty text is the lowest.

    Raises:
        Refused: it is no priority.
    """
    bare = text.strip()
    if not bare:
        return LOWEST
    if not (bare.isascii() and bare.isdigit() and len(bare) < _SHOWN and LOWEST <= int(bare) <= HIGHEST):
        raise Refused(f"priority {text[:_SHOWN]!r} is not known; it is a number from {LOWEST} to {HIGHEST}")
    return int(bare)


def _only(query: Sequence[tuple[str, str]], name: str) -> str:
    values = {value for key, value in query if key.lower() == name}
    if len(values) > 1:
        raise Refused(f"{name} is given {len(values)} times, with different values")
    return values.pop() if values else ""
