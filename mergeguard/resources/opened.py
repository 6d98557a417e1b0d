"""What must be true of a target before anything is merged in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mergeguard.errors import MergeRefused, Unsupported
from mergeguard.storage.merging import row as merge_row

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows
    from mergeguard.storage.source import Source


def require_database(source: Source, profile: Profile, *, to_write: bool = False) -> DatabaseSource:
    """Return an open target as the database that it must be; before a write it is brought back in order.

    Raises:
        Unsupported: it is a file, or its ids are no guids.
        CannotCheck: it cannot be opened.
    """
    from mergeguard.storage.database.source import DatabaseSource  # noqa: PLC0415 - SQLAlchemy; a file target does without

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


def unguarded(rows: DatabaseRows, profile: Profile) -> tuple[str, ...]:
    """Say what keeps the guard of the merge table from its work; nothing where it does it."""
    from mergeguard.storage.guard import installation as guard  # noqa: PLC0415 - three dialects of triggers; a preview does without

    try:
        return guard.look(rows, profile).problems
    except Unsupported as error:
        return (error.message,)


def require_guard(problems: Sequence[str], profile: Profile) -> None:
    """Refuse to merge without a guard where the profile wants one.

    Raises:
        MergeRefused: it is missing, disabled or altered.
    """
    if problems and profile.merging.guarded == "required":
        raise MergeRefused(
            f"the profile wants {profile.merge.table} guarded, and {problems[0]}",
            reason="no-guard",
            hint="'mergeguard guard install TARGET' puts it up; 'mergeguard guard status TARGET' tells how it stands",
        )


def require_fit(rows: DatabaseRows, profile: Profile) -> None:
    """Make sure that the tables have what a merge needs.

    Raises:
        UnknownSchema: the merge table, or a column of it, does not exist.
        MergeRefused: nothing tells the rows of a table apart, so that no merge could be taken back exactly; or the
            column of times holds numbers.
    """
    named = [profile.merge.table, *([profile.live.table] if profile.live is not None and profile.live.table else [])]
    rows.column(profile.merge.table, profile.merge.old)
    rows.column(profile.merge.table, profile.merge.new)
    if merge_row.counts_time(rows, profile):
        raise MergeRefused(
            f"{profile.merge.table}.{profile.merge.time} holds numbers, and nobody can say what they count",
            reason="unordered-time",
            hint="leave [merge] time out of the profile, if the column may stay empty or fills itself",
        )
    for table in named:
        if not rows.shape(table).key:
            raise MergeRefused(
                f"{table} has no primary key, so its rows cannot be told apart and no merge could be taken back",
                reason="no-key",
                hint="give it one: ALTER TABLE ... ADD ... PRIMARY KEY",
            )
