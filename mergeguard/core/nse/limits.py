"""How much one message may hold: what a reader gives up at, before memory does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_COLUMNS: Final = 1024
"""Cells of one row, c0 to c1023: as many as SQL Server gives a table."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still read; one more is refused, with its line."""

    size: int = 256 * 1024 * 1024
    """Bytes of the body, decompressed."""
    depth: int = 100
    """Elements that may stand in each other."""
    attributes: int = MOST_COLUMNS
    """Attributes of one element; a row has one a cell."""
    rows: int = 100_000
    """Rows of all data classes together."""
    gaps: int = 10_000_000
    """Cells that rows leave out before others, all together."""
    parts: int = 100_000
    """Resources, keys, associations and blocks of rows together."""


DEFAULT: Final = Limits()
