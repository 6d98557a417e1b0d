"""Shows a handler events before they are handled, if it wants to see them, as many as are likely to be handled then.

What is prepared for an event that is not reached, because the batch has had its time, is prepared in vain. So after a
batch that ended early fewer are shown at once, and more again while all that are shown are handled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from mergeguard.core.events import Event
from mergeguard.processor.handlers import EventBatch, Handler, Preparing

MOST: Final = 128
FEWEST: Final = 8
MOST_BYTES: Final = 4 * 2**20
"""Of events that are in memory at once because they are prepared."""


class LookingAhead:
    """What a handler has been shown of a segment.

    Args:
        handler: of the events.
        body: reads an event's.
        limit: a block that raises where it takes too long.
        most: how many events are shown at once, to begin with.
    """

    def __init__(
        self, handler: Handler, body: Callable[[Event], bytes], limit: AbstractContextManager[None], most: int = MOST
    ) -> None:
        self._prepare = handler.prepare if isinstance(handler, Preparing) else None
        self._body = body
        self._limit = limit
        self._bodies: dict[int, bytes] = {}
        self.most = most
        """How many events are shown at once now."""

    def forget(self) -> None:
        """A segment begins, or runs once more."""
        self._bodies = {}

    def see(self, events: Sequence[Event], place: int, batch: EventBatch) -> None:
        """Show the handler what comes from a place in a segment on, if it has not seen the event there.

        Raises:
            Exception: the handler does, and which event it is about is not known.
        """
        if self._prepare is None or events[place].id in self._bodies:
            return
        batch.settle()
        batch.prepared = None
        found = self._read(events[place : place + self.most])
        if len(found) > 1:  # one alone has nobody to share with
            with self._limit:
                self._prepare(found, batch)
            self._bodies = {event.id: body for event, body in found}

    def take(self, event: Event) -> bytes:
        """Return the body of an event whose turn it is."""
        body = self._bodies.pop(event.id, None)
        if body is None:
            return self._body(event)
        if not self._bodies:
            self.most = min(MOST, self.most + self.most // 4 + 1)
        return body

    def end_early(self, handled: int) -> None:
        """A segment ends before all of its events are handled."""
        if self._bodies:
            self.most = max(FEWEST, handled // 2)

    def _read(self, events: Sequence[Event]) -> list[tuple[Event, bytes]]:
        found: list[tuple[Event, bytes]] = []
        size = 0
        for event in events:
            size += event.size
            if size > MOST_BYTES:
                break
            try:
                found.append((event, self._body(event)))
            except Exception:  # noqa: BLE001 - it is told when it is this one's turn
                break
        return found
