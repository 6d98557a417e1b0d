"""Purging: rows of events that are too old go, and the oldest of too many, so many at a time, of events alone."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_places import EVENTS, EVERYTHING, ImportPlace, named

PC = named("pc")
NOW = dt.datetime.now(dt.UTC)


def kept(ages: list[int]) -> list[int]:
    """The ages in days that stay: none above 30, and the five youngest."""
    assert EVENTS.keep_rows is not None
    assert EVENTS.keep_days is not None
    return sorted(age for age in ages if age < EVENTS.keep_days)[: EVENTS.keep_rows]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([0, 1, 5, 28, 33, 400]), max_size=9), st.integers(1, 4))
def test_what_is_too_old_or_too_much_goes(place: ImportPlace, ages: list[int], at_once: int) -> None:
    with place.trying() as batch:
        transaction = place.store.within(batch)
        transaction.replace_rows(EVERYTHING, PC, [("old", *[None] * 6)])
        for age in ages:
            transaction.append_rows(EVENTS, PC, [(str(age), None)], NOW - dt.timedelta(days=age))
        purged = [place.store.purge(batch.connection, at_once)]
        while purged[-1]:
            purged.append(place.store.purge(batch.connection, at_once))
        left: Any = place.rows(batch, EVENTS).get(PC, [])
        assert sorted(int(row[0]) for row in left) == kept(ages)
        assert sum(purged) == len(ages) - len(left)
        assert all(before >= after for before, after in itertools.pairwise(purged))
        assert max(purged) <= at_once
        assert len(place.rows(batch, EVERYTHING)[PC]) == 1
