"""Whole rows, exactly: read as images, changed only where they still are what was seen.

A dialect implements ``RowStore`` on an open transaction. Nothing here knows what a merge or a plan is.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from mergeguard.core.repair.plan import Image, RowChange, TableShape


class RowStore(Protocol):
    """The rows of one open transaction."""

    def shape(self, table: str) -> TableShape:
        """Describe a table.

        Raises:
            UnknownSchema: it does not exist.
        """
        ...

    def having(self, table: str, column: str, guids: Sequence[uuid.UUID], *, thorough: bool = False) -> Iterator[Image]:
        """Yield the image of every row whose ``column`` holds one of ``guids``, in any of the usual spellings.

        Any number of guids, each row once, in no particular order; an index lookup a guid where there is an index.
        ``thorough`` scans the whole table and finds every spelling that ``core.guids.parse`` reads.
        """
        ...

    def guid(self, table: str, column: str, cell: str | None) -> uuid.UUID | None:
        """Read the guid that a cell of an image holds; ``None`` for NULL or what is no guid."""
        ...

    def cell(self, table: str, column: str, guid: uuid.UUID, like: str | None) -> str:
        """Spell a guid as a cell of an image, in the spelling of ``like`` (the cell it is to replace)."""
        ...

    def holds(self, table: str, image: Image) -> bool:
        """Say whether a row that equals ``image`` in all its columns stands in the table."""
        ...

    def change(self, changes: Sequence[RowChange]) -> None:
        """Make the changes in their order, all or none (the transaction's caller rolls back).

        Each ``before`` must match exactly one row, or of identical rows one is taken; an ``after`` without a ``before``
        is inserted with its ids as they were.

        Raises:
            Stale: a ``before`` is not there any more; ``changed`` names it.
        """
        ...


class Writing(Protocol):
    """A connection that may change the target, one transaction at a time."""

    def transaction(self) -> AbstractContextManager[RowStore]:
        """Begin a transaction that holds the merge lock exclusively and keeps others from writing merges; commit it.

        Whatever is raised inside rolls it back. Waits are bounded by ``Options.lock_timeout``.

        Raises:
            Locked: another session holds the lock for longer.
            WriteFailed: the commit failed; nothing was changed, or (``ConnectionLost``) nobody knows: ask the journal.
        """
        ...
