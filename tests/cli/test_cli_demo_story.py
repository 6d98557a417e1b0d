"""`mergeguard demo --story`: the whole story with the real commands, and what stands in the database when it ends."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from mergeguard import api
from mergeguard.errors import ExitCode
from mergeguard.processor.demo_events import DOCKED, REINSTALLED, RING, guid_of, names
from mergeguard.storage.queue.opening import open_store

TWICE = (*DOCKED, REINSTALLED)


@dataclass(frozen=True)
class Told:
    """A story that was told."""

    text: str
    database: Path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("story") / "made if need be"
    done = subprocess.run(
        [sys.executable, "-m", "mergeguard", "demo", "--story", "--dir", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (ExitCode.CLEAN, ""), done.stdout
    return Told(done.stdout, folder / "story.db")


def rows(told: Told, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(told.database)) as connection:
        return connection.execute(query).fetchall()


def test_it_tells_eleven_chapters_and_calls_real_commands(told: Told) -> None:
    chapters = re.findall(r"^=== (\d+)\. ", told.text, re.MULTILINE)
    assert chapters == [str(number) for number in range(1, 12)]
    called = re.findall(r"^\$ mergeguard (\w+(?: (?:install|remove|parked))?)", told.text, re.MULTILINE)
    assert called == [
        "guard install",
        "merges",
        "merge",
        "scan",
        "guard remove",
        "queue parked",
        "scan",
        "explain",
        "repair",
        "repair",
        "guard install",
        "scan",
    ]


def test_the_events_of_the_circle_are_parked_and_the_others_are_not_held_up(told: Told) -> None:
    counts = re.findall(r"^Of (\d+) events so far (\d+) are done, (\d+) parked, (\d+) dead\.$", told.text, re.MULTILINE)
    assert [tuple(map(int, each)) for each in counts] == [
        (53, 53, 0, 0),
        (55, 55, 0, 0),
        (58, 58, 0, 0),
        (66, 63, 3, 0),
        (66, 66, 0, 0),
    ]
    parked = told.text.partition("queue parked")[2].partition("=== 8.")[0]
    assert all(str(guid_of(name)) in parked for name in RING)


def test_the_guard_refuses_the_circle_before_it_is_taken_away(told: Told) -> None:
    chapter = told.text.partition("=== 6.")[2].partition("=== 7.")[0]
    refused, _, later = chapter.partition("So somebody takes the guard away")
    assert "circle" in refused.partition("\n")[2] or "cycle" in refused
    assert "guard remove" in later


def test_in_the_end_nothing_is_wrong_and_everything_is_where_it_belongs(told: Told) -> None:
    report = api.scan(told.database)
    assert [outcome.rule for outcome in report.outcomes if outcome.count and outcome.severity.value != "info"] == []
    assert rows(
        told, "SELECT count(*) FROM ItemResource AS r JOIN Item AS i USING (Guid) WHERE i.Name LIKE 'PC-%'"
    ) == [
        (len(names()) - 2,)  # the ring is one computer now
    ]
    for table, column in (("Inv_Identification", "_ResourceGuid"), ("Inv_InstalledSoftware", "_SoftwareComponentGuid")):
        assert rows(told, f'SELECT count(*) FROM {table} WHERE "{column}" NOT IN (SELECT Guid FROM ItemResource)') == [
            (0,)
        ]
    store = open_store(str(told.database))
    assert sum(size.events + size.dead for size in store.sizes()) == 0
    store.close()


def test_what_was_posted_under_an_old_guid_stands_under_the_new_one(told: Told) -> None:
    found = {row[0] for row in rows(told, "SELECT _ResourceGuid FROM Evt_Software_Execution WHERE Program = 'backup'")}
    assert found == {str(guid_of(name, second=True)) for name in TWICE}
    merges = dict(rows(told, "SELECT OldGuid, NewGuid FROM ResourceMerge"))
    assert {merges[str(guid_of(name))] for name in TWICE} == found


def test_a_story_is_never_written_over_another_file(call: Callable, tmp_path: Path) -> None:
    (tmp_path / "story.db").write_bytes(b"mine")
    ran = call("demo", "--story", "--dir", tmp_path)
    assert ran.refused(ExitCode.USAGE, "exists already")
    assert (tmp_path / "story.db").read_bytes() == b"mine"
