"""The event queue: how it is, what waits in it, and what a person does to single events.

A target is here the database of the queue. ``settings`` say where its folder is; those of the current folder and
environment are used where none are given.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mergeguard.api.opened import DEFAULT, ProfileLike
from mergeguard.errors import CannotCheck, UnknownSchema
from mergeguard.storage.secrets import masked
from mergeguard.storage.source import Options

if TYPE_CHECKING:  # each pulls in more than a program that does not call for it should pay
    from mergeguard.core.events import Event
    from mergeguard.processor.by_hand import ExportedEvents, ShownEvent, WokenEvents
    from mergeguard.processor.doctor import QueueCheck
    from mergeguard.processor.event_bodies import EventBodies
    from mergeguard.processor.report import Counters, QueueStatistics
    from mergeguard.processor.settings import QueueSettings
    from mergeguard.storage.queue.store import DeadEvent, EventStore, ParkedEvent

MOST_LISTED = 1000


@contextmanager
def opened_queue(target: str | Path, options: Options) -> Iterator[EventStore]:
    """Open the queue of a database that has one; nothing is made."""
    try:
        with _store(target, options) as store:
            yield store
    except UnknownSchema:
        raise UnknownSchema(
            f"{masked(str(target))} has no event queue", hint="is it the right database? 'mergeguard serve' makes one"
        ) from None


@contextmanager
def _store(target: str | Path, options: Options) -> Iterator[EventStore]:
    from mergeguard.storage.queue.opening import open_store  # noqa: PLC0415 - imports SQLAlchemy

    store = open_store(str(target), options)
    try:
        yield store
    finally:
        store.close()


def queue_settings(config: str | Path | None = None, core_settings: str | Path | None = None) -> QueueSettings:
    """Return the settings of the event processor: environment over ``mergeguard.toml`` over ``CoreSettings.config``.

    Args:
        config: a TOML file in place of ``mergeguard.toml`` of the current folder.
        core_settings: a ``CoreSettings.config`` in place of what ``MERGEGUARD_CORE_SETTINGS`` names.

    Raises:
        UsageError: a file cannot be read, a name is unknown or a value does not fit.
    """
    from mergeguard.processor.settings_file import files_of, read_settings  # noqa: PLC0415 - only with a queue

    named = [None if name is None else Path(name) for name in (config, core_settings)]
    files = files_of(os.environ, Path.cwd(), *named)
    return read_settings(files, os.environ)


def queue_status(
    target: str | Path,
    *,
    settings: QueueSettings | None = None,
    options: Options = DEFAULT,
    limit: int = MOST_LISTED,
    over: float | None = None,
) -> QueueStatistics:
    """Look at the queue of a database: the *Event Queue Statistics* report. Nothing is written.

    Args:
        target: the database.
        settings: say how many bytes may be pending in files.
        options: how to connect.
        limit: most chains to list.
        over: look twice, so many seconds apart, and count the rates in between; without it they count from the newest
            row of *Event Queue Status*, where there is one.

    Raises:
        CannotCheck: the database could not be read, or has no queue.
    """
    from mergeguard.processor.report import take_statistics  # noqa: PLC0415 - only with a queue

    with opened_queue(target, options) as store:
        allowed = (settings or queue_settings()).file_limit
        if over is None:
            before = _last_counters(target, options)
        else:
            before = take_statistics(store, limit=1).counters
            time.sleep(over)
        return take_statistics(store, file_limit=allowed, before=before, limit=limit)


def queue_list(
    target: str | Path,
    *,
    pending: bool = True,
    parked: bool = True,
    dead: bool = True,
    source: str | None = None,
    limit: int = MOST_LISTED,
    options: Options = DEFAULT,
) -> tuple[Sequence[Event | ParkedEvent], Sequence[DeadEvent]]:
    """Return events in line in the order of registration, without bodies, and dead ones, the oldest first.

    Args:
        target: the database.
        pending: those in line that are not parked, the ones in process among them.
        parked: those that wait for somebody to mend merges, each with the guids that lead nowhere.
        dead: those that are dead.
        source: only those of this agent.
        limit: most of those in line, and most of the dead.
        options: how to connect.

    Raises:
        UsageError: ``source`` is no guid.
        CannotCheck: the database could not be read, or has no queue.
    """
    from mergeguard.processor.by_hand import as_source  # noqa: PLC0415 - only with a queue
    from mergeguard.processor.listed import dead_events, waiting_events  # noqa: PLC0415 - as above

    wanted = as_source(source)
    with opened_queue(target, options) as store:
        store.sizes()  # a database without a queue is told from a queue without such events
        waiting = waiting_events(store, pending=pending, parked=parked, source=wanted, limit=limit)
        gone = dead_events(store, source=wanted, limit=limit) if dead else ()
    return waiting, gone


def queue_parked(target: str | Path, *, limit: int = MOST_LISTED, options: Options = DEFAULT) -> Sequence[ParkedEvent]:
    """Return parked events in the order of registration, without bodies, each with the guids that lead nowhere.

    Raises:
        CannotCheck: the database could not be read, or has no queue.
    """
    with opened_queue(target, options) as store:
        found = store.parked(limit=limit)
        if not found:
            store.sizes()  # a database without a queue is told from a queue without parked events
        return found


def queue_wake(
    target: str | Path, events: Sequence[int] = (), *, profile: ProfileLike = None, options: Options = DEFAULT
) -> WokenEvents:
    """Let parked events be tried again at once. Running servers do so by themselves, a little later.

    Args:
        target: the database.
        events: which, wherever their guids lead: an event whose guids lead nowhere yet is parked again. Without any,
            those are woken whose guids all have a current guid by now.
        profile: where the merges stand; the reference schema's by default.
        options: how to connect.

    Raises:
        UsageError: one of the events is not parked; none is woken.
        CannotCheck: the database could not be read, or has no queue.
    """
    from mergeguard.processor.by_hand import WokenEvents, wake  # noqa: PLC0415 - only with a queue

    with opened_queue(target, options) as store:
        woken = wake(store, events)
        is_parked = any(size.parked for size in store.sizes())
    with _store(target, options) as store:
        if not events and is_parked:
            woken = _mended(store, target, profile, options)
        return WokenEvents(tuple(woken), sum(size.parked for size in store.sizes()))


def _mended(store: EventStore, target: str | Path, profile: ProfileLike, options: Options) -> Sequence[ParkedEvent]:
    """Wake the events whose guids lead somewhere."""
    from mergeguard.api.opened import opened  # noqa: PLC0415 - only with a queue
    from mergeguard.processor.waking import Waking, leads  # noqa: PLC0415 - as above

    with opened(target, profile, options) as (source, chosen):
        return Waking(store, leads(source, chosen)).look()


def queue_show(
    target: str | Path, event: int, *, settings: QueueSettings | None = None, options: Options = DEFAULT
) -> ShownEvent:
    """Return one event with its body.

    Raises:
        UsageError: there is no such event.
        CannotCheck: the database could not be read, or has no queue.
    """
    from mergeguard.processor.by_hand import show  # noqa: PLC0415 - only with a queue

    with opened_queue(target, options) as store:
        return show(store, _bodies(settings), event)


def queue_retry(target: str | Path, event: int, *, options: Options = DEFAULT) -> int:
    """Register a dead event again, at the end of its line; return its new id.

    Later events of its source and priority may be done already: ``queue_show`` says how many, and then it comes out of
    order.

    Raises:
        UsageError: there is no such event, or it is not dead.
        CannotCheck: the database could not be read, or has no queue.
    """
    from mergeguard.processor.by_hand import retry  # noqa: PLC0415 - only with a queue

    with opened_queue(target, options) as store:
        return retry(store, event)


def queue_drop(
    target: str | Path, event: int, *, settings: QueueSettings | None = None, options: Options = DEFAULT
) -> None:
    """Remove a dead event for ever, its file too.

    Raises:
        UsageError: there is no such event, or it is not dead.
        CannotCheck: the database could not be read, or has no queue.
    """
    from mergeguard.processor.by_hand import drop  # noqa: PLC0415 - only with a queue

    with opened_queue(target, options) as store:
        drop(store, _bodies(settings), event)


def queue_export(
    target: str | Path,
    folder: str | Path,
    events: Sequence[int] = (),
    *,
    drop: bool = False,
    settings: QueueSettings | None = None,
    options: Options = DEFAULT,
) -> ExportedEvents:
    """Write events to a folder, byte for byte, each dead one with a ``.log``; all dead ones where none is named.

    With ``drop`` each dead one leaves the queue after it was written and synced.

    Raises:
        UsageError: there is no such event, one to be dropped is not dead, or the folder cannot be made.
        WriteFailed: the folder cannot be written.
        CannotCheck: the database could not be read, or has no queue.
    """
    from mergeguard.processor.by_hand import export  # noqa: PLC0415 - only with a queue

    with opened_queue(target, options) as store:
        return export(store, _bodies(settings), Path(folder), events, drop_them=drop)


def queue_doctor(
    target: str | Path, *, settings: QueueSettings | None = None, options: Options = DEFAULT
) -> Sequence[QueueCheck]:
    """Prove that nothing is stuck and that rows and files belong together. Nothing is changed.

    Raises:
        CannotCheck: the database could not be read, or has no queue.
    """
    from mergeguard.processor.doctor import examine  # noqa: PLC0415 - only with a queue

    with opened_queue(target, options) as store:
        return examine(store, settings or queue_settings())


def _last_counters(target: str | Path, options: Options) -> Counters | None:
    """Return the counters that a server wrote last; ``None`` where none has, or they cannot be read."""
    from mergeguard.processor.status import counters_of  # noqa: PLC0415 - only with a queue
    from mergeguard.storage.queue.status_table import open_status  # noqa: PLC0415 - imports SQLAlchemy

    table = open_status(str(target), options)
    try:
        return counters_of(table.latest())
    except CannotCheck:
        return None
    finally:
        table.close()


def _bodies(settings: QueueSettings | None) -> EventBodies:
    from mergeguard.processor.event_bodies import EventBodies  # noqa: PLC0415 - only with a queue

    return EventBodies((settings or queue_settings()).queue_folder)
