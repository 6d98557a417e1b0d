"""What the name of an agent's event file says: its priority, and its place in the agent's own queue.

Two forms are known. ``NSE-ppp-qqqqqqqq-eeeeeeee.tmp`` comes from an agent's queue: three hex digits of 0xFFF less the
priority, the number of the queue, the number of the event in it. Sorted by name such files stand in the order in which
they are to be sent. ``xxxNSExxxx.tmp`` was sent past the queue; its first digits are the priority.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LOWEST: Final = 0
HIGHEST: Final = 0xFFF
"""Of the priorities: three hex digits have no room for more."""
_QUEUED: Final = re.compile(
    r"(?:NSE|PSE)-(?P<rank>[0-9A-F]{3})-(?P<queue>[0-9A-F]{8})-(?P<event>[0-9A-F]{8})\.tmp",
    re.ASCII | re.IGNORECASE,
)
_DIRECT: Final = re.compile(r"(?P<priority>[0-9]{1,4})NSE[0-9A-F]{1,8}\.tmp", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EventFileName:
    """What a file's name says of the event in it."""

    priority: int
    """From ``LOWEST`` to ``HIGHEST``; a higher one goes first."""
    queue: int | None = None
    """How often the agent had started; ``None`` where the event went past its queue."""
    event: int | None = None
    """Its number in that queue."""

    @property
    def place(self) -> tuple[int, int, int]:
        """Return what to sort by: the order in which an agent sends its files."""
        return HIGHEST - self.priority, self.queue or 0, self.event or 0


def parse(name: str) -> EventFileName | None:
    """Return what a file's name says, in any case of letters; ``None`` for a name that no agent gives."""
    queued = _QUEUED.fullmatch(name)
    if queued is not None:
        rank, queue, event = (int(queued[part], 16) for part in ("rank", "queue", "event"))
        return EventFileName(HIGHEST - rank, queue, event)
    direct = _DIRECT.fullmatch(name)
    if direct is not None and int(direct["priority"]) <= HIGHEST:
        return EventFileName(int(direct["priority"]))
    return None


def queued_name(priority: int, queue: int, event: int) -> str:
    """Return the name of a file in an agent's queue; ``parse`` is its inverse.

    Args:
        priority: from ``LOWEST`` to ``HIGHEST``.
        queue: how often the agent has started, below 2**32.
        event: the event's number in that queue, below 2**32.
    """
    return f"NSE-{HIGHEST - priority:03X}-{queue:08X}-{event:08X}.tmp"
