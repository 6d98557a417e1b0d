"""The SQL scripts for people without Python: shown, installed, taken away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mergeguard.api.opened import DEFAULT, ProfileLike, opened
from mergeguard.storage.source import Options

if TYPE_CHECKING:
    from mergeguard.integrity.sql_scripts import Scripts


def sql_scripts(target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT) -> Scripts:
    """Render the SQL scripts for a database, its names filled in; nothing is written.

    Raises:
        Unsupported: the target is a file, or its guids are stored as no script can read them.
        UnknownSchema: a table or a column that the profile names does not exist.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.sql_scripts import sql_scripts_of  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return sql_scripts_of(source, chosen)


def sql_install(target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT) -> Scripts:
    """Make the functions, procedures and views of the SQL scripts in a database, in one transaction.

    The vendor's tables are not altered. Running it again brings everything to this version and this profile.

    Raises:
        Unsupported: the target is a file, or its guids are stored as no script can read them.
        UnknownSchema: a table or a column that the profile names does not exist.
        PermissionDenied: this login may not; nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.sql_scripts import install_sql  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return install_sql(source, chosen)


def sql_uninstall(
    target: str | Path, profile: ProfileLike = None, *, data: bool = False, options: Options = DEFAULT
) -> Scripts:
    """Take away what the SQL scripts made, the guard too, and nothing else, in one transaction.

    Args:
        target: a database.
        profile: names its tables.
        data: whether to drop the journal, the lookup and the other tables that hold data of ours, too: no merge and no
            repair can be taken back afterwards.
        options: how to open it.

    Raises:
        Unsupported: the target is a file, or its guids are stored as no script can read them.
        UnknownSchema: a table or a column that the profile names does not exist.
        PermissionDenied: this login may not; nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.sql_scripts import uninstall_sql  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return uninstall_sql(source, chosen, data=data)
