"""The rows of a stored lookup while it is being read, and the numbering of repeated texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mergeguard.core.columns import StoredLookup
from mergeguard.storage.cells.growing import GrowingColumn
from mergeguard.storage.cells.ids import GuidIds, TextIds, good_rows
from mergeguard.storage.source import Batch, GuidCells

_MAX_STATUSES = 256
"""A status is stored as one byte; a lookup with more of them is no lookup, and its rest shares the last one."""


class Names:
    """Numbers distinct texts in the order in which they are met; NULL and blank texts are the empty name.

    Args:
        limit: texts met after so many distinct ones get the last number.

    Attributes:
        names: the text of each number.
        blank: the number of the empty name; -1 until it is met.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._numbers: dict[str | None, int] = {}
        self.names: list[str] = []
        self.blank = -1

    def codes(self, texts: Sequence[str | None]) -> npt.NDArray[np.int32]:
        """Return the number of each text."""
        known = self._numbers
        for text in texts:
            if text not in known:
                known[text] = self._number((text or "").strip())
        return np.fromiter((known[text] for text in texts), np.int32, len(texts))

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is not None and self.names[number] == name:
            return number
        if len(self.names) == self._limit:
            return len(self.names) - 1
        self.names.append(name)
        number = self._numbers[name] = len(self.names) - 1
        if not name:
            self.blank = number
        return number


class LookupRows:
    """The rows read so far."""

    def __init__(self, ids: GuidIds | TextIds) -> None:
        self._ids = ids
        self._olds: GrowingColumn[np.uint8] = GrowingColumn(np.uint8, 16)
        self._currents: GrowingColumn[np.uint8] = GrowingColumn(np.uint8, 16)
        self._has_current: GrowingColumn[np.bool_] = GrowingColumn(np.bool_)
        self._depths: GrowingColumn[np.int64] = GrowingColumn(np.int64)
        self._statuses: GrowingColumn[np.uint8] = GrowingColumn(np.uint8)
        self._names = Names(_MAX_STATUSES)
        self._skipped = 0

    @property
    def columns(self) -> tuple[GrowingColumn[Any], ...]:
        """The columns in which to make room."""
        return self._olds, self._currents, self._has_current, self._depths, self._statuses

    def add(self, batch: Batch) -> None:
        """Add a batch of (old, current, depth, status)."""
        olds = self._ids.stored(cast("GuidCells", batch[0]))
        currents = self._ids.stored(cast("GuidCells", batch[1]))
        statuses = self._names.codes(cast("Sequence[str | None]", batch[3]))
        has_current = np.ones(len(currents.column), np.bool_)
        has_current[list(currents.bad)] = False
        self._skipped += len(olds.bad)
        self._olds.append(olds.column, good_rows(olds))
        self._currents.append(currents.column, good_rows(olds))
        self._has_current.append(has_current, good_rows(olds))
        self._depths.append(cast("npt.NDArray[np.int64]", batch[2]), good_rows(olds))
        self._statuses.append(statuses.astype(np.uint8), good_rows(olds))

    def lookup(self) -> StoredLookup:
        """Return all rows; the object is empty afterwards."""
        return StoredLookup(
            self._olds.finish(),
            self._currents.finish(),
            self._has_current.finish(),
            self._depths.finish(),
            self._statuses.finish(),
            self._names.names,
            self._skipped,
        )
