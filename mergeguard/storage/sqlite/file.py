"""Looks at an SQLite file before and after a read: how it may be opened so that nothing is left beside it.

A database in WAL mode makes ``-wal`` and ``-shm`` files whenever it is opened the ordinary way. One that nobody writes
is opened as *immutable* instead: without locks and side files, and with proof afterwards that it did not move.
Closing any handle of a file drops the POSIX locks that the process has on it, those of other connections too: another
program would take itself for the last one and delete a log that is in use. So what is looked at is kept open.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from mergeguard.errors import ConnectionLost, NotADatabase

SIDE_FILES = ("-journal", "-wal", "-shm")
_MAGIC = b"SQLite format 3\0"
_WAL = 2
_TICK = 0.05
"""Seconds; longer than the step in which file systems count the time of a change."""

MOST_KEPT = 64
"""Files that are kept open at a time."""
_kept: OrderedDict[tuple[int, int], int] = OrderedDict()
"""By device and inode, the last one used last."""
_keeping = threading.Lock()

Mark = tuple[int, int, int, bytes]
"""Inode, size, time of the last change and the file change counter: equal marks mean an unchanged file."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a file is opened for reading, and what it looked like before."""

    path: Path
    wal: bool
    """Whether the database is in WAL mode."""
    immutable: bool
    """Whether it is read without locks, because it is in WAL mode and its log is empty."""
    mark: Mark
    beside: frozenset[str]
    """The side files that stood there before."""

    @property
    def uri(self) -> str:
        """The SQLite URI that opens the file for reading."""
        return f"{self.path.as_uri()}?mode=ro" + "&immutable=1" * self.immutable

    @property
    def isolation(self) -> str:
        """What consistency a read gets, in words."""
        if self.immutable:
            return "snapshot (nobody writes the file; read without locks, and compared afterwards)"
        if self.wal:
            return "snapshot (read transaction in WAL mode, read only)"
        return "snapshot (shared lock, read only; writers wait until the read ends)"

    def made(self) -> list[str]:
        """Return the names of side files that have come since."""
        return sorted(self.path.name + suffix for suffix in _beside(self.path) - self.beside)

    def verify(self) -> None:
        """Make sure that a file that was read without locks stayed as it was.

        Raises:
            ConnectionLost: it was changed, or removed.
        """
        if not self.immutable:
            return
        try:
            same = _mark(self.path) == self.mark
        except OSError:
            same = False
        if not same:
            raise ConnectionLost(
                f"{self.path}: another program changed the file while it was read",
                hint="run the command again: a file in use is read in a transaction",
            )


def look(path: Path) -> Opening:
    """Look at a database file without opening it as a database.

    Raises:
        OSError: it does not exist or may not be read.
        NotADatabase: it is a folder, a device or a file of another kind.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise NotADatabase(f"{path}: this is not a file", hint="name the database file itself")
    header = read_without_closing(path, 0, 100)
    if header and not header.startswith(_MAGIC):
        raise NotADatabase(
            f"{path}: the file is not an SQLite database",
            hint="check the file name; an encrypted database must be exported as a plain one first",
        )
    wal = header[18:20] == bytes((_WAL, _WAL))
    if wal:
        _settle(status.st_mtime)
    # The mark first: what changes the file after it is noticed, and what changed it before has emptied the log.
    mark = _mark(path)
    return Opening(path, wal, wal and not _has_content(path, "-wal"), mark, _beside(path))


def read_without_closing(path: Path, start: int, count: int) -> bytes:
    """Return some bytes of a regular file, and leave it open.

    Raises:
        OSError: it does not exist or may not be read.
    """
    if not hasattr(os, "pread"):  # Windows: its locks belong to a handle, and closing another one drops none
        with path.open("rb") as file:
            file.seek(start)
            return file.read(count)
    with _keeping:
        status = path.stat()
        if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            # A handle that was opened before would still do: the rights are those of now.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        handle = _kept.get((status.st_dev, status.st_ino))
        if handle is None:
            handle = _keep(path)
        else:
            _kept.move_to_end((status.st_dev, status.st_ino))
        return os.pread(handle, count, start)


def _keep(path: Path) -> int:
    """Open a file; close those that are deleted, and where there are too many the one that was last used first."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    status = os.fstat(handle)
    for name, other in list(_kept.items()):
        if not os.fstat(other).st_nlink or len(_kept) >= MOST_KEPT:
            os.close(_kept.pop(name))
    _kept[status.st_dev, status.st_ino] = handle
    return handle


def left_behind(path: Path) -> bool:
    """Say whether something stands beside a file that a writer may have left unfinished; nothing is opened."""
    return path.is_file() and any(_has_content(path, suffix) for suffix in ("-journal", "-wal"))


def _settle(changed: float) -> None:
    """Let the clock of the file system move on, so that a change from now on has another time."""
    if 0 <= time.time() - changed < _TICK:
        time.sleep(_TICK)


def _mark(path: Path) -> Mark:
    counter = read_without_closing(path, 24, 4)
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, counter


def _beside(path: Path) -> frozenset[str]:
    return frozenset(suffix for suffix in SIDE_FILES if _side(path, suffix).exists())


def _has_content(path: Path, suffix: str) -> bool:
    side = _side(path, suffix)
    return side.exists() and side.stat().st_size > 0


def _side(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
