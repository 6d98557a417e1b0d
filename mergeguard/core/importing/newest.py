"""Whether data that comes is written: the order of registration decides, never a clock."""

from __future__ import annotations

import enum

from mergeguard.core.importing.standing import Summary


class Fate(enum.Enum):
    """What becomes of data that comes for one resource in one data class."""

    WRITTEN = enum.auto()
    SAME = enum.auto()
    """It stands there already; that a newer event said so is written down, or an older one would win later."""
    OLDER = enum.auto()
    """A later event was loaded before: nothing is written."""


def fate(summary: Summary | None, hash_: str | None, event: int) -> Fate:
    """Compare data with what was loaded last.

    Args:
        summary: of what was loaded last; data that another program loaded, so that no event is known, is older.
        hash_: of the data; ``None`` for a partial update, which is compared with nothing.
        event: the registration id of its event.
    """
    if summary is None:
        return Fate.WRITTEN
    if summary.event is not None and summary.event > event:
        return Fate.OLDER
    return Fate.SAME if hash_ is not None and hash_ == summary.hash else Fate.WRITTEN
