"""The clock of a queue in an SQLite file: it never goes back, and it never stands still for long.

Whoever writes a time to the file leaves the latest one there (``mergeguard_queue_state``). If the wall clock is set
back, time goes on from there at the pace of the monotonic clock: leases still expire and retries still come due.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class Clock:
    """Microseconds since 1970.

    Args:
        wall: nanoseconds since 1970, may jump. It is the same system call that SQLite's own ``'now'`` makes.
        monotonic: nanoseconds since some moment, never jumps.
    """

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen = 0
        self._seen_at = monotonic()

    def now(self, stored: int) -> int:
        """Return the time, never before the latest one in the file and never before one returned earlier."""
        with self._lock:
            at = self._monotonic()
            self._seen = max(self._wall(), stored * 1000, self._seen + at - self._seen_at)
            self._seen_at = at
            return self._seen // 1000


def moment(microseconds: int) -> dt.datetime:
    """Return a stored time as an aware datetime."""
    return EPOCH + dt.timedelta(microseconds=microseconds)


def length(span: dt.timedelta) -> int:
    """Return a span in microseconds."""
    return span // _MICROSECOND
