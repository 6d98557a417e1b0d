"""What a person does to single events: look at one, wake a parked one, retry, drop or export a dead one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergeguard.core.events import Event
from mergeguard.errors import LostBody, MergeGuardError, UsageError
from mergeguard.processor.backup import log_text
from mergeguard.processor.backup_files import write_event
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.storage.own_files.new_file import write_new
from mergeguard.storage.queue.store import DeadEvent, EventStore, ParkedEvent

_AT_ONCE: Final = 100
"""So many dead events are in memory at a time."""
_GONE: Final = "an event that is done is not kept; 'mergeguard queue list TARGET' shows those that are"


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """One event with its body."""

    found: Event | DeadEvent
    body: bytes | None
    """``None`` where it cannot be read; ``why`` says what is the matter."""
    why: str | None = None
    later_done: int = 0
    """Of a dead event: how many later ones of its source and priority are done."""
    parked: ParkedEvent | None = None
    """Why it waits, where it is parked."""

    @property
    def event(self) -> Event:
        """The event, dead or not."""
        return event_of(self.found)


@dataclass(frozen=True, slots=True)
class WokenEvents:
    """What became of parked events."""

    woken: tuple[ParkedEvent, ...]
    left: int
    """How many are parked still."""


@dataclass(frozen=True, slots=True)
class ExportedEvents:
    """What an export wrote."""

    files: tuple[Path, ...]
    dropped: int
    left: tuple[tuple[int, str], ...]
    """Events that could not be written, with the reason; nothing of them was changed."""


def event_of(found: Event | ParkedEvent | DeadEvent) -> Event:
    """Return the event, whatever became of it."""
    return found if isinstance(found, Event) else found.event


def status_of(found: Event | ParkedEvent | DeadEvent) -> str:
    """Return ``pending``, ``parked`` or ``dead``."""
    if isinstance(found, Event):
        return "pending"
    return "dead" if isinstance(found, DeadEvent) else "parked"


def show(store: EventStore, bodies: EventBodies, event: int) -> ShownEvent:
    """Return one event with its body.

    Raises:
        UsageError: there is no such event.
        CannotCheck: the database could not be read.
    """
    found = _found(store, event)
    is_dead = isinstance(found, DeadEvent)
    later, parked = (store.later_done(event), None) if is_dead else (0, parked_one(store, event))
    try:
        return ShownEvent(found, bodies.read(event_of(found)), later_done=later, parked=parked)
    except (MergeGuardError, OSError) as failure:
        return ShownEvent(found, None, getattr(failure, "message", None) or str(failure), later, parked)


def parked_one(store: EventStore, event: int) -> ParkedEvent | None:
    """Return a parked event; ``None`` where it is not parked, or there is none."""
    page = store.parked(limit=1, after=event - 1)
    return page[0] if page and page[0].event.id == event else None


def wake(store: EventStore, events: Sequence[int]) -> Sequence[ParkedEvent]:
    """Let parked events be tried again at once, wherever their guids lead; return those that were woken.

    Raises:
        UsageError: one of them is not parked; none is woken then.
    """
    found = [(event, parked_one(store, event)) for event in events]
    strangers = [event for event, parked in found if parked is None]
    if strangers:
        hint = "'mergeguard queue parked TARGET' shows those that are"
        raise UsageError(f"event {strangers[0]} is not parked", hint=hint)
    store.wake(events)
    return [parked for _, parked in found if parked is not None]


def dead_one(store: EventStore, event: int) -> DeadEvent:
    """Return a dead event.

    Raises:
        UsageError: there is no such event, or it is not dead.
    """
    found = _found(store, event)
    if not isinstance(found, DeadEvent):
        raise UsageError(f"event {event} is not dead: it waits in line", hint="only a dead event can be acted on")
    return found


def retry(store: EventStore, event: int) -> int:
    """Register a dead event again, at the end of its line; return its new id.

    Raises:
        UsageError: there is no such event, or it is not dead.
    """
    dead_one(store, event)
    new = store.retry(event)
    if new is None:
        raise UsageError(f"event {event} went meanwhile", hint=_GONE)
    return new


def drop(store: EventStore, bodies: EventBodies, event: int) -> None:
    """Remove a dead event for ever, its file too.

    Raises:
        UsageError: there is no such event, or it is not dead.
    """
    dead = dead_one(store, event)
    if not store.drop(event):
        raise UsageError(f"event {event} went meanwhile", hint=_GONE)
    bodies.remove(dead.event)


def export(
    store: EventStore, bodies: EventBodies, folder: Path, events: Sequence[int] = (), *, drop_them: bool = False
) -> ExportedEvents:
    """Write events to a folder, byte for byte, each dead one with a ``.log``; synced before any is dropped.

    A few events are in memory at a time, and of a body that is a file a piece.

    Args:
        store: the queue.
        bodies: of events that are files.
        folder: made where it is missing; a file of another event is never written over.
        events: which; all dead ones where none is named.
        drop_them: remove each dead one from the queue after it was written.

    Raises:
        UsageError: there is no such event, or one to be dropped is not dead.
        WriteFailed: the folder cannot be written; the events before are there.
    """
    wanted = [_found(store, event) for event in events]
    waiting = [event_of(found).id for found in wanted if not isinstance(found, DeadEvent)]
    if drop_them and waiting:
        raise UsageError(f"event {waiting[0]} is not dead: it waits in line", hint="leave out --drop, or the event")
    files: list[Path] = []
    left: list[tuple[int, str]] = []
    dropped = 0
    for found in wanted if events else _all_dead(store):
        try:
            files += _written(found, bodies, folder)
        except LostBody as failure:
            left.append((event_of(found).id, failure.message))
            continue
        if drop_them and store.drop(event_of(found).id):
            bodies.remove(event_of(found))
            dropped += 1
    return ExportedEvents(tuple(files), dropped, tuple(left))


def _all_dead(store: EventStore) -> Iterator[DeadEvent]:
    last = 0
    while some := store.dead_after(last, limit=_AT_ONCE):
        yield from some
        last = some[-1].event.id


def _written(found: Event | DeadEvent, bodies: EventBodies, folder: Path) -> list[Path]:
    event = event_of(found)
    body = bodies.locate(event)
    try:
        path = write_event(event, body, folder, "the export of an event")
    except OSError as failure:
        raise UsageError(
            f"{folder} cannot be written: {failure.strerror or failure}", hint="name a folder, or one that can be made"
        ) from None
    if not isinstance(found, DeadEvent):
        return [path]
    log = path.with_suffix(".log")
    write_new(log, log_text(found).encode(), "the log of an event", replace=True)
    return [path, log]


def _found(store: EventStore, event: int) -> Event | DeadEvent:
    found = store.event(event)
    if found is None:
        raise UsageError(f"there is no event {event} in the queue", hint=_GONE)
    return found


def database_name(target: str) -> str:
    """Return what a person calls the database of a queue: its name at its server, or the name of its file."""
    if "://" not in target:
        return Path(target).name
    from sqlalchemy import make_url  # noqa: PLC0415 - costs its import

    name = make_url(target).database or "the database"
    return Path(name).name if target.startswith("sqlite") else name


def as_source(text: str | None) -> str | None:
    """Read the guid of a source as stores spell it; ``None`` stays ``None``.

    Raises:
        UsageError: it is no guid.
    """
    if text is None:
        return None
    try:
        return str(uuid.UUID(text.strip().strip("{}")))
    except ValueError:
        raise UsageError(
            f"{text[:80]!r} is not a guid", hint="a source has 32 hex digits, in any usual spelling"
        ) from None
