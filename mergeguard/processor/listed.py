"""Which events a list of the queue has: those in line, each pending or parked, and those that are dead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import nsmallest
from itertools import islice
from typing import Final, TypeAlias

from mergeguard.core.events import Event
from mergeguard.storage.queue.store import DeadEvent, EventStore, ParkedEvent

Waiting: TypeAlias = Event | ParkedEvent
"""An event in line; a parked one says why it stands there."""
_AT_ONCE: Final = 1000
"""So many parked events are asked for at a time."""
_BODIES_AT_ONCE: Final = 100
"""Dead events come with their bodies."""


def waiting_events(
    store: EventStore, *, pending: bool, parked: bool, source: str | None, limit: int
) -> Sequence[Waiting]:
    """Return events in line without bodies, in the order of registration.

    Args:
        store: the queue.
        pending: those that are not parked among them.
        parked: the parked ones among them.
        source: only those of this agent, as stores spell its guid.
        limit: most of them.
    """
    if not pending:
        return list(islice(_parked(store, source), limit)) if parked else []
    stand = {one.event.id: one for one in _parked(store, source)}
    if parked:
        return [stand.get(event.id, event) for event in store.waiting(limit=limit, source=source)]
    found = store.waiting(limit=limit + len(stand), source=source)
    return [event for event in found if event.id not in stand][:limit]


def dead_events(store: EventStore, *, source: str | None, limit: int) -> Sequence[DeadEvent]:
    """Return dead events with their bodies, the oldest first; of one source, or of all.

    Args:
        store: the queue.
        source: only those of this agent, as stores spell its guid.
        limit: most of them.
    """
    if source is None:
        return store.dead(limit=limit)
    return nsmallest(limit, _dead(store, source), key=lambda one: (one.died, one.event.id))


def _parked(store: EventStore, source: str | None) -> Iterator[ParkedEvent]:
    last = 0
    while some := store.parked(limit=_AT_ONCE, after=last):
        yield from (one for one in some if source is None or str(one.event.source) == source)
        last = some[-1].event.id


def _dead(store: EventStore, source: str) -> Iterator[DeadEvent]:
    last = 0
    while some := store.dead_after(last, limit=_BODIES_AT_ONCE):
        yield from (one for one in some if str(one.event.source) == source)
        last = some[-1].event.id
