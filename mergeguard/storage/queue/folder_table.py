"""Which folder holds the bodies of a queue: one row in its database, by the identity that stands in the folder, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

TABLE: Final = "mergeguard_queue_folder"
_LONGEST: Final = 400
_TEXT: Final = sa.Unicode(_LONGEST).with_variant(mssql.NVARCHAR(_LONGEST), "mssql")
_FOLDER: Final = sa.Table(
    TABLE,
    sa.MetaData(),
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("folder", sa.String(32), nullable=False),
    sa.Column("who", _TEXT, nullable=False),
)
_ONLY: Final = 1
"""The id of the one row."""


@dataclass(frozen=True, slots=True)
class ClaimedFolder:
    """The folder of a queue."""

    identity: str
    """32 hex digits."""
    who: str
    """Who named it first, and by which path."""


class FolderTable:
    """The table in one database.

    Args:
        source: of the database; kept and closed by this object.
    """

    def __init__(self, source: DatabaseSource) -> None:
        self._source = source

    @property
    def is_shared(self) -> bool:
        """Whether servers on several hosts may use the database; a file of SQLite is for one machine."""
        return self._source.kind != "sqlite"

    def claimed(self) -> ClaimedFolder | None:
        """Return which folder is the queue's; ``None`` where none was named yet.

        Raises:
            CannotCheck: the database does not answer.
        """
        with self._source.translated(), self._source.connect_to_write() as connection:
            return _read(connection)

    def claim(self, identity: str, who: str) -> ClaimedFolder:
        """Name the folder of the queue, unless somebody did before; return which it is.

        Raises:
            CannotCheck: the database does not answer.
            WriteFailed: the table cannot be made or written.
        """
        with self._source.translated(writing=True), self._source.connect_to_write() as connection:
            _make(connection)
            try:
                connection.execute(sa.insert(_FOLDER).values(id=_ONLY, folder=identity, who=who[:_LONGEST]))
                connection.commit()
            except sa.exc.IntegrityError:  # somebody named it at the same time, or before
                connection.rollback()
            found = _read(connection)
        assert found is not None  # noqa: S101 - for the type checker: one of the two has written it
        return found

    def close(self) -> None:
        """Give back the connections."""
        self._source.close()


def open_folder_table(target: str, options: Options | None = None) -> FolderTable:
    """Open the table of a database; nothing is connected to yet.

    Raises:
        UsageError: the target is not understood.
    """
    url = target if "://" in target else sa.URL.create("sqlite", database=target).render_as_string()
    return FolderTable(cast("DatabaseSource", open_target(url, Profile(), options or Options())))


def _read(connection: sa.Connection) -> ClaimedFolder | None:
    if not sa.inspect(connection).has_table(TABLE):
        return None
    row = connection.execute(sa.select(_FOLDER.c.folder, _FOLDER.c.who)).first()
    connection.rollback()
    return None if row is None else ClaimedFolder(row.folder, row.who)


def _make(connection: sa.Connection) -> None:
    """Make the table if it is missing; several processes may ask for it at once."""
    try:
        _FOLDER.create(connection, checkfirst=True)
        connection.commit()
    except sa.exc.DBAPIError:
        connection.rollback()
        if not sa.inspect(connection).has_table(TABLE):
            raise
