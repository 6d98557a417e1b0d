"""What becomes of the rows that refer to two resources that become one, table by table; nothing is changed here."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from mergeguard.core.merging.survivors import Links, Survived, survive
from mergeguard.core.repair.plan import Action, Image, RowChange
from mergeguard.core.repair.references import Fate, Held, Rewrite
from mergeguard.resources.hashes import StoredHashes
from mergeguard.resources.loads import Loaded, dated, outdated_in
from mergeguard.resources.merged import ColumnMoves
from mergeguard.resources.places import DeclaredTable, declared_tables, untouchable
from mergeguard.storage.cells import row_cells
from mergeguard.storage.profile import Profile, Reference
from mergeguard.storage.rows import ages as row_ages

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows

_Cells: TypeAlias = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """Where references stand, as a connection found it once."""

    tables: tuple[DeclaredTable, ...]
    left_alone: tuple[tuple[Reference, str], ...]
    """References that are never re-pointed, and why."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What a merge changes beside the merge table and the lookup."""

    changes: tuple[RowChange, ...] = ()
    columns: Mapping[str, ColumnMoves] = field(default_factory=dict)
    hashes_cleared: int = 0
    notes: tuple[str, ...] = ()
    neighbours: frozenset[uuid.UUID] = frozenset()
    """Other guids beside the old root in rows of which no two may be equal: were one of them merged at the same time,
    two rows might come to be equal that neither merge sees."""


def moves(rows: DatabaseRows, profile: Profile, old: uuid.UUID, new: uuid.UUID) -> Moves:
    """Work out what becomes of every row that refers to one root when it is merged into another.

    Raises:
        MergeRefused: times that decide have no order.
        UnknownSchema: a table or column that the profile names does not exist.
        ProfileError: a declared ``unique`` cannot be looked at.
    """
    places = rows.known.fact(("places",), lambda: _places(rows, profile))
    changes: list[RowChange] = []
    every: list[Rewrite] = []
    counts: dict[str, ColumnMoves] = {}
    neighbours: set[uuid.UUID] = set()
    loaded = Loaded(rows, profile, (old, new))
    for table in places.tables:
        held = _read(rows, loaded, table, old, new)
        outdated = outdated_in(loaded, table, held, old, new)
        if outdated is None and not any(old in each.guids.values() for each in held):
            continue
        spell, links = _spell(rows, table), _links(rows, profile, table)
        survived = survive(table.place, held, old, new, spell, links, outdated)
        changes += survived.changes
        every += survived.every
        counts |= _account(table, survived, new)
        neighbours |= _neighbours(table, survived)
    cleared = _cleared(rows, profile, places, every, changes, old)
    around = frozenset(neighbours - {old, new})
    return Moves((*changes, *cleared), counts, len(cleared), _notes(rows, places, old), around)


def keyed(profile: Profile) -> Profile:
    """Return a profile whose table of keys is a reference too: two resources that become one unite their keys."""
    keys = profile.keys
    if keys is None or any((each.table, each.column) == (keys.table, keys.guid) for each in profile.references):
        return profile
    reference = Reference(keys.table, keys.guid, (keys.guid, keys.name, keys.value))
    return replace(profile, references=(*profile.references, reference))


def _places(rows: DatabaseRows, profile: Profile) -> Places:
    wanted, alone = [], []
    for reference in profile.references:
        why = untouchable(rows, profile, reference)
        if why is None:
            wanted.append(reference)
        else:
            alone.append((reference, why))
    return Places(tuple(declared_tables(rows, profile, wanted)), tuple(alone))


def _read(rows: DatabaseRows, loaded: Loaded, table: DeclaredTable, old: uuid.UUID, new: uuid.UUID) -> list[Held]:
    """Read the rows of the old root, and those of the new one that they may come to equal."""
    place = table.place
    found: Counter[_Cells] = Counter()
    for column in place.columns:
        compared = column == table.sets or any(column in unique.columns for unique in place.unique)
        wanted = (old, new) if compared else (old,)
        found |= Counter(tuple(image.values()) for image in rows.having(place.table, column, wanted))
    names = [column.name for column in rows.shape(place.table).columns if not column.generated]
    images = [dict(zip(names, cells, strict=True)) for cells, many in found.items() for _ in range(many)]
    held = _held(rows, table, images)
    if table.time is None and table.order is None and any(len(unique.columns) == 1 for unique in place.unique):
        return dated(loaded, table, held)
    return held


