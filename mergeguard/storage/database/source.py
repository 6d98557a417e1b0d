"""What all database targets share: a snapshot read through SQLAlchemy Core, and a transactional write of the lookup.

A dialect overrides the hooks; everything here works on any of them, only slower. No ORM, no value in any SQL text or
error, and no driver exception gets out: ``storage.failures`` translates them at this edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import ClassVar, cast

import sqlalchemy as sa

from mergeguard.errors import Unsupported
from mergeguard.storage import failures, secrets
from mergeguard.storage.database.snapshot import DatabaseSnapshot, nearest
from mergeguard.storage.database.writing import DatabaseWriting
from mergeguard.storage.lookup.building import LookupBuilding, building
from mergeguard.storage.lookup.database import LookupWriter, write_lookup
from mergeguard.storage.profile import Lookup, Profile
from mergeguard.storage.rows.database import DatabaseRows, KnownTables
from mergeguard.storage.source import LookupChange, Options, Progress, Snapshot, TargetInfo, silent

__all__ = ["DatabaseSnapshot", "DatabaseSource", "nearest"]


class DatabaseSource:
    """A database behind a SQLAlchemy URL. Nothing is opened before the first snapshot or write."""

    kind: ClassVar[str] = "database"
    product: ClassVar[str] = "database"
    """The server's name for people; its version is added when the first connection is made."""
    snapshot_class: ClassVar[type[DatabaseSnapshot]] = DatabaseSnapshot
    writer_class: ClassVar[type[LookupWriter]] = LookupWriter
    locks_sessions: ClassVar[bool] = False
    """Whether a session, and not only a transaction, can hold the merge lock."""
    rows_class: ClassVar[type[DatabaseRows] | None] = None

    def __init__(self, url: sa.URL, profile: Profile, options: Options) -> None:
        self.url = url if options.password is None else url.set(password=options.password)
        self.profile = profile
        self.options = options
        shown = self.url.render_as_string(hide_password=False)
        self.info = TargetInfo(secrets.masked(shown), self.kind, self.product, url.database or "")
        given = url.render_as_string(hide_password=False)
        self._secrets = (*filter(None, [options.password]), *secrets.passwords(shown), *secrets.passwords(given))
        self._engine: sa.Engine | None = None

    @contextmanager
    def snapshot(self) -> Iterator[DatabaseSnapshot]:
        """Open a consistent, read-only view; it is rolled back at the end."""
        with self.translated():
            connection = self.engine.connect()
        try:
            with self.translated():
                isolation = self.begin_snapshot(connection)
                self.describe(connection)
            yield self.snapshot_class(self, connection, isolation)
        finally:
            # A connection that broke in the middle cannot be rolled back; the first error is the one to tell.
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()

    def write_lookup(self, lookup: Lookup, change: LookupChange, progress: Progress = silent) -> None:
        """Create the lookup table if need be and write it, in one transaction, whatever it was worked out from."""
        write_lookup(self, lookup, change, progress)

    def building(self, lookup: Lookup) -> AbstractContextManager[LookupBuilding]:
        """Hold the merge lock alone while a lookup is worked out and written; see ``source.Source``."""
        return building(self, lookup)

    def rows(self, snapshot: Snapshot) -> DatabaseRows:
        """Offer whole rows, exactly, inside a snapshot of this source; they can be read and not changed."""
        rows = self.rows_of(cast("DatabaseSnapshot", snapshot))
        with self.translated():
            rows.refresh()
        return rows

    @contextmanager
    def writing(self) -> Iterator[DatabaseWriting]:
        """Offer transactions that change rows; see ``rows.Writing``."""
        writing = DatabaseWriting(self)
        try:
            yield writing
        finally:
            writing.close()

    def doctor(self) -> Sequence[tuple[str, str, bool]]:
        """Return (check, finding, fine?) rows."""
        with self.snapshot():
            dialect = self.engine.dialect
        return [("server", self.info.server, True), ("driver", f"{dialect.name}+{dialect.driver}", True)]

    def close(self) -> None:
        """Give back the connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def engine(self) -> sa.Engine:
        """The engine, made at first use."""
        if self._engine is None:
            self._engine = self.make_engine()
        return self._engine

    # Hooks.

    def make_engine(self) -> sa.Engine:
        """Make the engine: no pool, for a run opens few connections and must leave none behind."""
        return sa.create_engine(self.url, hide_parameters=True, poolclass=sa.pool.NullPool)

    def translated(self, *, writing: bool = False) -> AbstractContextManager[None]:
        """Return a context that turns driver errors into MergeGuard's own, without a password in them."""
        return failures.translated(self.info.target, secrets=self._secrets, writing=writing)

    def recover(self) -> None:
        """Bring back in order what a writer that died left behind; for commands that write, before they look."""

    def connect_to_write(self) -> sa.Connection:
        """Open a connection that may write."""
        return self.engine.connect()

    def rows_of(
        self, snapshot: DatabaseSnapshot, *, writing: bool = False, known: KnownTables | None = None
    ) -> DatabaseRows:
        """Return the rows of the transaction in which ``snapshot`` looks.

        Raises:
            Unsupported: nobody has taught MergeGuard to write rows exactly into this kind of database.
        """
        if self.rows_class is None:
            raise Unsupported(f"{self.info.target}: rows of {self.product} cannot be changed exactly")
        return self.rows_class(snapshot, writing=writing, known=known)

    def prepare_to_write(self, connection: sa.Connection) -> None:
        """Set up a new connection whose transactions will change rows."""

    def begin_changes(self, connection: sa.Connection) -> None:
        """Begin a transaction that changes rows; its waits are bounded."""
        self.begin_write(connection)

    def lock_session(self, rows: DatabaseRows) -> None:
        """Take the merge lock alone, for the session."""

    def unlock_session(self, rows: DatabaseRows) -> None:
        """Give up the merge lock of the session."""

    def begin_snapshot(self, connection: sa.Connection) -> str:
        """Begin the read-only transaction, bound its lock waits, and say in words what isolation it got."""
        connection.begin()
        return "transaction at the server's default isolation"

    def begin_write(self, connection: sa.Connection) -> None:
        """Begin the transaction of a lookup write and bound its lock waits; it is committed by ``write_lookup``."""
        connection.begin()

    def describe(self, connection: sa.Connection) -> None:
        """Put the server's version into ``info``."""
        version = connection.dialect.server_version_info
        words = self.product if version is None else f"{self.product} {'.'.join(map(str, version))}"
        self.info = replace(self.info, server=words)
