"""The folder of payload files: a file has its name only when all of it is on the disk, and the name lasts too.

While it is written, a file ends in ``.part``; whoever finds one at a start may remove it, because nobody was told that
it is safe. Names are random and written by us alone, so whatever else lies in the folder was put there by hand.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from mergeguard.errors import PermissionDenied, UsageError, WriteFailed

SUFFIX: Final = ".NSE"
PART: Final = ".part"
_GUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OURS: Final = re.compile(rf"{_GUID}\.NSE", re.ASCII)
_UNFINISHED: Final = re.compile(rf"{_GUID}\.part", re.ASCII)


class Payload:
    """One payload on its way to the disk. It ends by ``keep`` or by ``discard``, each of which may be called twice."""

    def __init__(self, folder: Path, guid: str) -> None:
        """Begin a file.

        Raises:
            WriteFailed: no file can be made there.
        """
        self._path = folder / f"{guid}{PART}"
        self._final = folder / f"{guid}{SUFFIX}"
        self.size = 0
        try:
            # Unbuffered: pieces are large already, and a full disk is found where the piece is written.
            self._file = self._path.open("wb", buffering=0)
        except OSError as failure:
            raise _failed(folder, failure) from failure

    @property
    def name(self) -> str:
        """The name that the row is to hold."""
        return self._final.name

    def write(self, piece: bytes) -> None:
        """Append a piece.

        Raises:
            WriteFailed: it does not fit on the disk, or cannot be written.
        """
        try:
            left = memoryview(piece)
            while left:
                left = left[self._file.write(left) :]
        except OSError as failure:
            raise _failed(self._path.parent, failure) from failure
        self.size += len(piece)

    def keep(self) -> None:
        """Make the file and its name last; from now on a row may hold it.

        Raises:
            WriteFailed: the disk did not take it; the file is gone.
        """
        try:
            with self._file as file:
                os.fsync(file.fileno())
            self._path.rename(self._final)
            sync_folder(self._final.parent)
        except OSError as failure:
            self.discard()
            self._final.unlink(missing_ok=True)
            raise _failed(self._final.parent, failure) from failure

    def discard(self) -> None:
        """Remove what was written, unless it is kept."""
        self._file.close()
        with suppress(OSError):
            self._path.unlink()


class Payloads:
    """The payload files of one queue."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> bool:
        """Make the folder where it is missing; return whether it was.

        Raises:
            UsageError: a file stands in its place.
            PermissionDenied: it cannot be made or written.
        """
        return prepare_folder(self.folder)

    def begin(self, guid: str | None = None) -> Payload:
        """Begin a payload of this name, by default a random one.

        Raises:
            WriteFailed: no file can be made there.
        """
        return Payload(self.folder, guid or str(uuid.uuid4()))

    def path(self, name: str) -> Path:
        """Return where a payload is."""
        return self.folder / name

    def remove(self, name: str) -> None:
        """Remove a payload that no row holds; one that is gone already is fine.

        A failure leaves an orphan, which the next start finds, so it is none of the caller's.
        """
        with suppress(OSError):
            self.path(name).unlink()

    def names(self) -> Iterator[str]:
        """Yield the names of the payloads that are there.

        Raises:
            PermissionDenied: the folder cannot be read.
        """
        return (name for name in self._entries() if _OURS.fullmatch(name))

    def unfinished(self) -> Iterator[str]:
        """Yield the names of the payloads that were never completed.

        Raises:
            PermissionDenied: the folder cannot be read.
        """
        return (name for name in self._entries() if _UNFINISHED.fullmatch(name))

    def strangers(self) -> Iterator[str]:
        """Yield the names of what somebody else put there.

        Raises:
            PermissionDenied: the folder cannot be read.
        """
        return (name for name in self._entries() if not (_OURS.fullmatch(name) or _UNFINISHED.fullmatch(name)))

    def _entries(self) -> list[str]:
        try:
            return sorted(path.name for path in self.folder.iterdir())
        except OSError as failure:
            raise PermissionDenied(
                f"the folder {self.folder} cannot be read: {failure.strerror or failure}",
                hint="the account of the server needs to read and write it",
            ) from failure


def prepare_folder(folder: Path) -> bool:
    """Make a folder where it is missing, and see that files can be made in it; return whether it was missing.

    Raises:
        UsageError: a file stands in its place.
        PermissionDenied: it cannot be made or written.
    """
    missing = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} is no folder", hint="move the file away that stands in its place") from None
    except OSError as failure:
        raise PermissionDenied(
            f"the folder {folder} cannot be made: {failure.strerror or failure}",
            hint="make it, and let the account of the server read and write it",
        ) from failure
    if not writable(folder):
        raise PermissionDenied(
            f"the folder {folder} cannot be written", hint="let the account of the server read and write it"
        )
    return missing


def writable(folder: Path) -> bool:
    """Say whether files can be made in a folder, by making one: rights alone do not tell of a read-only file system."""
    trial = folder / f"{uuid.uuid4()}{PART}"
    try:
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last.

    Raises:
        OSError: the disk did not take them.
    """
    if os.name == "nt":  # Windows opens no folders; NTFS writes names through its journal
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(folder: Path, failure: OSError) -> WriteFailed:
    return WriteFailed(
        f"a payload cannot be written to {folder}: {failure.strerror or failure}",
        hint="make room there, and let the account of the server write it; nothing was registered",
    )