def _held(rows: DatabaseRows, table: DeclaredTable, images: Sequence[Image]) -> list[Held]:
    """Read what some rows hold, and when they are of.

    Raises:
        MergeRefused: there are several, and their times have no order.
    """
    place, name = table.place, table.time
    times: Sequence[dt.datetime | None] = [None] * len(images)
    orders: Sequence[int | None] = [None] * len(images)
    if name is not None and len(images) > 1:  # one row alone competes with none
        times = row_ages.ages(rows, place.table, name, [image[name] for image in images])
    if table.order is not None and len(images) > 1:
        orders = row_ages.orders(rows, place.table, table.order, [image[table.order] for image in images])
    found = []
    for image, time, order in zip(images, times, orders, strict=True):
        read = {column: rows.guid(place.table, column, image[column]) for column in table.guids}
        found.append(Held(image, {column: guid for column, guid in read.items() if guid is not None}, time, order))
    return found


def _spell(rows: DatabaseRows, table: DeclaredTable) -> Callable[[str, uuid.UUID, str | None], str]:
    return lambda column, guid, cell: rows.cell(table.place.table, column, guid, cell)


def _links(rows: DatabaseRows, profile: Profile, table: DeclaredTable) -> Links | None:
    """Return how many links of a type may stand in a table; ``None`` where nothing says so."""
    types = profile.association_types
    same = rows.snapshot.same_name
    link = next((each for each in profile.associations if same(each.table, table.place.table)), None)
    if types is None or link is None or link.type is None:
        return None
    name = table.place.table
    parent, kind = rows.column(name, link.parent), rows.column(name, link.type)

    def most(held: Held) -> int | None:
        guid = held.guids.get(kind)
        return None if guid is None else _maximum(rows, profile, guid)

    return Links(parent, kind, most)


def _maximum(rows: DatabaseRows, profile: Profile, kind: uuid.UUID) -> int | None:
    types = profile.association_types
    assert types is not None  # noqa: S101 - for the type checker: ``_links`` has asked
    guid, maximum = rows.column(types.table, types.guid), rows.column(types.table, types.maximum)
    for image in rows.having(types.table, guid, [kind]):
        text = row_cells.text(rows, types.table, maximum, image[maximum])
        if text is not None and text.strip().isdigit():
            return int(text) or None
    return None


def _account(table: DeclaredTable, survived: Survived, new: uuid.UUID) -> dict[str, ColumnMoves]:
    found = {}
    for column in table.place.columns:
        fates = Counter(made.fate for made in survived.moved if column in made.stale)
        outnumbered = sum(column in made.stale for made in survived.outnumbered)
        replaced = sum(_in_column(table, made, column, survived, new) for made in survived.replaced)
        if fates or outnumbered or replaced:
            found[f"{table.place.table}.{column}"] = ColumnMoves(
                rows=fates.total() + outnumbered,
                changed=fates[Fate.CHANGED],
                dropped=fates[Fate.DROPPED],
                collapsed=fates[Fate.COLLAPSED],
                outnumbered=outnumbered,
                replaced=replaced,
            )
    return found


def _neighbours(table: DeclaredTable, survived: Survived) -> set[uuid.UUID]:
    columns = set(table.place.columns)
    compared = [unique for unique in table.place.unique if len(columns.intersection(unique.columns)) > 1]
    return {guid for made in survived.moved for guid in made.guids} if compared else set()


def _in_column(table: DeclaredTable, made: Rewrite, column: str, survived: Survived, new: uuid.UUID) -> bool:
    """Say whether a row that gave way is counted under a column: under the first one that could have made it so."""
    stale = {name for each in survived.moved for name in each.stale}
    if not stale and table.sets is not None:
        stale = {table.sets}
    return column in stale and new in made.guids and column == min(stale)


def _cleared(
    rows: DatabaseRows,
    profile: Profile,
    places: Places,
    every: Sequence[Rewrite],
    changes: Sequence[RowChange],
    old: uuid.UUID,
) -> tuple[RowChange, ...]:
    """Return the clearing of the hashes of data that are moved, where their rows do not go themselves."""
    hashes = profile.hashes
    if hashes is None or not every:
        return ()
    same = rows.snapshot.same_name
    moved = any(
        same(table.place.table, hashes.table) and rows.column(hashes.table, hashes.guid) in table.place.columns
        for table in places.tables
    )
    touched = [change.before for change in changes if change.action is not Action.KEEP]
    found = StoredHashes(rows, profile, {old} if moved else ())(every)
    return tuple(change for change in found if change.before not in touched)


def _notes(rows: DatabaseRows, places: Places, old: uuid.UUID) -> tuple[str, ...]:
    found = []
    for reference, why in places.left_alone:
        column = rows.column(reference.table, reference.column)
        held = sum(1 for _ in rows.having(reference.table, column, [old])) if "resource itself" not in why else 0
        if held:
            found.append(f"{reference}: {held:,} row{'s' * (held > 1)} left alone, because {why}")
    return tuple(found)
