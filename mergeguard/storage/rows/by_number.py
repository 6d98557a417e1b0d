"""Rows by the numbers that find them: without an index on anything else, and so without reading a whole table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mergeguard.core.repair.plan import Image

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows


def numbered(rows: DatabaseRows, table: str, column: str, numbers: Sequence[int]) -> list[Image] | None:
    """Return the rows that have some numbers in a column; ``None`` where that is not what finds a row there.

    A number that no row has gives none.

    Raises:
        UnknownSchema: there is no such table.
    """
    stored = rows.table(table)
    if not rows.is_key(stored, column):
        return None
    found: list[Image] = []
    addresses = [(stored.numbered(number),) for number in numbers]
    with rows.source.translated(writing=rows.writing):
        for some in stored.batches(addresses):
            where, values = stored.at(some)
            found += rows.fetch(stored, stored.select(where), values)
    return found
