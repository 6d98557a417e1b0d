"""A part of the merges as it stands in a transaction: all rows on all walks from some guids, and what they come to."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from functools import cached_property

from mergeguard.core.facts import Facts
from mergeguard.core.few_rows import Answer, plain_answers, plain_steps
from mergeguard.core.lookup import lookup_of
from mergeguard.core.repair.check import check_rows
from mergeguard.core.repair.plan import Image
from mergeguard.integrity import large_part
from mergeguard.integrity.large_part import LargePart
from mergeguard.integrity.merges_now import MergeNow, MergesNow, Pair
from mergeguard.integrity.surroundings import Surroundings
from mergeguard.storage.database.stored_table import Condition
from mergeguard.storage.lookup.part import LookupRow


class Part:
    """What is mostly a handful of rows is worked out without arrays; where they are tangled, as a whole table is."""

    def __init__(self, rows: Sequence[MergeNow], around: Surroundings) -> None:
        self._rows = rows
        self._around = around
        self._pairs: list[Pair] = [(row.old, row.new) for row in rows if row.old is not None and row.new is not None]

    @classmethod
    def read(cls, merges: MergesNow, around: Surroundings, olds: Collection[uuid.UUID]) -> Part | LargePart:
        """Read all rows on all walks from some olds."""
        ahead = around.ahead(olds)
        if len(olds) + len(ahead) > large_part.LARGE:
            return LargePart.read(merges, around, olds, ahead)
        return cls(merges.reachable(olds, ahead), around)

    @staticmethod
    def asking(merges: MergesNow, around: Surroundings, olds: Collection[uuid.UUID]) -> Sequence[Condition]:
        """Return the question that ``read`` begins with, to be sent along with others."""
        return merges.asking(merges.first_of(olds, around.ahead(olds)))

    @property
    def all_guids(self) -> frozenset[uuid.UUID]:
        """All guids of the merges."""
        return frozenset(guid for pair in self._pairs for guid in pair)

    @property
    def packed_rows(self) -> frozenset[bytes]:
        """All rows that are merges, packed as by ``guids.pairs``."""
        return frozenset(old.bytes + new.bytes for old, new in self._pairs)

    def images(self, olds: Collection[uuid.UUID]) -> list[Image]:
        """Return the images of all rows of some olds, which must be among those that were read."""
        wanted = frozenset(olds)
        return [row.image for row in self._rows if row.old in wanted]

    def problems(self, members: Collection[uuid.UUID], survivor: uuid.UUID | None) -> tuple[str, ...]:
        """Say what is wrong with the rows of a repaired component's members; nothing, if all is right."""
        wanted = frozenset(members)
        problems = check_rows([pair for pair in self._pairs if pair[0] in wanted], members, survivor=survivor)
        if problems or self._steps is not None:
            return problems
        # What they lead to may have been merged back into them meanwhile.
        return tuple(f"{old} leads in a circle" for old in Surroundings(self._facts).on_circle(members))

    def answers(self, olds: Collection[uuid.UUID]) -> list[LookupRow]:
        """Return the rows of the lookup of those of some guids that are olds now."""
        if self._plain is None:
            wanted = frozenset(olds)
            return [row for row in lookup_of(self._facts) if row[0] in wanted]
        found = ((old, self._plain[old]) for old in olds if old in self._plain)
        return [
            (old, current, None if current is None else depth, status.text) for old, (current, depth, status) in found
        ]

    def current(self, guid: uuid.UUID) -> uuid.UUID | None:
        """Return what a guid is now; ``None`` where nobody can say."""
        if all(old != guid for old, _ in self._pairs):
            return guid
        return next((current for _, current, _, _ in self.answers([guid])), None)

    @cached_property
    def _steps(self) -> dict[uuid.UUID, uuid.UUID] | None:
        return plain_steps(self._pairs)

    @cached_property
    def _plain(self) -> dict[uuid.UUID, Answer] | None:
        if self._steps is None:
            return None
        return plain_answers(self._steps, self._around.live({guid for pair in self._pairs for guid in pair}))

    @cached_property
    def _facts(self) -> Facts:
        return self._around.facts_of(self._pairs)
