"""The merges of a few guids as they stand in an open transaction: as exact images, and as pairs of guids."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.repair.plan import Image
from mergeguard.storage.profile import Profile

if TYPE_CHECKING:
    from mergeguard.storage.database_rows import DatabaseRows

Pair: TypeAlias = tuple[uuid.UUID, uuid.UUID]


class MergesNow:
    """Reads merges by their olds, always from the table and never from memory."""

    def __init__(self, rows: DatabaseRows, profile: Profile) -> None:
        self.rows = rows
        self.merge = profile.merge
        self._old = rows.column(profile.merge.table, profile.merge.old)
        self._new = rows.column(profile.merge.table, profile.merge.new)

    def of(self, olds: Sequence[uuid.UUID]) -> list[Image]:
        """Return the images of all rows of some olds, those with a malformed new too."""
        return list(self.rows.having(self.merge.table, self._old, olds)) if olds else []

    def old(self, image: Image) -> uuid.UUID | None:
        """Return the old of a row."""
        return self.rows.guid(self.merge.table, self._old, image[self._old])

    def pair(self, image: Image) -> Pair | None:
        """Return (old, new) of a row, the tombstone for what means *deleted*; ``None`` for a row that is no merge."""
        old, new = self.old(image), self.rows.guid(self.merge.table, self._new, image[self._new])
        return None if old is None or new is None else (old, new)

    def pairs(self, images: Iterable[Image]) -> list[Pair]:
        """Return what the rows say; rows that are no merges are left out, as a scan leaves them out."""
        return [pair for pair in map(self.pair, images) if pair is not None]

    def reachable(self, olds: Collection[uuid.UUID], expected: Iterable[uuid.UUID] = ()) -> list[Pair]:
        """Return all rows on all walks from some guids, read hop by hop, each guid once.

        ``expected`` are guids that the walks are thought to meet; they are asked for at once, so that a long chain
        does not cost a question a hop.
        """
        frontier = list(dict.fromkeys((*olds, *expected)))
        seen = {*frontier, TOMBSTONE}
        found: list[Pair] = []
        while frontier:
            pairs = self.pairs(self.of(frontier))
            found += pairs
            frontier = list(dict.fromkeys(new for _, new in pairs if new not in seen))
            seen.update(frontier)
        return found
