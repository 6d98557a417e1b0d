"""What must be true of a target before anything is merged in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mergeguard.errors import MergeRefused, Unsupported

if TYPE_CHECKING:
    from mergeguard.storage.database import DatabaseSource
    from mergeguard.storage.database_rows import DatabaseRows
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.source import Source


def require_database(source: Source, profile: Profile, *, to_write: bool = False) -> DatabaseSource:
    """Return an open target as the database that it must be; before a write it is brought back in order.

    Raises:
        Unsupported: it is a file, or its ids are no guids.
        CannotCheck: it cannot be opened.
    """
    from mergeguard.storage.database import DatabaseSource  # noqa: PLC0415 - SQLAlchemy; a file target does without

    if not isinstance(source, DatabaseSource):
        raise Unsupported(f"{source.info.target}: resources are merged in a database, and this is a file")
    if profile.merge.ids == "text":
        raise Unsupported(
            f"{source.info.target}: the ids of its merges are no guids, and only guids are merged",
            hint='[merge] ids = "text" is for tables that are read alone',
        )
    if to_write:
        source.recover()  # from a writer that died
    return source


def require_fit(rows: DatabaseRows, profile: Profile) -> None:
    """Make sure that the tables have what a merge needs.

    Raises:
        UnknownSchema: the merge table, or a column of it, does not exist.
        MergeRefused: nothing tells the rows of a table apart, so that no merge could be taken back exactly.
    """
    named = [profile.merge.table, *([profile.live.table] if profile.live is not None and profile.live.table else [])]
    rows.column(profile.merge.table, profile.merge.old)
    rows.column(profile.merge.table, profile.merge.new)
    for table in named:
        if not rows.shape(table).key:
            raise MergeRefused(
                f"{table} has no primary key, so its rows cannot be told apart and no merge could be taken back",
                reason="no-key",
                hint="give it one: ALTER TABLE ... ADD ... PRIMARY KEY",
            )
