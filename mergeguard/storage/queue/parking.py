"""How every database spells that the head of a chain is parked: it is to be tried again at the end of time.

So what claims, frees and registers has nothing to know of parking, and neither have workers of an earlier version that
work on the same queue. Why it is parked stands in ``mergeguard_parked``, at most one row a chain.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final

from mergeguard.core.events import MOST_PARKED_GUIDS, Event, Parking
from mergeguard.storage.queue.store import ParkedEvent

END_OF_TIME: Final = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
TABLE: Final = "mergeguard_parked"


def retry_of(when: dt.datetime | None) -> tuple[dt.datetime | None, bool]:
    """Return when a chain is tried again, and whether it is parked instead."""
    parked = when is not None and when >= END_OF_TIME
    return (None if parked else when), parked


def spelt(parking: Parking) -> str:
    """Write the guids of an event as they are stored: their texts, with a blank between."""
    return " ".join(map(str, parking.guids[:MOST_PARKED_GUIDS]))


def parked_event(event: Event, status: str, guids: str, message: str, since: dt.datetime) -> ParkedEvent:
    """Return what was stored of a parked event."""
    return ParkedEvent(event, Parking(event.id, tuple(map(uuid.UUID, guids.split())), status, message), since)
