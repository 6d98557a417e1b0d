"""``EventFailureBackupFolder``: dead events are written there and synced, and only then leave the database.

Every step may be repeated: the files are named by the event, the same event gives the same bytes, and the row is
dropped once. A crash anywhere leaves the event in the database, in the folder, or in both, and never in neither.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from mergeguard.core.events import Reason
from mergeguard.errors import FolderAway, LostBody, MergeGuardError
from mergeguard.processor.backup_files import make_folder, write_event
from mergeguard.processor.bad_folders import read_bad_folders
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.settings import Settings
from mergeguard.storage.own_files.new_file import write_new
from mergeguard.storage.queue.store import DeadEvent, EventStore

_log = logging.getLogger(__name__)
_AT_ONCE = 100


class FailureBackup:
    """Moves dead events from the database to the folder, where one is set.

    Args:
        store: the queue.
        settings: those in force; without a folder nothing happens.
        bodies: of events that are files.
    """

    def __init__(self, store: EventStore, settings: Callable[[], Settings], bodies: EventBodies) -> None:
        self._store = store
        self._settings = settings
        self._bodies = bodies
        self._stuck: set[int] = set()
        """Events that cannot be written, so that each is complained of once; they stay dead in the database."""

    def move(self) -> int:
        """Move all dead events that can be written; return how many were.

        Raises:
            UsageError: ``BadNSEFolders.config`` is not as it should be.
            Exception: what the store raises.
        """
        settings = self._settings()
        if settings.backup_folder is None:
            return 0
        names = read_bad_folders(settings.bad_nse_folders)
        moved = 0
        while True:
            dead = self._store.dead(limit=_AT_ONCE + len(self._stuck))
            new = [one for one in dead if one.event.id not in self._stuck]
            for one in new:
                moved += self._moved(one, settings.backup_folder / names.folder_of(one.failure.kind))
            if not new:
                return moved

    def retry_stuck(self) -> None:
        """Let the next ``move`` try again what could not be written."""
        self._stuck.clear()

    def _moved(self, dead: DeadEvent, folder: Path) -> bool:
        try:
            self._write(dead, folder)
        except (MergeGuardError, OSError) as error:
            self._stuck.add(dead.event.id)
            _log.warning("a dead event stays in the database", extra={"event": dead.event.id, "why": str(error)})
            return False
        # Only who dropped the row may remove its file: somebody may have retried the event meanwhile, file and all.
        if self._store.drop(dead.event.id):
            self._bodies.remove(dead.event)
            return True
        return False

    def _write(self, dead: DeadEvent, folder: Path) -> None:
        """Write the event and its log; when this returns both are whole and on the disk."""
        body = self._body(dead)
        make_folder(folder)
        path = write_event(dead.event, body, folder, "the backup of an event")
        write_new(path.with_suffix(".log"), log_text(dead).encode(), "the log of a dead event", replace=True)

    def _body(self, dead: DeadEvent) -> bytes | Path:
        if dead.failure.reason is Reason.LOST_BODY:
            raise LostBody("its body is gone; the row is all there is of it")
        try:
            return self._bodies.locate(dead.event)
        except FolderAway as away:
            raise LostBody(away.message) from None


def log_text(dead: DeadEvent) -> str:
    """Return the exception's message, and below it what the queue knew of the event."""
    event, failure = dead.event, dead.failure
    return (
        f"{failure.message}\n\n"
        f"exception: {failure.kind}\nreason: {failure.reason}\nevent: {event.id}\nsource: {event.source}\n"
        f"priority: {event.priority}\nqueue: {event.queue.name.lower()}\nbytes: {event.size}\n"
        f"tries: {event.tries}\nreceived: {event.received.isoformat()}\ndied: {dead.died.isoformat()}\n"
    )
