"""A merge that either made is taken back by SQL as by Python: all rows as they were, or a refusal and no change."""

from __future__ import annotations

import json
import sqlite3
import struct
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hashed_world import CLASS
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from merging_world import ANY, COLUMNS
from sqlite_sides import HASHED, KNOWN, MERGES, TABLES, Rows, Side, starts

from mergeguard.integrity.lookup import verify_lookup
from mergeguard.integrity.sql_scripts import install_sql
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.profile import Profile

OLD, NEW, FAR = map(str, KNOWN[:3])
STORY: Rows = {
    "LinkKinds": [(str(ANY), None)],
    "Inv_One": [(OLD, "mine", "2026-01-02"), (NEW, "yours", "2026-01-01")],
    "Inv_Many": [(OLD, "same"), (NEW, "same"), (OLD, "more")],
    "Evt": [("{" + OLD.upper() + "}", "x"), (FAR, "y")],
    "Links": [(str(ANY), OLD, NEW, "2026-01-01"), (str(ANY), FAR, OLD, "2026-01-01")],
    "Sums": [(str(CLASS), OLD, "h", "2026-01-01", 1), (str(CLASS), NEW, "i", "2026-01-02", 2)],
    "Catalogue": [(str(CLASS), "Inv_One")],
    "Pairs": [(OLD, OLD, "x"), (NEW, OLD, "y")],
    "Packed": [
        (KNOWN[0].bytes, "\ufeff\u00e9", 5e-324),
        (KNOWN[1].bytes, "a\0b", b"\0\xff"),
        (KNOWN[0].bytes, "a\0b", b"\x01"),
    ],
    "Keyed": [(OLD, "k", 1.1e-300), (NEW, "k", -2.5e300)],
    "Managed": [(OLD, 1)],
}
"""One merge of OLD into NEW does everything to these that a merge can do."""


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Side]]:
    folder = tmp_path_factory.mktemp("unmerge")
    with ExitStack() as opened:
        yield [opened.enter_context(closing(Side(folder / f"{name}.db", name))) for name in ("UTF-8", "UTF-16le")]


@pytest.fixture
def side(sides: list[Side]) -> Side:
    sides[0].begin(STORY)
    return sides[0]


def merged(side: Side, *, python: bool = False) -> str:
    """Merge OLD into NEW; return the run."""
    merge = side.python if python else side.sql
    assert isinstance(merge(KNOWN[0], KNOWN[1], "r"), dict)
    return side.runs()[0]


def state(side: Side) -> Any:
    return side.rows(), side.journal()


