"""A file whose writer died in the middle: a reader leaves it, a command that writes brings it back in order."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mergeguard.errors import CannotCheck
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options
from mergeguard.storage.sqlite.source import SqliteSource
from mergeguard.storage.targets import open_target


@pytest.fixture(params=["DELETE", "WAL"])
def torn(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, side files and all, taken in the middle of a write that never ended; it held one row before."""
    (tmp_path / "torn").mkdir()
    with closing(sqlite3.connect(tmp_path / "m.db", isolation_level=None)) as writer:
        writer.execute(f"PRAGMA journal_mode = {request.param}")
        writer.execute("CREATE TABLE t (a)")
        writer.execute("INSERT INTO t VALUES ('before')")
        writer.execute("PRAGMA cache_size = 1")  # so that what is unfinished goes to the disk
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE t SET a = 'unfinished'")
        writer.executemany("INSERT INTO t VALUES (?)", [("x" * 4000,) for _ in range(20)])
        for path in tmp_path.glob("m.db*"):
            shutil.copy(path, tmp_path / "torn")
        writer.execute("ROLLBACK")
    return tmp_path / "torn" / "m.db"


def source_of(path: Path) -> SqliteSource:
    source = open_target(str(path), Profile(), Options())
    assert isinstance(source, SqliteSource)
    return source


def rows(source: SqliteSource) -> list[tuple[object, ...]]:
    with source.snapshot() as snapshot:
        return [tuple(row) for row in snapshot.connection.exec_driver_sql("SELECT a FROM t")]


def test_after_recovery_it_is_as_before_the_write(torn: Path) -> None:
    with closing(source_of(torn)) as source:
        source.recover()
        assert rows(source) == [("before",)]
        assert not (torn.parent / "m.db-journal").exists()


def test_a_reader_changes_nothing(torn: Path) -> None:
    before = torn.read_bytes()
    with closing(source_of(torn)) as source:
        try:
            assert rows(source) == [("before",)]
        except CannotCheck as refused:
            assert "a program died" in refused.message  # noqa: PT017 - whichever the journal allows
    assert torn.read_bytes() == before


def test_a_file_in_order_is_not_opened(tmp_path: Path) -> None:
    with closing(source_of(tmp_path / "missing.db")) as source:
        source.recover()
    assert list(tmp_path.iterdir()) == []
    with closing(sqlite3.connect(tmp_path / "m.db")) as connection, connection:
        connection.execute("CREATE TABLE t (a)")
    (tmp_path / "m.db-journal").touch()
    before = {path: path.stat() for path in tmp_path.iterdir()}
    with closing(source_of(tmp_path / "m.db")) as source:
        source.recover()
    assert {path: path.stat() for path in tmp_path.iterdir()} == before
