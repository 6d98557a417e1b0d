"""The newest stays by the numbers of events, and lists that are loaded as a whole stay whole, as dictionaries say."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.errors import MergeRefused
from mergeguard.integrity.undo import undo_run
from mergeguard.resources.merge import merge, open_merges
from mergeguard.storage.profile import Hashes, Live, Merge, Profile, Reference
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

A, B = guid(0), guid(1)
CLASS = uuid.uuid5(uuid.NAMESPACE_OID, "many")
PROFILE = Profile(
    merge=Merge("Merges", row_id="Id"),
    live=Live("Alive", "Guid"),
    references=(
        Reference("Sums", "Guid", ("Class", "Guid"), "At", order="Event"),
        Reference("Many", "Guid", data_class=str(CLASS), sets="newest"),
        Reference("Many", "Friend"),
    ),
    hashes=Hashes("Sums", "Guid", "Class", "Hash", time="At", order="Event"),
)
Load = tuple[int | None, int | None] | None
"""The number of the event and the time; ``None`` where no summary says anything."""
LOADS: st.SearchStrategy[Load] = st.none() | st.tuples(st.none() | st.integers(0, 2), st.none() | st.integers(0, 2))
ROWS = st.lists(st.tuples(st.sampled_from([A, B, None]), st.sampled_from("xyz")), max_size=3)
TABLES = ("Merges", "Alive", "Sums", "Many")


class File:
    """A file with lists of resources, and the summaries of what was loaded last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                'CREATE TABLE "Merges" ("Id" INTEGER PRIMARY KEY, "OldGuid" TEXT, "NewGuid" TEXT);'
                'CREATE TABLE "Alive" ("Guid" TEXT PRIMARY KEY);'
                'CREATE TABLE "Sums" ("Class" TEXT, "Guid" TEXT, "Hash" TEXT, "At" INTEGER, "Event",'
                ' PRIMARY KEY ("Class", "Guid")); CREATE TABLE "Many" ("Guid" TEXT, "Friend" TEXT, "Said" TEXT);'
            )
        self.source = open_target(str(path), PROFILE, Options())

    def fill(self, lists: dict[uuid.UUID, Sequence[tuple[uuid.UUID | None, str]]], loads: dict[uuid.UUID, Any]) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for table in TABLES:
                connection.execute(f'DELETE FROM "{table}"')
            connection.executemany('INSERT INTO "Alive" VALUES (?)', [(str(A),), (str(B),)])
            for owner, rows in lists.items():
                cells = [(str(owner), None if friend is None else str(friend), said) for friend, said in rows]
                connection.executemany('INSERT INTO "Many" VALUES (?, ?, ?)', cells)
            for owner, load in loads.items():
                if load is not None:
                    row = (str(CLASS), str(owner), "hash", load[1], load[0])
                    connection.execute('INSERT INTO "Sums" VALUES (?, ?, ?, ?, ?)', row)
            connection.commit()

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return sorted(connection.execute(f'SELECT * FROM "{table}"').fetchall(), key=repr)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[File]:
    made = File(tmp_path_factory.mktemp("newest") / "newest.db")
    yield made
    made.source.close()


def age(load: Load) -> tuple[int, int, int]:
    if load is None:
        return -2, -2, -2
    number, time = load
    return 0, -1 if number is None else number, -1 if time is None else time


@given(mine=ROWS, other=ROWS, old=LOADS, new=LOADS)
def test_of_two_lists_the_one_that_was_loaded_last_stays(
    file: File, mine: list[Any], other: list[Any], old: Load, new: Load
) -> None:
    file.fill({A: mine, B: other}, {A: old, B: new})
    before = {name: file.rows(name) for name in TABLES}
    done = merge(file.source, PROFILE, A, B)
    united = old is None and new is None
    stays = [*mine, *other] if united else mine if age(old) > age(new) else other
    wanted = [(str(B), None if friend is None else str(B), said) for friend, said in stays]
    assert file.rows("Many") == sorted(wanted, key=repr)
    if not united:
        newest = max(old, new, key=age)
        assert newest is not None
        assert [row[1:5:2] + row[4:] for row in file.rows("Sums")] == [(str(B), newest[1], newest[0])]
    moved = done.columns.get("Many.Guid")
    held = 0 if moved is None else moved.changed + moved.collapsed
    assert held == len(mine)
    assert done.run_id is not None
    undo_run(file.source, PROFILE, done.run_id)
    assert {name: file.rows(name) for name in TABLES} == before


def test_a_list_that_was_emptied_last_stays_empty(file: File) -> None:
    file.fill({B: [(None, "x"), (A, "y")]}, {A: (7, None), B: (6, None)})
    done = merge(file.source, PROFILE, A, B)
    assert file.rows("Many") == []
    assert done.columns["Many.Guid"].replaced == 2


def test_the_hash_of_what_stays_goes(file: File) -> None:
    file.fill({A: [(None, "x")], B: []}, {A: (1, 1), B: (2, 2)})
    done = merge(file.source, PROFILE, A, B)
    assert [row[2] for row in file.rows("Sums")] == [None]
    assert done.hashes_cleared == 1


@pytest.mark.parametrize("event", ["seven", "1.5", ""])
def test_a_number_that_is_none_ends_the_merge_before_anything_changes(file: File, event: str) -> None:
    file.fill({A: [(None, "x")], B: [(None, "y")]}, {A: (event, 1), B: (2, 2)})
    before = file.rows("Many")
    with open_merges(file.source, PROFILE) as merges, pytest.raises(MergeRefused) as refused:
        merges.merge(A, B)
    assert refused.value.reason == "unordered-time"
    assert "Sums.Event" in refused.value.message
    assert (file.rows("Many"), file.rows("Merges")) == (before, [])
