"""Opening an SQLite file never changes it, whatever another process does with it meanwhile."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mergeguard.errors import (
    CannotCheck,
    ConnectionLost,
    Locked,
    MergeGuardError,
    NotADatabase,
    PermissionDenied,
    TargetNotFound,
    UnknownSchema,
    UsageError,
)
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Column, Kind, Options, Selection
from mergeguard.storage.sqlite.source import SqliteSnapshot, SqliteSource

OTHER = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
for line in sys.stdin:
    try:
        answer = connection.execute(json.loads(line)).fetchall()
    except sqlite3.Error as error:
        answer = str(error)
    print(json.dumps(answer), flush=True)
connection.close()
"""
NUMBERS = Selection((Column("number", Kind.INTEGER),))
NOBODY = 65534


class Other:
    """Another process with the database open: it executes what it is told."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, sql: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(sql) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def other(path: Path) -> Iterator[Other]:
    process = Other(path)
    try:
        yield process
    finally:
        process.kill()


def make(path: Path, mode: str = "delete", rows: int = 3) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE merges (number INTEGER, filler BLOB)")
        connection.executemany("INSERT INTO merges VALUES (?, zeroblob(500))", [(number,) for number in range(rows)])
    return path


def source(path: Path) -> SqliteSource:
    profile = Profile(merge=Merge("merges", "number", "number"))
    return SqliteSource(sa.make_url(f"sqlite:///{path}"), profile, Options(lock_timeout=0.05))


def numbers(snapshot: SqliteSnapshot) -> list[int]:
    return sorted(number for (cells,) in snapshot.read(NUMBERS) for number in cells.tolist())  # type: ignore[union-attr]


def listing(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of the folder: its bytes, and when it was changed."""
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


@pytest.mark.parametrize("mode", ["delete", "wal", "truncate", "persist"])
def test_a_read_leaves_the_folder_byte_for_byte(tmp_path: Path, mode: str) -> None:
    target = source(make(tmp_path / "a.db", mode))
    before = listing(tmp_path)
    with target.snapshot() as snapshot:
        assert numbers(snapshot) == [0, 1, 2]
        assert listing(tmp_path) == before
        assert snapshot.notes == []
        assert snapshot.isolation.startswith("snapshot (")
    target.doctor()
    target.close()
    assert listing(tmp_path) == before


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    folder = tmp_path / "a ?b#c%20é"
    folder.mkdir()
    path = make(folder / "x&mode=rw.db", "wal")
    profile = Profile(merge=Merge("merges", "number", "number"))
    url = sa.URL.create("sqlite", database=str(path))
    with SqliteSource(url, profile, Options()).snapshot() as snapshot:
        assert numbers(snapshot) == [0, 1, 2]


def test_a_log_in_use_is_read_in_a_transaction_and_shows_one_state(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "wal")
    with other(path) as writer:
        assert writer("INSERT INTO merges VALUES (3, NULL)") == []
        names = sorted(file.name for file in tmp_path.iterdir())
        with source(path).snapshot() as snapshot:
            assert "WAL" in snapshot.isolation
            assert writer("INSERT INTO merges VALUES (4, NULL)") == []
            assert numbers(snapshot) == [0, 1, 2, 3]
            assert writer("DELETE FROM merges") == []
            assert numbers(snapshot) == [0, 1, 2, 3]
            assert snapshot.notes == []
        assert sorted(file.name for file in tmp_path.iterdir()) == names
        with source(path).snapshot() as snapshot:
            assert numbers(snapshot) == []


def test_a_log_left_behind_is_read_too_and_the_file_it_needs_is_named(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "wal")
    with other(path) as writer:
        assert writer("INSERT INTO merges VALUES (3, NULL)") == []
        writer.kill()
    (tmp_path / "a.db-shm").unlink()
    before = listing(tmp_path)
    with source(path).snapshot() as snapshot:
        assert numbers(snapshot) == [0, 1, 2, 3]
        assert len(snapshot.notes) == 1
        assert "a.db-shm" in snapshot.notes[0]
    after = listing(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"a.db-shm"}


def shrink(path: Path) -> None:
    with other(path) as writer:
        assert writer("DELETE FROM merges WHERE number > 9") == []
        assert writer("PRAGMA wal_checkpoint(TRUNCATE)") == [[0, 0, 0]]


def test_a_file_that_changes_under_a_read_without_locks_is_no_verdict(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "wal", rows=2000)
    with pytest.raises(ConnectionLost, match="changed the file") as caught, source(path).snapshot():
        shrink(path)
    assert caught.value.retryable
    with source(path).snapshot() as snapshot:
        assert numbers(snapshot) == list(range(10))


def read_torn(target: SqliteSource) -> list[int]:
    with target.snapshot() as snapshot:
        os.truncate(target.path, 8192)
        return numbers(snapshot)


def test_damage_that_is_a_change_is_told_as_a_change(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "wal", rows=2000)
    with pytest.raises(ConnectionLost, match="changed the file"):
        read_torn(source(path))


def test_a_write_that_only_reaches_the_log_does_not_disturb(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "wal")
    with other(path) as writer:
        with source(path).snapshot() as snapshot:
            assert writer("INSERT INTO merges VALUES (3, NULL)") == []
            assert numbers(snapshot) == [0, 1, 2]
        with source(path).snapshot() as snapshot:
            assert numbers(snapshot) == [0, 1, 2, 3]


