"""The merges of a few guids as they stand in an open transaction: as exact images, and as guids."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mergeguard.core.guids import TOMBSTONE, Bools, Guids
from mergeguard.core.repair.plan import Image
from mergeguard.storage.profile import Profile
from mergeguard.storage.rows.guid_columns import guids_of

if TYPE_CHECKING:
    from mergeguard.storage.database.stored_table import Condition
    from mergeguard.storage.rows.database import DatabaseRows

Pair: TypeAlias = tuple[uuid.UUID, uuid.UUID]


@dataclass(frozen=True, slots=True)
class MergeNow:
    """A row of the merge table."""

    image: Image
    old: uuid.UUID | None
    new: uuid.UUID | None
    """The tombstone for what means *deleted*; ``None`` for a row that is no merge."""


class MergesNow:
    """Reads merges by their olds, always from the table and never from memory."""

    def __init__(self, rows: DatabaseRows, profile: Profile) -> None:
        self.rows = rows
        self.table = profile.merge.table
        self._old = rows.column(self.table, profile.merge.old)
        self._new = rows.column(self.table, profile.merge.new)

    def of(self, olds: Sequence[uuid.UUID]) -> list[Image]:
        """Return the images of all rows of some olds, those with a malformed new too."""
        return list(self.rows.having(self.table, self._old, olds)) if olds else []

    def asking(self, olds: Sequence[uuid.UUID]) -> Sequence[Condition]:
        """Return the question that ``of`` would ask, to be sent along with others."""
        return self.rows.asking(self.table, self._old, olds)

    def read(self, image: Image) -> MergeNow:
        """Say what a row says."""
        rows = self.rows
        old = rows.guid(self.table, self._old, image[self._old])
        return MergeNow(image, old, rows.guid(self.table, self._new, image[self._new]))

    def columns(self, images: Sequence[Image]) -> tuple[Guids, Bools, Guids, Bools]:
        """Return the olds of some rows, and which of them are guids; and so the news."""
        olds = guids_of(self.rows, self.table, self._old, [image[self._old] for image in images])
        return *olds, *guids_of(self.rows, self.table, self._new, [image[self._new] for image in images])

    @staticmethod
    def first_of(olds: Collection[uuid.UUID], expected: Iterable[uuid.UUID]) -> list[uuid.UUID]:
        """Return the guids that ``reachable`` asks for first."""
        return list(dict.fromkeys((*olds, *expected)))

    def reachable(self, olds: Collection[uuid.UUID], expected: Iterable[uuid.UUID] = ()) -> list[MergeNow]:
        """Return all rows on all walks from some guids, read hop by hop, each guid once.

        ``expected`` are guids that the walks are thought to meet; they are asked for at once, so that a long chain
        does not cost a question a hop.
        """
        frontier = self.first_of(olds, expected)
        seen = {*frontier, TOMBSTONE}
        found: list[MergeNow] = []
        while frontier:
            rows = [self.read(image) for image in self.of(frontier)]
            found += rows
            frontier = list(dict.fromkeys(row.new for row in rows if row.new is not None and row.new not in seen))
            seen.update(frontier)
        return found
