"""Who changes a database: the name that goes into the journal."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mergeguard.storage.database import DatabaseSource


def account(source: DatabaseSource) -> str:
    """Return the account at the operating system with its host, and the one at the database where that differs."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container without a name for this user
        name = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    here = f"{name}@{socket.gethostname()}"
    login = source.url.username
    return here if login is None or login == name else f"{here} as {login}"
