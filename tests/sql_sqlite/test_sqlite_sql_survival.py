"""References move by SQL as they do by Python: what stays, what goes, what is cleared, the account; and back again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import event, given, settings
from sqlite_sides import HASHED, MERGES, Rows, Side, starts

from mergeguard.integrity.lookup import verify_lookup


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    folder = tmp_path_factory.mktemp("survival")
    made = Side(folder / "python.db"), Side(folder / "sql.db")
    yield made
    for side in made:
        side.close()


@settings(max_examples=max(15, settings.default.max_examples // 8))
@given(rows=starts(), merges=MERGES)
def test_references_survive_as_they_do_in_python(
    sides: tuple[Side, Side], rows: Rows, merges: list[tuple[uuid.UUID, uuid.UUID]]
) -> None:
    by_python, by_sql = sides
    for side in sides:
        side.begin(rows)
    for number, pair in enumerate(merges):
        told = by_sql.sql(*pair, f"r{number}")
        event(told if isinstance(told, str) else "merged")
        assert told == by_python.python(*pair, f"r{number}")
    assert by_sql.journal() == by_python.journal()
    assert by_sql.rows() == by_python.rows()


@settings(max_examples=max(5, settings.default.max_examples // 20))
@given(rows=starts(), merges=MERGES)
def test_what_sql_moved_python_puts_back(
    sides: tuple[Side, Side], rows: Rows, merges: list[tuple[uuid.UUID, uuid.UUID]]
) -> None:
    _, side = sides
    side.begin(rows)
    before = side.rows()
    for number, pair in enumerate(merges):
        side.sql(*pair, f"r{number}")
    assert verify_lookup(side.source, HASHED).drift == 0
    for run in side.runs():
        assert side.python_back(run) == "back"
    assert side.rows() == before
