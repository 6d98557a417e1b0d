"""What the cells of an image say beside guids: texts and times, in the words of whichever database spelled them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from mergeguard.storage.cells import counted_times
from mergeguard.storage.cells.database_cells import as_text, times

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows


def text(rows: DatabaseRows, table: str, column: str, cell: str | None) -> str | None:
    """Return what a cell holds as text; ``None`` for NULL."""
    return None if cell is None else as_text(rows.value(rows.table(table), column, cell))


def time(rows: DatabaseRows, table: str, column: str, cell: str | None) -> dt.datetime | None:
    """Return the time that a cell holds, aware and in UTC; ``None`` for NULL and for what is no time."""
    said = text(rows, table, column, cell)
    if said is None:
        return None
    stamp: dt.datetime | None = times([said])[0].astype("datetime64[us]").item()
    return None if stamp is None else stamp.replace(tzinfo=dt.UTC)


def moment(rows: DatabaseRows, table: str, column: str, cell: str | None) -> dt.datetime | None:
    """Return the time that a cell holds, be it written or counted, aware and in UTC; ``None`` for what is no time."""
    said = text(rows, table, column, cell)
    return None if said is None else counted_times.moment(said)
