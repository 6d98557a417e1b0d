"""What a database can forbid by itself beside the guard's trigger: a second row, a self-merge, a guid that never was.

These alter the vendor's table, so they are made only where somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergeguard.storage.database.table_indexes import indexes

if TYPE_CHECKING:
    from mergeguard.storage.guard.parts import GuardPlace
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

_NAMES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? COLLATE NOCASE",
    "postgresql": """
        SELECT conname::text FROM pg_catalog.pg_constraint WHERE conrelid = to_regclass(%s)
        UNION SELECT c.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = to_regclass(%s)
    """,
    "mssql": """
        SELECT o.name FROM sys.objects AS o WHERE o.parent_object_id = OBJECT_ID(?)
        UNION SELECT i.name FROM sys.indexes AS i WHERE i.object_id = OBJECT_ID(?) AND i.name IS NOT NULL
    """,
}


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint on a merge table."""

    name: str
    """Not quoted."""
    says: str
    """In words, for people."""
    create: str
    drop: str
    violations: str | None = None
    """A query that counts the rows that violate it, where no rule of a scan finds them: those of a foreign key."""


def constraints(rows: DatabaseRows, profile: Profile, place: GuardPlace) -> tuple[list[Constraint], list[str]]:
    """Return the constraints that this database can have on its merge table, and why it cannot have others."""
    kind = rows.source.kind
    found = [_once(place, kind)]
    if kind == "sqlite":
        return found, ["SQLite adds no CHECK and no foreign key to a table that is there: the trigger is all there is"]
    found.append(_added(place, "no_self", "no self-merge", f"CHECK ({place.old} <> {place.new})"))
    if profile.types is None:
        return found, ["no foreign keys: the profile has no [types], a table that knows every guid that ever was"]
    types = profile.types
    stored = rows.table(types.table)
    guid = rows.column(types.table, types.guid)
    if not any(index.unique and index.columns == (guid,) for index in indexes(rows, types.table)):
        return found, [f"no foreign keys: nothing keeps {types.table}.{types.guid} unique"]
    name, known = (rows.without_parameters(quoted) for quoted in (stored.name, stored.quotes[guid]))
    for column, end in ((place.old, "old"), (place.new, "new")):
        key = f"FOREIGN KEY ({column}) REFERENCES {name} ({known})"
        lacking = (
            f"SELECT COUNT(*) FROM {place.merge} AS m WHERE m.{column} IS NOT NULL AND NOT EXISTS "  # noqa: S608 - quoted names
            f"(SELECT 1 FROM {name} AS t WHERE t.{known} = m.{column})"
        )
        found.append(_added(place, f"{end}_known", f"every {end} stands in {types.table}", key, lacking))
    return found, []


def standing(rows: DatabaseRows, place: GuardPlace, wanted: Sequence[Constraint]) -> list[Constraint]:
    """Return those that are there, by their names."""
    kind = rows.source.kind
    asked = [place.merge_name] if kind == "sqlite" else [place.merge, place.merge]
    there = {name for (name,) in rows.tuples(_NAMES[kind], asked)}
    return [one for one in wanted if one.name in there]


def count(rows: DatabaseRows, query: str) -> int:
    """Run a query that counts; nothing in its text stands for a value."""
    cursor = rows.connection.connection.cursor()
    try:
        cursor.execute(query)
        row = cursor.fetchone()
        return 0 if row is None else int(row[0])
    finally:
        cursor.close()


def _once(place: GuardPlace, kind: str) -> Constraint:
    name = f"{place.stem}_once"
    quoted = _quoted(place, name)
    schema = "" if place.merge_schema is None else f"{_quoted(place, place.merge_schema)}."
    drop = f"DROP INDEX {quoted} ON {place.merge}" if kind == "mssql" else f"DROP INDEX {schema}{quoted}"
    create = f"CREATE UNIQUE INDEX {quoted} ON {place.merge} ({place.old})"
    return Constraint(name, "one row an old", create, drop)


def _added(place: GuardPlace, end: str, says: str, what: str, violations: str | None = None) -> Constraint:
    name = f"{place.stem}_{end}"
    quoted = _quoted(place, name)
    create = f"ALTER TABLE {place.merge} ADD CONSTRAINT {quoted} {what}"
    return Constraint(name, says, create, f"ALTER TABLE {place.merge} DROP CONSTRAINT {quoted}", violations)


def _quoted(place: GuardPlace, name: str) -> str:
    """Quote a name as the merge table's own is quoted."""
    if place.merge.startswith("["):
        return "[" + name.replace("]", "]]") + "]"
    return '"' + name.replace('"', '""') + '"'
