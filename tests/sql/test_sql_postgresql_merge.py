"""Merging by SQL does what merging by Python does: the same tables, the same journal, the same refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_model import answers, guid
from merging_world import PROFILE
from sql_sides import Side, Start
from sql_world import drop, opened

from mergeguard.integrity.undo import undo_run
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.profile import Reference

PLAIN = replace(
    PROFILE,
    keys=None,
    references=(Reference("Inv_Owner", "OwnerGuid"), Reference("Evt", "Guid")),
    associations=(),
    association_types=None,
)
NUMBERS = st.integers(0, 6)


@st.composite
def starts(draw: st.DrawFn) -> Start:
    """Draw merges that are mostly a forest, who lives, types, references, and at times a lookup that has drifted."""
    free = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3)
    forest = st.lists(NUMBERS, max_size=4, unique=True).map(lambda olds: [(old, 7 + old % 2) for old in olds])
    chain = NUMBERS.map(lambda top: [(at, at + 1) for at in range(top)])
    pairs = [(guid(old), guid(new)) for old, new in draw(st.one_of(forest, chain, forest, free))]
    olds = {old for old, _ in pairs}
    known = [guid(number) for number in range(9)]
    dead = draw(st.sets(st.sampled_from(known), max_size=1))
    shadowed = draw(st.sets(st.sampled_from(known), max_size=1)) if draw(st.integers(0, 5)) == 0 else set()
    live = sorted(({*known} - olds - dead) | shadowed)
    kinds = [(each, draw(st.sampled_from(["computer", "computer", "computer", "user"]))) for each in known[:5]]
    lookup = [[old, current, depth, status] for old, (status, current, depth) in answers(pairs, live).items()]
    if lookup and draw(st.integers(0, 5)) == 0:
        lookup[0][draw(st.sampled_from([1, 2]))] = None
    held = [(draw(st.sampled_from(known)), "w\u00e9\u2028\U0001f600\x7f") for _ in range(draw(st.integers(0, 4)))]
    never = draw(st.lists(st.tuples(st.sampled_from(known), st.sampled_from(known)), max_size=1))
    rows = {
        "Merges": [(*pair, 1, None) for pair in pairs],
        "Alive": [(each,) for each in live],
        "Kinds": kinds,
        "Inv_Owner": [*held[::2], (None, "nobody")],
        "Evt": held[1::2],
    }
    return Start(rows, lookup, never)


MERGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.none() | st.sampled_from("ab")), max_size=4)


@pytest.fixture(scope="module")
def sides(postgres_url: str) -> Iterator[tuple[Side, Side]]:
    drop(postgres_url)
    one = Side(postgres_url, "by_python", PLAIN)
    drop(postgres_url)
    other = Side(postgres_url, "by_sql", PLAIN)
    yield one, other
    one.close()
    other.close()


@settings(max_examples=30)
@given(start=starts(), merges=MERGES)
def test_both_give_the_same_answers_and_the_same_tables(
    sides: tuple[Side, Side], start: Start, merges: list[tuple[int, int, str | None]]
) -> None:
    by_python, by_sql = sides
    by_python.begin(start)
    by_sql.begin(start)
    for old, new, request in merges:
        pair = guid(old), guid(new)
        assert by_sql.sql(*pair, request) == by_python.python(*pair, request)
    assert by_sql.picture() == by_python.picture()


@settings(max_examples=10)
@given(start=starts(), merges=MERGES.filter(bool))
def test_each_takes_back_what_the_other_merged(
    sides: tuple[Side, Side], start: Start, merges: list[tuple[int, int, str | None]]
) -> None:
    _, side = sides
    for done, undone in ((side.sql, _undone_by_python), (side.python, _undone_by_sql)):
        side.begin(start)
        pictures = []
        for old, new, _ in merges:
            before = side.world.picture()
            answer = done(guid(old), guid(new))
            if isinstance(answer, dict) and not answer["already"]:
                pictures.append(before)
        sql = "SELECT run_id FROM mergeguard_run WHERE kind = 'merge' ORDER BY started DESC"
        runs = [run for (run,) in side.connection.execute(sql).fetchall()]
        assert len(runs) == len(pictures)
        for run, before in zip(runs, reversed(pictures), strict=True):
            undone(side, run)
            assert _without_drift(side.world.picture()) == _without_drift(before)


def _undone_by_python(side: Side, run: str) -> None:
    with opened(side.url, PLAIN) as source:
        undo_run(source, PLAIN, run)


def _undone_by_sql(side: Side, run: str) -> None:
    ((answer,),) = side.connection.execute("SELECT mergeguard.unmerge(%s)", [run]).fetchall()
    assert answer["undoes"] == run
    with pytest.raises(psycopg.errors.RaiseException, match="mergeguard: undone: "):
        side.connection.execute("SELECT mergeguard.unmerge(%s)", [run])
    with opened(side.url, PLAIN) as source:
        (step,) = Journal(source, PLAIN).steps(run)
    assert step.undone_by == answer["run_id"]


def _without_drift(picture: Mapping[str, Any]) -> Mapping[str, Any]:
    """An undo mends a lookup that had drifted elsewhere; of it the merge tables say what it is."""
    return {name: rows for name, rows in picture.items() if name != "lookup"}
