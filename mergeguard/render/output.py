"""Writes a report to a file: the one place of this package that touches a disk."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from mergeguard.errors import MergeGuardError, PermissionDenied, UsageError, WriteFailed
from mergeguard.render.text import visible


def write_output(text: str, path: Path) -> None:
    """Write a report to a file at once: a reader sees the old file or the new one, never half.

    The text is UTF-8 and ends with a newline. An existing file keeps its permissions, a link stays a link; a device
    or pipe is written to as it is.

    Raises:
        UsageError: the folder does not exist, or the path names a folder.
        PermissionDenied: the operating system forbids it.
        WriteFailed: anything else, a full disk above all; the old file stands as it was.
    """
    # Renderers leave nothing that UTF-8 cannot carry; a caller's own text must not crash here either.
    packed = (text if text.endswith("\n") else text + "\n").encode("utf-8", "backslashreplace")
    try:
        place = path.resolve()
        if place.exists() and not place.is_file() and not place.is_dir():
            place.write_bytes(packed)
        else:
            _replace(packed, place)
    except (OSError, ValueError, RuntimeError) as failure:  # ValueError: a NUL in the name; RuntimeError: a link loop
        raise _told(failure, path) from failure


def _replace(packed: bytes, place: Path) -> None:
    if place.is_dir():
        raise IsADirectoryError(place)
    # Opened without tempfile: its files are private, and a metrics collector runs as somebody else.
    temporary = place.with_name(f".mergeguard-{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        if place.exists():
            temporary.chmod(stat.S_IMODE(place.stat().st_mode))
        temporary.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _settle(place.parent)


def _settle(folder: Path) -> None:
    """Make the new name survive a power cut, where the system lets a folder be synced (Windows does not)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _told(failure: Exception, path: Path) -> MergeGuardError:
    name = visible(path)
    if isinstance(failure, FileNotFoundError | NotADirectoryError):
        return UsageError(f"cannot write {name}: its folder does not exist", hint="create the folder first")
    if isinstance(failure, IsADirectoryError):
        return UsageError(f"cannot write {name}: it is a folder", hint="name a file inside it")
    if isinstance(failure, PermissionError):
        return PermissionDenied(
            f"cannot write {name}: the operating system forbids it",
            hint="a report is written beside its place and moved there, so the folder must be writable",
        )
    if not isinstance(failure, OSError):
        return UsageError(f"cannot write {name}: this is no usable file name")
    reason = failure.strerror or type(failure).__name__
    return WriteFailed(f"cannot write {name}: {reason}", hint="nothing was changed; free some space or write elsewhere")
