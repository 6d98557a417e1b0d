"""`lookup build` is killed at each step: readers find the lookup as it was or as it is to be, never a part of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest
import sqlalchemy as sa
from crash.runner import Drill, Forge, How
from merge_model import answers

pytestmark = pytest.mark.timeout(3600)  # the long run kills at every step
Row: TypeAlias = tuple[str, str | None, int | None, str]
Pair: TypeAlias = tuple[uuid.UUID, uuid.UUID]
FLAGS = ("--table", "merges", "--old-column", "old", "--new-column", "new", "--id-column", "id")


def guid(number: int) -> uuid.UUID:
    return uuid.UUID(int=0x4000_8000 << 64 | number)


def wanted(pairs: Iterable[Pair]) -> set[Row]:
    """The lookup that the rows say, by the model."""
    return {
        (str(old), None if current is None else str(current), depth, status)
        for old, (status, current, depth) in answers(pairs).items()
    }


CHAIN = [(guid(at), guid(at + 1)) for at in range(6)]
RING = [(guid(20), guid(21)), (guid(21), guid(20)), (guid(22), guid(20))]
SPLIT = [(guid(30), guid(31)), (guid(30), guid(32))]
BEFORE = [*CHAIN, *RING]
NOW = [*CHAIN[1:], *SPLIT, (guid(6), guid(40)), (guid(20), guid(21))]


@pytest.fixture(params=["first build", "rebuild"])
def built(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "rebuild")


# --- SQLite ---


def stored(path: Path) -> set[Row] | None:
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'mergeguard_lookup'").fetchone():
            return None
        rows = connection.execute("SELECT old_guid, current_guid, depth, status FROM mergeguard_lookup").fetchall()
    return {(text(old), text(current), depth, status) for old, current, depth, status in rows}  # type: ignore[misc]


def text(cell: object) -> str | None:
    return None if cell is None else str(uuid.UUID(bytes=cell) if isinstance(cell, bytes) else uuid.UUID(str(cell)))


@pytest.fixture
def sqlite_drill(forge: Forge, how: How, folder: Path, beside: Path, built: bool) -> Drill:
    target, template = folder / "m.db", beside / "template.db"
    write_sqlite(template, BEFORE if built else NOW)
    if built:
        assert forge.run(("lookup", "build", template, *FLAGS), folder).status == 0
        write_sqlite(template, NOW)
    before, after = stored(template), wanted(NOW)
    os.utime(template, (0, 0))  # a file that changed just now would be waited for
    assert before != after

    def reset() -> None:
        for path in folder.iterdir():
            path.unlink()
        shutil.copy2(template, target)

    def between(where: str) -> None:
        # A copy is opened, with what stands beside it: to look must not do the recovery's work.
        aside = beside / "aside"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(folder, aside)
        assert stored(aside / "m.db") in (before, after), where
        assert merges(aside / "m.db") == NOW, where

    def done() -> None:
        assert stored(target) == after
        assert [path.name for path in folder.iterdir()] == ["m.db"]

    return Drill(forge, how, folder, ("lookup", "build", "m.db", *FLAGS), reset, between, done)


def write_sqlite(path: Path, pairs: Iterable[Pair]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS merges (id INTEGER PRIMARY KEY, old TEXT, new TEXT)")
        connection.execute("DELETE FROM merges")
        connection.executemany("INSERT INTO merges (old, new) VALUES (?, ?)", [(str(a), str(b)) for a, b in pairs])


def merges(path: Path) -> list[Pair]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT old, new FROM merges ORDER BY id").fetchall()
    return [(uuid.UUID(old), uuid.UUID(new)) for old, new in rows]


def test_sqlite(sqlite_drill: Drill, fewer: tuple[int, int]) -> None:
    steps = sqlite_drill.all(*fewer)
    assert len(steps) > 5, steps


# --- PostgreSQL ---


class Server:
    """The tables of one test in PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = psycopg.connect(
            sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        )
        self.connection.autocommit = True

    def write(self, pairs: Iterable[Pair]) -> None:
        self.connection.execute("CREATE TABLE IF NOT EXISTS merges (id serial PRIMARY KEY, old uuid, new uuid)")
        self.connection.execute("TRUNCATE merges RESTART IDENTITY")
        with self.connection.cursor() as cursor:
            cursor.executemany("INSERT INTO merges (old, new) VALUES (%s, %s)", list(pairs))

    def put_lookup(self, rows: set[Row] | None) -> None:
        self.connection.execute("DROP TABLE IF EXISTS mergeguard_lookup_kept")
        if rows is None:
            self.connection.execute("DROP TABLE IF EXISTS mergeguard_lookup")
            return
        self.connection.execute("TRUNCATE mergeguard_lookup")
        with self.connection.cursor() as cursor:
            cursor.executemany("INSERT INTO mergeguard_lookup VALUES (%s, %s, %s, %s)", sorted(rows))

    def await_the_dead(self) -> None:
        """Wait until no other session is left: one whose client is gone may still be at its last statement."""
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        while self.connection.execute(others).fetchone():
            pass

    def lookup(self) -> set[Row] | None:
        if self.connection.execute("SELECT to_regclass('mergeguard_lookup')").fetchone() == (None,):
            return None
        rows = self.connection.execute("SELECT * FROM mergeguard_lookup").fetchall()
        return {(text(old), text(current), depth, status) for old, current, depth, status in rows}  # type: ignore[misc]

    def merges(self) -> list[Pair]:
        return self.connection.execute("SELECT old, new FROM merges ORDER BY id").fetchall()


@pytest.fixture
def server(postgres_url: str) -> Iterator[Server]:
    made = Server(postgres_url)
    yield made
    made.await_the_dead()
    made.connection.execute("DROP TABLE IF EXISTS merges, mergeguard_lookup")
    made.connection.close()


@pytest.fixture
def postgres_drill(forge: Forge, how: How, folder: Path, server: Server, built: bool) -> Drill:
    arguments = ("lookup", "build", server.url, *FLAGS)
    server.write(BEFORE)
    assert forge.run(arguments, folder).status == 0
    before, after = wanted(BEFORE) if built else None, wanted(NOW)
    assert server.lookup() == wanted(BEFORE)
    server.write(NOW)

    def reset() -> None:
        server.await_the_dead()
        server.put_lookup(before)

    def between(where: str) -> None:
        server.await_the_dead()
        assert server.lookup() in (before, after), where
        assert server.merges() == NOW, where

    def done() -> None:
        assert server.lookup() == after

    return Drill(forge, how, folder, arguments, reset, between, done)


def test_postgresql(postgres_drill: Drill, fewer: tuple[int, int]) -> None:
    steps = postgres_drill.all(*fewer)
    assert len(steps) > 5, steps
