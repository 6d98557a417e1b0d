"""Which of some rows are newer, by what a column of times holds: times, or numbers of which the greater is the newer.

Or by a column of whole numbers that were given in order, as those of registered events are.

Only the order counts, so that seconds, milliseconds and ticks are all as good. What has no order is refused: a guess
might keep the older datum and say nothing.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from mergeguard.errors import MergeRefused
from mergeguard.storage.cells import row_cells

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows

_FIRST = dt.datetime.min.replace(tzinfo=dt.UTC)
_WHOLE = re.compile(r"\s*[+-]?\d{1,38}\s*")
_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\s*")


def orders(rows: DatabaseRows, table: str, column: str, cells: Sequence[str | None]) -> list[int | None]:
    """Return the numbers that some cells hold; ``None`` for NULL.

    Raises:
        MergeRefused: one is no whole number.
    """
    texts = [row_cells.text(rows, table, column, cell) for cell in cells]
    for text in texts:
        if text is not None and not _WHOLE.fullmatch(text):
            raise MergeRefused(
                f"{table}.{column} holds {text[:40]!r}, so nobody can say which row is the newest",
                reason="unordered-time",
                hint="the column named as order in the profile must hold whole numbers",
            )
    return [None if text is None else int(text) for text in texts]


def ages(rows: DatabaseRows, table: str, column: str, cells: Sequence[str | None]) -> list[dt.datetime | None]:
    """Return a time for each cell, in the order of what the cells hold; ``None`` for NULL, which is older than all.

    Times are themselves; numbers become times of the same order, which mean nothing but that order.

    Raises:
        MergeRefused: one is neither a time nor a number, or there are both.
    """
    texts = [row_cells.text(rows, table, column, cell) for cell in cells]
    said = [text for text in texts if text is not None]
    if said and all(_NUMBER.fullmatch(text) for text in said):
        numbers = {text: Decimal(text) for text in said}
        ranks = {number: place for place, number in enumerate(sorted(set(numbers.values())), 1)}
        return [None if text is None else _FIRST + dt.timedelta(microseconds=ranks[numbers[text]]) for text in texts]
    found = [row_cells.time(rows, table, column, cell) for cell in cells]
    for text, time in zip(texts, found, strict=True):
        if text is not None and (time is None or _NUMBER.fullmatch(text)):
            raise MergeRefused(
                f"{table}.{column} holds {text[:40]!r} beside others, so nobody can say which row is the newest",
                reason="unordered-time",
                hint="the column named as time in the profile must hold times, or numbers alone",
            )
    return found
