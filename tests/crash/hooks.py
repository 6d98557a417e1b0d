"""Counts, inside a process, the statements it sends and the files it writes; kills it at the chosen one.

For machines that do not let a process be traced, and beside the tracer: one step here is one SQL statement, one step
there one system call. Standard library and drivers are wrapped where everything goes through: SQLite's own trace of
statements, psycopg's cursors and COPY, and the functions of ``os`` that change a file's name or make it last.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
import sqlite3
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

OPEN_TO_WRITE = os.O_WRONLY | os.O_RDWR


class Steps:
    """The steps of this process; the chosen one is its last."""

    def __init__(self, log: Path, kill_at: int | None) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._kill_at = kill_at
        self._write = os.write
        self.count = 0

    def step(self, name: str) -> None:
        """Note a step that is about to be taken, or die instead of taking it."""
        self.count += 1
        self._write(self._log, f"{' '.join(name.split())[:80]}\n".encode())
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def install(steps: Steps) -> None:
    """Wrap everything in this process that outlives it."""
    _wrap_sqlite(steps)
    _wrap_psycopg(steps)
    for name in ("fsync", "fdatasync", "replace", "rename", "unlink", "remove", "truncate", "ftruncate", "link"):
        if hasattr(os, name):
            setattr(os, name, _before(steps, name, getattr(os, name)))
    os.open = _opening(steps, os.open)  # type: ignore[assignment]
    io.open = builtins.open = _opening_text(steps, io.open)  # type: ignore[assignment]


def _before(steps: Steps, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def stepping(*given: Any, **more: Any) -> Any:
        steps.step(name)
        return function(*given, **more)

    return stepping


def _opening(steps: Steps, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def opening(path: Any, flags: int, *given: Any, **more: Any) -> Any:
        if flags & OPEN_TO_WRITE:
            steps.step(f"open {os.path.basename(str(path))}")  # noqa: PTH119 - or a descriptor
        return function(path, flags, *given, **more)

    return opening


def _opening_text(steps: Steps, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def opening(file: Any, mode: str = "r", *given: Any, **more: Any) -> Any:
        if set(mode) & set("wax+"):
            steps.step(f"open {os.path.basename(str(file))}")  # noqa: PTH119 - or a descriptor
        return function(file, mode, *given, **more)

    return opening


def _wrap_sqlite(steps: Steps) -> None:
    connect = sqlite3.connect

    @wraps(connect)
    def connecting(*given: Any, **more: Any) -> sqlite3.Connection:
        steps.step("connect")  # which makes the file
        connection = connect(*given, **more)
        connection.set_trace_callback(steps.step)
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = connecting  # type: ignore[assignment]


def _wrap_psycopg(steps: Steps) -> None:
    import psycopg  # noqa: PLC0415 - the tests of SQLite do without

    for kind, names in (
        (psycopg.Cursor, ("execute", "executemany", "copy")),
        (psycopg.ClientCursor, ("execute",)),
        (psycopg.ServerCursor, ("execute",)),
        (psycopg.Connection, ("commit", "rollback")),
        (psycopg.Copy, ("write", "write_row")),
    ):
        for name in names:
            if name in vars(kind):
                setattr(kind, name, _before(steps, f"{kind.__name__}.{name}", vars(kind)[name]))
