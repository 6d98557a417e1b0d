"""``merge`` as a DBA meets it: shown first, asked for, done once, taken back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

FLAGS = ("--table", "Merges", "--id-column", "Id", "--live", "Alive:Guid", "--reference", "Inv:Guid")
DATABASE = Path("merges.db")


def guid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


@pytest.fixture
def database(folder: Path) -> Path:
    """Four resources and no merges."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        connection.execute("CREATE TABLE Merges (Id INTEGER PRIMARY KEY, OldGuid TEXT, NewGuid TEXT, MergeKey TEXT)")
        connection.execute("CREATE TABLE Alive (Guid TEXT PRIMARY KEY)")
        connection.execute("CREATE TABLE Inv (Id INTEGER PRIMARY KEY, Guid TEXT)")
        connection.executemany("INSERT INTO Alive VALUES (?)", [(guid(number),) for number in range(1, 5)])
        connection.executemany("INSERT INTO Inv (Guid) VALUES (?)", [(guid(1),), (guid(1),), (guid(2),)])
    return DATABASE


def rows(table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(DATABASE)) as connection:
        return list(connection.execute(f"SELECT * FROM {table} ORDER BY 1"))


def test_a_preview_says_what_moves_and_writes_nothing(call: Callable, database: Path) -> None:
    before = database.read_bytes()
    seen = call("merge", database, guid(1), guid(2), *FLAGS, "--preview")
    assert seen.code == 0, seen.err
    assert seen.out.splitlines() == [
        f"no circle: {guid(1)} would be merged into {guid(2)}",
        "1 row taken out of the live guids",
        "Inv.Guid: 2 rows: 2 re-pointed",
        "nothing was written",
    ]
    assert database.read_bytes() == before


def test_a_merge_is_told_and_taken_back(call: Callable, database: Path) -> None:
    before = rows("Inv")
    done = call("merge", database, guid(1), guid(2), *FLAGS, "--yes", "--key-column", "MergeKey", "--key", "serial")
    assert done.code == 0, done.err
    run = json.loads(call("journal", database, *FLAGS, "--format", "json").out)[0]
    assert run["kind"] == "merge"
    assert done.out.splitlines()[0] == f"{guid(1)} is merged into {guid(2)}"
    assert done.out.splitlines()[-1].endswith(f" {run['run_id']}")
    assert rows("Merges") == [(1, guid(1), guid(2), "serial")]
    again = call("merge", database, guid(1), guid(2), *FLAGS, "--yes")
    assert again.out == f"nothing to do: both are {guid(2)} already\n"
    assert call("undo", database, run["run_id"], *FLAGS, "--yes").code == 0
    assert (rows("Merges"), rows("Inv")) == ([], before)


def test_a_circle_is_told_before_anything_else(call: Callable, database: Path) -> None:
    call("merge", database, guid(1), guid(2), *FLAGS, "--yes")
    seen = call("merge", database, guid(2), guid(1), *FLAGS, "--preview")
    assert seen.code == 5
    assert seen.out.startswith("it would close a circle (cycle): ")
    refused = call("merge", database, guid(2), guid(1), *FLAGS)
    assert (refused.code, refused.out) == (5, "")
    assert "would close a circle" in refused.err
    gone = call("merge", database, guid(3), guid(9), *FLAGS, "--preview")
    assert gone.out.startswith("it would be refused (dead-target): ")


def test_nobody_is_there_to_say_yes(call: Callable, database: Path) -> None:
    asked = call("merge", database, guid(1), guid(2), *FLAGS)
    assert asked.code == 2
    assert "Inv.Guid: 2 rows: 2 re-pointed" in asked.err
    assert rows("Merges") == []


def test_a_request_is_made_once(call: Callable, database: Path) -> None:
    first = call("merge", database, guid(1), guid(2), *FLAGS, "--yes", "--request-id", "mail 17")
    again = call("merge", database, guid(1), guid(2), *FLAGS, "--yes", "--request-id", "mail 17")
    assert again.out.splitlines()[0] == f"{guid(1)} is merged into {guid(2)} (this request was answered before)"
    assert again.out.splitlines()[1:] == first.out.splitlines()[1:]
    other = call("merge", database, guid(3), guid(2), *FLAGS, "--yes", "--request-id", "mail 17")
    assert other.code == 5


@pytest.mark.parametrize("bad", ["", "xyz", "00000000-0000-4000-8000-00000000000"])
def test_what_is_no_guid_is_a_mistake_of_the_caller(call: Callable, database: Path, bad: str) -> None:
    assert call("merge", database, bad, guid(2), *FLAGS, "--preview").code == 2


def test_a_key_without_a_column_for_it(call: Callable, database: Path) -> None:
    answer = call("merge", database, guid(1), guid(2), *FLAGS, "--yes", "--key", "serial")
    assert answer.code == 2
    assert rows("Merges") == []