@settings(max_examples=max(8, settings.default.max_examples // 10))
@given(rows=starts(), merges=MERGES, wide=st.booleans(), data=st.data())
def test_whoever_merged_and_whoever_takes_back_all_is_as_it_was(
    sides: list[Side], rows: Rows, merges: list[tuple[uuid.UUID, uuid.UUID]], wide: bool, data: st.DataObject
) -> None:
    side = sides[wide]
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


CELLS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.sampled_from([-0.0, 5e-324, -2.2250738585072009e-308, 2.2250738585072014e-308, 1.7976931348623157e308]),
    st.binary(max_size=1100),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff\ufffe\uffff")),
)


@given(CELLS, st.booleans())
def test_what_the_journal_has_becomes_what_the_column_held(
    sides: list[Side], value: float | str | bytes, wide: bool
) -> None:
    connection = sides[wide].connection
    kinds = {int: f"i:{value}", float: f"r:{value.hex()}" if isinstance(value, float) else "", str: f"t:{value}"}
    cell = f"b:{value.hex()}" if isinstance(value, bytes) else kinds[type(value)]
    ((found,),) = decoded(connection, cell)
    assert type(found) is type(value)
    assert struct.pack("d", found) == struct.pack("d", value) if isinstance(value, float) else found == value


@given(st.binary(min_size=2, max_size=40).map(lambda raw: raw[: len(raw) // 2 * 2]), st.booleans())
def test_a_text_that_is_none_keeps_its_bytes(sides: list[Side], raw: bytes, wide: bool) -> None:
    found = decoded(sides[wide].connection, f"x:{raw.hex()}", "CAST(value AS BLOB), typeof(value)")
    assert found == [(raw, "text")]


def decoded(connection: sqlite3.Connection, cell: str, asked: str = "value") -> list[Any]:
    connection.execute("INSERT INTO mergeguard_back_cells (side, name, cell) VALUES ('then', 'x', ?)", [cell])
    connection.execute("INSERT INTO mergeguard_decode_back (side) VALUES ('then')")
    return connection.execute(f"DELETE FROM mergeguard_back_cells RETURNING {asked}").fetchall()


@settings(max_examples=max(15, settings.default.max_examples // 10))
@given(rows=starts(), pair=st.sampled_from([(0, 1), (1, 0), (2, 3)]), python=st.booleans(), data=st.data())
def test_what_changed_since_is_refused_by_either_and_nothing_is_written(
    sides: list[Side], rows: Rows, pair: tuple[int, int], python: bool, data: st.DataObject
) -> None:
    side = sides[0]
    side.begin(rows)
    merge = side.python if python else side.sql
    assume(isinstance(merge(*(KNOWN[each] for each in pair), "r"), dict))
    asked = "SELECT table_name, after_image FROM mergeguard_change WHERE after_image IS NOT NULL ORDER BY place"
    table, image = data.draw(st.sampled_from(side.connection.execute(asked).fetchall()))
    cells = json.loads(image)
    changed = data.draw(st.sampled_from([None, *{**COLUMNS, **TABLES}[table]]))
    event("gone" if changed is None else "changed")
    write = f'DELETE FROM "{table}"' if changed is None else f'UPDATE "{table}" SET "{changed}" = \'else\''
    where, place = (
        ('"Guid" = ? AND "Said" = ?', [cells["Guid"], cells["Said"]])
        if table == "Keyed"
        else ("rowid = ?", [cells.get("Id", cells.get("rowid"))])
    )
    side.connection.execute(f"{write} WHERE {where}", [text[2:] for text in place])
    before, (run,) = state(side), side.runs()
    assert side.sql_back(run) == "stale"
    assert state(side) == before
    assert side.python_back(run) == "Stale"


@pytest.mark.parametrize("table", ["Alive", "Inv_Many", "Links", "Packed", "Keyed"])
def test_where_another_row_stands_nothing_is_put_back(side: Side, table: str) -> None:
    """Each of the tables lost a row."""
    images = "SELECT before_image FROM mergeguard_change WHERE table_name = ? AND after_image IS NULL"
    run = merged(side)
    cells = json.loads(side.connection.execute(images, [table]).fetchone()[0])
    if table == "Keyed":
        side.connection.execute('INSERT INTO "Keyed" VALUES (?, ?, ?)', [cells["Guid"][2:], "k", None])
    else:
        key = next(name for name in ("Id", "rowid") if name in cells)
        columns = {**COLUMNS, **TABLES}[table]
        named = ", ".join(f'"{name}"' for name in (key, *columns))
        marks = ", ".join("?" * (len(columns) + 1))
        values = [cells[key][2:], *("another" for _ in columns)]
        side.connection.execute(f'INSERT INTO "{table}" ({named}) VALUES ({marks})', values)
    before = state(side)
    with pytest.raises(sqlite3.IntegrityError, match=f"stale: another row stands where one of {table} "):
        side.connection.execute("INSERT INTO mergeguard_unmerge VALUES (?)", [run])
    assert state(side) == before
    assert side.python_back(run) == "Stale"


@pytest.mark.parametrize("python", [False, True])
def test_a_zero_below_zero(side: Side, python: bool) -> None:
    """SQL cannot tell it from zero, so only Python's journal says which it was."""
    key = [KNOWN[0].bytes, "a\0b"]
    side.connection.execute('UPDATE "Packed" SET "More" = 0.0 * -1.0 WHERE "Guid" = ? AND "Said" <> ?', key)
    side.connection.execute('UPDATE "Keyed" SET "More" = 0.0 * -1.0')
    run = merged(side, python=python)
    assert side.sql_back(run) == "back"
    found = [more for (more,) in side.connection.execute('SELECT "More" FROM "Keyed"')]
    assert found == [0.0, 0.0]
    assert sorted(str(more) for more in found) == (["-0.0", "-0.0"] if python else ["-0.0", "0.0"])


def narrowed(name: str) -> Profile:
    """The profile without some reference, as somebody might write it after the merge."""
    return replace(HASHED, references=tuple(each for each in HASHED.references if not str(each).startswith(name)))


ALTERED: Mapping[str, tuple[str, Profile, str, str]] = {
    "a table is declared no more": ("references", narrowed("Evt"), "", "does not declare"),
    "a column is declared no more": ("references", narrowed("Pairs.Two"), "", "all columns of Pairs "),
    "a table has one column more": ("stale", HASHED, 'ALTER TABLE "Keyed" ADD COLUMN "x"', "Keyed has other columns"),
    "a table has other names": ("stale", HASHED, 'ALTER TABLE "Evt" RENAME COLUMN "What" TO "x"', "Evt is gone, or"),
    "a trigger changes what is put back": (
        "write",
        HASHED,
        'CREATE TRIGGER odd AFTER INSERT ON "Keyed" BEGIN UPDATE "Keyed" SET "More" = 7; END',
        "told of Keyed",
    ),
    "a trigger changes what is set back": (
        "write",
        HASHED,
        'CREATE TRIGGER odd AFTER UPDATE OF "Guid" ON "Evt" BEGIN UPDATE "Evt" SET "What" = 7; END',
        "told of Evt",
    ),
    "a trigger lets no row go": (
        "write",
        HASHED,
        'CREATE TRIGGER odd BEFORE DELETE ON "Merges" BEGIN SELECT RAISE(IGNORE); END',
        "told of Merges",
    ),
}


@pytest.mark.parametrize("case", ALTERED)
def test_what_fits_no_more_is_refused_with_its_name(tmp_path: Path, case: str) -> None:
    reason, profile, alter, said = ALTERED[case]
    with closing(Side(tmp_path / "altered.db")) as side:
        side.begin(STORY)
        run = merged(side)
        if alter:
            side.connection.execute(alter)
        with side.world.opened(profile=profile) as source:
            install_sql(source, profile)
        before = list(side.connection.iterdump())
        with pytest.raises(sqlite3.IntegrityError, match=f"mergeguard: {reason}: .*{said}"):
            side.connection.execute("INSERT INTO mergeguard_unmerge VALUES (?)", [run])
        assert list(side.connection.iterdump()) == before


@pytest.mark.parametrize("way", ["", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ROLLBACK"])
def test_what_stands_in_the_way_by_a_key_of_its_own_is_not_overwritten(side: Side, way: str) -> None:
    """Such a word goes for all that a trigger does, too."""
    run = merged(side)
    ((gone,),) = side.connection.execute(
        "SELECT before_image FROM mergeguard_change WHERE table_name = 'Packed' AND after_image IS NULL"
    )
    side.connection.execute('CREATE UNIQUE INDEX odd ON "Packed" ("More")')
    try:
        more = bytes.fromhex(json.loads(gone)["More"][2:])
        side.connection.execute("INSERT INTO \"Packed\" VALUES (?, 'mine', ?)", [KNOWN[4].bytes, more])
        before = state(side)
        with pytest.raises(sqlite3.IntegrityError):
            side.connection.execute(f"INSERT {way} INTO mergeguard_unmerge VALUES (?)", [run])
        assert state(side) == before
    finally:
        side.connection.execute("DROP INDEX odd")
        side.connection.execute("DELETE FROM mergeguard_work")


def test_no_other_way_to_insert_merges(side: Side) -> None:
    before = state(side)
    for way in ("REPLACE", "FAIL", "ROLLBACK"):
        with pytest.raises(sqlite3.IntegrityError, match=r"usage: INSERT INTO, without|mergeguard_work\.id"):
            side.connection.execute(f"INSERT OR {way} INTO mergeguard_merge VALUES (?, ?, 'r')", [OLD, NEW])
        side.connection.execute("DELETE FROM mergeguard_work")
        assert state(side) == before


# What the tests above are worth: each planted mistake makes the story come out otherwise.

LAST_FIRST = "ORDER BY made.place DESC"
COMPARED = "FROM mergeguard_held\n    WHERE replace(image"
WRITTEN = "SELECT NEW.table_no, 'write' FROM mergeguard_held"
LOOKUP = "DELETE FROM mergeguard_lookup_rows WHERE"
MISTAKES: dict[str, tuple[str, str, str]] = {
    "a table is left out": ("unmerge", LAST_FIRST, f"AND made.table_name <> 'Evt' {LAST_FIRST}"),
    "rows are put back before others are set back": ("unmerge", LAST_FIRST, "ORDER BY made.place"),
    "the black list is kept": ("unmerge", LAST_FIRST, f"AND made.action <> 'black-list' {LAST_FIRST}"),
    "hashes are kept": ("unmerge", LAST_FIRST, f"AND made.action <> 'clear hash' {LAST_FIRST}"),
    "the run counts as standing": ("unmerge", "undone_by = (SELECT run_id FROM mergeguard_work)", "undone_by = NULL"),
    "the undo undoes nothing": ("unmerge", "request_id FROM mergeguard_work;", "NULL FROM mergeguard_work;"),
    "the lookup is kept": ("unmerge", LOOKUP, f"{LOOKUP} 0 AND"),
    "what changed is overwritten": ("take_back", COMPARED, COMPARED.replace("WHERE", "WHERE 0 AND")),
    "what was written is not looked at": ("take_back", WRITTEN, WRITTEN.replace("held", "survive, mergeguard_held")),
    "nothing is set back": ("take_back", "ELSE 'set back' END", "ELSE '' END"),
    "floats are rounded": ("decode_back", "v / 65536.0", "v / 65537.0"),
    "bytes are swapped": ("decode_back", "substr(rest, 3, 1)", "substr(rest, 1, 1)"),
    "texts are bytes": ("decode_back", "THEN CAST(bytes AS TEXT)", "THEN bytes"),
}


def told(side: Side) -> bool:
    """Tell the story: a merge is taken back, another is not because somebody wrote since, or a trigger does."""
    side.begin(STORY)
    before = side.rows()
    run = merged(side)
    try:
        right = side.sql_back(run) == "back" and side.rows() == before and side.runs() == []
        undoes = side.connection.execute("SELECT undoes FROM mergeguard_run WHERE kind = 'undo'").fetchall()
        side.begin(STORY)
        run = merged(side)
        side.connection.execute('UPDATE "Evt" SET "What" = \'else\'')
        right = right and side.sql_back(run) == "stale" and undoes != [(None,)]
        side.begin(STORY)
        run = merged(side)
        side.connection.execute(ALTERED["a trigger changes what is put back"][2])
        return right and side.sql_back(run) == "write"
    except (AssertionError, sqlite3.IntegrityError):
        return False
    finally:
        side.connection.execute("DROP TRIGGER IF EXISTS odd")


@pytest.mark.parametrize("mistake", [None, *MISTAKES])
def test_a_planted_mistake_is_noticed(sides: list[Side], mistake: str | None) -> None:
    side = sides[0]
    if mistake is None:
        assert told(side)
        return
    name, found, planted = MISTAKES[mistake]
    trigger = f"mergeguard_{name}_insert"
    ((right,),) = side.connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", [trigger]).fetchall()
    assert found in right
    for text in (f"DROP TRIGGER {trigger}", right.replace(found, planted)):
        side.connection.execute(text)
    try:
        assert not told(side)
    finally:
        for text in (f"DROP TRIGGER {trigger}", right):
            side.connection.execute(text)
        for work in ("work", "walk", "held", "held_cells", "back_cells"):
            side.connection.execute(f"DELETE FROM mergeguard_{work}")
