"""A scratch file of SQLite with the kit's own small tables: nothing to start, and gone at the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal, Self, cast

from mergeguard.storage.profile import Profile
from mergeguard.testing.scratch import PROFILE, ROWS, emptied, inserts, tables_of
from mergeguard.testing.sqlite import SqliteConnection, SqliteWatcher, connect
from mergeguard.testing.tables import Tables

JournalMode = Literal["wal", "delete"]
LEVEL: Final = "SERIALIZABLE"
"""The one level that SQLite has."""
_SCHEMA = """
    CREATE TABLE item (guid TEXT PRIMARY KEY, kind TEXT NOT NULL);
    CREATE TABLE live (guid TEXT PRIMARY KEY);
    CREATE TABLE merge (id INTEGER PRIMARY KEY, old TEXT NOT NULL, new TEXT NOT NULL);
    CREATE INDEX merge_old ON merge (old);
    CREATE INDEX merge_new ON merge (new);
    CREATE TABLE mergeguard_lookup (
        old_guid TEXT PRIMARY KEY, current_guid TEXT, depth INTEGER, status VARCHAR(8) NOT NULL);
    CREATE INDEX mergeguard_lookup_current ON mergeguard_lookup (current_guid);
    CREATE TABLE data (id INTEGER PRIMARY KEY, guid TEXT NOT NULL, value TEXT NOT NULL, at TIMESTAMP NOT NULL);
    CREATE TABLE association (
        id INTEGER PRIMARY KEY, parent TEXT NOT NULL, child TEXT NOT NULL, at TIMESTAMP NOT NULL);
    CREATE TABLE ticket (id INTEGER PRIMARY KEY, owner TEXT NOT NULL REFERENCES item);
    CREATE TABLE root (guid TEXT PRIMARY KEY, turn BIGINT NOT NULL);
"""
_ROWS = ROWS.format(seconds="strftime('%s', at)")
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


class SqliteSandbox:
    """A context manager: makes a file in a folder of its own, and removes both at the end.

    Args:
        folder: where to make that folder; the system's folder of temporary files if nothing is said.
        journal: ``wal``, or ``delete``, in which a commit waits for all who read.
    """

    def __init__(self, folder: str | Path | None = None, *, journal: JournalMode = "wal") -> None:
        self._within = folder
        self._journal = journal
        self._made: TemporaryDirectory[str] | None = None
        self._sessions: list[SqliteConnection] = []
        self.watcher = SqliteWatcher()

    def __enter__(self) -> Self:
        self._made = TemporaryDirectory(prefix="mergeguard-kit-", dir=self._within)
        self.execute(f"PRAGMA journal_mode = {self._journal}; {_SCHEMA}")
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()
        if self._made is not None:
            self._made.cleanup()

    @property
    def path(self) -> Path:
        """The file."""
        assert self._made is not None  # noqa: S101 - it is used as a context manager
        return Path(self._made.name) / "kit.db"

    @property
    def url(self) -> str:
        """The URL by which other programs see it."""
        return f"sqlite:///{self.path}"

    @property
    def profile(self) -> Profile:
        """The profile of the kit's tables."""
        return PROFILE

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its driver raises."""
        return (sqlite3.Error,)

    def execute(self, script: str) -> None:
        """Run statements beside the actors: to make a trigger that is tested, for one."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(script)

    def sessions(self, count: int, level: str = LEVEL) -> list[SqliteConnection]:  # noqa: ARG002 - SQLite has one level
        """Return connections for actors, each outside a transaction; they are the sandbox's own and used again."""
        for session in [one for one in self._sessions if one.is_lost]:
            session.close()
            self._sessions.remove(session)
        while len(self._sessions) < count:
            self._sessions.append(connect(self.path))
        for session in self._sessions:
            session.give_up()
        return self._sessions[:count]

    def reset(self, tables: Tables) -> None:
        """Empty the kit's tables and put rows into them; connections of actors must not be in a transaction."""
        with closing(sqlite3.connect(self.path)) as connection:
            known = [name for (name,) in connection.execute(_TABLES)]
            statements = ["PRAGMA synchronous = OFF", "BEGIN IMMEDIATE", *emptied(known), *inserts(tables), "COMMIT"]
            connection.executescript("; ".join(statements))

    def tables(self) -> Tables:
        """Read what is committed, as of one moment."""
        with self._looking() as connection:
            return tables_of(connection.execute(_ROWS))

    def observe(self, query: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Run a query of an actor on what is committed; ``values`` as a step holds them."""
        named = bool(values) and all(isinstance(value, tuple) for value in values)
        with self._looking() as connection:
            if named:
                return connection.execute(query, dict(cast("Sequence[tuple[str, object]]", values))).fetchall()
            return connection.execute(query, list(values)).fetchall()

    @contextmanager
    def _looking(self) -> Iterator[sqlite3.Connection]:
        """Read without waiting for anybody.

        Outside of WAL a commit that is refused keeps new readers out. But between two steps nobody writes the file:
        changes stand in the memory of whoever made them. So it is read as if nobody could change it, without a lock.
        """
        how = "mode=ro" if self._journal == "wal" else "mode=ro&immutable=1"
        with closing(sqlite3.connect(f"{self.path.as_uri()}?{how}", uri=True)) as connection:
            yield connection
