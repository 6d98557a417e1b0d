"""At a start: payload files and rows that lost each other, because a server ended between writing the two.

* A ``.part`` file was never complete, and its sender was never answered: it is removed.
* A file that no row names is either that of a post whose sender was not answered and posts again, or of an event that
  is done. Registering it once more could double an event, removing it could destroy the last copy of one whose database
  was restored from a backup: it is moved to the folder ``Orphans``, for a person to decide.
* A row whose file is gone is told here by its id. It dies with the reason *its body is gone* when its turn comes, so
  that its line keeps its order.
* What somebody put into the folder by hand is told and not touched; the way in is ``EvtInbox``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mergeguard.errors import TargetNotFound, WriteFailed
from mergeguard.processor.intake.payloads import Payloads, sync_folder
from mergeguard.storage.queue.store import EventStore

FOLDER: Final = "Orphans"
_MOST_TOLD: Final = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mended:
    """What was found at a start."""

    removed: Sequence[str] = ()
    """Files that were never complete."""
    moved: Sequence[str] = ()
    """Files without a row, in ``Orphans`` now."""
    lost: Sequence[int] = ()
    """Events without their file."""
    strangers: Sequence[str] = ()
    """What is not ours in the folder."""


@dataclass(slots=True)
class Orphans:
    """The orphans of one start. ``look`` before the first event comes in, ``mend`` when the database answers."""

    store: EventStore
    payloads: Payloads
    place: Path
    """Where files without a row are moved to."""
    _removed: list[str] = field(default_factory=list)
    _names: frozenset[str] = frozenset()
    _strangers: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Note what is there, and remove what was never complete.

        Raises:
            PermissionDenied: the folder cannot be read.
        """
        self._removed = list(self.payloads.unfinished())
        for name in self._removed:
            self.payloads.remove(name)
        self._names = frozenset(self.payloads.names())
        self._strangers = list(self.payloads.strangers())

    def insist(self) -> None:
        """Refuse a folder that was missing and had to be made, where rows name files in it.

        A disk that is not mounted must not cost all these events their bodies.

        Raises:
            TargetNotFound: so it is; the folder is removed again.
            CannotCheck: the database does not answer.
        """
        rows = self.store.files()
        if rows:
            with suppress(OSError):
                self.payloads.folder.rmdir()
            raise TargetNotFound(
                f"{len(rows):,} events have their bodies in {self.payloads.folder}, and there was no such folder",
                hint="mount its disk. If it is lost, make the folder: those events then die, each with that reason",
            )

    def mend(self, spared: Collection[str] = ()) -> Mended:
        """Move the files that no row names, and tell of everything.

        Args:
            spared: names of files whose rows are still to come.

        Raises:
            CannotCheck: the database does not answer.
            WriteFailed: a file cannot be moved.
        """
        rows = self.store.files()
        without_row = sorted(self._names - rows.keys() - set(spared))
        moved = [name for name in without_row if self._move(name)]
        mended = Mended(self._removed, moved, self._lost(rows), self._strangers)
        if mended.moved:
            _sync(self.place)
        _tell(mended, self.payloads.folder, self.place)
        return mended

    def _lost(self, rows: Mapping[str, int]) -> list[int]:
        """Return the events whose file is gone; a row that goes meanwhile is of an event that is done."""
        gone = rows.keys() - set(self.payloads.names())
        return sorted(event for name, event in self.store.files().items() if name in gone) if gone else []

    def _move(self, name: str) -> bool:
        """Move a file out of the way; one that is gone meanwhile was another server's."""
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            self.payloads.path(name).rename(self.place / name)
        except FileNotFoundError:
            return False
        except OSError as failure:
            raise WriteFailed(
                f"the orphan {name} cannot be moved to {self.place}: {failure.strerror or failure}",
                hint="let the account of the server write that folder; it has to be on the disk of the queue",
            ) from failure
        return True


def _sync(folder: Path) -> None:
    try:
        sync_folder(folder)
    except OSError as failure:
        _log.warning("a folder cannot be synced", extra={"folder": str(folder), "why": str(failure)})


def _tell(mended: Mended, folder: Path, place: Path) -> None:
    for what, found in (
        ("files that were never complete are removed", mended.removed),
        (f"files without a row are moved to {place}", mended.moved),
        ("put there by hand, not touched; the way in is EvtInbox", mended.strangers),
    ):
        if found:
            _log.warning(what, extra={"files": len(found), "folder": str(folder), "some": list(found[:_MOST_TOLD])})
    for event in mended.lost[:_MOST_TOLD]:
        _log.error("the file of an event is gone", extra={"event": event, "events": len(mended.lost)})
