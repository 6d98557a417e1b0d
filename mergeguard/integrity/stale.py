"""Stale references: finds the rows that hold merged-away guids and plans, exactly, what becomes of each.

Only a guid that leads to one current is re-pointed. What stands in a cycle or a split, or ends at a resource that is
gone, is left alone, and the notes say so.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS, Status
from mergeguard.core.columns import ReferenceCounts
from mergeguard.core.facts import Facts
from mergeguard.core.repair.plan import Action, Image, RowChange, Step
from mergeguard.core.repair.reference_groups import dependents
from mergeguard.core.repair.reference_steps import Hashes, make_steps
from mergeguard.core.repair.references import Held, Rewrite, rewrite
from mergeguard.errors import MergeRefused
from mergeguard.integrity.stale_sets import Sets
from mergeguard.resources.hashes import StoredHashes, no_hashes
from mergeguard.resources.places import DeclaredTable, declared_tables, untouchable
from mergeguard.storage import assemble
from mergeguard.storage.profile import Profile, Reference
from mergeguard.storage.rows import ages as row_ages
from mergeguard.storage.source import Progress, Snapshot, silent

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows

PHASE = "reading stale references"
Currents: TypeAlias = Mapping[uuid.UUID, uuid.UUID]
_Cells: TypeAlias = tuple[str | None, ...]
_Age: TypeAlias = tuple[dt.datetime | None, int | None]


@dataclass(frozen=True, slots=True)
class StaleReferences:
    """What is to be done about them, and what is not."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    """References that are left alone, with the reason."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The merged-away guids of one reference column."""

    reference: Reference
    currents: Currents
    """What each of those that are to be re-pointed is now."""
    rows: int
    """How many rows hold them."""
    left: Mapping[str, int]
    """Rows that hold guids without a current, by status."""


def reference_steps(
    snapshot: Snapshot, rows: DatabaseRows, profile: Profile, after: Facts, progress: Progress = silent
) -> list[Step]:
    """Return the steps of ``stale_references``; its notes stand on the first of them."""
    found = stale_references(snapshot, rows, profile, after, progress)
    first = [replace(step, notes=found.notes) for step in found.steps[:1]]
    return [*first, *found.steps[1:]]


def stale_references(
    snapshot: Snapshot,
    rows: DatabaseRows,
    profile: Profile,
    after: Facts,
    progress: Progress = silent,
    *,
    repaired: Mapping[str, Collection[uuid.UUID]] | None = None,
) -> StaleReferences:
    """Plan what becomes of every row that holds a guid which ``after``, the merges once repaired, leads to another.

    ``rows`` must read the transaction of ``snapshot``. ``repaired`` are the components that the same plan repairs, each
    with its members: what depends on one stands in steps that say so.

    Raises:
        UnknownSchema: a table or column that the profile names does not exist.
        ProfileError: a declared ``unique`` cannot be looked at.
        CannotCheck: any other reason, see ``errors``.
    """
    rows.labels = after.table.labels
    notes: list[str] = []
    stale: dict[Reference, Stale] = {}
    for counted, reference in zip(_counts(snapshot, profile, after, progress), profile.references, strict=True):
        found = _stale(reference, counted, after)
        why = untouchable(rows, profile, reference) if found.rows else None
        notes += _notes(found, why)
        if why is None and (found.rows or _may_be_outdated(rows, profile, reference)):
            stale[reference] = found
    if not any(one.rows for one in stale.values()):
        stale = {}
    sets = Sets(rows, profile, {old: now for one in stale.values() for old, now in one.currents.items()})
    rewrites: list[Rewrite] = []
    for table in declared_tables(rows, profile, list(stale)):
        progress(PHASE, len(rewrites), sum(one.rows for one in stale.values()))
        try:
            rewrites += _rewrites(rows, table, stale, sets)
        except MergeRefused as unordered:
            for reference in table.references:
                notes += _alone(stale.pop(reference), unordered.message)
    depends = dependents(after, repaired or {}) if rewrites else {}
    steps = make_steps(rewrites, _of_rows_that_stay(_hashes(rows, profile, stale), rewrites), depends=depends)
    return StaleReferences(tuple(steps), tuple(notes))


def _counts(snapshot: Snapshot, profile: Profile, after: Facts, progress: Progress) -> Sequence[ReferenceCounts]:
    if after.declared.references is not None:
        return after.declared.references
    return [assemble.reference_counts(snapshot, reference, profile, progress) for reference in profile.references]


def _stale(reference: Reference, counted: ReferenceCounts, after: Facts) -> Stale:
    """Pick what was merged away from all that a column holds."""
    leads = after.join.olds.find(counted.guids)
    # A guid of depth 0 is live and so its own current; the empty guid stands for none, whatever the merges say of it.
    held = np.flatnonzero((leads >= 0) & counted.guids.any(axis=1))
    held = held[after.closure.depth[leads[held]] != 0]
    chosen = leads[held]
    currents, _ = after.closure.current(after.table, chosen)
    status = after.closure.status[chosen]
    fine = status == Status.OK
    olds = guids.to_uuids(np.ascontiguousarray(counted.guids[held[fine]]))
    news = guids.to_uuids(np.ascontiguousarray(currents[fine]))
    left = np.bincount(status, counted.counts[held], len(STATUS_TEXTS)).astype(np.int64).tolist()
    return Stale(
        reference,
        dict(zip(olds, news, strict=True)),
        int(counted.counts[held[fine]].sum()),
        {text: rows for text, rows in zip(STATUS_TEXTS, left, strict=True) if rows and text != Status.OK.text},
    )


