"""Looking at an SQLite file drops no lock that another connection of the same process has on it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options
from mergeguard.storage.sqlite import file as sqlite_file
from mergeguard.storage.targets import open_target

OTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""
LAST = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM t").fetchone()[0])
connection.close()
"""


def said(script: str, path: Path) -> str:
    """What another process says."""
    command = [sys.executable, "-c", script, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "merges.db"
    with closing(sqlite3.connect(made)) as connection:
        connection.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    return made


@pytest.mark.parametrize("name", ["merges.db", "no-suffix"])
def test_a_lock_outlives_a_look(path: Path, name: str) -> None:
    path = path.rename(path.with_name(name))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        sqlite_file.look(path)
        open_target(str(path), Profile(), Options()).close()
        assert said(OTHER, path) == "database is locked"
        connection.execute("ROLLBACK")
        assert said(OTHER, path) == ""


def test_the_log_of_a_connection_outlives_a_look_and_another_process(path: Path) -> None:
    """Without the lock the other process, when it ends, takes itself for the last one and deletes the log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO t VALUES (2)")
        sqlite_file.look(path)
        assert said(LAST, path) == "2"
        assert path.with_name(path.name + "-wal").exists()
        connection.execute("INSERT INTO t VALUES (3)")
    assert said(LAST, path) == "3"


def test_what_is_kept_open_is_bounded_and_deleted_files_are_let_go(tmp_path: Path) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0

    before = count()
    for number in range(3 * sqlite_file.MOST_KEPT):
        path = tmp_path / f"{number}.db"
        path.write_bytes(b"SQLite format 3\0" + bytes(84))
        assert sqlite_file.read_without_closing(path, 0, 6) == b"SQLite"
        if number % 2:
            path.unlink()
    assert count() <= before + sqlite_file.MOST_KEPT


def test_a_file_that_took_the_place_of_another_is_read_itself(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"one")
    assert sqlite_file.read_without_closing(path, 0, 3) == b"one"
    other.write_bytes(b"two")
    other.replace(path)
    assert sqlite_file.read_without_closing(path, 0, 3) == b"two"
    path.write_bytes(b"new")
    assert sqlite_file.read_without_closing(path, 1, 2) == b"ew"
