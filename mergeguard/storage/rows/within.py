"""Rows of a transaction that somebody else began and will end, as an importer's: it marks its event as done, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, cast

from mergeguard.storage.rows.database import KnownTables

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

_KNOWN: Final = "mergeguard: known tables"
_ROWS: Final = "mergeguard: rows"
_Moment: TypeAlias = tuple[object, object]


def rows_in(source: DatabaseSource, connection: sa.Connection) -> DatabaseRows:
    """Return the rows of the transaction that is open on a connection, with the merge lock shared until it ends.

    Nothing is begun, committed or rolled back. The transaction must read what was committed before each of its
    statements (READ COMMITTED), as the batches of the event queue do. What is found out about tables is kept with the
    connection, for as long as ``source`` has the same profile.

    Args:
        source: the same database; of it only the profile, the options and the translation of errors are used.
        connection: of ``Batch.connection``, or any other with an open transaction.

    Raises:
        Locked: a repair, an undo or a build of the lookup holds the merge lock for longer than the lock timeout.
        UnknownSchema: there is no merge table.
    """
    moment = (connection.get_transaction(), connection.get_nested_transaction())
    found = cast("tuple[_Moment, DatabaseSource, DatabaseRows] | None", connection.info.get(_ROWS))
    # A savepoint that is rolled back gives up the locks that were taken in it, so each has rows of its own. SQLite's
    # savepoints are not known here, and beginning costs it nothing.
    if found is not None and source.kind != "sqlite" and found[1] is source and _same(found[0], moment):
        return found[2]
    with source.translated(writing=True):
        snapshot = source.snapshot_class(source, connection, "transaction of an importer")
        snapshot.alone = True
        rows = source.rows_of(snapshot, writing=True, known=_known(connection, source.profile))
        rows.begin_merge()
        connection.info[_ROWS] = ((connection.get_transaction(), connection.get_nested_transaction()), source, rows)
    return rows


def _known(connection: sa.Connection, profile: Profile) -> KnownTables:
    found = cast("tuple[Profile, KnownTables] | None", connection.info.get(_KNOWN))
    if found is not None and (found[0] is profile or found[0] == profile):
        return found[1]
    known = KnownTables()
    connection.info[_KNOWN] = (profile, known)
    return known


def _same(one: _Moment, other: _Moment) -> bool:
    return one[0] is not None and one[0] is other[0] and one[1] is other[1]
