"""Where guids lead as the rows stand in an open transaction: read hop by hop, liveness with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from mergeguard.core import guids
from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.merging.ends import End, Steps, end_of, steps_of
from mergeguard.core.repair.plan import Image
from mergeguard.storage.profile import Live, Profile

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows

Hint: TypeAlias = Callable[[uuid.UUID], Iterable[uuid.UUID]]
HOPS = 8
"""After so many hops a chain is long, and the rest of its class is asked for at once, as the lookup has it."""


@dataclass(slots=True)
class Standing:
    """What was read of some guids."""

    images: dict[uuid.UUID, list[Image]] = field(default_factory=dict)
    """Rows of the merge table by old, those of live guids too."""
    news: dict[uuid.UUID, dict[uuid.UUID, None]] = field(default_factory=dict)
    live: set[uuid.UUID] | None = None
    """Which of the guids that were read are live; ``None`` where no liveness is declared."""
    live_images: dict[uuid.UUID, list[Image]] = field(default_factory=dict)
    """Their rows in the table of live guids, where it is a table."""

    @property
    def steps(self) -> Steps:
        """The news of each old; a live guid has none."""
        return steps_of(((old, new) for old, news in self.news.items() for new in news), self.live)

    def end(self, guid: uuid.UUID) -> End:
        """Return what a guid that was read comes to."""
        return end_of(guid, self.steps, self.live)


class Walker:
    """Reads what some guids lead to, always from the tables and never from memory.

    Args:
        rows: of an open transaction.
        profile: where merges and liveness stand.
        hint: offers further guids of the class of a guid; asked only on a long chain.
    """

    def __init__(self, rows: DatabaseRows, profile: Profile, hint: Hint | None = None) -> None:
        self.rows = rows
        self._hint = hint
        self._merge = profile.merge
        self._profile = profile
        self.old = rows.column(profile.merge.table, profile.merge.old)
        self.new = rows.column(profile.merge.table, profile.merge.new)
        self._queried: set[uuid.UUID] | None = None

    def read(self, asked: Sequence[uuid.UUID]) -> Standing:
        """Read all rows on all walks from some guids; no walk goes on behind a live guid."""
        found = Standing(live=None if self._profile.live is None else set())
        frontier = list(dict.fromkeys(asked))
        seen = {*frontier, TOMBSTONE}
        for hop in count(1):
            if hop == HOPS and self._hint is not None:
                more = (guid for each in list(frontier) for guid in self._hint(each))
                frontier += [guid for guid in dict.fromkeys(more) if guid not in seen]
                seen.update(frontier)
            if not frontier:
                break
            self._ask(frontier)
            self._note_live(found, frontier)
            self._note_rows(found, frontier)
            live = found.live or ()
            ahead = (new for old in frontier if old not in live for new in found.news.get(old, ()))
            frontier = [new for new in dict.fromkeys(ahead) if new not in seen]
            seen.update(frontier)
        return found

    def rows_of(self, olds: Sequence[uuid.UUID]) -> list[Image]:
        """Return all rows of some olds."""
        return list(self.rows.having(self._merge.table, self.old, olds))

    def guid_of(self, image: Image, column: str) -> uuid.UUID | None:
        """Return the guid in a column of a row of the merge table."""
        return self.rows.guid(self._merge.table, column, image[column])

    def _ask(self, asked: Sequence[uuid.UUID]) -> None:
        """Send both questions of a hop on one way to the server."""
        live = self._profile.live
        if live is not None and live.table is not None and live.guid is not None:
            both = (
                *self.rows.asking(live.table, live.guid, asked),
                *self.rows.asking(self._merge.table, self.old, asked),
            )
            self.rows.ahead(both)

    def _note_rows(self, found: Standing, asked: Sequence[uuid.UUID]) -> None:
        for image in self.rows_of(asked):
            old, new = self.guid_of(image, self.old), self.guid_of(image, self.new)
            if old is not None:
                found.images.setdefault(old, []).append(image)
                if new is not None:
                    found.news.setdefault(old, {})[new] = None

    def _note_live(self, found: Standing, asked: Sequence[uuid.UUID]) -> None:
        live = self._profile.live
        if live is None or found.live is None:
            return
        if live.table is None or live.guid is None:
            found.live |= self._all_live().intersection(asked)
            return
        column = self.rows.column(live.table, live.guid)
        for image in self.rows.having(live.table, column, asked):
            guid = self.rows.guid(live.table, column, image[column])
            if guid is not None and meets(self.rows, live, image):
                found.live.add(guid)
                found.live_images.setdefault(guid, []).append(image)

    def _all_live(self) -> set[uuid.UUID]:
        """Read the query of live guids, which nobody can ask for single guids."""
        from mergeguard.storage.assemble import live_guids  # noqa: PLC0415 - most profiles name a table

        if self._queried is None:
            column = live_guids(self.rows.snapshot, self._profile)
            self._queried = set() if column is None else set(guids.to_uuids(column))
        return self._queried


def meets(rows: DatabaseRows, live: Live, image: Image) -> bool:
    """Say whether a row meets the profile's filters, which compare texts."""
    table = rows.table(str(live.table))
    cells = ((image[rows.column(str(live.table), column)], value) for column, value in live.where)
    return all(cell is not None and table.spoken(cell) == value for cell, value in cells)
