"""Where the search for ready chains begins, so that it does not go through what is no more.

A chain that was claimed leaves an entry in the index of ready chains. The server clears it away, but not as long as
somebody reads in a transaction that began before: then each claim would go through the entries of all claims since.
Chains get ready at the end of the index, so a claim may begin a little before the first that the last one found. What
stands before that all the same, such as a chain whose claim came to nothing, is found by a look at all: one a second,
and whenever nothing else is found.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Final

from mergeguard.core.events import Queue

BEGINNING: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MARGIN: Final = dt.timedelta(seconds=2)
"""A chain's time is taken before its transaction is committed, or is that of its retry."""
LOOK_SECONDS: Final = 1.0


class Floors:
    """The floor of each queue, for the claims of one process.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._floors: dict[Queue, dt.datetime] = {}
        self._looks: dict[Queue, float] = {}

    def of(self, queue: Queue) -> dt.datetime:
        """Return from when on to search; from the beginning where it is time to look at all."""
        last = self._looks.get(queue)
        is_due = last is None or self._clock() - last >= LOOK_SECONDS
        return BEGINNING if is_due else self._floors.get(queue, BEGINNING)

    def found(self, queue: Queue, searched: dt.datetime, first: dt.datetime | None) -> None:
        """Note the first that a search found, ``None`` where it found nothing."""
        if searched == BEGINNING:
            self._looks[queue] = self._clock()
        if first is not None:
            self._floors[queue] = first - MARGIN
