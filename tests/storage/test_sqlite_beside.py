"""The second connection sees what the first one does, or it is not used."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from mergeguard.core import guids
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Column, Kind, Options, Selection
from mergeguard.storage.sqlite import packed as sqlite_packed
from mergeguard.storage.sqlite.beside import Beside
from mergeguard.storage.sqlite.source import SqliteSource

OLDS = [uuid.uuid5(guids.NAMESPACE, str(number)) for number in range(40)]
SELECTION = Selection((Column("old", Kind.GUID), Column("new", Kind.GUID)))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_packed, "CHUNKS_ALONE", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "merges.db"
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute("CREATE TABLE merges (old BLOB, new BLOB)")
        connection.executemany("INSERT INTO merges VALUES (?, ?)", [(old.bytes, old.bytes[::-1]) for old in OLDS])
    return made


def source(path: Path) -> SqliteSource:
    profile = Profile(merge=Merge("merges", "old", "new"))
    return SqliteSource(sa.make_url(f"sqlite:///{path}"), profile, Options(batch_rows=4, lock_timeout=60.0))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What became of each second connection."""
    answers: list[bool] = []
    real = Beside.open

    def told(self: Beside) -> bool:
        answers.append(real(self))
        return answers[-1]

    monkeypatch.setattr(Beside, "open", told)
    return answers


def olds(batches: Iterator[tuple[object, ...]]) -> list[uuid.UUID]:
    return [guids.to_uuid(batch[0].column, row) for batch in batches for row in range(len(batch[0].column))]


@contextmanager
def wal(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        yield connection


def test_rows_come_in_their_order_from_both_connections(path: Path, opened: list[bool]) -> None:
    with source(path).snapshot() as snapshot:
        threads = set()
        real = snapshot.source.begin_snapshot
        snapshot.source.begin_snapshot = lambda connection: (
            threads.add(threading.current_thread().name),
            real(connection),
        )[1]
        assert olds(snapshot.read(SELECTION)) == OLDS
    assert opened == [True]
    assert all(name.startswith("mergeguard beside") for name in threads)
    assert len(threads) == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mergeguard beside")]


def test_a_file_that_is_read_without_locks_is_read_twofold(path: Path, opened: list[bool]) -> None:
    with wal(path):
        pass
    with source(path).snapshot() as snapshot:
        assert olds(snapshot.read(SELECTION)) == OLDS
    assert opened == [True]


def test_what_is_committed_in_wal_mode_meanwhile_is_not_seen(path: Path, opened: list[bool]) -> None:
    with wal(path) as writer:
        writer.execute("UPDATE merges SET new = old WHERE rowid = 1")
        writer.commit()
        with source(path).snapshot() as snapshot:
            batches = snapshot.read(SELECTION)
            first = next(batches)
            writer.execute("DELETE FROM merges WHERE rowid > 4")
            writer.commit()
            rest = olds(batches)
    assert olds(iter([first])) + rest == OLDS
    assert opened == [False]


def test_a_writer_that_waits_for_the_read_to_end_makes_nobody_wait(path: Path, opened: list[bool]) -> None:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)) as writer:
        with source(path).snapshot() as snapshot:
            batches = snapshot.read(SELECTION)
            first = next(batches)
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM merges")
            with pytest.raises(sqlite3.OperationalError):  # it goes on waiting: nobody else may begin to read now
                writer.execute("COMMIT")
            rest = olds(batches)
        writer.execute("COMMIT")
        assert writer.execute("SELECT count(*) FROM merges").fetchone() == (0,)
    assert olds(iter([first])) + rest == OLDS
    assert opened == [False]


def test_a_chunk_that_was_read_too_soon_is_read_again(tmp_path: Path, opened: list[bool]) -> None:
    """NULL in one chunk changes how the next ones are packed, of which one has been read by then."""
    rows = [(old.bytes, old.bytes) for old in OLDS]
    for at in (5, 9, 11, 14, 30):
        rows[at] = (rows[at][0], None)
    made = tmp_path / "gaps.db"
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute("CREATE TABLE merges (old BLOB, new BLOB)")
        connection.executemany("INSERT INTO merges VALUES (?, ?)", rows)
    with source(made).snapshot() as snapshot:
        batches = list(snapshot.read(SELECTION))
    assert sorted(olds(iter(batches)), key=str) == sorted(OLDS, key=str)
    assert sum(len(batch[1].bad) for batch in batches) == 5
    assert opened == [True]


def test_a_read_that_is_given_up_ends_its_thread(path: Path, opened: list[bool]) -> None:
    with source(path).snapshot() as snapshot:
        batches = snapshot.read(SELECTION)
        for _ in range(3):
            next(batches)
        batches.close()
        assert olds(snapshot.read(SELECTION)) == OLDS
    assert opened == [True, True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mergeguard beside")]
