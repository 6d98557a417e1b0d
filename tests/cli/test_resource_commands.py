"""Reports on resources as a person reads them, and the task that merges duplicates as one orders it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

KIND = "11111111-1111-4111-8111-111111111111"
AGENT, STOCK, OTHER = (f"00000000-0000-4000-8000-00000000000{at}" for at in "123")


@pytest.fixture
def known_twice(demo: Path) -> Path:
    """The demonstration, with one machine that is known by its agent and by hand."""
    with closing(sqlite3.connect(demo)) as connection:
        connection.execute('INSERT INTO "ResourceType" VALUES (?, ?)', (KIND, "Machine"))
        for guid, name, managed in ((AGENT, "pc-1", 1), (STOCK, "stock-1", 0), (OTHER, "pc-2", 1)):
            day = "2026-01-01T00:00:00.000Z"
            columns = '"Guid", "Name", "ResourceTypeGuid", "CreatedDate", "ModifiedDate"'
            connection.execute(f'INSERT INTO "Item" ({columns}) VALUES (?, ?, ?, ?, ?)', (guid, name, KIND, day, day))
            connection.execute('INSERT INTO "ItemResource" ("Guid", "IsManaged") VALUES (?, ?)', (guid, managed))
        keys = [(AGENT, "serialnumber", "S=1,x"), (STOCK, "SerialNumber", "s=1,X"), (AGENT, "barcode", "2")]
        keys += [(OTHER, "barcode", "2")]
        connection.executemany(
            'INSERT INTO "ResourceKey" ("ResourceGuid", "KeyName", "KeyValue") VALUES (?, ?, ?)', keys
        )
        connection.commit()
    return demo


def test_duplicates_are_shown_and_nothing_is_written(call: Callable, known_twice: Path) -> None:
    before = known_twice.read_bytes()
    shown = call("duplicates", known_twice)
    assert (shown.code, shown.err) == (0, "")
    heads, _, pair, left = shown.out.splitlines()
    assert heads.split() == ["key", "value", "old", "old_name", "new", "new_name", "outcome"]
    assert pair.split()[2:6] == [STOCK, "stock-1", AGENT, "pc-1"]
    assert pair.endswith("would be merged")
    assert left.endswith("left alone: 2 of them are managed")
    assert known_twice.read_bytes() == before


def test_duplicates_are_merged_when_a_person_says_so(call: Callable, known_twice: Path) -> None:
    asked = call("duplicates", known_twice, "--merge")
    assert asked.refused(2, "nobody is at a terminal")
    made = call("duplicates", known_twice, "--merge", "--yes", "--format", "json")
    assert made.code == 0, made
    document = json.loads(made.out)
    assert (document["total"], document["pairs"], document["left"]) == (2, 1, 1)
    outcome = document["duplicates"][0]["outcome"]
    assert outcome.startswith("merged: run ")
    again = call("duplicates", known_twice, "--merge", "--yes")
    assert (again.code, "would be merged" in again.out) == (0, False)
    told = call("merges", known_twice, "--format", "json", "--limit", "1")
    (newest,) = json.loads(told.out)["merges"]
    assert (newest["old"], newest["current"], newest["key"]) == (STOCK, AGENT, "duplicates: SerialNumber=s=1,X")
    assert (newest["old_name"], newest["current_name"]) == ("stock-1", "pc-1")
    assert newest["who"]
    assert call("undo", known_twice, outcome.split()[-1], "--yes").code == 0
    assert "would be merged" in call("duplicates", known_twice).out


def test_another_key_can_tell_a_machine(call: Callable, known_twice: Path) -> None:
    shown = call("duplicates", known_twice, "--by", "name.domain")
    assert (shown.code, shown.out) == (0, "there are no duplicates\n")


def test_shared_keys_are_listed_as_csv_that_reads_back(call: Callable, known_twice: Path) -> None:
    shown = call("keys", known_twice, "--name", "serialNUMBER", "--format", "csv")
    heads, row = csv.reader(io.StringIO(shown.out))
    assert heads == ["key", "value", "resources", "guids", "names"]
    assert row == ["SerialNumber", "s=1,X", "2", f"{AGENT} {STOCK}", "pc-1 stock-1"]
    lines = call("keys", known_twice, "--format", "jsonl").out.splitlines()
    assert {json.loads(line)["key"] for line in lines} >= {"SerialNumber", "barcode"}
    few = call("keys", known_twice, "--limit", "1")
    assert few.out.splitlines()[-1].startswith("and ")


def test_merges_tell_the_key_that_made_them(call: Callable, demo: Path) -> None:
    shown = call("merges", demo, "--limit", "2", "--format", "jsonl")
    assert shown.code == 0
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert [row["key"] for row in rows] == ["name"] * 2
    assert all(uuid.UUID(row["old"]) for row in rows)
    total = json.loads(call("merges", demo, "--format", "json", "--limit", "0").out)
    assert total["total"] > 2
    assert total["merges"] == []


def test_a_file_of_merges_is_reported_too(call: Callable, merges: Path) -> None:
    shown = call("merges", merges, "--format", "tsv")
    assert shown.code == 0
    assert [line.split("\t")[8] for line in shown.out.splitlines()] == ["key", "No Match", "No Match"]


def test_sources_that_moved_are_listed(call: Callable, demo: Path, tmp_path: Path) -> None:
    from mergeguard.core.events import NewEvent, Queue  # noqa: PLC0415 - only here
    from mergeguard.storage.queue.opening import open_store  # noqa: PLC0415 - as above

    with closing(open_store(str(demo))) as store:
        store.create()
        empty = call("queue", "sources", demo)
        assert (empty.code, empty.out) == (0, "no event waits whose source was merged away\n")
        told = json.loads(call("merges", demo, "--format", "json").out)["merges"]
        moved = next(row for row in told if row["current"] is not None)
        store.register([NewEvent(uuid.UUID(moved["old"]), 0, Queue.FAST, 1, b"x")] * 2)
    shown = call("queue", "sources", demo, "--format", "json")
    (found,) = json.loads(shown.out)["sources"]
    assert (found["source"], found["current"], found["events"]) == (moved["old"], moved["current"], 2)


@pytest.mark.parametrize("command", ["duplicates", "keys"])
def test_what_the_profile_must_say_is_told(call: Callable, merges: Path, command: str) -> None:
    assert call(command, merges).refused(2, "the profile does not say")
