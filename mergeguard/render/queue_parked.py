"""Parked events for people: which line stands still, since when, for which guids, and what was woken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mergeguard.processor.by_hand import WokenEvents
from mergeguard.processor.doctor import FINDINGS
from mergeguard.render.queue import moment, source_name
from mergeguard.render.table import aligned
from mergeguard.render.text import visible
from mergeguard.render.words import counted
from mergeguard.storage.queue.store import ParkedEvent

_HEADS: Final = ("event", "source", "priority", "queue", "parked since (UTC)", "its guids are", "guid", "guids")
MOST_IDS: Final = 20


def parked_text(parked: Sequence[ParkedEvent]) -> str:
    """List parked events in the order of registration, each with the first of the guids that lead nowhere."""
    if not parked:
        return "no event is parked\n"
    foot = "'mergeguard queue doctor TARGET' says what frees them; 'queue show' lists all guids of one\n"
    return aligned([_row(one) for one in parked], _HEADS) + "\n" + foot


def _row(parked: ParkedEvent) -> tuple[str, ...]:
    event, why = parked.event, parked.parking
    return (
        f"{event.id}",
        source_name(str(event.source)),
        f"{event.priority}",
        event.queue.name.lower(),
        moment(parked.since),
        visible(FINDINGS.get(why.status, why.status), 40),
        str(why.guids[0]) if why.guids else "-",
        f"{len(why.guids)}",
    )


def woken_text(done: WokenEvents) -> str:
    """Say which parked events were woken, and how many are parked still."""
    ids = ", ".join(str(one.event.id) for one in done.woken[:MOST_IDS])
    more = len(done.woken) - MOST_IDS
    named = f": {ids}{f' and {more:,} more' if more > 0 else ''}" if done.woken else ""
    lines = [f"{counted(len(done.woken), 'event')} woken{named}"]
    if done.left:
        stay = "stays" if done.left == 1 else "stay"
        lines.append(
            f"{counted(done.left, 'event')} {stay} parked: 'mergeguard queue doctor TARGET' says what frees it"
        )
    return "".join(f"{line}\n" for line in lines)
