"""One open write transaction: the time, the ids it gives, and the counters it moves."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields

from mergeguard.core.events import Event, NewEvent
from mergeguard.storage.queue.sqlite_clock import Clock
from mergeguard.storage.queue.sqlite_entries import Entries

_STATE = "SELECT last_event, clock FROM mergeguard_queue_state"
_SAVE_STATE = "UPDATE mergeguard_queue_state SET last_event = ?, clock = ?"
_FILE_BYTES = "SELECT sum(file_bytes) FROM mergeguard_queue"


@dataclass(slots=True)
class Change:
    """By how much the counters of one queue move."""

    events: int = 0
    inline_bytes: int = 0
    file_bytes: int = 0
    registered: int = 0
    done: int = 0
    dead: int = 0
    dead_bytes: int = 0
    retries: int = 0


_NAMES = tuple(field.name for field in fields(Change))
_COUNT = f"UPDATE mergeguard_queue SET {', '.join(f'{name} = {name} + ?' for name in _NAMES)} WHERE queue = ?"  # noqa: S608 - names of fields


class Transaction:
    """What jobs of one transaction share; made after BEGIN IMMEDIATE, so that nobody else writes meanwhile."""

    def __init__(self, driver: sqlite3.Connection, clock: Clock) -> None:
        self.driver = driver
        self._last_event: int
        self._last_event, latest = driver.execute(_STATE).fetchone()
        self._changes_before = driver.total_changes
        self._entries = Entries(driver)
        self.now = clock.now(latest)
        self._changes: dict[int, Change] = {}
        self._file_bytes: int | None = None

    @property
    def file_bytes(self) -> int:
        """Bytes of pending events in files, those of this transaction too."""
        if self._file_bytes is None:
            moved = sum(change.file_bytes for change in self._changes.values())
            self._file_bytes = moved + int(self.driver.execute(_FILE_BYTES).fetchone()[0])
        return self._file_bytes

    def change(self, queue: int) -> Change:
        """Return the change of a queue, to be added to."""
        return self._changes.get(queue) or self._changes.setdefault(queue, Change())

    def enter(self, event: NewEvent) -> int:
        """Let an event in, and count it; return its id, above all that were ever given."""
        self._last_event += 1
        self._entries.add(self._last_event, event)
        change = self.change(event.queue)
        change.events += 1
        change.registered += 1
        if event.file is None:
            change.inline_bytes += event.size
        else:
            change.file_bytes += event.size
            if self._file_bytes is not None:
                self._file_bytes += event.size
        return self._last_event

    def write_entries(self) -> None:
        """Write the events that were let in: before somebody looks for them, and at the end."""
        self._entries.write(self.now)

    def leave(self, events: Sequence[Event]) -> None:
        """Count events of one queue that are pending no more."""
        if not events:
            return
        change = self.change(events[0].queue)
        in_files = sum(event.size for event in events if event.file is not None)
        change.events -= len(events)
        change.file_bytes -= in_files
        change.inline_bytes -= sum(event.size for event in events) - in_files
        if self._file_bytes is not None:
            self._file_bytes -= in_files

    def save(self) -> None:
        """Write the events that were let in, counters, the last id and the time."""
        self.write_entries()
        for queue, change in self._changes.items():
            self.driver.execute(_COUNT, (*(getattr(change, name) for name in _NAMES), queue))
        self._changes.clear()
        if self.driver.total_changes != self._changes_before:
            self.driver.execute(_SAVE_STATE, (self._last_event, self.now))
