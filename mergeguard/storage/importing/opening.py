"""Opens the reference schema of a database by its URL, for importers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mergeguard.errors import Unsupported
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.importing.database_store import DatabaseImportStore

_DEFAULT = Options()


def open_import_store(url: str, options: Options = _DEFAULT, *, password: str | None = None) -> DatabaseImportStore:
    """Return the reference schema of a database; nothing is opened yet.

    Args:
        url: as for a scan: a SQLAlchemy URL, or the path of an SQLite file.
        options: how long to wait for locks.
        password: takes the place of any in the URL.

    Raises:
        UsageError: no database that MergeGuard knows; no password stands in the message.
        MissingExtra: the kind is known but its package is not installed.
        Unsupported: a target that is no database.
    """
    given = options if password is None else replace(options, password=password)
    return import_store(open_target(url, builtin_profile("reference"), given))


def import_store(source: object) -> DatabaseImportStore:
    """Return the reference schema of a database that is open, with the profile that it was opened with.

    Raises:
        Unsupported: a target that is no database.
    """
    from mergeguard.storage.database.source import DatabaseSource  # noqa: PLC0415 - SQLAlchemy

    if isinstance(source, DatabaseSource):
        store = _store_class(source)
        if store is not None:
            return store(source)
    target = source.info.target  # type: ignore[attr-defined]
    raise Unsupported(f"{target}: events are imported into SQLite, PostgreSQL and SQL Server alone")


def _store_class(source: DatabaseSource) -> type[DatabaseImportStore] | None:
    if source.kind == "postgresql":
        from mergeguard.storage.importing.postgresql import PostgresqlImportStore  # noqa: PLC0415 - one dialect a run

        return PostgresqlImportStore
    if source.kind == "mssql":
        from mergeguard.storage.importing.mssql import MssqlImportStore  # noqa: PLC0415 - as above

        return MssqlImportStore
    if source.kind == "sqlite":
        from mergeguard.storage.importing.sqlite import SqliteImportStore  # noqa: PLC0415 - as above

        return SqliteImportStore
    return None
