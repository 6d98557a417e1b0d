"""SQLite files with references of every kind, merged in and taken back by Python or by SQL."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import hashed_world
from hashed_world import CLASS, OTHER, WHOLE
from hypothesis import strategies as st
from merge_model import guid
from merging_world import ANY, COLUMNS, ONE, OURS, World
from sql_sides import seen

from mergeguard.errors import MergeGuardError, MergeRefused
from mergeguard.integrity.sql_scripts import install_sql
from mergeguard.integrity.undo import undo_run
from mergeguard.resources.merge import open_merges
from mergeguard.resources.merged import answer_of, merged_of
from mergeguard.storage.cells.guid_spelling import usual
from mergeguard.storage.profile import Blacklist, Managed, Profile, Reference

HASHED = replace(
    hashed_world.HASHED,
    name="hashed",
    references=(
        *hashed_world.HASHED.references,
        Reference("Packed", "Guid", ("Guid", "Said")),
        Reference("Keyed", "Guid"),
    ),
    blacklist=Blacklist("Banned", "Guid", "At", "Now"),
    managed=Managed("Managed", "Guid", "Said"),
)
TABLES = {
    "Sums": ("Class", "Guid", "Hash", "At", "Event"),
    "Catalogue": ("Guid", "TableName"),
    "Undated": ("Id", "Guid", "Said"),
    "Pairs": ("One", "Two", "Said"),
    "Whole": ("Guid", "Friend", "Said"),
    "Numbered": ("Guid", "Said", "At", "Event"),
    "Packed": ("Guid", "Said", "More"),
    "Keyed": ("Guid", "Said", "More"),
    "Managed": ("Guid", "Said"),
    "Banned": ("Guid", "At", "Now"),
}
MORE = """
    CREATE TABLE "Sums" ("Class" TEXT, "Guid" TEXT, "Hash" TEXT, "At" TEXT, "Event" BIGINT,
        PRIMARY KEY ("Class", "Guid"));
    CREATE TABLE "Catalogue" ("Guid" TEXT PRIMARY KEY, "TableName" TEXT);
    CREATE TABLE "Undated" ("Id" INTEGER PRIMARY KEY, "Guid" TEXT NOT NULL, "Said" TEXT);
    CREATE TABLE "Pairs" ("One" TEXT, "Two" TEXT, "Said" TEXT);
    CREATE TABLE "Whole" ("Guid" TEXT, "Friend" TEXT, "Said" TEXT);
    CREATE TABLE "Numbered" ("Guid" TEXT, "Said" TEXT, "At" TEXT, "Event" INTEGER);
    CREATE TABLE "Packed" ("Guid" BLOB, "Said", "More");
    CREATE TABLE "Keyed" ("Guid" TEXT, "Said" TEXT, "More", PRIMARY KEY ("Guid", "Said")) WITHOUT ROWID;
    CREATE TABLE "Managed" ("Guid" TEXT PRIMARY KEY, "Said");
    CREATE TABLE "Banned" ("Guid" TEXT PRIMARY KEY, "At" TEXT NOT NULL, "Now" TEXT);
