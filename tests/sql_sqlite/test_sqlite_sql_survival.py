"""References move by SQL as they do by Python: what stays, what goes, what is cleared, the account; and back again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlite_sides import HASHED, KNOWN, MERGES, WHOLE, Rows, Side, starts

UNDATED = replace(HASHED, hashes=HASHED.hashes and replace(HASHED.hashes, time=None, order=None))
Pair = tuple[Side, Side]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Pair]]:
    """Files to be merged in by Python and by SQL: usual ones, of another encoding, without a time of loads."""
    folder = tmp_path_factory.mktemp("survival")
    kinds = (("usual", "UTF-8", HASHED), ("wide", "UTF-16le", HASHED), ("undated", "UTF-8", UNDATED))
    with ExitStack() as opened:
        yield [
            (
                opened.enter_context(closing(Side(folder / f"{name} python.db", encoding, profile))),
                opened.enter_context(closing(Side(folder / f"{name} sql.db", encoding, profile))),
            )
            for name, encoding, profile in kinds
        ]


@settings(max_examples=max(18, settings.default.max_examples // 8))
@given(rows=starts(), merges=MERGES, kind=st.sampled_from([0, 0, 1, 2]))
def test_references_survive_as_they_do_in_python_and_go_back(
    pairs: list[Pair], rows: Rows, merges: list[tuple[uuid.UUID, uuid.UUID]], kind: int
) -> None:
    by_python, by_sql = pairs[kind]
    for side in pairs[kind]:
        side.begin(rows)
    before = by_sql.rows()
    for number, pair in enumerate(merges):
        told = by_sql.sql(*pair, f"r{number}")
        event(told if isinstance(told, str) else "merged")
        assert told == by_python.python(*pair, f"r{number}")
    assert by_sql.journal() == by_python.journal()
    assert by_sql.rows() == by_python.rows()
    for one, other in zip(by_sql.runs(), by_python.runs(), strict=True):
        assert by_sql.sql_back(one) == by_python.python_back(other) == "back"
    assert by_sql.journal() == by_python.journal()
    assert by_sql.rows() == by_python.rows() == before


def test_rows_that_are_not_touched_after_all_leave_nothing_behind(pairs: list[Pair]) -> None:
    """The new root alone has rows that a merge reads, and the hash of a third guid is cleared."""
    _, side = pairs[0]
    old, new, third = map(str, KNOWN[:3])
    moved = {"Whole": [(third, old, "x")], "Sums": [(str(WHOLE), third, "h", None, None)]}
    side.begin({"Numbered": [(new, "x", None, None), (new, "y", None, None)], **moved})
    answer = side.sql(KNOWN[0], KNOWN[1], "r")
    assert answer["hashes_cleared"] == 1
    assert list(answer["columns"]) == ["Whole.Friend"]
