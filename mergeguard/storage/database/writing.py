"""A connection that may change the target: one transaction after the other, each with the merge lock held alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mergeguard.errors import CannotCheck, ConnectionLost, MergeGuardError, PermissionDenied, WriteFailed
from mergeguard.storage.database.stored_table import Asking, Condition
from mergeguard.storage.lookup.database import PLAIN_FAILURES
from mergeguard.storage.rows.database import VERBS, DatabaseRows, KnownTables

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource

_GRANTS = (
    "a repair needs SELECT, INSERT, UPDATE and DELETE on the merge table and on every table that it re-points; "
    "nothing was changed"
)


def nothing_asked(_rows: DatabaseRows) -> Sequence[Condition]:
    """Ask nothing ahead."""
    return ()


def nothing_meanwhile() -> None:
    """Do nothing while the database commits."""


class DatabaseWriting:
    """See ``rows.Writing``. The connection is opened for the first transaction and closed by ``close``."""

    def __init__(self, source: DatabaseSource) -> None:
        self.source = source
        self.connection: sa.Connection | None = None
        self.known = KnownTables()
        """The tables described so far on this connection."""
        self.holds_lock = False
        """Whether the merge lock is held by the session."""

    @contextmanager
    def transaction(self, asking: Asking = nothing_asked) -> Iterator[DatabaseRows]:
        """Begin a transaction that holds the merge lock alone; commit it at the end; see ``rows.Writing``.

        Args:
            asking: what will be asked first, which travels to a server with the locks, behind them.
        """
        with self._in_transaction(lambda rows: rows.begin(lock=not self.holds_lock, asking=asking)) as rows:
            yield rows
            with self._failing(), self.source.translated(writing=True):
                rows.end()

    @contextmanager
    def merging(self) -> Iterator[DatabaseRows]:
        """Begin a transaction as a merge does, with the merge lock shared; commit it at the end."""
        with self._in_transaction(lambda rows: rows.begin_merge()) as rows:
            yield rows

    @contextmanager
    def _in_transaction(self, begin: Callable[[DatabaseRows], None]) -> Iterator[DatabaseRows]:
        with self._failing(), self.source.translated(writing=True):
            connection = self.opened()
            rows = self._begin(connection, begin)
        try:
            yield rows
        except BaseException:
            self._undo(connection)
            raise
        self._commit(connection)

    @contextmanager
    def hold_merge_lock(self) -> Iterator[None]:
        """Hold the merge lock alone over several transactions, those of other connections too.

        On SQLite this does nothing: its one lock belongs to a transaction, and who writes there has it.

        Raises:
            Locked: another session holds it for longer than the lock timeout.
        """
        if not self.source.locks_sessions:
            yield
            return
        with self._failing(), self.source.translated(writing=True):
            connection = self.opened()
            self._in_session(connection, self.source.lock_session)
        self.holds_lock = True
        try:
            yield
        finally:
            self.holds_lock = False
            with suppress(sa.exc.SQLAlchemyError, MergeGuardError), self.source.translated(writing=True):
                self._in_session(connection, self.source.unlock_session)

    def check_rights(self, tables: Collection[str], verbs: Collection[str] = VERBS) -> None:
        """Make sure that this login may change the rows of some tables; nothing is changed by the question.

        Raises:
            PermissionDenied: it may not; the message names the tables and what is missing.
            UnknownSchema: one of them does not exist.
        """
        with self._failing(), self.source.translated(writing=True):
            connection = self.opened()
            try:
                self.source.begin_changes(connection)
                rows = self.rows(connection)
                rows.refresh()
                rows.check_rights(tables, verbs)
            finally:
                self._undo(connection)

    def opened(self) -> sa.Connection:
        """Return the connection, opened if it is not."""
        if self.connection is None:
            self.connection = self.source.connect_to_write()
            self.source.prepare_to_write(self.connection)
        return self.connection

    def close(self) -> None:
        """Close the connection; what was not committed is rolled back, and a lock of the session is given up."""
        connection, self.connection = self.connection, None
        self.known.clear()
        if connection is not None:
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()

    def _in_session(self, connection: sa.Connection, step: Callable[[DatabaseRows], None]) -> None:
        """Run a step in a transaction of its own, whose end the lock of the session outlives."""
        try:
            self.source.begin_changes(connection)
            rows = self.rows(connection)
            rows.refresh()
            step(rows)
            connection.commit()
        except BaseException:
            self._undo(connection)
            raise

    def _begin(self, connection: sa.Connection, begin: Callable[[DatabaseRows], None]) -> DatabaseRows:
        try:
            self.source.begin_changes(connection)
            rows = self.rows(connection)
            begin(rows)
        except BaseException:
            self._undo(connection)
            raise
        return rows

    def rows(self, connection: sa.Connection) -> DatabaseRows:
        """Return the rows of the transaction that is open on ``connection``."""
        snapshot = self.source.snapshot_class(self.source, connection, "write transaction")
        snapshot.alone = True
        return self.source.rows_of(snapshot, writing=True, known=self.known)

    def _undo(self, connection: sa.Connection) -> None:
        # A connection that is lost cannot be rolled back; the server does it, and the first error is the one to tell.
        try:
            with suppress(sa.exc.SQLAlchemyError):
                connection.rollback()
        except Exception:  # noqa: BLE001 - a driver may fail in its own words
            self.close()
        if connection.invalidated:
            self.close()

    @contextmanager
    def last(self, rows: DatabaseRows, meanwhile: Callable[[], object] = nothing_meanwhile) -> Iterator[None]:
        """Send what the open transaction does last; its commit travels along where the driver can do that.

        Args:
            rows: those of the transaction.
            meanwhile: what may be done while the database commits, and needs no database; left out where the driver
                would wait first.

        Raises:
            ConnectionLost: perhaps during the commit, then the message says that nobody knows whether it was made.
        """
        if not rows.sends_commit:
            with self.source.translated(writing=True):
                yield
            return
        with self._committing(), self._failing(), self.source.translated(writing=True), rows.together():
            with rows.joining():
                yield
            rows.run("COMMIT")
            meanwhile()

    def _commit(self, connection: sa.Connection) -> None:
        try:
            with self._committing(), self._failing(), self.source.translated(writing=True):
                connection.commit()
        except ConnectionLost:
            raise
        except BaseException:
            self._undo(connection)
            raise

    @contextmanager
    def _committing(self) -> Iterator[None]:
        try:
            yield
        except ConnectionLost as lost:
            self.close()
            raise ConnectionLost(
                f"{lost.message}; it was lost during a commit, so nobody knows whether the last step was made",
                hint="run the command again: the journal knows, and what was committed is not done twice",
            ) from None

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except PermissionDenied as error:  # a driver's error is hinted at as one of the lookup
            raise PermissionDenied(error.message, hint=_GRANTS) from error
        except CannotCheck as error:
            if isinstance(error, (*PLAIN_FAILURES, ConnectionLost)):
                raise
            raise WriteFailed(error.message, hint="nothing was changed; run the command again") from error
