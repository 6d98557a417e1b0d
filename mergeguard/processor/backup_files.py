"""How an event is written to a folder of people: its body byte for byte, under a name that is its own."""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mergeguard.core.events import Event
from mergeguard.storage.own_files.new_file import Content, write_new


def stem_of(event: Event, body: Content) -> str:
    """Return the name of an event's files without the suffix: that of its payload file, or its id and hash."""
    if event.file is not None:
        return Path(event.file).stem
    return f"event-{event.id}-{_digest(body)[:12]}"


def write_event(event: Event, body: Content, folder: Path, what: str) -> Path:
    """Write an event's body, synced before it has its name; written again it is the same file.

    A body that is a file is never in memory as a whole.

    Raises:
        UsageError: the folder cannot be made or written to.
        WriteFailed: the disk is full, for one.
        OSError: the folder cannot be looked at.
    """
    make_folder(folder)
    path = _free(folder, stem_of(event, body), event, body)
    if not path.exists():
        write_new(path, body, what, replace=True)
    return path


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and make their names last."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    with suppress(OSError):
        handle = os.open(folder.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _free(folder: Path, stem: str, event: Event, body: Content) -> Path:
    """Return a path that is free or holds this very body: nothing is ever written over another event."""
    for path in _paths(folder, stem, event, body):
        if not path.exists() or _holds(path, body):
            break
    return path


def _paths(folder: Path, stem: str, event: Event, body: Content) -> Iterator[Path]:
    yield folder / f"{stem}.NSE"
    yield folder / f"{stem}-{event.id}.NSE"
    yield folder / f"{stem}-{event.id}-{_digest(body)[:32]}.NSE"


def _digest(body: Content) -> str:
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest()
    with body.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holds(path: Path, body: Content) -> bool:
    if not path.is_file():
        return False
    if isinstance(body, Path):
        return filecmp.cmp(path, body, shallow=False)
    return path.stat().st_size == len(body) and path.read_bytes() == body
