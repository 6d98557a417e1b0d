"""Finds the exact image of each row that a plan is about: what was read as guids, matched to the rows as they stand."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from mergeguard.core.findings import RowRef
from mergeguard.core.repair.component import Component, DamagedRow
from mergeguard.core.repair.plan import Image
from mergeguard.errors import CannotCheck
from mergeguard.storage.cells.database_cells import times
from mergeguard.storage.profile import Profile
from mergeguard.storage.rows import by_number
from mergeguard.storage.rows.database import DatabaseRows

_Pair: TypeAlias = tuple[uuid.UUID | None, uuid.UUID | None]


class Images:
    """The images of all rows of the olds of some components.

    Args:
        rows: the rows of the snapshot in which the merges were read.
        profile: where the merges stand.
        components: whose rows are wanted; all are read at once, and those of an old that is spelt in a rare way are
            searched for in the whole table.
        whole: whether every row of the table was read as a merge. Then the rows are found by their ids where these are
            a key; without an index on the olds that spares reading the table again.

    Raises:
        CannotCheck: rows came or went since the merges were read; only without a real snapshot.
    """

    def __init__(
        self, rows: DatabaseRows, profile: Profile, components: Sequence[Component], *, whole: bool = False
    ) -> None:
        self._rows = rows
        self._merge = profile.merge
        self._old, self._new = (
            rows.column(profile.merge.table, name) for name in (profile.merge.old, profile.merge.new)
        )
        self._by_pair: dict[_Pair, list[Image]] = defaultdict(list)
        self._by_old: dict[uuid.UUID | None, list[Image]] = defaultdict(list)
        hidden = components
        if whole:
            self._find(components)
            hidden = self._missed(hidden)
        # In any other way, and more thoroughly each time: what was found must be all that was read.
        for thorough in (False, True):
            if hidden:
                self._search([old for component in hidden for old in component.members], thorough=thorough)
                hidden = self._missed(hidden)
        for component in hidden:
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

    def _find(self, components: Sequence[Component]) -> None:
        """Read the rows by their ids, where the table can be asked for them."""
        name = self._merge.row_id or self._rows.snapshot.default_row_id
        ids = [row.ref.row_id for component in components for row in component.rows]
        numbers = [number for number in ids if isinstance(number, int)]
        if name is None or len(numbers) < len(ids):
            return
        members = {old for component in components for old in component.members}
        self._keep(by_number.numbered(self._rows, self._merge.table, name, numbers) or (), members)

    def _search(self, olds: Sequence[uuid.UUID], *, thorough: bool) -> None:
        """Read the rows by their olds, and forget what is known of these."""
        for old in olds:
            for image in self._by_old.pop(old, ()):
                self._by_pair.pop((old, self._rows.guid(self._merge.table, self._new, image[self._new])), None)
        self._keep(self._rows.having(self._merge.table, self._old, olds, thorough=thorough), None)

    def _keep(self, images: Iterable[Image], members: Collection[uuid.UUID] | None) -> None:
        table = self._merge.table
        for image in images:
            found = self._rows.guid(table, self._old, image[self._old])
            # A row of another old shows that the ids are not what they were when the merges were read.
            if members is None or found in members:
                self._by_old[found].append(image)
                self._by_pair[found, self._rows.guid(table, self._new, image[self._new])].append(image)

    def _missed(self, components: Sequence[Component]) -> Sequence[Component]:
        """Return those of which there are not as many images as rows that were read."""
        return [
            component
            for component in components
            if any(len(self._by_pair[pair]) != len(group) for pair, group in _by_pair(component).items())
        ]

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
