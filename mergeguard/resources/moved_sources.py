"""Agents that still send under a guid that was merged away, and how many of their events wait in the queue."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mergeguard.core import guids
from mergeguard.resources.current import currents

if TYPE_CHECKING:
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.queue.store import ChainState, EventStore
    from mergeguard.storage.source import Source

MOST_CHAINS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class MovedSource:
    """An agent whose guid was merged away and that has events in the queue."""

    source: uuid.UUID
    current: uuid.UUID | None
    """What it is now, and what its events are mapped to; ``None`` in a circle and in a split: these are parked."""
    status: str
    events: int
    oldest: dt.datetime | None
    """When the oldest of them was registered."""


def moved_sources(store: EventStore, source: Source, profile: Profile) -> list[MovedSource]:
    """Return the sources of queued events that are another guid now, those with the oldest event first.

    Raises:
        CannotCheck: the queue or the merges could not be read.
    """
    chains: dict[uuid.UUID, list[ChainState]] = defaultdict(list)
    for chain in store.chains(limit=MOST_CHAINS):
        guid = guids.parse(chain.source)
        if guid is not None and guid.int:
            chains[guid].append(chain)
    if not chains:
        return []
    found = [
        MovedSource(
            answer.guid,
            answer.current,
            answer.status,
            sum(chain.events for chain in chains[answer.guid]),
            min((chain.oldest for chain in chains[answer.guid] if chain.oldest is not None), default=None),
        )
        for answer in currents(source, profile, guids.from_uuids(list(chains)))
        if answer.current != answer.guid
    ]
    last = dt.datetime.max.replace(tzinfo=dt.UTC)
    return sorted(found, key=lambda each: (each.oldest or last, str(each.source)))
