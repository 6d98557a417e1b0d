"""The SQL scripts of a database: rendered for its profile, installed, taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergeguard.errors import PermissionDenied, Unsupported
from mergeguard.resources.moving import keyed
from mergeguard.resources.places import DeclaredTable, declared_tables, untouchable
from mergeguard.storage.guard import installation as guard
from mergeguard.storage.scripts import files as sql_scripts
from mergeguard.storage.scripts.files import DATA, GUARD, INSTALLED, UNINSTALL, Repointed, Script

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows
    from mergeguard.storage.source import Source

_GRANT = (
    "scripts are installed by somebody who may make a schema, tables and procedures; what they do is in "
    "'mergeguard sql show', and nothing was changed"
)


@dataclass(frozen=True, slots=True)
class Scripts:
    """The SQL scripts of one database, filled with the names of its profile."""

    kind: str
    """Of the database: ``sqlite``, ``postgresql``, ``mssql``."""
    files: tuple[Script, ...]

    @property
    def installed(self) -> tuple[Script, ...]:
        """Those that an install runs, in order."""
        return tuple(script for script in self.files if script.number in INSTALLED)

    def uninstalling(self, *, data: bool = False) -> tuple[Script, ...]:
        """Return those that take everything away; the tables that hold data only where that is wanted."""
        return tuple(script for script in self.files if script.number == UNINSTALL and (data or script.name != DATA))


def sql_scripts_of(source: Source, profile: Profile) -> Scripts:
    """Render all SQL scripts for a database; nothing is written.

    Raises:
        Unsupported: the target is a file, or its guids are stored as no script can read them.
        UnknownSchema: a table or a column that the profile names does not exist.
        CannotCheck: the target could not be read.
    """
    database = _require_database(source)
    with database.snapshot() as snapshot:
        return _rendered(database.rows(snapshot), profile)


def install_sql(source: Source, profile: Profile) -> Scripts:
    """Run the scripts that make our own objects, all in one transaction that holds the merge lock alone.

    Returns:
        All scripts; ``installed`` are those that were run.

    Raises:
        PermissionDenied, Locked, WriteFailed: nothing was changed.
        Unsupported, UnknownSchema: as ``sql_scripts_of``.
    """
    found = sql_scripts_of(source, profile)
    _run(_require_database(source), found.installed)
    return found


def uninstall_sql(source: Source, profile: Profile, *, data: bool = False) -> Scripts:
    """Run the scripts that take our own objects away; with ``data`` also the journal, the lookup and their like.

    Raises:
        PermissionDenied, Locked, WriteFailed: nothing was changed.
        Unsupported, UnknownSchema: as ``sql_scripts_of``.
    """
    found = sql_scripts_of(source, profile)
    _run(_require_database(source), found.uninstalling(data=data))
    return found


def _rendered(rows: DatabaseRows, profile: Profile) -> Scripts:
    kind = rows.source.kind
    names = sql_scripts.names_of(rows, profile, _repointed(rows, profile))
    files = [script.filled(names, profile.name) for script in sql_scripts.scripts(kind) if script.number != GUARD]
    files.append(sql_scripts.guard_script(guard.script_of(rows, profile), kind))
    return Scripts(kind, tuple(sorted(files, key=lambda script: script.name)))


def _repointed(rows: DatabaseRows, profile: Profile) -> list[Repointed]:
    """Return the tables in which a merge re-points references; keys are united like any."""
    profile = keyed(profile)
    wanted = [reference for reference in profile.references if untouchable(rows, profile, reference) is None]
    found = []
    for table in declared_tables(rows, profile, wanted):
        place = table.place
        plain = profile.hashes is None and not (place.unique or place.ends or place.cleared)
        found.append(Repointed(place.table, place.columns, plain, _rules(rows, profile, table)))
    return found


def _rules(rows: DatabaseRows, profile: Profile, table: DeclaredTable) -> dict[str, object]:
    """Return what decides which rows of a table survive, for the scripts that can decide it."""
    place, same = table.place, rows.snapshot.same_name
    link = next((each for each in profile.associations if same(each.table, place.table)), None)
    links = None
    if link is not None and link.type is not None and profile.association_types is not None:
        links = {"parent": rows.column(place.table, link.parent), "type": rows.column(place.table, link.type)}
    classes = [each.data_class for each in profile.references if each.table == place.table and each.data_class]
    return {
        "columns": list(place.columns),
        "guids": list(table.guids),
        "ends": [list(pair) for pair in place.ends],
        "unique": [{"columns": list(unique.columns), "nulls": unique.nulls_equal} for unique in place.unique],
        "names": sorted(place.names),
        "cleared": list(place.cleared),
        "time": table.time,
        "order": table.order,
        "sets": table.sets,
        "links": links,
        "data_class": classes[-1] if classes else None,
    }


def _run(database: DatabaseSource, files: Sequence[Script]) -> None:
    database.recover()
    try:
        with database.writing() as writing, writing.transaction() as rows:
            sql_scripts.send(rows, files)
    except PermissionDenied as error:
        raise PermissionDenied(error.message, hint=_GRANT) from error


def _require_database(source: Source) -> DatabaseSource:
    from mergeguard.storage.database.source import DatabaseSource  # noqa: PLC0415 - SQLAlchemy; a file target does without

    if not isinstance(source, DatabaseSource):
        raise Unsupported(f"{source.info.target} is a file: SQL scripts are for databases")
    return source
