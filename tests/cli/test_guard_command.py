"""``guard`` as a DBA meets it: shown, asked for, proven, removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

PROVEN = """\
refused      a guid merged into itself: mergeguard: self-merge: a guid would be merged into itself
refused      a cycle of two, written by one statement: mergeguard: cycle: merges would lead back to where they began
refused      a cycle of three, written by one statement: mergeguard: cycle: merges would lead back to where they began
ResourceMerge is guarded; everything was taken back
"""


def test_a_dry_run_prints_a_script_and_changes_nothing(call: Callable, demo: Path) -> None:
    before = demo.read_bytes()
    shown = call("guard", "install", demo, "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    assert demo.read_bytes() == before
    with closing(sqlite3.connect(demo)) as connection:
        connection.executescript(shown.out)
    assert call("guard", "status", demo).code == 0
    gone = call("guard", "remove", demo, "--dry-run")
    with closing(sqlite3.connect(demo)) as connection:
        connection.executescript(gone.out)
    assert call("guard", "status", demo).code == 1


def test_it_is_installed_proven_and_removed(call: Callable, demo: Path) -> None:
    bare = call("guard", "status", demo)
    assert (bare.code, bare.out.splitlines()[1]) == (1, "  there is no guard")
    assert call("guard", "prove", demo).code == 1
    done = call("guard", "install", demo, "--yes")
    assert (done.code, done.out) == (0, "the guard of ResourceMerge is installed\n")
    assert done.err == "in tz.db a trigger will be put on ResourceMerge, and a table of one row beside it\n"
    again = call("guard", "install", demo)
    assert (again.code, again.out) == (0, "the guard of ResourceMerge stood already, as this version makes it\n")
    status = call("guard", "status", demo)
    assert (status.code, "stands: version 1" in status.out) == (0, True)
    proven = call("guard", "prove", demo)
    assert (proven.code, proven.out) == (0, PROVEN)
    assert call("guard", "remove", demo, "--yes").out == "the guard of ResourceMerge is removed\n"
    assert call("guard", "remove", demo).out == "ResourceMerge had no guard\n"


@pytest.mark.parametrize("command", ["install", "remove"])
def test_nobody_is_asked_where_nobody_is_there(call: Callable, demo: Path, command: str) -> None:
    if command == "remove":
        call("guard", "install", demo, "--yes")
    before = demo.read_bytes()
    assert call("guard", command, demo).refused(2, "nobody is at a terminal")
    assert demo.read_bytes() == before


def test_constraints_are_refused_with_the_findings(call: Callable, demo: Path) -> None:
    before = demo.read_bytes()
    refused = call("guard", "install", demo, "--constraints", "--yes")
    assert refused.refused(5, "violate the constraints", "MG003 split")
    assert demo.read_bytes() == before


def test_a_file_cannot_be_guarded(call: Callable, folder: Path) -> None:
    Path("merges.csv").write_text("OldGuid,NewGuid\n")
    for command in ("install", "status", "prove", "remove"):
        assert call("guard", command, "merges.csv").code == 3
