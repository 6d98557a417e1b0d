"""Connections of the event queue to PostgreSQL: pooled, set up once, and replaced together when one is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import sqlalchemy as sa

from mergeguard.errors import ConnectFailed, ConnectionLost

if TYPE_CHECKING:
    import psycopg

    from mergeguard.storage.postgresql.source import PostgresqlSource

POOL = 8
"""Connections that stay open; more are opened while more threads ask, and closed after."""
MORE = 64
CONNECT_TIMEOUT = 15
_SET_UP = """
    SELECT set_config('timezone', 'UTC', false), set_config('jit', 'off', false),
        set_config('lock_timeout', %s, false),
        set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false)
"""
"""An answered post must survive a power cut, whatever the server's default is."""
HURRY = "SET LOCAL synchronous_commit TO off"
"""For leases: a power cut ends the workers that hold them too."""


class Run(Protocol):
    """Sends a statement, with ``%s`` for each value; the answer is waited for when the cursor is asked for rows.

    Each statement has a cursor of its own: one that is sent several takes the first answer that comes for the last.
    """

    def __call__(self, statement: str | bytes, values: Sequence[Any] | None = None, /) -> psycopg.Cursor[Any]:
        """Send it."""


class Sessions:
    """Transactions at READ COMMITTED: each statement sees what was committed before it.

    Args:
        source: the database; its driver's errors are translated by it.
    """

    def __init__(self, source: PostgresqlSource) -> None:
        self._source = source
        self._engine: sa.Engine | None = None
        self._making = threading.Lock()
        self._era = 0
        """Counts how often the server went away; connections made before are replaced when they are asked for."""

    @property
    def engine(self) -> sa.Engine:
        """The engine, made at first use."""
        with self._making:
            if self._engine is None:
                self._engine = self._made()
            return self._engine

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise the driver's errors as MergeGuard's own; when the server is gone, keep no connection to it."""
        try:
            with self._source.translated(writing=True):
                yield
        except (ConnectionLost, ConnectFailed):
            self._era += 1
            raise

    @contextmanager
    def opened(self) -> Iterator[sa.Connection]:
        """Begin a transaction; whoever asked ends it, and what is open at the end is rolled back."""
        with self.translated():
            connection = self.engine.connect()
        try:
            yield connection
        finally:
            if not connection.invalidated and _is_broken(raw(connection)):
                connection.invalidate()
            # A connection that broke cannot be rolled back; the first error is the one to tell.
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """Run statements through the driver, and commit at the end.

        What is sent waits for no answer before one is asked for: the last statements and the commit travel together.
        """
        with self.opened() as connection, self.translated():
            driver = raw(connection)
            with driver.pipeline():
                yield partial(driver.execute, binary=True)
                driver.commit()

    @contextmanager
    def single(self) -> Iterator[Run]:
        """Run one statement, which is a transaction of its own: one way to the server, its commit among it."""
        with self.opened() as connection, self.translated():
            driver = raw(connection)
            driver.autocommit = True
            try:
                yield partial(driver.execute, binary=True)
            finally:
                if not driver.closed:
                    driver.autocommit = False

    def close(self) -> None:
        """Close the connections that nobody uses."""
        if self._engine is not None:
            self._engine.dispose()

    def _made(self) -> sa.Engine:
        url = self._source.url
        ours = {"application_name": "mergeguard", "connect_timeout": CONNECT_TIMEOUT}
        arguments: dict[str, object] = {name: value for name, value in ours.items() if name not in url.query}
        engine = sa.create_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_size=POOL,
            max_overflow=MORE,
            use_native_hstore=False,
            connect_args={**arguments, "client_encoding": "utf8"},
        )
        sa.event.listen(engine, "connect", self._set_up)
        sa.event.listen(engine, "checkout", self._look_at)
        return engine

    def _look_at(self, _driver: object, record: sa.pool.ConnectionPoolEntry, _proxy: object) -> None:
        """Have a connection replaced that was made before the server went away."""
        if record.info.get("era") != self._era:
            raise sa.exc.DisconnectionError

    def _set_up(self, driver: psycopg.Connection[Any], record: sa.pool.ConnectionPoolEntry) -> None:
        record.info["era"] = self._era
        try:
            driver.execute(_SET_UP, (self._source.lock_timeout,))
            driver.commit()
        except BaseException:
            driver.close()  # the pool does not know it yet
            raise


def _is_broken(driver: psycopg.Connection[Any]) -> bool:
    """Say whether a connection is closed, or was cut in the middle of a pipeline and will never leave it."""
    return driver.closed or bool(driver.info.pipeline_status)


def raw(connection: sa.Connection) -> psycopg.Connection[Any]:
    """Return the driver's connection."""
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