def _notes(found: Stale, why: str | None) -> Iterator[str]:
    if why is not None:
        yield from _alone(found, why)
    for status, rows in found.left.items():
        yield f"{found.reference}: {_rows_hold(rows)} guids that {_LED[status]}; they are left alone"


def _alone(found: Stale, why: str) -> Iterator[str]:
    yield f"{found.reference}: {_rows_hold(found.rows)} merged-away guids and are left alone, because {why}"


_LED = {
    "cycle": "lead into a cycle that is not repaired",
    "split": "lead to two guids at once",
    "dangling": "lead to a guid that is gone",
    "deleted": "were merged into nothing",
}


def _rows_hold(rows: int) -> str:
    return f"{rows:,} row holds" if rows == 1 else f"{rows:,} rows hold"


def _may_be_outdated(rows: DatabaseRows, profile: Profile, reference: Reference) -> bool:
    """Say whether rows of a column may go although it holds no merged-away guid: those of another were newer."""
    return reference.sets == "newest" and untouchable(rows, profile, reference) is None


def _rewrites(
    rows: DatabaseRows, table: DeclaredTable, every: Mapping[Reference, Stale], sets: Sets
) -> Sequence[Rewrite]:
    """Read the rows of one table that are to be re-pointed, and those that they may come to equal.

    Raises:
        MergeRefused: of rows that become equal nobody can say which is the newest.
    """
    place = table.place
    stale = [every[reference] for reference in table.references]
    currents = {old: new for one in stale for old, new in one.currents.items()}
    found: Counter[_Cells] = Counter()
    for one in stale:
        column = rows.column(place.table, one.reference.column)
        found |= _having(rows, place.table, column, list(one.currents), one.rows)
        own = set(sets.currents.values()) if column == table.sets else set[uuid.UUID]()
        if any(column in unique.columns for unique in place.unique):
            own |= set(one.currents.values())
        found |= _having(rows, place.table, column, sorted(own))
    shape = rows.shape(place.table)
    names = [column.name for column in shape.columns if not column.generated]
    images = [dict(zip(names, cells, strict=True)) for cells, count in found.items() for _ in range(count)]
    ages, unordered = _ages(rows, table, images)
    every_row = [_held(rows, table, image, age) for image, age in zip(images, ages, strict=True)]
    held, gone = sets.apart(table, every_row, currents)
    made = (
        *gone,
        *rewrite(place, held, currents, lambda column, guid, cell: rows.cell(place.table, column, guid, cell)),
    )
    if unordered is not None and any(one.into is not None and one.into.action is not Action.KEEP for one in made):
        raise unordered
    return made


def _ages(
    rows: DatabaseRows, table: DeclaredTable, images: Sequence[Image]
) -> tuple[Sequence[_Age], MergeRefused | None]:
    """Return how old rows are; where they have no order, why: it matters only if one gives way to another."""
    times: Sequence[dt.datetime | None] = [None] * len(images)
    orders: Sequence[int | None] = [None] * len(images)
    name, time, order = table.place.table, table.time, table.order
    try:
        if time is not None:
            times = row_ages.ages(rows, name, time, [image[time] for image in images])
        if order is not None:
            orders = row_ages.orders(rows, name, order, [image[order] for image in images])
    except MergeRefused as refused:
        return [(None, None)] * len(images), refused
    return list(zip(times, orders, strict=True)), None


def _having(
    rows: DatabaseRows, table: str, column: str, wanted: Sequence[uuid.UUID], expected: int | None = None
) -> Counter[_Cells]:
    """Count the rows that hold some guids by their cells: a row without a key may stand several times."""
    found = Counter(tuple(image.values()) for image in rows.having(table, column, wanted))
    if expected is not None and found.total() < expected:
        # Some are spelled in a way that no index finds.
        found = Counter(tuple(image.values()) for image in rows.having(table, column, wanted, thorough=True))
    return found


def _held(rows: DatabaseRows, table: DeclaredTable, image: Image, age: _Age) -> Held:
    place = table.place
    read = {column: rows.guid(place.table, column, image[column]) for column in table.guids}
    return Held(image, {column: guid for column, guid in read.items() if guid is not None}, *age)


def _of_rows_that_stay(hashes: Hashes, rewrites: Sequence[Rewrite]) -> Hashes:
    """Clear no hash of a row that goes itself."""
    gone = {_cells(made.change) for made in rewrites if made.change.after is None}
    return lambda part: [change for change in hashes(part) if _cells(change) not in gone]


def _cells(change: RowChange) -> tuple[str, frozenset[tuple[str, str | None]]]:
    return change.table, frozenset((change.before or {}).items())


def _hashes(rows: DatabaseRows, profile: Profile, stale: Mapping[Reference, Stale]) -> Hashes:
    """Return what clears hashes; rows of their table that are rewritten are settled by that."""
    hashes = profile.hashes
    if hashes is None or not stale:
        return no_hashes
    same = rows.snapshot.same_name
    own = (
        one.currents
        for reference, one in stale.items()
        if same(reference.table, hashes.table) and same(reference.column, hashes.guid)
    )
    return StoredHashes(rows, profile, frozenset[uuid.UUID]().union(*own))
