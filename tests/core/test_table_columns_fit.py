from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.core import guids
from mergeguard.core.table import MergeTable, Rejected, RejectedRow

COLUMNS = ["old", "new", "row_ids", "merge_keys"]


@given(
    st.integers(0, 4), st.sampled_from(COLUMNS), st.integers(-2, 2).filter(bool), st.sets(st.sampled_from(COLUMNS[2:]))
)
def test_a_column_that_is_shorter_or_longer_than_the_others_is_refused(
    rows: int, wrong: str, more: int, given_: set[str]
) -> None:
    lengths = {name: rows + (max(more, -rows) if name == wrong else 0) for name in {*COLUMNS[:2], *given_}}
    columns = {
        name: guids.from_uuids([guid(at) for at in range(length)]) if name in COLUMNS[:2] else ["x"] * length
        for name, length in lengths.items()
    }
    if len(set(lengths.values())) == 1:
        assert len(MergeTable(**columns)) == rows  # type: ignore[arg-type]
    else:
        with pytest.raises(ValueError, match="values for"):
            MergeTable(**columns)  # type: ignore[arg-type]


def test_times_are_of_the_rows_too() -> None:
    one = MergeTable.from_pairs([(guid(1), guid(2))], times=[dt.datetime(2026, 1, 1, tzinfo=dt.UTC)])
    with pytest.raises(ValueError, match="times has 2 values for 1 rows"):
        MergeTable(one.old, one.new, times=np.concatenate([one.times, one.times]))  # type: ignore[list-item]


@given(st.lists(st.sampled_from([None, "", " \t", "x", " y "]), max_size=9), st.integers(0, 4))
def test_rejected_rows_are_counted_by_kind_and_kept_up_to_a_limit_of_each_kind(
    values: list[str | None], limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mergeguard.core.table.MAX_REJECTED", limit)
        rejected = Rejected()
        for number, value in enumerate(values):
            rejected.add(RejectedRow(number, "old", value))
    blank = [number for number, value in enumerate(values) if value is None or not value.strip()]
    malformed = [number for number in range(len(values)) if number not in blank]
    assert (rejected.blank, rejected.malformed) == (len(blank), len(malformed))
    kept = [row.row_id for row in rejected.rows]
    assert sorted(kept, key=str) == sorted([*blank[:limit], *malformed[:limit]], key=str)
