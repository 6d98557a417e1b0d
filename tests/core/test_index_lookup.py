"""The guid index answers as a dictionary does."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core import guids, index
from mergeguard.core.index import MAX_ROWS, GuidIndex

# Few different guids, so that repeats are usual; some that differ in one half only.
GUIDS = st.one_of(
    st.integers(0, 5).map(lambda number: uuid.UUID(int=number)),
    st.integers(0, 5).map(lambda number: uuid.UUID(int=number << 64)),
    st.uuids(),
)


def first_rows(column: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    return {value: row for row, value in reversed(list(enumerate(column)))}


@given(st.lists(GUIDS), st.lists(GUIDS))
def test_it_finds_the_first_row_or_nothing(column: list[uuid.UUID], wanted: list[uuid.UUID]) -> None:
    known = first_rows(column)
    found = GuidIndex(guids.from_uuids(column))
    assert found.find(guids.from_uuids(wanted)).tolist() == [known.get(value, -1) for value in wanted]
    assert found.lead.tolist() == [known[value] for value in column]


@given(st.lists(GUIDS, min_size=1), st.lists(GUIDS), st.integers(0, 3))
def test_colliding_hashes_cost_time_but_no_answer(
    column: list[uuid.UUID], wanted: list[uuid.UUID], kept_bits: int
) -> None:
    real = index.mix

    def weak(guids_: guids.Guids) -> object:
        return real(guids_) >> np.uint64(64 - kept_bits) << np.uint64(60) if kept_bits else real(guids_) * np.uint64(0)

    known = first_rows(column)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "mix", weak)
        patch.setattr(index, "MAX_PROBES", 3)
        found = GuidIndex(guids.from_uuids(column))
        assert found.find(guids.from_uuids(wanted)).tolist() == [known.get(value, -1) for value in wanted]
        assert found.lead.tolist() == [known[value] for value in column]


@pytest.mark.parametrize("rows", [65_535, 65_536, 65_537, 300_000])
def test_chunks_meet_without_a_seam(rows: int) -> None:
    numbers = np.random.default_rng(rows).integers(0, rows // 2, rows, dtype=np.uint64)
    column = guids.from_bytes(np.stack((numbers, numbers), axis=1).tobytes()).copy()
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    found = GuidIndex(column)
    assert (found.lead == first[inverse]).all()
    assert (found.find(column) == first[inverse]).all()


def test_membership() -> None:
    known, stranger = uuid.UUID(int=1), uuid.UUID(int=2)
    found = GuidIndex(guids.from_uuids([known]))
    assert guids.from_uuids([known]) in found
    assert guids.from_uuids([known, stranger]) not in found


def test_more_rows_than_can_be_numbered_are_refused() -> None:
    too_many = np.lib.stride_tricks.as_strided(np.zeros(16, np.uint8), (MAX_ROWS + 1, 16), (0, 1))
    with pytest.raises(ValueError, match="at most"):
        GuidIndex(too_many)
