"""Columns that grow while a table is read: no second copy of what has been read already."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mergeguard.core.guids import Bools
from mergeguard.storage.source import BATCH_ROWS, Progress

Scalar = TypeVar("Scalar", bound=np.generic)


class GrowingColumn(Generic[Scalar]):
    """An array that is filled from batches.

    It grows by a quarter through the allocator's own ``realloc``, which moves pages and copies nothing for large
    arrays. Memory that was reserved and is not yet filled costs nothing on systems that commit on first touch.

    Args:
        dtype: of the elements.
        width: elements a row; 0 for a plain one-dimensional column.
    """

    def __init__(self, dtype: npt.DTypeLike, width: int = 0) -> None:
        self._shape = (width,) if width else ()
        self._values: npt.NDArray[Any] = np.empty((0, *self._shape), dtype)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def reserve(self, rows: int) -> None:
        """Make room for ``rows`` rows in all; a hint that is too low or too high does no harm."""
        if self._rows == 0 and rows > len(self._values):
            self._values = np.empty((rows, *self._shape), self._values.dtype)

    def append(self, values: npt.NDArray[Scalar], good: Bools | None = None) -> None:
        """Add the rows of a batch, or those of them that are ``good``."""
        if good is not None:
            values = values[good]
        end = self._rows + len(values)
        if end > len(self._values):
            self._resize(max(end, len(self._values) * 5 // 4, BATCH_ROWS))
        self._values[self._rows : end] = values
        self._rows = end

    def finish(self) -> npt.NDArray[Scalar]:
        """Return the filled column and give back unused room; the object is empty afterwards."""
        self._resize(self._rows)
        values = self._values
        self._values = np.empty((0, *self._shape), values.dtype)
        self._rows = 0
        return values

    def _resize(self, rows: int) -> None:
        # No view of the array ever leaves this object before finish(), so the reference check is not needed.
        self._values.resize((rows, *self._shape), refcheck=False)


class Expected:
    """A progress that passes on what it hears and remembers how many rows the source expects.

    Attributes:
        rows: the expected number of rows; ``None`` while unknown.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.rows: int | None = None

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Take note of ``total`` and pass all three on."""
        if total is not None:
            self.rows = total
        self._progress(phase, done, total)
