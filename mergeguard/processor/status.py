"""Writes the data class *Event Queue Status* at an interval: reports see how the queue has been, not only how it is."""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence

from mergeguard.core.events import Queue
from mergeguard.errors import MergeGuardError
from mergeguard.processor.report import Counters, QueueStatistics, take_statistics
from mergeguard.processor.settings import Settings
from mergeguard.storage.queue.status_table import StatusRow, StatusTable
from mergeguard.storage.queue.store import EventStore

_log = logging.getLogger(__name__)


def this_server() -> str:
    """Name this process among those that share a database: ``host:process``."""
    return f"{socket.gethostname()}:{os.getpid()}"


def status_rows(statistics: QueueStatistics, server: str) -> tuple[StatusRow, ...]:
    """Return the rows of one look, one a queue."""
    return tuple(
        StatusRow(
            taken=statistics.taken,
            server=server,
            queue=int(line.size.queue),
            queue_name=line.size.queue.name.lower(),
            events=line.size.events,
            inline_bytes=line.size.inline_bytes,
            file_bytes=line.size.file_bytes,
            file_limit_bytes=statistics.file_limit,
            registered=line.size.registered,
            done=line.size.done,
            retries=line.size.retries,
            dead=line.size.dead,
            dead_bytes=line.size.dead_bytes,
            stranded_chains=statistics.stranded,
            oldest_seconds=line.oldest_seconds,
            in_per_second=line.in_per_second,
            out_per_second=line.out_per_second,
            parked=line.size.parked,
        )
        for line in statistics.queues
    )


def counters_of(rows: Sequence[StatusRow]) -> Counters | None:
    """Return what rates count from: the counters of an earlier look; ``None`` where there was none."""
    if not rows:
        return None
    registered = {Queue(row.queue): row.registered for row in rows}
    return Counters(rows[0].taken, registered, {Queue(row.queue): row.done for row in rows})


class StatusWriter:
    """Looks at the queue and writes what it saw, until it is told to stop.

    Args:
        store: the queue.
        table: where the rows go.
        settings: asked before each look, so that a changed interval is followed.
        server: this process's name in the rows.
    """

    def __init__(
        self, store: EventStore, table: StatusTable, settings: Callable[[], Settings], server: str | None = None
    ) -> None:
        self._store = store
        self._table = table
        self._settings = settings
        self._server = server or this_server()
        self._before: Counters | None = None

    def write_once(self) -> QueueStatistics:
        """Take one look and write it.

        Raises:
            CannotCheck: the database cannot be read.
            WriteFailed: nothing was written.
        """
        settings = self._settings()
        found = take_statistics(self._store, file_limit=settings.file_limit, before=self._before, limit=1)
        self._table.write(status_rows(found, self._server), keep=dt.timedelta(days=settings.status_history_days))
        self._before = found.counters
        return found

    def run(self, stop: threading.Event) -> None:
        """Write at the interval of the settings until ``stop``; a database that is away is waited for."""
        created = False
        while not stop.is_set():
            try:
                if not created:
                    self._table.create()
                    created = True
                self.write_once()
            except MergeGuardError as error:
                _log.warning("the status of the queue was not written", extra={"why": error.message})
            stop.wait(self._settings().status_interval_seconds)