def test_without_a_log_writers_wait_until_the_read_is_over(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    with other(path) as writer:
        with source(path).snapshot() as snapshot:
            assert numbers(snapshot) == [0, 1, 2]
            assert "locked" in writer("DELETE FROM merges")
            assert numbers(snapshot) == [0, 1, 2]
            assert "locked" in writer("DELETE FROM merges")
        assert writer("DELETE FROM merges") == []


def test_a_table_that_another_session_locks_is_locked(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    with other(path) as writer:
        assert writer("BEGIN EXCLUSIVE") == []
        with pytest.raises(Locked, match="lock") as caught, source(path).snapshot():
            pass
        assert "--lock-timeout" in str(caught.value.hint)
        assert writer("COMMIT") == []
    with source(path).snapshot() as snapshot:
        assert numbers(snapshot) == [0, 1, 2]


def test_a_journal_left_by_a_crash_is_explained_and_left_alone(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", rows=2000)
    with other(path) as writer:
        assert writer("PRAGMA cache_size = 10") == []
        assert writer("BEGIN IMMEDIATE") == []
        assert writer("UPDATE merges SET filler = zeroblob(400)") == []
        writer.kill()
    before = listing(tmp_path)
    assert "a.db-journal" in before
    with pytest.raises(CannotCheck, match="died while it wrote") as caught, source(path).snapshot():
        pass
    assert "rolls the unfinished write back" in str(caught.value.hint)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", UnknownSchema),
        (b"old,new\n1,2\n", NotADatabase),
        (bytes(range(256)) * 64, NotADatabase),
        (b"SQLite format 3\0" + b"\x07" * 4080, NotADatabase),
    ],
)
def test_what_is_no_database_is_said_to_be_none(tmp_path: Path, content: bytes, error: type[MergeGuardError]) -> None:
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(error), source(tmp_path / "a.db").snapshot() as snapshot:
        numbers(snapshot)
    assert listing(tmp_path)["a.db"][0] == content


def test_a_damaged_page_is_said_to_be_damage(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", rows=2000)
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xaa" * 4096 * 20 + whole[8192 + 4096 * 20 :])
    with pytest.raises(NotADatabase, match="damaged"), source(path).snapshot() as snapshot:
        numbers(snapshot)


def test_what_is_not_there_is_said_not_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(TargetNotFound, match="does not exist"), source(tmp_path / "none.db").snapshot():
        pass
    with pytest.raises(NotADatabase, match="not a file"), source(tmp_path).snapshot():
        pass
    os.mkfifo(tmp_path / "pipe.db")
    with pytest.raises(NotADatabase, match="not a file"), source(tmp_path / "pipe.db").snapshot():
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["pipe.db"]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:a.db?mode=ro&uri=true"])
def test_only_a_file_is_a_target(url: str) -> None:
    with pytest.raises(UsageError, match="an SQLite target is a"):
        SqliteSource(sa.make_url(url), Profile(), Options())


@contextmanager
def as_nobody() -> Iterator[None]:
    """Go on as a user without rights, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    with source(path).snapshot():
        pass  # everything that is imported late is imported now
    path.chmod(0)
    with pytest.raises(PermissionDenied, match=r"a\.db"), as_nobody(), source(path).snapshot():
        pass


def test_a_query_that_would_write_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    before = listing(tmp_path)
    query = "DELETE FROM merges RETURNING number"
    with pytest.raises(MergeGuardError), source(path).snapshot() as snapshot:
        list(snapshot.read(Selection((Column("number", Kind.INTEGER),), query=query)))
    assert listing(tmp_path) == before


def test_doctor_proves_that_reading_cannot_write(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", "wal")
    before = listing(tmp_path)
    rows = {check: (finding, fine) for check, finding, fine in source(path).doctor()}
    assert rows["server"] == (f"SQLite {sqlite3.sqlite_version}", True)
    assert rows["driver"] == ("sqlite+pysqlite", True)
    assert rows["journal mode"] == ("wal: its log is empty, so it is read without side files", True)
    assert rows["read-only proof"] == ("SQLite refuses a write on the connection that reads", True)
    assert "could write" in rows["write permission"][0]
    assert listing(tmp_path) == before


def test_doctor_notices_a_connection_that_could_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is no formula: on a connection opened for writing it fails."""
    path = make(tmp_path / "a.db")
    target = source(path)
    monkeypatch.setattr(target, "_connect", lambda _uri: sqlite3.connect(path, isolation_level=None))
    assert [fine for check, _, fine in target.doctor() if check == "read-only proof"] == [False]
    with source(path).snapshot() as snapshot:
        assert snapshot.tables() == ["merges"]


def test_info_names_the_file_and_no_password(tmp_path: Path) -> None:
    target = SqliteSource(sa.make_url(f"sqlite:///{tmp_path / 'a.db'}"), Profile(), Options(password="secret-word"))  # noqa: S106
    assert target.info.target == f"sqlite:///{tmp_path / 'a.db'}"
    assert target.info.kind == "sqlite"
