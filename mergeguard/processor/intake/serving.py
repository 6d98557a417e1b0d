"""The intake of one process while it runs: folders, lock, registrar, web server and inboxes, in their order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mergeguard.errors import WriteFailed
from mergeguard.processor.intake.inbox import Inbox
from mergeguard.processor.intake.inbox_steps import InboxSteps
from mergeguard.processor.intake.orphans import FOLDER, Orphans
from mergeguard.processor.intake.payloads import Payloads, prepare_folder
from mergeguard.processor.intake.registrar import Registrar
from mergeguard.processor.intake.watching import FolderWatch
from mergeguard.processor.intake.web import WebServer, bound
from mergeguard.processor.metrics import ServerMetrics
from mergeguard.processor.settings import Settings
from mergeguard.storage.own_files.process_lock import held
from mergeguard.storage.queue.store import EventStore

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mergeguard.processor.intake.creation import Registry

LOCK: Final = "intake.lock"
"""In the folder of the queue; held by the one server that takes events into it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int
    """0: any that is free."""


@dataclass(slots=True)
class RunningIntake:
    """An intake that answers posts."""

    url: str
    registrar: Registrar
    orphans: Orphans
    inbox: Inbox
    new_folder: bool
    """Whether there was no folder of payloads before."""
    settings: Callable[[], Settings]
    stop: threading.Event
    ready: threading.Event
    """Set when posts may be taken in."""

    def mend(self) -> None:
        """Bring files and rows together that lost each other at an earlier end; from then on posts are taken in.

        Raises:
            TargetNotFound: rows name files, and the folder was missing.
            CannotCheck: the database does not answer.
        """
        if self.new_folder:
            self.orphans.insist()
        try:
            self.orphans.mend(self.inbox.payload_names())
        except WriteFailed as failure:
            _log.error("orphans stay where they are", extra={"why": failure.message})
        self.ready.set()

    @contextmanager
    def inboxes(self) -> Iterator[None]:
        """Take files in while the block runs; it ends when ``stop`` is set."""
        settings = self.settings()
        watch = FolderWatch((settings.inbox_folder, *settings.legacy_folders), self.stop)
        thread = threading.Thread(target=self.inbox.run, args=(watch.wait,), name="inbox", daemon=True)
        watch.start()
        thread.start()
        try:
            yield
        finally:
            watch.close()
            thread.join()


@contextmanager
def running_intake(
    store: EventStore,
    settings: Callable[[], Settings],
    metrics: ServerMetrics,
    address: Address,
    stop: threading.Event,
    registry: Registry | None = None,
) -> Iterator[RunningIntake]:
    """Take posts in while the block runs; once ``stop`` is set they are refused, and at the end all are answered.

    ``registry`` tells agents their guids.

    Raises:
        UsageError: the address is taken, or a file stands in the place of a folder.
        PermissionDenied: a folder cannot be written.
        Locked: another server takes events into the same folder.
    """
    now = settings()
    payloads = Payloads(now.queue_folder)
    prepare_folder(now.event_queue_path)
    new_folder = payloads.prepare()
    for folder in (now.inbox_folder, *now.legacy_folders):
        prepare_folder(folder)
    with held(now.event_queue_path / LOCK, f"an intake of events into {now.event_queue_path}"):
        orphans = Orphans(store, payloads, now.event_queue_path / FOLDER)
        orphans.look()
        registrar = Registrar(store, payloads, settings)
        inbox = Inbox(store, InboxSteps(payloads, registrar, settings), settings, metrics)
        listening = bound(address.host, address.port)
        ready = threading.Event()
        app = _app(registrar, settings, metrics, lambda: _closed(ready, stop), registry)
        web = WebServer(app, listening, now.stop_seconds, stop.set)
        registrar.start()
        web.start()
        try:
            yield RunningIntake(web.url, registrar, orphans, inbox, new_folder, settings, stop, ready)
        finally:
            try:
                web.close()
            finally:
                registrar.close()


def _closed(ready: threading.Event, stop: threading.Event) -> str | None:
    if stop.is_set():
        return "shutting down"
    return None if ready.is_set() else "starting"


def _app(
    registrar: Registrar,
    settings: Callable[[], Settings],
    metrics: ServerMetrics,
    closed: Callable[[], str | None],
    registry: Registry | None,
) -> ASGIApp:
    from mergeguard.processor.intake.app import create_app  # noqa: PLC0415 - comes with the extra `serve`
    from mergeguard.processor.intake.creation import Creation  # noqa: PLC0415 - as above
    from mergeguard.processor.intake.http import Intake  # noqa: PLC0415 - as above
    from mergeguard.processor.intake.readiness import Readiness  # noqa: PLC0415 - as above

    intake = Intake(settings, registrar.payloads, registrar, metrics, closed)
    readiness = Readiness(registrar.store, registrar.payloads.folder, closed)
    creation = None if registry is None else Creation(registry, settings, metrics, closed)
    return create_app(intake, readiness, metrics.exposition, creation)
