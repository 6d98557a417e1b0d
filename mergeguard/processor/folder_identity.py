"""Sees to it that all servers of one queue have the same folder: a body in another host's folder would be lost to them.

The folder holds its identity in a file, the database says which identity is the queue's. The first server writes both.
"""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from mergeguard.errors import PermissionDenied, UsageError
from mergeguard.processor.intake.payloads import sync_folder
from mergeguard.storage.source import Options

FILE: Final = "queue.id"
"""In the folder of the queue, beside ``EvtQueue``."""
_IDENTITY: Final = re.compile(r"[0-9a-f]{32}")


def require_same_folder(
    target: str, options: Options, folder: Path, *, new: Callable[[], str] = lambda: uuid.uuid4().hex
) -> None:
    """Refuse a folder that is not the one of the queue; the first one that comes is.

    A queue in an SQLite file is for one machine, and has no need of this.

    Args:
        target: the database of the queue.
        options: how to connect.
        folder: of this server; it is there.
        new: makes an identity.

    Raises:
        UsageError: another folder is the queue's.
        PermissionDenied: the file cannot be read or written.
        CannotCheck: the database does not answer.
        WriteFailed: the table cannot be made or written.
    """
    from mergeguard.storage.queue.folder_table import open_folder_table  # noqa: PLC0415 - imports SQLAlchemy

    with closing(open_folder_table(target, options)) as table:
        if not table.is_shared:
            return
        claimed, own = table.claimed(), read_identity(folder)
        if claimed is None:
            own = own or _write(folder, new())
            claimed = table.claim(own, f"{socket.gethostname()}: {folder.absolute()}")
        if own != claimed.identity:
            raise UsageError(
                f"{folder} is not the folder of this queue: that is what {claimed.who} calls so",
                hint="let all servers of one database have one folder, on a share; if this is that folder, moved or "
                f"restored, write {claimed.identity} into {folder / FILE}",
            )


def read_identity(folder: Path) -> str | None:
    """Return what stands in the file of a folder; ``None`` where it has none.

    Raises:
        UsageError: something else stands there.
        PermissionDenied: it cannot be read.
    """
    path = folder / FILE
    try:
        text = path.read_text("ascii").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = "?"
    except OSError as failure:
        raise _denied(path, "read", failure) from failure
    if _IDENTITY.fullmatch(text) is None:
        raise UsageError(f"{path} does not hold the identity of a folder", hint="restore it; it is 32 hex digits")
    return text


def _write(folder: Path, identity: str) -> str:
    """Write the identity of a folder that has none; return that which stands there then."""
    path, part = folder / FILE, folder / f"{FILE}.{identity}.part"
    try:
        part.write_text(f"{identity}\n", "ascii")
        try:
            path.hardlink_to(part)  # unlike a rename, it never takes the place of another file
        except FileExistsError:
            pass
        except OSError:  # a share without hard links: who comes at the same moment may be refused, and starts again
            with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
                file.write(f"{identity}\n")
                file.flush()
                os.fsync(file.fileno())
        part.unlink()
        sync_folder(folder)
    except OSError as failure:
        raise _denied(path, "written", failure) from failure
    return read_identity(folder) or identity


def _denied(path: Path, what: str, failure: OSError) -> PermissionDenied:
    return PermissionDenied(
        f"{path} cannot be {what}: {failure.strerror or failure}",
        hint="let the account of the server read and write the folder",
    )
