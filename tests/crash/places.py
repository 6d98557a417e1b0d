"""Where a crash test's tables stand: a SQLite file or a PostgreSQL database; kept, put back, and looked at."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import psycopg
import sqlalchemy as sa
from psycopg import sql

Execute: TypeAlias = Callable[[str], Sequence[tuple[Any, ...]]]
"""Run a SELECT; return its rows."""


class Place(Protocol):
    """One database that is broken again and again."""

    target: str
    """As the command line takes it, in the folder of the commands."""
    catalogue: str
    """The SELECT of all tables' names."""

    def fill(self, statements: Sequence[str]) -> None:
        """Run statements that make and fill tables."""
        ...

    def keep(self, name: str) -> None:
        """Remember everything that is there under a name."""
        ...

    def restore(self, name: str) -> None:
        """Put everything back to how it was kept."""
        ...

    def looking(self, *, after_a_kill: bool) -> Any:
        """Offer ``Execute`` for a while; what a dead process left is not brought in order by looking."""
        ...


class SqlitePlace:
    """A file in the folder of the commands."""

    target = "m.db"
    catalogue = "SELECT name FROM sqlite_schema WHERE type = 'table'"

    def __init__(self, folder: Path, beside: Path) -> None:
        self._path = folder / self.target
        self._beside = beside

    def fill(self, statements: Sequence[str]) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def keep(self, name: str) -> None:
        kept = self._beside / f"{name}.db"
        shutil.copy(self._path, kept)
        os.utime(kept, (0, 0))  # a file that changed just now would be waited for

    def restore(self, name: str) -> None:
        for path in self._path.parent.glob(f"{self.target}*"):
            path.unlink()
        shutil.copy2(self._beside / f"{name}.db", self._path)

    @contextmanager
    def looking(self, *, after_a_kill: bool) -> Iterator[Execute]:
        path = self._path
        if after_a_kill:
            aside = self._beside / "aside"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            for side in path.parent.glob(f"{self.target}*"):
                shutil.copy(side, aside)
            path = aside / self.target
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            yield lambda statement: connection.execute(statement).fetchall()


class PostgresPlace:
    """The public schema of a database; what is kept stands in schemas of its own."""

    catalogue = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"

    def __init__(self, url: str) -> None:
        self.target = url
        plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection = psycopg.connect(plain, autocommit=True)
        self._kept: list[str] = []
        self._clear("public")

    def close(self) -> None:
        """Leave an empty database."""
        self.await_the_dead()
        for name in ("public", *self._kept):
            self._clear(name)
        self._connection.close()

    def fill(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self._connection.execute(statement.encode())

    def await_the_dead(self) -> None:
        """Wait until no other session is left: one whose client is gone may still be at its last statement."""
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        while self._connection.execute(others).fetchone():
            pass

    def keep(self, name: str) -> None:
        self._clear(name)
        self._kept.append(name)
        for table in self._tables("public"):
            self._run("CREATE TABLE {}.{} AS TABLE public.{}", name, table, table)

    def restore(self, name: str) -> None:
        self.await_the_dead()
        kept = self._tables(name)
        with self._connection.transaction():
            for table in set(self._tables("public")) - set(kept):
                self._run("DROP TABLE public.{} CASCADE", table)
            for table in kept:
                self._run("TRUNCATE public.{} CASCADE", table)
            for table in kept:
                self._run("INSERT INTO public.{} OVERRIDING SYSTEM VALUE TABLE {}.{}", table, name, table)

    @contextmanager
    def looking(self, *, after_a_kill: bool) -> Iterator[Execute]:
        if after_a_kill:
            self.await_the_dead()
        yield lambda statement: self._connection.execute(statement.encode()).fetchall()

    def _tables(self, schema: str) -> list[str]:
        found = self._connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename", (schema,)
        )
        return [table for (table,) in found]

    def _clear(self, schema: str) -> None:
        self._run("DROP SCHEMA IF EXISTS {} CASCADE", schema)
        self._run("CREATE SCHEMA {}", schema)

    def _run(self, statement: str, *names: str) -> None:
        self._connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]