"""
KNOWN = [guid(number) for number in range(5)]
SOME = st.sampled_from(KNOWN)
WORDS = st.sampled_from(["a", "b", '"\u00e9\n', "\U0001f600"])
CELLS = st.one_of(
    # A zero has no sign in SQLite's SQL.
    WORDS,
    st.integers(-3, 3),
    st.floats(allow_nan=False).map(lambda each: each + 0.0),
    st.sampled_from([b"\x00\xff", "\ufeffx", "a\0b", None]),
)
DAYS = st.sampled_from(
    [
        "2026-01-01 00:00:00.000000",
        "2026-01-02",
        "2026-01-02T05:00:00.5Z",
        "2026-01-02 06:00:00.500001+01:00",
        "2026-01-03T04:05",
        None,
    ]
)
NUMBERS = st.integers(0, 3) | st.none()
MERGES = st.lists(st.tuples(SOME, SOME), min_size=1, max_size=4)
Rows = Mapping[str, Sequence[Sequence[object]]]


@st.composite
def starts(draw: st.DrawFn) -> Rows:
    """Draw rows of every kind of reference, as crowded as the tables allow, guids in any usual spelling."""
    spelled = SOME.flatmap(lambda each: st.sampled_from(usual(each)))
    plain = SOME.map(str)
    numbered = draw(st.booleans())

    def many(*parts: st.SearchStrategy[Any], most: int = 6, by: int | None = None) -> list[tuple[Any, ...]]:
        key = (
            None
            if by is None
            else (lambda row: tuple(str(cell).strip("{}").replace("-", "").lower() for cell in row[:by]))
        )
        return draw(st.lists(st.tuples(*parts), max_size=most, **({} if key is None else {"unique_by": key})))

    days = NUMBERS if numbered else DAYS
    return {
        "LinkKinds": [(str(ANY), draw(st.sampled_from([None, 0, 2]))), (str(ONE), 1)],
        "Inv_One": many(spelled, WORDS, days, by=1),
        "Inv_Many": many(spelled, WORDS),
        "ResourceKeys": many(plain, WORDS, WORDS),
        "Inv_Owner": many(plain, WORDS, most=3),
        "Evt": many(spelled, WORDS, most=3),
        "Links": many(st.sampled_from([str(ANY), str(ONE).upper()]), plain, spelled, days),
        "Sums": many(
            st.sampled_from([str(CLASS), str(OTHER), str(WHOLE), "b"]), plain, WORDS | st.none(), days, NUMBERS, by=2
        ),
        "Whole": many(plain, plain | st.none(), WORDS),
        "Numbered": many(plain, WORDS, days, NUMBERS),
        "Catalogue": [(str(CLASS).upper(), "Undated"), (" b", "inv_one")],
        "Undated": [
            (at, str(each), draw(WORDS)) for at, each in enumerate(draw(st.lists(SOME, max_size=4, unique=True)))
        ],
        "Pairs": many(plain, plain | st.none(), WORDS),
        "Packed": many(SOME.map(lambda each: each.bytes), CELLS, CELLS, most=4),
        "Keyed": many(plain, WORDS, CELLS, most=4, by=2),
        "Managed": [(str(each), draw(st.sampled_from([1, "Yes", "no", None]))) for each in KNOWN],
        "Banned": [(str(each), "then", None) for each in draw(st.lists(SOME, max_size=1))],
    }


BYTES = """
    CREATE TABLE "Merges" ("Id" INTEGER PRIMARY KEY, "OldGuid" BLOB, "NewGuid" BLOB, "MergedAt" TEXT, "MergeKey" TEXT);
