"""Waiting for other processes: in short steps, and also where SQLite itself would not wait.

SQLite's own steps grow to a tenth of a second, many times as long as a transaction here. And it does not wait at all
where a wait might never end: when a file is turned to WAL mode, when the log of a process that died is recovered.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_SHORTEST, _LONGEST = 0.0002, 0.005
"""Seconds between two tries."""


def patiently(step: Callable[[], T], patience: float) -> T:
    """Take a step again and again, as long as another process is in its way; give up after ``patience`` seconds.

    Raises:
        sqlite3.OperationalError: the file is still busy, or something else is wrong.
    """
    pause, end = _SHORTEST, time.monotonic() + patience
    while True:
        try:
            return step()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST)


def primary_code(error: BaseException) -> int:
    """Return SQLite's primary result code, 0 for what is no error of its own."""
    number: int = getattr(error, "sqlite_errorcode", 0) or 0
    return number & 0xFF
