"""Where the body of an event is: in its row, or in a file of the queue's folder."""

from __future__ import annotations

import logging
from pathlib import Path

from mergeguard.core.events import Event
from mergeguard.errors import FolderAway, LostBody

_log = logging.getLogger(__name__)


class EventBodies:
    """Reads bodies, and removes the files of events that are done.

    A missing file is the event's own misfortune. A missing folder, or another one in its place, is nobody's
    fault: a share that is not mounted must not kill every event that has a file.

    Args:
        folder: of the payload files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._identity = _identity(folder)

    def read(self, event: Event) -> bytes:
        """Return the body.

        Raises:
            LostBody: its file is gone or has another length than was registered.
            FolderAway: the folder is away.
            OSError: the file is there and cannot be read now.
        """
        if event.file is None:
            return event.body or b""
        path = self.path_of(event.file)
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            self._insist()
            raise _gone(path) from None
        _require_size(path, len(body), event)
        return body

    def locate(self, event: Event) -> bytes | Path:
        """Return the body where it is in the row, or else its file, which has the length that was registered.

        For those who copy it: a body of any size needs no memory. Raises as ``read`` does.
        """
        if event.file is None:
            return event.body or b""
        path = self.path_of(event.file)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            self._insist()
            raise _gone(path) from None
        _require_size(path, size, event)
        return path

    def path_of(self, file: str) -> Path:
        """Return the path of a payload file.

        Raises:
            LostBody: the name would lead out of the folder.
        """
        if Path(file).name != file or "\\" in file or "\0" in file:
            raise LostBody(f"{file!r:.200} is no name of a file in the folder of the queue")
        return self.folder / file

    def remove(self, event: Event) -> None:
        """Remove the file of an event that is no longer in the database; what cannot be removed is an orphan."""
        if event.file is None:
            return
        try:
            self.path_of(event.file).unlink(missing_ok=True)
        except (OSError, LostBody) as failure:
            _log.warning("the file of a finished event stays", extra={"event": event.id, "why": str(failure)})

    def _insist(self) -> None:
        now = _identity(self.folder)
        if now is None or (self._identity is not None and now != self._identity):
            raise FolderAway(
                f"the folder of the queue, {self.folder}, is not there",
                hint="mount it again; the events wait",
            )
        self._identity = now


def _gone(path: Path) -> LostBody:
    return LostBody(f"the file {path.name} is not in the folder of the queue")


def _require_size(path: Path, size: int, event: Event) -> None:
    if size != event.size:
        raise LostBody(f"the file {path.name} has {size:,} bytes, {event.size:,} were registered")


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
