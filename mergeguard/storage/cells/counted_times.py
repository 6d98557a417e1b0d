"""Times as numbers: what counts seconds or parts of them since some beginning, or writes a date without any separator.

The units lie so far apart that a number of these times is one of a single unit: what would be none of the years
1995 to 2100 in any of them is no time.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Final

from mergeguard.storage.cells import database_cells

_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,2})?")
_CALENDAR: Final = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
"""Digits of a date, or of a date and a time: as a count they would be of no time in any unit."""
_FIRST, _LAST = (Decimal(int(dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp())) for year in (1995, 2101))
_UNITS: Final = (
    (Decimal(1), Decimal(0)),
    (Decimal(10**3), Decimal(0)),
    (Decimal(10**6), Decimal(0)),
    (Decimal(10**9), Decimal(0)),
    (Decimal(10**7), Decimal(62_135_596_800)),
    (Decimal(10**7), Decimal(11_644_473_600)),
)
"""(how many make a second, seconds from their beginning to 1970): Unix seconds, milliseconds, microseconds and
nanoseconds, ticks since the year 1 (.NET), ticks since 1601 (FILETIME)."""
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def moment(text: str) -> dt.datetime | None:
    """Return the time that a text says, aware and in UTC, be it written or counted; ``None`` for what is none.

    A text without a zone is taken as UTC.
    """
    said = text.strip()
    if _NUMBER.fullmatch(said) is None:
        stamp: dt.datetime | None = database_cells.times([said])[0].astype("datetime64[us]").item()
        return None if stamp is None else stamp.replace(tzinfo=dt.UTC)
    written = _CALENDAR.get(len(said)) if said.isdigit() else None
    return _counted(Decimal(said)) if written is None else _written(said, written)


def _written(digits: str, shape: str) -> dt.datetime | None:
    try:
        found = dt.datetime.strptime(digits, shape).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return found


def _counted(number: Decimal) -> dt.datetime | None:
    for a_second, before in _UNITS:
        seconds = number / a_second - before
        if _FIRST <= seconds < _LAST:
            return _EPOCH + dt.timedelta(microseconds=int(seconds * 10**6))
    return None
