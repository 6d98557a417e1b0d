"""Writes the rows of a message: inventory in place of older inventory, parts of rows, events behind events."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mergeguard.core.importing.blocks import SentBlock, updates
from mergeguard.core.importing.mapping import mapped
from mergeguard.core.importing.newest import Fate, fate
from mergeguard.core.importing.standing import Summary
from mergeguard.storage.importing.store import ImportTransaction


@dataclass(frozen=True, slots=True)
class Placed:
    """A block whose resource is found."""

    block: SentBlock
    resource: uuid.UUID
    direct: bool
    """Whether it was sent with this guid, so that no merge came in between."""

    @property
    def pair(self) -> tuple[uuid.UUID, uuid.UUID]:
        """Its (data class, resource)."""
        return self.block.data_class.guid, self.resource


@dataclass(frozen=True, slots=True)
class DataImporter:
    """Writes the blocks of one event."""

    transaction: ImportTransaction
    current: Callable[[uuid.UUID, int], uuid.UUID]
    """(foreign key, line) -> the current guid of that resource, or raises."""
    again: Callable[[SentBlock], SentBlock]
    """Returns a block with its rows, where they were not kept."""
    event: int
    received: dt.datetime

    def write(self, blocks: Sequence[Placed]) -> None:
        """Write what is newer than what stands.

        Raises:
            MalformedEvent: a cell does not fit its column.
            GuidNotFound: a foreign key that leads to no resource.
        """
        for each in blocks:
            if each.block.data_class.event and each.block.sent:
                rows = mapped(each.block.read(), self.current).rows
                self.transaction.append_rows(each.block.data_class, each.resource, rows, self.received)
        inventory = [each for each in blocks if not each.block.data_class.event]
        if inventory:
            self._load(inventory)

    def _load(self, blocks: Sequence[Placed]) -> None:
        chosen = _chosen(blocks)
        summaries = self.transaction.summaries([each.pair for each in chosen])
        confirmed = []
        for each in chosen:
            match fate(summaries.get(each.pair), each.block.hash, self.event):
                case Fate.WRITTEN:
                    self._write(each)
                case Fate.SAME:
                    confirmed += _confirmed(each, summaries[each.pair], self.event)
                case Fate.OLDER:
                    pass
        if confirmed:
            self.transaction.confirm(confirmed, self.event)

    def _write(self, placed: Placed) -> None:
        block, resource = mapped(self.again(placed.block).read(), self.current), placed.resource
        if placed.block.partial:
            self.transaction.update_rows(block.data_class, resource, updates(block))
            return self.transaction.summarise(block.data_class, resource, None, None, self.event)
        self.transaction.replace_rows(block.data_class, resource, block.rows)
        return self.transaction.summarise(block.data_class, resource, len(block.rows), placed.block.hash, self.event)


def _confirmed(placed: Placed, summary: Summary, event: int) -> list[tuple[uuid.UUID, uuid.UUID]]:
    return [placed.pair] if summary.event != event else []


def _chosen(blocks: Iterable[Placed]) -> list[Placed]:
    """Choose one block a (data class, resource): two stand there where resources of the message are one.

    What was sent with the resource's own guid stays, as when they are merged afterwards; else the last one does.
    """
    together: dict[tuple[uuid.UUID, uuid.UUID], list[Placed]] = defaultdict(list)
    for each in blocks:
        together[each.pair].append(each)
    return [next((each for each in group if each.direct), group[-1]) for group in together.values()]
