"""The server of the event queue, and what posts events to one."""

from __future__ import annotations

import io
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from mergeguard.api.opened import DEFAULT
from mergeguard.errors import MergeGuardError, MissingExtra, UsageError
from mergeguard.storage.source import Options

if TYPE_CHECKING:  # each pulls in more than a program that does not call for it should pay
    from mergeguard.processor.handlers import Handler
    from mergeguard.processor.handling import Handling
    from mergeguard.processor.metrics import ServerMetrics
    from mergeguard.processor.settings_file import SettingsFile
    from mergeguard.processor.status import StatusWriter
    from mergeguard.storage.queue.store import EventStore

HOST: Final = "127.0.0.1"
PORT: Final = 8080
URL: Final = f"http://{HOST}:{PORT}"
PATIENCE: Final = 300.0
_PACKAGES: Final = ("starlette", "uvicorn", "watchfiles", "structlog", "prometheus_client")


def serve(  # noqa: PLR0913 - as the command has flags
    target: str | Path,
    stop: threading.Event,
    *,
    host: str | None = HOST,
    port: int = PORT,
    workers: bool = True,
    handler: Handler | str = "import",
    config: str | Path | None = None,
    core_settings: str | Path | None = None,
    options: Options = DEFAULT,
    started: Callable[[str | None], None] = lambda _url: None,
) -> bool:
    """Take events in and handle them until ``stop`` is set; return whether all that was under way ended in time.

    The tables of the queue are made where they are missing. A server that imports also brings the reference schema to
    its newest version, and says so in its log.

    Args:
        target: the database of the queue.
        stop: ends it: posts are refused at once, events under way are finished.
        host: where to listen; ``None``: handle events only.
        port: likewise; 0 is any that is free.
        workers: ``False``: take events in only.
        handler: what events are given to. ``import``: the importers of the reference schema; then the server also tells
            agents their guids and looks after the integrity of the database. ``store``: they are read through and
            stored in ``mergeguard_handled``.
        config: a TOML file of settings in place of ``mergeguard.toml`` of the current folder.
        core_settings: a ``CoreSettings.config`` in place of what ``MERGEGUARD_CORE_SETTINGS`` names.
        options: how to connect.
        started: is told where the server listens.

    Raises:
        UsageError: a setting or the handler is wrong, the address is taken, or neither intake nor workers are wanted.
        MissingExtra: a package of the extra ``serve`` is not installed.
        Locked: another server takes events into the same folder.
        UnknownSchema: the database holds other tables of the names of the reference schema.
        CannotCheck: the database refuses this server for good, or a folder is not there or cannot be written.
    """
    from mergeguard.processor.intake.serving import Address  # noqa: PLC0415 - only with a server
    from mergeguard.processor.serving import Server  # noqa: PLC0415 - as above

    _require(host is not None, workers)
    site = _Site(str(target), options, _settings(config, core_settings))
    with ExitStack() as opened:
        store = opened.enter_context(site.store())
        status = opened.enter_context(site.status(store))
        metrics = site.metrics(store)
        handling = opened.enter_context(site.handling(handler, store))
        server = Server(
            store,
            site.settings.current,
            metrics,
            lambda: site.create(store, handling),
            None if host is None else Address(host, port),
            handling.handler if workers else None,
            [status.run, *(site.looks(handling, metrics) if host is not None else ())],
            started,
            handling.registry,
            handling.lead_somewhere,
        )
        return server.run(stop)


def post_event(
    body: bytes | Path,
    *,
    url: str = URL,
    source: uuid.UUID | str | None = None,
    priority: int | None = None,
    patience: float = PATIENCE,
    wait: Callable[[float], object] = time.sleep,
) -> str:
    """Post one event to a server and return what it said, e.g. ``event 12``: the event is safe there.

    Args:
        body: the event, or the file that holds it.
        url: of the server; the path of the agents' page may be left out.
        source: guid of the agent that it is of; without one it has no place in any line.
        priority: from 0 to 4095; by default what the file's name says, or 0.
        patience: seconds in all to wait for a server that is busy or does not answer.
        wait: how to wait.

    Raises:
        UsageError: the file cannot be read, the address is none, or the server will never take the event.
        CannotCheck: the server did not answer.
        MergeGuardError: it was busy to the end.
    """
    from mergeguard.processor.intake.client import EventPoster, Patience  # noqa: PLC0415 - only with a server
    from mergeguard.processor.intake.file_names import LOWEST, parse  # noqa: PLC0415 - as above
    from mergeguard.processor.intake.posts import priority_of, source_of  # noqa: PLC0415 - as above

    said = parse(body.name) if isinstance(body, Path) else None
    chosen = priority_of(str(priority)) if priority is not None else LOWEST if said is None else said.priority
    poster = EventPoster(url, Patience(patience, wait))
    guid = source_of(str(source or ""))

    def opened() -> IO[bytes]:
        return io.BytesIO(body) if isinstance(body, bytes) else body.open("rb")

    try:
        return poster.post(opened, source=guid, priority=chosen)
    except OSError as failure:
        raise UsageError(f"{body!s:.200} cannot be read: {failure.strerror or failure}") from None


