"""The table of the plain handler: one row for each event that was handled, by the event's own id."""

from __future__ import annotations

from typing import Final, cast

import sqlalchemy as sa

from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

TABLE: Final = "mergeguard_handled"
_COLUMNS: Final = ("event", "source", "priority", "queue", "size", "tries", "root", "recipient", "body_sha256")
_HANDLED = sa.Table(
    TABLE,
    sa.MetaData(),
    # Without an order of its own: an event that is handled twice fails for the second time, and loudly.
    sa.Column("event", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("source", sa.String(36), nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("queue", sa.SmallInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("root", sa.Unicode(200), nullable=False),
    sa.Column("recipient", sa.Unicode(200), nullable=False),
    sa.Column("body_sha256", sa.String(64), nullable=False),
)
INSERT: Final = f"INSERT INTO {TABLE} ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - names of this module
"""For ``Batch.add``, with the columns of ``mergeguard_handled`` in order."""


class HandledTable:
    """The table in one database.

    Args:
        source: of the database; kept and closed by this object.
    """

    def __init__(self, source: DatabaseSource) -> None:
        self._source = source

    def create(self) -> None:
        """Make the table if it is missing.

        Raises:
            CannotCheck: the database does not answer.
            WriteFailed: the table cannot be made.
        """
        with self._source.translated(writing=True), self._source.connect_to_write() as connection:
            create_handled(connection.engine)

    def close(self) -> None:
        """Give back the connections."""
        self._source.close()


def open_handled(target: str, options: Options | None = None) -> HandledTable:
    """Open the table of a database; nothing is connected to yet.

    Raises:
        UsageError: the target is not understood.
    """
    # An URL in any case: to tell what kind of file it is, the file itself would be opened, and with that its locks go.
    url = target if "://" in target else sa.URL.create("sqlite", database=target).render_as_string()
    return HandledTable(cast("DatabaseSource", open_target(url, Profile(), options or Options())))


def create_handled(engine: sa.Engine) -> None:
    """Make the table if it is missing; several processes may ask for it at once."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # a lock taken later would not be waited for
        try:
            _HANDLED.create(connection, checkfirst=True)
            connection.commit()
        except sa.exc.DBAPIError:
            connection.rollback()
            if not sa.inspect(connection).has_table(TABLE):
                raise
