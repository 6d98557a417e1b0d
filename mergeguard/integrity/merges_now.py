"""The merges of a few guids as they stand in an open transaction: as exact images, and as guids."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mergeguard.core.guids import TOMBSTONE, Bools, Guids, text_id
from mergeguard.core.repair.plan import Image
from mergeguard.storage.cells.database_cells import as_text
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
    """Reads merges by their olds, always from the table and never from memory.

    Args:
        rows: of the open transaction.
        profile: where the merges stand.
        rare: olds that stand somewhere in a spelling that no index finds; their rows are searched for in the whole
            table.
    """

    def __init__(self, rows: DatabaseRows, profile: Profile, rare: Collection[uuid.UUID] = ()) -> None:
        self.rows = rows
        self.rare = rare
        self.table = profile.merge.table
        self._old = rows.column(self.table, profile.merge.old)
        self._new = rows.column(self.table, profile.merge.new)

    def of(self, olds: Sequence[uuid.UUID]) -> list[Image]:
        """Return the images of all rows of some olds, those with a malformed new too."""
        if not self.hides(olds):
            return list(self.rows.having(self.table, self._old, olds)) if olds else []
        plain = self.of([old for old in olds if old not in self.rare])
        rare = [old for old in olds if old in self.rare]
        return plain + list(self.rows.having(self.table, self._old, rare, thorough=True))

    def asking(self, olds: Sequence[uuid.UUID]) -> Sequence[Condition]:
        """Return the question that ``of`` would ask, to be sent along with others; none where it would search."""
        return () if self.hides(olds) else self.rows.asking(self.table, self._old, olds)

    def hides(self, olds: Iterable[uuid.UUID]) -> bool:
        """Say whether rows of some olds are found in the whole table only."""
        return bool(self.rare) and any(old in self.rare for old in olds)

    def is_rare(self, image: Image) -> bool:
        """Say whether no index finds a row by its old."""
        cell = image.get(self._old)
        return cell is not None and not self.rows.is_plain(self.rows.table(self.table), self._old, cell)

    def texts(self, image: Image) -> dict[uuid.UUID, str]:
        """Return the text ids that a row holds, by the guids that stand for them."""
        stored = self.rows.table(self.table)
        found = {}
        for column, cell in ((name, image.get(name)) for name in (self._old, self._new)):
            text = "" if cell is None else (as_text(self.rows.value(stored, column, cell)) or "").strip()
            if text and self.rows.guid(self.table, column, cell) == text_id(text):
                found[text_id(text)] = text
        return found

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
