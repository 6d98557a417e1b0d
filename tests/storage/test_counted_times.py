"""Times that are counted since some beginning are the times that they count to."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.storage.cells import database_cells
from mergeguard.storage.cells.counted_times import moment

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
FIRST, END = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (1995, 2101))
MOMENTS = st.integers(0, (END - FIRST) // MICROSECOND - 1).map(lambda since: FIRST + since * MICROSECOND)
UNITS = {
    # (a unit in microseconds, where that is a whole number; units a microsecond; the beginning)
    "seconds": (1_000_000, 1, EPOCH),
    "milliseconds": (1_000, 1, EPOCH),
    "microseconds": (1, 1, EPOCH),
    "nanoseconds": (1, 1_000, EPOCH),
    ".NET ticks": (1, 10, dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
    "FILETIME": (1, 10, dt.datetime(1601, 1, 1, tzinfo=dt.UTC)),
}


@pytest.mark.parametrize("unit", UNITS)
@given(at=MOMENTS)
def test_a_count_is_the_time_that_it_counts_to(unit: str, at: dt.datetime) -> None:
    microseconds, parts, beginning = UNITS[unit]
    counted = (at - beginning) // MICROSECOND // microseconds
    assert moment(str(counted * parts)) == beginning + counted * microseconds * MICROSECOND


@given(MOMENTS)
def test_a_count_with_a_fraction(at: dt.datetime) -> None:
    microseconds = (at - EPOCH) // MICROSECOND
    assert moment(f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}") == at


@given(MOMENTS)
def test_digits_of_the_calendar(at: dt.datetime) -> None:
    assert moment(f"{at:%Y%m%d}") == at.replace(hour=0, minute=0, second=0, microsecond=0)
    assert moment(f"{at:%Y%m%d%H%M%S}") == at.replace(microsecond=0)


@given(st.datetimes(timezones=st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=2))])).map(str))
def test_what_is_written_is_read_as_ever(text: str) -> None:
    (stamp,) = database_cells.times([text]).astype("datetime64[us]").tolist()
    assert moment(f" {text} ") == (None if stamp is None else stamp.replace(tzinfo=dt.UTC))


@pytest.mark.parametrize("text", ["", " ", "0", "-1", "12", "1e5", "20241301", "9" * 14, "1" * 40, "soon", "NaT"])
def test_what_is_no_time(text: str) -> None:
    assert moment(text) is None
