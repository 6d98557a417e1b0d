"""One process at a time: a lock on a file, taken back by the operating system when its holder ends, however it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mergeguard.errors import Locked, PermissionDenied

_FAR: Final = 1 << 30
"""Windows forbids others to read the bytes that are locked; the holder's name stands in front of them."""
_MOST: Final = 200
"""Bytes of the holder's name."""


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file while the block runs; never wait for it.

    The file and its folder are made where they are missing. The file stays: to remove it would let two in.

    Args:
        path: the file; it is only ever used for this.
        what: what is under way, for the message of whoever comes second.

    Raises:
        Locked: another process holds it, or another block of this one.
        PermissionDenied: the file cannot be made or opened.
    """
    descriptor = _opened(path)
    try:
        if not _taken(descriptor):
            raise Locked(
                f"{what} is under way already{_holder(descriptor)}",
                hint=f"wait for it to end; the lock is {path}, and it is let go when that process ends",
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()}".encode())
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as failure:
        raise PermissionDenied(
            f"the lock {path} cannot be opened: {failure.strerror or failure}",
            hint="it stands beside the history; give --history a file in a folder that may be written",
        ) from failure


def _holder(descriptor: int) -> str:
    name = os.read(descriptor, _MOST).decode("ascii", "replace")
    return f" ({name})" if name.isprintable() and name else ""


if sys.platform == "win32":
    import msvcrt

    def _taken(descriptor: int) -> bool:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _taken(descriptor: int) -> bool:
        try:
            # flock, not lockf: closing any other handle of the file must not let the lock go.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
