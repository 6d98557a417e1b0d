from __future__ import annotations

import re
import uuid
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from importing_samples import INSTALLED, NOTES

from mergeguard.core.importing.catalogue import CellType, DataColumn
from mergeguard.core.importing.hashing import data_hash

CELL = st.none() | st.text(max_size=3) | st.sampled_from(["1:-", "-", "1:1", ""])
TWO = replace(NOTES, columns=(DataColumn("a", CellType.TEXT), DataColumn("b", CellType.TEXT)))
ROWS = st.lists(st.tuples(CELL, CELL), max_size=4)


@given(ROWS, ROWS)
def test_hashes_are_equal_for_equal_rows_in_any_order_and_for_no_others(
    some: list[tuple[str | None, str | None]], others: list[tuple[str | None, str | None]]
) -> None:
    assert (data_hash(TWO, some) == data_hash(TWO, others)) is (Counter(some) == Counter(others))


@given(ROWS)
def test_cells_that_are_not_given_at_the_end_may_be_left_out(rows: list[tuple[str | None, str | None]]) -> None:
    short = [(one,) if other is None else (one, other) for one, other in rows]
    assert data_hash(TWO, rows) == data_hash(TWO, short)


@given(ROWS, st.randoms())
def test_a_shuffled_set_has_the_same_hash(rows: list[tuple[str | None, str | None]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert data_hash(TWO, rows) == data_hash(TWO, shuffled)


def test_a_hash_fills_its_column() -> None:
    assert re.fullmatch("[0-9a-f]{32}", data_hash(INSTALLED, [(str(uuid.UUID(int=1)), "2")]))


def test_other_columns_make_another_hash() -> None:
    swapped = replace(TWO, columns=TWO.columns[::-1])
    assert data_hash(TWO, [("x", "x")]) != data_hash(swapped, [("x", "x")])
