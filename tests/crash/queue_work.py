"""What is killed: a process with threads that register events and threads that process them, on one SQLite file.

Everything that a caller was told stands in the file ``told`` afterwards: ``asked TOKEN`` before an event is registered,
``registered TOKEN ID`` after it was. The effect of an event is a row that its handler writes.
"""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import threading
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from mergeguard.core.events import NO_SOURCE, Claim, Event, Failure, Lease, NewEvent, Queue, Ran, Registered
from mergeguard.errors import LeaseLost, Locked
from mergeguard.storage.queue.sqlite import SqliteEventStore
from mergeguard.storage.queue.store import Batch

DATABASE, TOLD = "q.db", "told"
EFFECT = "INSERT INTO effect (event, token, worker) VALUES (?, ?, ?)"
SOURCES = (uuid.UUID(int=1), uuid.UUID(int=2), NO_SOURCE)
QUEUES = (Queue.FAST, Queue.NORMAL)
LEASE = dt.timedelta(milliseconds=300)


class Refused(Exception):
    """What a handler raises here."""


class Work:
    """The process.

    Args:
        folder: of the database.
        name: no other run has it.
        producers: threads that register.
        events: that each of them registers.
        workers: threads that process.
    """

    def __init__(self, folder: Path, name: str, producers: int = 3, events: int = 6, workers: int = 2) -> None:
        self.name = name
        self.events = events
        self.store = SqliteEventStore(folder / DATABASE)
        self.store.create()
        with closing(sqlite3.connect(folder / DATABASE, timeout=30)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS effect (event INTEGER, token TEXT, worker TEXT)")
        self.told = os.open(folder / TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.errors: list[BaseException] = []
        self.producers = [threading.Thread(target=self.guarded, args=(self.produce, n)) for n in range(producers)]
        self.workers = [threading.Thread(target=self.guarded, args=(self.process, n)) for n in range(workers)]

    def run(self) -> None:
        """Register and process until nothing is left."""
        for thread in (*self.producers, *self.workers):
            thread.start()
        for thread in (*self.producers, *self.workers):
            thread.join()
        self.store.close()
        if self.errors:
            raise self.errors[0]

    def guarded(self, part: object, number: int) -> None:
        try:
            part(number)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - raised again by the main thread
            self.errors.append(error)

    def tell(self, *words: object) -> None:
        os.write(self.told, (" ".join(map(str, words)) + "\n").encode())

    def produce(self, number: int) -> None:
        for at in range(self.events):
            source = SOURCES[(at + number) % len(SOURCES)]
            token = f"{self.name}.{number}.{at}"
            queue = QUEUES[(at // 2) % 2]
            self.tell("asked", token)
            (answer,) = self.store.register([NewEvent(source, 1, queue, len(token), token.encode())])
            assert isinstance(answer, Registered)
            self.tell("registered", token, answer.id, source.int)

    def process(self, number: int) -> None:
        worker = f"{self.name}.{number}"
        while not self.over():
            claims = [claim for queue in QUEUES if (claim := self.claimed(queue, worker)) is not None]
            for claim in claims:
                try:
                    with self.store.batch(claim) as batch:
                        batch.finish([self.handle_all(lease, batch, worker) for lease in claim.leases])
                    self.store.release(claim)
                except (LeaseLost, Locked):
                    pass
            if not claims:
                self.store.sweep()

    def over(self) -> bool:
        if any(thread.is_alive() for thread in self.producers) and not self.errors:
            return False
        return bool(self.errors) or not sum(size.events for size in self.store.sizes())

    def claimed(self, queue: Queue, worker: str) -> Claim | None:
        try:
            return self.store.claim(queue, worker, LEASE, events=4, chains=3)
        except Locked:
            return None

    def handle_all(self, lease: Lease, batch: Batch, worker: str) -> Ran:
        for done, event in enumerate(lease.events):
            try:
                with batch.savepoint():
                    handle(event, batch, worker)
            except Refused as error:
                again = dt.timedelta(milliseconds=1) if event.tries == 0 else None
                return Ran(lease, done, Failure(event.id, "Refused", str(error), again))
        return Ran(lease, len(lease.events))


def handle(event: Event, batch: Batch, worker: str) -> None:
    """Write the effect, by the unit of work or by the connection; every fifth event fails, once or for good."""
    assert event.body is not None
    token = event.body.decode()
    batch.add(EFFECT, (event.id, token, worker))
    if event.id % 4 == 0:
        batch.connection.exec_driver_sql("UPDATE effect SET token = ? WHERE event = ?", (token, event.id))
    if event.id % 5 == 0 and (event.tries == 0 or event.id % 10 == 0):
        raise Refused(token)


def main(arguments: Sequence[str]) -> None:
    folder, name, *amounts = arguments
    Work(Path(folder), name, *map(int, amounts)).run()


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
