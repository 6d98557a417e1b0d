"""Builds the lookup under the merge lock: nobody else builds one, and nobody merges, between its read and its write.

Two builds that saw different rows and wrote one after the other would leave a mix of both, for each writes only what it
found to differ. The lock belongs to the transaction that will write: a build whose connection breaks cannot write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mergeguard.storage.lookup.database import failing_as_write, refuse_merge_table

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mergeguard.storage.database.snapshot import DatabaseSnapshot
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.profile import Lookup
    from mergeguard.storage.source import LookupChange, Progress, Snapshot


@contextmanager
def building(source: DatabaseSource, lookup: Lookup) -> Iterator[LookupBuilding]:
    """Hold the merge lock alone while a lookup is worked out and written; see ``source.Source.building``.

    Raises:
        PermissionDenied, Locked: nothing was changed.
        WriteFailed: any other failure of the transaction; it was rolled back.
    """
    refuse_merge_table(source, lookup)
    with source.writing() as writing:
        with failing_as_write(), source.translated(writing=True):
            connection = writing.opened()
            source.begin_changes(connection)
            rows = writing.rows(connection)
            rows.refresh()
            rows.lock_merges(exclusively=True)
        # Leaving ``writing`` closes the connection, which rolls back what was not committed.
        yield LookupBuilding(source, lookup, connection, rows.snapshot)


class LookupBuilding:
    """One build of the lookup, in a transaction that holds the merge lock."""

    def __init__(
        self, source: DatabaseSource, lookup: Lookup, connection: sa.Connection, inside: DatabaseSnapshot
    ) -> None:
        self._source = source
        self._lookup = lookup
        self._connection = connection
        self._inside = inside

    @contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """Open a consistent view of what was committed before the lock was taken.

        A server gives it to a second connection; where the one lock is the file's, the writer reads for itself.
        """
        if self._source.locks_sessions:
            with self._source.snapshot() as snapshot:
                yield snapshot
        else:
            yield self._inside

    def is_spelled_otherwise(self) -> bool:
        """Say whether the stored lookup spells an old in another way than this build would write it.

        Rows are replaced by their key, which then would miss them: such a lookup has to be written whole.
        """
        with failing_as_write(), self._source.translated(writing=True):
            return self._source.writer_class(self._source, self._connection, self._lookup).is_spelled_otherwise()

    def write(self, change: LookupChange, progress: Progress) -> None:
        """Create the lookup table if need be, bring it to ``change`` and commit: whole or not at all.

        Raises:
            PermissionDenied, Locked: nothing was changed.
            WriteFailed: any other failure; the transaction was rolled back.
        """
        with failing_as_write(), self._source.translated(writing=True):
            self._source.writer_class(self._source, self._connection, self._lookup).write(change, progress)
            self._connection.commit()
