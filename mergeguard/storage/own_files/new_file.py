"""Writes a file whole or not at all, to be read by its owner alone, and never by accident over another one."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeAlias

from mergeguard.errors import UsageError, WriteFailed

Content: TypeAlias = bytes | Path
"""What a file is to hold: bytes, or those of another file, which is read in pieces."""
_USAGE = frozenset({
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.EINVAL,
})  # fmt: skip


def write_new(path: Path, content: Content, what: str, *, replace: bool = False) -> None:
    """Write ``content`` to a temporary file beside ``path``, and when all of it is on the disk give it its name.

    Raises:
        UsageError: ``path`` is there already and may not be replaced (a device or a pipe never is), or no file can be
            made there.
        WriteFailed: any other failure, e.g. a full disk.
    """
    try:
        if os.path.lexists(path) and not replace:
            _refuse_existing(path, what)
        if path.exists():
            path = path.resolve()  # a link stays a link
            _require_file(path, what)
        written = _temporary(path, content)
        try:
            _give_name(written, path, what, replace=replace)
        finally:
            written.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except ValueError as error:  # a NUL in the name
        raise UsageError(f"{what} {path!s:.200} cannot be written: {error}") from None
    except OSError as error:
        kind = UsageError if error.errno in _USAGE else WriteFailed
        raise kind(f"{what} {path} cannot be written: {error.strerror or error}") from None


def _temporary(path: Path, content: Content) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(content, Path):
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _give_name(written: Path, path: Path, what: str, *, replace: bool) -> None:
    if replace:
        written.replace(path)
        return
    try:
        path.hardlink_to(written)  # unlike a rename, it never takes the place of another file
    except FileExistsError:
        _refuse_existing(path, what)
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            _refuse_existing(path, what)
        written.replace(path)


def _sync_folder(folder: Path) -> None:
    """Make the new name last; Windows opens no folders, and some file systems sync none."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _require_file(path: Path, what: str) -> None:
    """Refuse a device or a pipe: a file in the place of /dev/null would be there for everybody."""
    if not path.is_file() and not path.is_dir():
        raise UsageError(f"{what} {path} is a device or a pipe", hint="name a file; a program can read that as well")


def _refuse_existing(path: Path, what: str) -> NoReturn:
    raise UsageError(f"{what} {path} is there already", hint="give another name, or move that file away")
