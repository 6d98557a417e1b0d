"""A second connection to the state that a snapshot of SQLite reads, in a thread: two processors read for one.

SQLite knows no way to put a connection on the snapshot of another. But while one holds the shared lock of a database in
rollback mode nobody can commit, and a file that is read as *immutable* is compared afterwards: there a second
connection sees what the first does. In WAL mode it may see more, so there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeVar

import sqlalchemy as sa

if TYPE_CHECKING:
    from mergeguard.storage.sqlite.source import SqliteSource

Answer = TypeVar("Answer")


class Beside:
    """The second connection; it is opened, used and closed by its own thread. Use it as a context manager.

    Args:
        source: one whose snapshot is open.
    """

    def __init__(self, source: SqliteSource) -> None:
        self._source = source
        self._connection: sa.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mergeguard beside")

    def __enter__(self) -> Self:
        """Return itself; nothing is opened before ``open``."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection and end the thread."""
        self._thread.submit(self._close)
        self._thread.shutdown()

    def open(self) -> bool:
        """Open the connection, if it would see the same; say whether it is open."""
        opening = self._source.opening
        if opening is None or (opening.wal and not opening.immutable):
            return False
        return self._thread.submit(self._open).result()

    def start(self, read: Callable[[sa.Connection], Answer]) -> Future[Answer]:
        """Start a read; ``open`` must have said yes."""
        assert self._connection is not None  # noqa: S101 - for the type checker
        return self._thread.submit(read, self._connection)

    def _open(self) -> bool:
        try:
            connection = self._connection = self._source.engine.connect()
            # A writer that waits for the first connection to end lets no other in: there is nothing to wait for.
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            self._source.begin_snapshot(connection)
        except Exception:  # noqa: BLE001 - whatever it is, the first connection reads on alone
            self._close()
        return self._connection is not None

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()