def _require(intake: bool, workers: bool) -> None:
    if not intake and not workers:
        raise UsageError("neither intake nor workers: there is nothing to do", hint="leave one of the two flags out")
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"a server needs {', '.join(missing)}", hint="pip install 'mergeguard[serve]'")


def _settings(config: str | Path | None, core_settings: str | Path | None) -> SettingsFile:
    from mergeguard.processor.settings_file import SettingsFile, files_of  # noqa: PLC0415 - only with a queue

    named = [None if name is None else Path(name) for name in (config, core_settings)]
    return SettingsFile(files_of(os.environ, Path.cwd(), *named), os.environ)


@dataclass(frozen=True, slots=True)
class _Site:
    """The database that is served, and by which settings: opens each part of a server."""

    target: str
    options: Options
    settings: SettingsFile

    def store(self) -> AbstractContextManager[EventStore]:
        from mergeguard.storage.queue.opening import open_store  # noqa: PLC0415 - imports SQLAlchemy

        return closing(open_store(self.target, self.options))

    @contextmanager
    def status(self, store: EventStore) -> Iterator[StatusWriter]:
        """Open the table of *Event Queue Status*, and yield what writes it."""
        from mergeguard.processor.status import StatusWriter  # noqa: PLC0415 - only with a server
        from mergeguard.storage.queue.status_table import open_status  # noqa: PLC0415 - imports SQLAlchemy

        with closing(open_status(self.target, self.options)) as table:
            yield StatusWriter(store, table, self.settings.current)

    def metrics(self, store: EventStore) -> ServerMetrics:
        from mergeguard.processor.metrics import ServerMetrics  # noqa: PLC0415 - only with a server
        from mergeguard.processor.report import QueueStatistics, take_statistics  # noqa: PLC0415 - as above

        def look() -> QueueStatistics | None:
            try:
                return take_statistics(store, file_limit=self.settings.current().file_limit)
            except MergeGuardError:
                return None

        metrics = ServerMetrics(look)
        metrics.watch_settings(lambda: self.settings.complaint is not None)
        return metrics

    def handling(self, handler: Handler | str, store: EventStore) -> AbstractContextManager[Handling]:
        """Open what events are given to."""
        from mergeguard.processor import handling as kinds  # noqa: PLC0415 - only with a server

        if handler == "import":
            return kinds.importing(self.target, self.options, store, self.settings.current)
        if handler == "store":
            return kinds.storing(self.target, self.options)
        if isinstance(handler, str):
            raise UsageError(f"unknown handler {handler!r}", hint="give 'import', 'store', or a handler of your own")
        return nullcontext(kinds.Handling(handler))

    def create(self, store: EventStore, handling: Handling) -> None:
        """Make the tables that are missing."""
        from mergeguard.processor.folder_identity import require_same_folder  # noqa: PLC0415 - only with a server

        store.create()
        require_same_folder(self.target, self.options, self.settings.current().event_queue_path)
        handling.prepare()

    def looks(self, handling: Handling, metrics: ServerMetrics) -> list[Callable[[threading.Event], None]]:
        """Return what looks after the integrity of the database.

        One server a folder does: the one that takes events in.
        """
        from mergeguard.processor.integrity_job import IntegrityJob  # noqa: PLC0415 - only with a server
        from mergeguard.processor.integrity_look import Question  # noqa: PLC0415 - as above

        if not handling.integrity:
            return []
        options = self.options
        job = IntegrityJob(
            lambda now: Question(self.target, options.password, options.lock_timeout, now.integrity_limit_seconds),
            self.settings.current,
            lambda looked: metrics.looked(looked, time.time()),
        )
        return [job.run]
