"""The embedded server of the demonstration: a database, workers in this process, and agents that post to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergeguard.core.events import NewEvent, Queue
from mergeguard.errors import UsageError
from mergeguard.processor.demo_events import Post, catalogue_rows
from mergeguard.processor.reference_server import ReferenceServer
from mergeguard.processor.running import Processor
from mergeguard.processor.settings import Settings
from mergeguard.processor.waking import Waking
from mergeguard.storage import failures, schema
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.store import EventStore
from mergeguard.storage.source import Options

DATABASE: Final = "story.db"
_POLL: Final = 0.02
_PATIENCE: Final = 60.0
"""Seconds until a queue that does not get empty is a bug."""


@dataclass(slots=True)
class Site:
    """A server that runs."""

    database: Path
    store: EventStore
    wake: Callable[[Iterable[Queue]], None]

    def post(self, posts: Iterable[Post]) -> int:
        """Register events, as the page that agents post to does; return how many."""
        events = [NewEvent(post.source, 1, Queue.FAST, len(post.body), post.body) for post in posts]
        self.store.register(events)
        self.wake([Queue.FAST])
        return len(events)

    def settle(self, *, parked: int = 0) -> tuple[int, int, int]:
        """Wait until all is handled but ``parked`` events; return how many are done, parked and dead.

        Raises:
            TimeoutError: that does not happen.
        """
        waited = threading.Event()
        for _ in range(int(_PATIENCE / _POLL)):
            sizes = self.store.sizes()
            waiting, held = sum(size.events for size in sizes), len(self.store.parked(limit=parked + 1))
            if waiting == held == parked:
                return sum(size.done for size in sizes), held, sum(size.dead for size in sizes)
            waited.wait(_POLL)
        raise TimeoutError(f"the queue of {self.database} does not get empty")


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """Make a site in a folder and run its server while the block runs.

    Raises:
        UsageError: its database exists; nothing is ever overwritten.
        PermissionDenied: the folder cannot be written.
    """
    database = folder.absolute() / DATABASE
    settings = Settings(event_queue_path=folder.absolute() / "EventQueue", idle_milliseconds=20, sweep_milliseconds=100)
    with failures.translated(str(database), writing=True):
        settings.queue_folder.mkdir(parents=True, exist_ok=True)
        if database.exists():
            raise UsageError(f"{database} exists already", hint="delete it, or name another folder with --dir")
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(str(database))))
        store.create()
        reference = stack.enter_context(closing(ReferenceServer(str(database), Options(), store, lambda: settings)))
        reference.prepare()
        schema.fill(schema.sqlite_url(database), catalogue_rows())
        processor = Processor(store, lambda: settings, reference.handler)
        waking = Waking(store, reference.lead_somewhere, ready=processor.wake, first=0.1, longest=0.5)
        stop = threading.Event()
        for work in (processor.run, waking.run):
            thread = threading.Thread(target=work, args=(stop,), daemon=True)
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        yield Site(database, store, processor.wake)