"""


class Side:
    """One file, merged in by one of the two.

    Args:
        packed: the tables whose guids are 16 bytes; those of merges are so where there are any.
    """

    def __init__(
        self, path: Path, encoding: str = "UTF-8", profile: Profile = HASHED, packed: Collection[str] = ()
    ) -> None:
        self.profile = profile
        self.packed = packed
        self.opened = ExitStack()
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute(f"PRAGMA encoding = '{encoding}'")
        self.connection.executescript(MORE + BYTES if packed else MORE)
        self.world = World(f"sqlite:///{path}")
        self.world.reset()
        self.source = self.opened.enter_context(self.world.opened(profile=profile))
        install_sql(self.source, profile)
        merging = self.opened.enter_context(self.world.opened(profile=profile))  # it is held open
        self.merges = self.opened.enter_context(open_merges(merging, profile))
        self.connection.execute("PRAGMA synchronous = OFF")

    def close(self) -> None:
        self.opened.close()
        self.connection.close()
        self.world.engine.dispose()

    def begin(self, rows: Rows) -> None:
        """Fill it anew."""
        self.connection.execute("BEGIN")
        for name in (*COLUMNS, *TABLES, *OURS):
            self.connection.execute(f'DELETE FROM "{name}"')
        live = {"Alive": [(str(each),) for each in KNOWN], **rows}
        for name, some in live.items():
            columns = ", ".join(f'"{column}"' for column in {**COLUMNS, **TABLES}[name])
            for drawn in some:
                row = [self._packed(cell) for cell in drawn] if name in self.packed else drawn
                marks = ", ".join("?" * len(row))
                self.connection.execute(f'INSERT INTO "{name}" ({columns}) VALUES ({marks})', row)
        self.connection.execute("COMMIT")

    def _packed(self, cell: object) -> object:
        try:
            guid = uuid.UUID(bytes=cell) if isinstance(cell, bytes) else uuid.UUID(str(cell))
        except ValueError:
            return cell
        return guid.bytes_le if self.profile.merge.byte_order == "sqlserver" else guid.bytes

    def python(self, old: uuid.UUID, new: uuid.UUID, request: str) -> Any:
        try:
            return _plain(json.loads(answer_of(self.merges.merge(old, new, request_id=request))))
        except MergeRefused as refused:
            return refused.reason

    def sql(self, old: uuid.UUID, new: uuid.UUID, request: str) -> Any:
        try:
            self.connection.execute("INSERT INTO mergeguard_merge VALUES (?, ?, ?)", [str(old), str(new), request])
        except sqlite3.IntegrityError as refused:
            return str(refused).split(": ")[1]
        for name in WORK:
            assert self.connection.execute(f"SELECT count(*) FROM mergeguard_{name}").fetchone() == (0,)
        asked = "SELECT answer FROM mergeguard_request WHERE request_id = ?"
        (answer,) = self.connection.execute(asked, [request]).fetchone()
        assert merged_of(answer).old == old
        return _plain(json.loads(answer))

    def python_back(self, run: str) -> str:
        """Take a run back by Python; return what came of it."""
        try:
            undo_run(self.source, self.profile, run)
        except MergeGuardError as refused:
            return type(refused).__name__
        return "back"

    def sql_back(self, run: str) -> str:
        """Take a run back by SQL; return what came of it."""
        try:
            self.connection.execute("INSERT INTO mergeguard_unmerge VALUES (?)", [run])
        except sqlite3.IntegrityError as refused:
            return str(refused).split(": ")[1]
        for name in WORK:
            assert self.connection.execute(f"SELECT count(*) FROM mergeguard_{name}").fetchone() == (0,)
        return "back"

    def rows(self) -> Mapping[str, Any]:
        """All of the vendor's, cell by cell with its kind, without when it was merged."""
        found = {}
        for name in (*COLUMNS, *TABLES):
            columns = [column for column in {**COLUMNS, **TABLES}[name] if (name, column) not in CLOCKED]
            listed = ", ".join(f'CAST("{column}" AS BLOB), typeof("{column}")' for column in columns)
            row_id = "" if name == "Keyed" else "rowid, "
            found[name] = sorted(self.connection.execute(f'SELECT {row_id}{listed} FROM "{name}"').fetchall(), key=repr)
        lookup = "SELECT old_guid, current_guid, depth, status FROM mergeguard_lookup ORDER BY 1"
        found["lookup"] = self.connection.execute(lookup).fetchall()
        return found

    def journal(self) -> list[Any]:
        """All that was changed, without when."""
        changes = self.connection.execute("SELECT action, table_name, before_image, after_image FROM mergeguard_change")
        found = [(action, name, _image(name, before), _image(name, after)) for action, name, before, after in changes]
        steps = self.connection.execute(
            "SELECT component, members, survivor, undone_by IS NULL, evidence FROM mergeguard_step"
        )
        runs = self.connection.execute("SELECT kind, undoes IS NULL, finished IS NULL FROM mergeguard_run")
        told = sorted(((*one, json.loads(said)) for *one, said in steps), key=repr)
        roots = self.connection.execute("SELECT guid FROM mergeguard_root")
        return [sorted(found, key=repr), told, sorted(runs), sorted(roots)]

    def runs(self) -> list[str]:
        """The merges that stand, the last one first."""
        asked = "SELECT run_id FROM mergeguard_run JOIN mergeguard_step USING (run_id) WHERE undone_by IS NULL"
        return [run for (run,) in self.connection.execute(f"{asked} ORDER BY mergeguard_run.rowid DESC")]


WORK = (
    "asked",
    "held",
    "held_cells",
    "held_guids",
    "held_keys",
    "held_classes",
    "taken",
    "work",
    "walk",
    "walk_rows",
    "back_cells",
)
CLOCKED = {("Merges", "MergedAt"), ("Banned", "At")}


def _plain(answer: dict[str, Any]) -> Any:
    return {**seen(answer), "columns": dict(sorted(answer["columns"].items()))}


def _image(table: str, text: str | None) -> str:
    if text is None:
        return ""
    assert text.isascii()
    return repr(sorted((name, cell) for name, cell in json.loads(text).items() if (table, name) not in CLOCKED))
