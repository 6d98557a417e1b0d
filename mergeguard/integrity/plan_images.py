"""Finds the exact image of each row that a plan is about: what was read as guids, matched to the rows as they stand."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from mergeguard.core.findings import RowRef
from mergeguard.core.repair.component import Component, DamagedRow
from mergeguard.core.repair.plan import Image
from mergeguard.errors import CannotCheck
from mergeguard.storage.cells.database_cells import times
from mergeguard.storage.profile import Profile
from mergeguard.storage.rows.database import DatabaseRows

_Pair: TypeAlias = tuple[uuid.UUID | None, uuid.UUID | None]


class Images:
    """The images of all rows of the olds of some components.

    Args:
        rows: the rows of the snapshot in which the merges were read.
        profile: where the merges stand.
        components: whose rows are wanted; all are read at once, and those of an old that is spelt in a rare way are
            searched for in the whole table.

    Raises:
        CannotCheck: rows came or went since the merges were read; only without a real snapshot.
    """

    def __init__(self, rows: DatabaseRows, profile: Profile, components: Sequence[Component]) -> None:
        self._rows = rows
        self._merge = profile.merge
        self._by_pair: dict[_Pair, list[Image]] = defaultdict(list)
        self._by_old: dict[uuid.UUID | None, list[Image]] = defaultdict(list)
        self._read([old for component in components for old in component.members], thorough=False)
        hidden = [component for component in components if self._misses(component)]
        if hidden:
            self._read([old for component in hidden for old in component.members], thorough=True)
        for component in hidden:
            if self._misses(component):
                raise CannotCheck(
                    f"the rows of component {component.id} changed while they were read",
                    hint="run it again; with a snapshot of the database (see 'mergeguard doctor') this cannot happen",
                )

    def guard(self, component: Component) -> tuple[Image, ...]:
        """Return the images of all rows of a component's members, in an order that no database decides."""
        return tuple(sorted((image for old in component.members for image in self._by_old[old]), key=_place))

    def retired(self, component: Component) -> dict[int, Image]:
        """Return the image of each row that a component retires, by the row's number."""
        found: dict[int, Image] = {}
        for pair, group in _by_pair(component).items():
            found |= self._matched(group, self._by_pair[pair])
        return {number: found[number] for number in component.retire}

    def _read(self, olds: Sequence[uuid.UUID], *, thorough: bool) -> None:
        table, merge = self._merge.table, self._merge
        old_column, new_column = self._rows.column(table, merge.old), self._rows.column(table, merge.new)
        for old in olds:
            for image in self._by_old.pop(old, ()):
                self._by_pair.pop((old, self._rows.guid(table, merge.new, image[new_column])), None)
        for image in self._rows.having(table, merge.old, olds, thorough=thorough):
            found = self._rows.guid(table, merge.old, image[old_column])
            self._by_old[found].append(image)
            self._by_pair[found, self._rows.guid(table, merge.new, image[new_column])].append(image)

    def _misses(self, component: Component) -> bool:
        """Say whether there are not as many images as rows that were read."""
        return any(len(self._by_pair[pair]) != len(group) for pair, group in _by_pair(component).items())

    def _matched(self, group: Sequence[DamagedRow], images: Sequence[Image]) -> Mapping[int, Image]:
        """Pair rows that say the same merge with their images; what cannot be told apart is interchangeable."""
        left = sorted(images, key=_place)
        pairs: dict[int, Image] = {}
        for row in group:
            best = left[0] if len(left) == 1 else max(left, key=lambda image: self._likeness(row.ref, image))
            left.remove(best)
            pairs[row.number] = best
        return pairs

    def _likeness(self, ref: RowRef, image: Image) -> tuple[bool, bool]:
        """Say whether an image has the row's id, and its time."""
        named = self._spoken(image, self._merge.row_id or self._rows.snapshot.default_row_id)
        timed = self._spoken(image, self._merge.time)
        same_time = False
        if timed is not None and ref.time is not None:
            stamp = times([timed])[0].item()
            same_time = stamp == ref.time.replace(tzinfo=None)
        return named is not None and named.strip() == str(ref.row_id), same_time

    def _spoken(self, image: Image, name: str | None) -> str | None:
        """Return a cell of the merge table as people read it; ``None`` where the image has none."""
        if name is None:
            return None
        known = next((column for column in image if self._rows.snapshot.same_name(column, name)), None)
        cell = None if known is None else image[known]
        return None if cell is None else self._rows.table(self._merge.table).spoken(cell)


def _by_pair(component: Component) -> dict[_Pair, list[DamagedRow]]:
    groups: dict[_Pair, list[DamagedRow]] = defaultdict(list)
    for row in component.rows:
        groups[row.ref.old, row.ref.new].append(row)
    return groups


def _place(image: Image) -> list[tuple[bool, str]]:
    """Return a key to sort the images of one table by."""
    return [(cell is not None, cell or "") for cell in image.values()]
