"""The table of the plain handler: one row for each event that was handled, by the event's own id."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

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


def create_handled(engine: sa.Engine) -> None:
    """Make the table if it is missing."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # a lock taken later would not be waited for
        _HANDLED.create(connection, checkfirst=True)
        connection.commit()
