"""A merge that either made is taken back by SQL as by Python: all rows as they were, or a refusal and no change."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_sides import HASHED, MERGES, Rows, Side, starts

from mergeguard.integrity.lookup import verify_lookup
from mergeguard.storage.journal.writing import Journal

Pair = tuple[uuid.UUID, uuid.UUID]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    folder = tmp_path_factory.mktemp("unmerge")
    made = Side(folder / "python.db"), Side(folder / "sql.db")
    yield made
    for side in made:
        side.close()


@settings(max_examples=max(12, settings.default.max_examples // 10))
@given(rows=starts(), merges=MERGES, data=st.data())
def test_whoever_merged_and_whoever_takes_back_all_is_as_it_was(
    sides: tuple[Side, Side], rows: Rows, merges: list[Pair], data: st.DataObject
) -> None:
    _, side = sides
    side.begin(rows)
    states = [side.rows()]
    for number, pair in enumerate(merges):
        merge = data.draw(st.sampled_from([side.python, side.sql]), "merges")
        if isinstance(merge(*pair, f"r{number}"), dict) and len(side.runs()) == len(states):
            states.append(side.rows())
    for run in side.runs():
        states.pop()
        back = data.draw(st.sampled_from([side.python_back, side.sql_back, side.sql_back]), "takes back")
        assert back(run) == "back"
        assert side.rows() == states[-1]
        assert verify_lookup(side.source, HASHED).drift == 0
        assert side.sql_back(run) == "undone"
        assert side.python_back(run) == "PlanRefused"
    journal = Journal(side.source, HASHED)
    assert all(step.undone_by is not None for run in journal.runs() for step in journal.steps(run.run_id))
