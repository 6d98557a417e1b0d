"""Where merged-away guids may be re-pointed: the declared reference columns, by table, and what must hold there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergeguard.core.repair.references import Place, Unique
from mergeguard.errors import ProfileError
from mergeguard.storage.database.table_indexes import unique_keys
from mergeguard.storage.profile import Association, Profile, Reference

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows


@dataclass(frozen=True, slots=True)
class DeclaredTable:
    """A table with all that the profile says of it, in the names of its images."""

    place: Place
    references: tuple[Reference, ...]
    """Those that hold merged-away guids."""
    time: str | None
    guids: tuple[str, ...]
    """All columns whose cells are compared as guids."""
    order: str | None = None
    sets: str | None = None
    """Says whose data a row is, where all rows of a resource are loaded together."""


def declared_tables(rows: DatabaseRows, profile: Profile, references: Sequence[Reference]) -> list[DeclaredTable]:
    """Describe the tables of some references; the one of the hashes first, so that what it knows is settled early.

    Raises:
        UnknownSchema: a table or column does not exist.
        ProfileError: a declared ``unique`` names a column whose values the server makes.
    """
    same = rows.snapshot.same_name
    groups: list[list[Reference]] = []
    for reference in references:
        group = next((group for group in groups if same(group[0].table, reference.table)), None)
        if group is None:
            groups.append([reference])
        else:
            group.append(reference)
    hashes = profile.hashes
    groups.sort(key=lambda group: hashes is None or not same(group[0].table, hashes.table))
    return [_described(rows, profile, group) for group in groups]


def _described(rows: DatabaseRows, profile: Profile, references: Sequence[Reference]) -> DeclaredTable:
    table = references[0].table
    same = rows.snapshot.same_name
    declared = [reference for reference in profile.references if same(reference.table, table)]
    columns = tuple(rows.column(table, reference.column) for reference in references)
    links = [link for link in profile.associations if same(link.table, table)]
    ends = tuple((rows.column(table, link.parent), rows.column(table, link.child)) for link in links)
    unique = tuple(dict.fromkeys(_unique(rows, table, columns, declared, links)))
    types = [link.type for link in links if link.type is not None]
    guids = {rows.column(table, name) for name in (*types, *(reference.column for reference in declared))}
    times = [*(reference.time for reference in declared), *(link.time for link in links)]
    time = next((rows.column(table, name) for name in times if name is not None), None)
    orders = [*(reference.order for reference in declared), *(link.order for link in links)]
    order = next((rows.column(table, name) for name in orders if name is not None), None)
    sets = next((rows.column(table, each.column) for each in references if each.sets == "newest"), None)
    said = guids.union(*(one.columns for one in unique))
    names = frozenset(rows.shape(table).key) - said
    place = Place(table, columns, ends, unique, names, _cleared(rows, profile, table))
    return DeclaredTable(place, tuple(references), time, tuple(sorted(guids)), order, sets)


def _unique(
    rows: DatabaseRows,
    table: str,
    columns: Sequence[str],
    references: Sequence[Reference],
    links: Sequence[Association],
) -> Iterator[Unique]:
    """Yield what the profile declares, and the keys of the table that re-pointing could break."""
    made = {column.name for column in rows.shape(table).columns if column.generated}
    for reference in references:
        named = tuple(rows.column(table, name) for name in reference.unique)
        if made.intersection(named):
            raise ProfileError(
                f"[[references]] {reference} unique names {', '.join(sorted(made.intersection(named)))}, "
                "whose values the server makes",
                hint="name the columns that it makes them of",
            )
        if named:
            yield Unique(named)
    for link in links:
        yield Unique(tuple(rows.column(table, name) for name in (link.type, link.parent, link.child) if name))
    for key in unique_keys(rows, table):
        if set(columns).intersection(key.columns) and not made.intersection(key.columns):
            yield key


def _cleared(rows: DatabaseRows, profile: Profile, table: str) -> tuple[str, ...]:
    hashes = profile.hashes
    if hashes is None or not rows.snapshot.same_name(hashes.table, table):
        return ()
    return (rows.column(table, hashes.hash),)


def untouchable(rows: DatabaseRows, profile: Profile, reference: Reference) -> str | None:
    """Say why a reference column is never re-pointed; ``None`` where nothing speaks against it.

    Raises:
        UnknownSchema: the table or the column does not exist.
    """
    same = rows.snapshot.same_name
    own = (profile.merge.table, profile.lookup.table)
    if any(same(reference.table, table) for table in (*own, *_journal(profile))):
        return "the rows of merges are a log, and the lookup and the journal are derived from them"
    resources = [(part.table or "", part.guid or "") for part in (profile.live, profile.types) if part is not None]
    if any(same(reference.table, table) and same(reference.column, guid) for table, guid in resources):
        return "the row is the resource itself and no reference to it"
    schema, table = rows.snapshot.resolve(reference.table)
    if table not in rows.snapshot.inspector.get_table_names(schema):
        return "it is a view: the table behind it is to be declared"
    name = rows.column(reference.table, reference.column)
    column = rows.table(reference.table).by_name[name]
    if column.generated:
        return "the server makes its values"
    return "its values number the rows" if column.identity else None


def _journal(profile: Profile) -> tuple[str, str, str]:
    return profile.journal.runs, profile.journal.steps, profile.journal.changes
