"""Queues for tests of workers: an SQLite file and a PostgreSQL database, each with a table for effects."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mergeguard.core.events import Event, NewEvent, Queue, Registered
from mergeguard.processor.settings import Settings
from mergeguard.storage.queue.handled import create_handled
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.store import EventStore


@dataclass
class Ground:
    """A database with a queue, and what a test asks of it behind the queue's back."""

    url: str
    folder: Path
    engine: sa.Engine
    stores: list[EventStore] = field(default_factory=list)

    def store(self) -> EventStore:
        """Return a store with connections of its own."""
        store = open_store(self.url)
        self.stores.append(store)
        return store

    def settings(self, **changes: Any) -> Settings:
        usual: dict[str, Any] = {
            "event_queue_path": self.folder,
            "idle_milliseconds": 5,
            "sweep_milliseconds": 10,
            "probe_seconds": 0.05,
            "slow_threads": 0,
            "large_threads": 0,
            "normal_threads": 1,
            "priority_threads": 0,
            "fast_threads": 2,
        }
        made = Settings(**{**usual, **changes})
        made.queue_folder.mkdir(parents=True, exist_ok=True)
        return made

    def effects(self) -> Sequence[tuple[int, str, int]]:
        """The committed effects of all events."""
        with self.connected() as connection:
            rows = connection.exec_driver_sql("SELECT event, line, place FROM effects ORDER BY place")
            return [tuple(row) for row in rows]  # type: ignore[misc]

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            yield connection
            connection.commit()


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """A new queue in a database of its own."""
    if request.param == "sqlite":
        yield from _ground(f"sqlite:///{tmp_path / 'queue.db'}", tmp_path)
        return
    server = request.getfixturevalue("postgres_server")
    name = f"mergeguard_{secrets.token_hex(6)}"
    server.execute(f'CREATE DATABASE "{name}"')
    yield from _ground(server.url.rpartition("/")[0] + "/" + name, tmp_path)
    server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _ground(url: str, folder: Path) -> Iterator[Ground]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    made = Ground(url, folder / "EventQueue", engine)
    made.store().create()
    create_handled(engine)
    # ``place`` is given at the insert and not at the commit: within one line that is the same.
    is_sqlite = engine.dialect.name == "sqlite"
    place = "INTEGER PRIMARY KEY AUTOINCREMENT" if is_sqlite else "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    with made.connected() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE effects (event bigint NOT NULL UNIQUE, line varchar(60) NOT NULL, place {place})"
        )
    yield made
    for one in made.stores:
        one.close()
    engine.dispose()


def line_of(event: Event | NewEvent) -> str:
    return f"{event.source}/{event.priority}"


def register(store: EventStore, *events: NewEvent) -> list[int]:
    """Register events that are sure to be taken; return their ids."""
    places = store.register(events)
    assert all(isinstance(place, Registered) for place in places)
    return [place.id for place in places if isinstance(place, Registered)]


def new(source: int, priority: int = 0, body: bytes = b"<message/>", queue: Queue = Queue.FAST) -> NewEvent:
    return NewEvent(uuid.UUID(int=source), priority, queue, len(body), body)
