"""Connections of the event queue to SQL Server: pooled, set up once, and thrown away together when one is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mergeguard.errors import ConnectFailed, ConnectionLost
from mergeguard.storage.mssql.source import begin_at_savepoints

if TYPE_CHECKING:
    from mergeguard.storage.mssql.source import MssqlSource

POOL, MORE = 8, 64
LOGIN_SECONDS = 15
# A statement of a handler that fails must not take the savepoint before it along; ours raise and are rolled back.
SET_UP = (
    "SET NOCOUNT OFF; SET XACT_ABORT OFF; SET ANSI_PADDING ON; SET QUOTED_IDENTIFIER ON; SET ANSI_NULLS ON; "
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCK_TIMEOUT {timeout}"
)


class Run:
    """Sends a statement, with ``?`` for each value, on a cursor of its own.

    Args:
        driver: the driver's connection.
        lock_timeout: in milliseconds.
    """

    def __init__(self, driver: Any, lock_timeout: int) -> None:  # noqa: ANN401 - pyodbc has no types
        self._driver = driver
        self.lock_timeout = lock_timeout

    def __call__(self, statement: str, values: Sequence[Any] = ()) -> Any:  # noqa: ANN401 - as above
        """Send it; return the cursor with its rows."""
        cursor = self._driver.cursor()
        cursor.execute(statement, *values)
        return cursor


class Sessions:
    """Transactions at READ COMMITTED: each statement sees what was committed before it.

    Args:
        source: the database; its driver's errors are translated by it.
    """

    def __init__(self, source: MssqlSource) -> None:
        self._source = source
        self._engine: sa.Engine | None = None
        self._making = threading.Lock()

    @property
    def lock_timeout(self) -> int:
        """In milliseconds."""
        return max(1, int(self._source.options.lock_timeout * 1000))

    @property
    def engine(self) -> sa.Engine:
        """The engine, made at first use; the URL with its password stays out of it."""
        with self._making:
            if self._engine is None:
                engine = sa.create_engine("mssql+pyodbc://", hide_parameters=True, pool_size=POOL, max_overflow=MORE)
                sa.event.listen(engine, "do_connect", self._connect)
                sa.event.listen(engine, "connect", self._set_up)
                begin_at_savepoints(engine)
                self._engine = engine
            return self._engine

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise the driver's errors as MergeGuard's own; when the server is gone, keep no connection to it."""
        try:
            with self._source.translated(writing=True):
                yield
        except (ConnectionLost, ConnectFailed):
            self.engine.dispose()
            raise

    @contextmanager
    def opened(self) -> Iterator[sa.Connection]:
        """Offer a connection; what is open at the end is rolled back."""
        with self.translated():
            connection = self.engine.connect()
        try:
            yield connection
        finally:
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """Run statements through the driver, and commit at the end."""
        with self.opened() as connection, self.translated():
            driver = connection.connection.driver_connection
            yield Run(driver, self.lock_timeout)
            driver.commit()  # type: ignore[union-attr]

    @contextmanager
    def single(self) -> Iterator[Run]:
        """Run one statement."""
        with self.transaction() as run:
            yield run

    def close(self) -> None:
        """Close the connections that nobody uses."""
        if self._engine is not None:
            self._engine.dispose()

    def _connect(self, dialect: Any, _record: object, _args: object, _keywords: object) -> Any:  # noqa: ANN401 - as above
        module = dialect.loaded_dbapi
        return module.connect(self._source.connection_string(), autocommit=False, timeout=LOGIN_SECONDS)

    def _set_up(self, driver: Any, _record: object) -> None:  # noqa: ANN401 - as above
        driver.cursor().execute(SET_UP.format(timeout=self.lock_timeout))
        driver.commit()
