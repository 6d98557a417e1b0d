"""References move by SQL as they do by Python: what stays, what goes, what is cleared, with the same account."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hashed_world import CLASS, HASHED, OTHER, WHOLE
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_model import guid
from merging_world import ANY, DAY, ONE, PROFILE
from sql_sides import Side, Start
from sql_world import drop, opened

from mergeguard.integrity.undo import undo_run

KEYED = PROFILE
MORE = """
    CREATE TABLE "Sums" ("Class" uuid, "Guid" uuid, "Hash" text, "At" timestamptz, "Event" bigint,
        PRIMARY KEY ("Class", "Guid"));
    CREATE TABLE "Catalogue" ("Guid" uuid PRIMARY KEY, "TableName" text);
    CREATE TABLE "Undated" ("Id" integer PRIMARY KEY, "Guid" uuid NOT NULL, "Said" text);
    CREATE TABLE "Pairs" ("One" uuid, "Two" uuid, "Said" text);
    CREATE TABLE "Whole" ("Guid" uuid, "Friend" uuid, "Said" text);
    CREATE TABLE "Numbered" ("Guid" uuid, "Said" text, "At" timestamptz, "Event" integer);
"""
KNOWN = [guid(number) for number in range(5)]
SOME = st.sampled_from(KNOWN)
DAYS = st.integers(0, 3)
WORDS = st.sampled_from(["a", "b", '"\u00e9\n'])
MERGES = st.lists(st.tuples(SOME, SOME), min_size=1, max_size=4)


@st.composite
def starts(draw: st.DrawFn, *, hashed: bool) -> Start:
    """Draw live resources without merges, and rows of every kind of reference, as crowded as the tables allow."""

    def many(*parts: st.SearchStrategy[Any], most: int = 8, by: int | None = None) -> list[tuple[Any, ...]]:
        key = None if by is None else (lambda row: row[:by])
        return draw(st.lists(st.tuples(*parts), max_size=most, **({} if key is None else {"unique_by": key})))

    rows: dict[str, list[tuple[Any, ...]]] = {
        "Alive": [(each,) for each in KNOWN],
        "LinkKinds": [(ANY, draw(st.sampled_from([None, 0, 2]))), (ONE, 1)],
        "Inv_One": many(SOME, WORDS, DAYS | st.none(), by=1),
        "Inv_Many": many(SOME, WORDS),
        "ResourceKeys": many(SOME, WORDS, WORDS),
        "Inv_Owner": many(SOME, WORDS, most=3),
        "Evt": many(SOME, WORDS, most=3),
        "Links": many(st.sampled_from([ANY, ONE]), SOME, SOME, DAYS | st.none()),
    }
    if hashed:
        days = DAYS.map(lambda day: DAY.replace(day=day + 1))
        classes, numbers = st.sampled_from([CLASS, OTHER, WHOLE]), st.integers(0, 4) | st.none()
        rows["Sums"] = many(classes, SOME, WORDS | st.none(), days | st.none(), numbers, by=2)
        rows["Whole"] = many(SOME, SOME | st.none(), WORDS)
        rows["Numbered"] = many(SOME, WORDS, days | st.none(), numbers)
        rows["Catalogue"] = [(CLASS, "Undated"), (uuid.uuid5(CLASS, "one"), draw(st.sampled_from(["Inv_One", "x"])))]
        held = draw(st.lists(SOME, max_size=4, unique=True))
        rows["Undated"] = [(at, each, draw(WORDS)) for at, each in enumerate(held)]
        rows["Pairs"] = many(SOME, SOME | st.none(), WORDS)
    return Start(rows, [], [])


@pytest.fixture(scope="module")
def keyed(postgres_url: str) -> Iterator[tuple[Side, Side]]:
    yield from _sides(postgres_url, "keyed", KEYED, "")


@pytest.fixture(scope="module")
def hashed(postgres_url: str) -> Iterator[tuple[Side, Side]]:
    yield from _sides(postgres_url, "hashed", HASHED, MORE)


def _sides(url: str, name: str, profile: Any, more: str) -> Iterator[tuple[Side, Side]]:
    drop(url)
    one = Side(url, f"{name}_by_python", profile, more)
    drop(url)
    other = Side(url, f"{name}_by_sql", profile, more)
    yield one, other
    one.close()
    other.close()


def _both(sides: tuple[Side, Side], start: Start, merges: list[tuple[uuid.UUID, uuid.UUID]]) -> None:
    by_python, by_sql = sides
    by_python.begin(start)
    by_sql.begin(start)
    for pair in merges:
        assert by_sql.sql(*pair) == by_python.python(*pair)
    assert by_sql.picture() == by_python.picture()


@settings(max_examples=20)
@given(start=starts(hashed=False), merges=MERGES)
def test_keys_sets_data_and_links_survive_alike(
    keyed: tuple[Side, Side], start: Start, merges: list[tuple[uuid.UUID, uuid.UUID]]
) -> None:
    _both(keyed, start, merges)


@settings(max_examples=20)
@given(start=starts(hashed=True), merges=MERGES)
def test_hashes_are_moved_read_and_cleared_alike(
    hashed: tuple[Side, Side], start: Start, merges: list[tuple[uuid.UUID, uuid.UUID]]
) -> None:
    _both(hashed, start, merges)


@settings(max_examples=10)
@given(start=starts(hashed=True), pair=st.tuples(SOME, SOME))
def test_both_foretell_the_same(hashed: tuple[Side, Side], start: Start, pair: tuple[uuid.UUID, uuid.UUID]) -> None:
    _, side = hashed
    side.begin(start)
    foretold = side.sql_preview(*pair)
    assert foretold == side.python_preview(*pair)
    made = side.sql(*pair)
    assert made == foretold or made["columns"] == foretold["columns"]


@settings(max_examples=6)
@given(start=starts(hashed=True), pair=st.tuples(SOME, SOME).filter(lambda pair: pair[0] != pair[1]))
def test_what_moved_is_put_back_by_either(
    hashed: tuple[Side, Side], start: Start, pair: tuple[uuid.UUID, uuid.UUID]
) -> None:
    for name in ("sql", "python"):
        _, side = hashed
        side.begin(start)
        before = _vendors(side)
        getattr(side, name)(*pair)
        ((run,),) = side.connection.execute("SELECT run_id FROM mergeguard_run").fetchall()
        if name == "python":
            side.connection.execute("SELECT mergeguard.unmerge(%s)", [run])
        else:
            with opened(side.url, side.profile) as source:
                undo_run(source, side.profile, run)
        assert _vendors(side) == before


def _vendors(side: Side) -> Mapping[str, Any]:
    ours = {"roots", "requests", "runs", "steps", "changes"}
    return {name: rows for name, rows in side.picture().items() if name not in ours}
