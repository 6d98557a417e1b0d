"""The guids of many rows as a column: as ``DatabaseRows.guid`` reads each, without an object a cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mergeguard.core import guids
from mergeguard.core.guids import Bools, Guids
from mergeguard.storage.cells.ids import Deleted

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows


def guids_of(rows: DatabaseRows, table: str, column: str, cells: Sequence[str | None]) -> tuple[Guids, Bools]:
    """Read the guids that cells of images hold, and say which of them hold one; the others are zeros."""
    merge = rows.source.profile.merge
    stored = rows.table(table)
    if merge.ids == "text" or merge.byte_order == "sqlserver":
        found, good = np.zeros((len(cells), 16), np.uint8), np.zeros(len(cells), np.bool_)
    else:
        values = [None if cell is None else rows.value(stored, column, cell) for cell in cells]
        found, good = guids.parse_column(values)
        # What looks like a guid may mean that there is none.
        for packed in Deleted(merge.deleted_values).guids:
            good = good & (found != np.frombuffer(packed, np.uint8)).any(axis=1)
    return _one_by_one(rows, table, column, cells, found, good)


def _one_by_one(
    rows: DatabaseRows, table: str, column: str, cells: Sequence[str | None], found: Guids, good: Bools
) -> tuple[Guids, Bools]:
    """Read what is spelled in no usual way."""
    left = np.flatnonzero(~good).tolist()
    if left:
        found, good = found.copy(), good.copy()
    for at in left:
        guid = rows.guid(table, column, cells[at])
        if guid is not None:
            found[at] = np.frombuffer(guid.bytes, np.uint8)
            good[at] = True
        else:
            found[at] = 0
    return found, good
