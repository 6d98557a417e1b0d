"""Opens the event queue of a database by its URL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mergeguard.errors import Unsupported
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

if TYPE_CHECKING:
    from mergeguard.storage.queue.store import EventStore

_DEFAULT = Options()


def open_store(url: str, options: Options = _DEFAULT, *, password: str | None = None) -> EventStore:
    """Return the event queue of a database; nothing is opened yet.

    Args:
        url: as for a scan: a SQLAlchemy URL, or the path of an SQLite file.
        options: how long to wait for locks.
        password: takes the place of any in the URL.

    Raises:
        UsageError: no database that MergeGuard knows; no password stands in the message.
        MissingExtra: the kind is known but its package is not installed.
        Unsupported: a target that is no database.
    """
    source = open_target(url, Profile(), options if password is None else replace(options, password=password))
    if source.info.kind == "postgresql":
        from mergeguard.storage.queue.postgresql_store import PostgresqlEventStore  # noqa: PLC0415 - one dialect a run

        return PostgresqlEventStore(source)  # type: ignore[arg-type]
    if source.info.kind == "mssql":
        from mergeguard.storage.queue.mssql_store import MssqlEventStore  # noqa: PLC0415 - as above

        return MssqlEventStore(source)  # type: ignore[arg-type]
    if source.info.kind == "sqlite":
        from mergeguard.storage.queue.sqlite import SqliteEventStore  # noqa: PLC0415 - as above

        return SqliteEventStore(source.path, patience=source.options.lock_timeout)  # type: ignore[attr-defined]
    raise Unsupported(f"{source.info.target}: events can be queued in SQLite, PostgreSQL and SQL Server alone")
