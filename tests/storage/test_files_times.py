"""Times read all at once are the times read one by one."""

from __future__ import annotations

import datetime as dt

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.storage.cells import database_cells, iso_times

stamps = st.datetimes(timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-5, minutes=-30))]))
SHAPES = [
    lambda t: t.isoformat(),
    lambda t: t.isoformat(timespec="milliseconds"),
    lambda t: t.replace(tzinfo=None).isoformat(" ", "microseconds"),
    lambda t: t.replace(tzinfo=None).isoformat(timespec="seconds") + "Z",
    lambda t: t.date().isoformat(),
]
ODD = [None, "", "2024", "2024-06", "NaT", "today", "0000-01-01", "2024-13-01", "2024-02-30T00:00:00", "20240229"]
ODD += ["2024-01-01T24:00:00", "2024-01-01T00:00:00z", "2024-01-01_00:00:00", " 2024-01-01", "٢٠٢٤-01-01"]
ODD += ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "2024-W01-1", "2024-01-01T00:00:00.123456789"]


@given(st.data(), st.sampled_from(SHAPES))
def test_texts_of_one_shape(data: st.DataObject, shape: object) -> None:
    assert callable(shape)
    texts = [shape(stamp) for stamp in data.draw(st.lists(stamps, max_size=6))]
    np.testing.assert_array_equal(iso_times.times(texts), database_cells.times(texts))


@given(st.lists(st.one_of(st.sampled_from(ODD), stamps.map(str), st.dates().map(str)), max_size=6))
def test_texts_of_any_shape(texts: list[str | None]) -> None:
    np.testing.assert_array_equal(iso_times.times(texts), database_cells.times(texts))


@given(st.sampled_from(ODD), st.integers(1, 3))
def test_odd_texts_among_their_like(text: str | None, times: int) -> None:
    np.testing.assert_array_equal(iso_times.times([text] * times), database_cells.times([text] * times))


def test_the_usual_shape_needs_no_step_a_value() -> None:
    assert iso_times._uniform(["2024-01-01T00:00:00.123Z"] * 3) is not None
    assert iso_times._uniform(["2024-01-01 00:00:00"] * 3) is not None
    assert iso_times._uniform(["2024-01-01"]) is not None
