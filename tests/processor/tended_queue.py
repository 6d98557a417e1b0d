"""A real queue in an SQLite file, with its folder and a clock that tests turn; events are made, done and killed."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mergeguard.core.events import NO_SOURCE, Claim, Failure, NewEvent, Parking, Queue, Ran, Registered
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.settings import Settings
from mergeguard.storage.queue.sqlite import SqliteEventStore
from mergeguard.storage.queue.sqlite_clock import Clock

BEGAN = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
ALICE, BOB = uuid.UUID(int=0xA11CE), uuid.UUID(int=0xB0B)
__all__ = ["ALICE", "BEGAN", "BOB", "NO_SOURCE", "TendedQueue", "tended"]


class TendedQueue:
    """The store as ``store``, the settings that lead to its folder as ``settings``."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "queue.db"
        self.settings = Settings(event_queue_path=folder / "EventQueue")
        self.settings.queue_folder.mkdir(parents=True)
        self.seconds = 0.0
        self.store = SqliteEventStore(self.path, clock=Clock(self._wall, self._monotonic))
        self.store.create()
        self.bodies = EventBodies(self.settings.queue_folder)

    def _wall(self) -> int:
        return int((BEGAN.timestamp() + self.seconds) * 10**9)

    def _monotonic(self) -> int:
        return int(self.seconds * 10**9)

    def file_time(self) -> float:
        """The time as the doctor asks for it."""
        return BEGAN.timestamp() + self.seconds

    def register(
        self, source: uuid.UUID = ALICE, body: bytes = b"<a/>", *, priority: int = 1, queue: Queue = Queue.FAST
    ) -> int:
        return self._in_line(NewEvent(source, priority, queue, len(body), body=body))

    def register_file(self, source: uuid.UUID = ALICE, body: bytes = b"<large/>", *, name: str | None = None) -> int:
        name = name or f"{uuid.uuid4()}.NSE"
        self.put(name, body)
        return self._in_line(NewEvent(source, 1, Queue.FAST, len(body), file=name))

    def _in_line(self, event: NewEvent) -> int:
        [place] = self.store.register([event])
        assert isinstance(place, Registered)
        return place.id

    def put(self, name: str, body: bytes = b"x", *, age: float = 0.0, folder: Path | None = None) -> Path:
        """Put a file into the folder of the queue, changed so many seconds ago."""
        path = (folder or self.settings.queue_folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        when = self.file_time() - age
        os.utime(path, (when, when))
        return path

    def take(self, queue: Queue = Queue.FAST, *, seconds: float = 30.0, worker: str = "host:1") -> Claim:
        claim = self.store.claim(queue, worker, dt.timedelta(seconds=seconds))
        assert claim is not None
        return claim

    def finish(self, done: int = 0, failure: Failure | None = None) -> None:
        """Take the longest waiting chain; of its events so many are done, and perhaps the next one failed."""
        claim = self.store.claim(Queue.FAST, "host:1", dt.timedelta(seconds=30), chains=1)
        assert claim is not None
        [lease] = claim.leases
        with self.store.batch(claim) as batch:
            batch.finish([Ran(lease, done, failure)])
        self.store.release(claim)

    def park(self, *guids: uuid.UUID, status: str = "cycle", message: str = "it leads in a circle") -> int:
        """Park the head of the line that waits longest; return its id."""
        claim = self.store.claim(Queue.FAST, "host:1", dt.timedelta(seconds=30), chains=1)
        assert claim is not None
        [lease] = claim.leases
        parking = Parking(lease.events[0].id, guids, status, message)
        with self.store.batch(claim) as batch:
            batch.finish([Ran(lease, 0, parked=parking)])
        return parking.event

    def kill(self, event: int, *, kind: str = "ValueError", message: str = "no") -> int:
        """Let the head of a line die."""
        self.finish(failure=Failure(event, kind, message, None))
        return event


@contextmanager
def tended(folder: Path) -> Iterator[TendedQueue]:
    """Make a queue, and close it at the end."""
    queue = TendedQueue(folder)
    try:
        yield queue
    finally:
        queue.store.close()
