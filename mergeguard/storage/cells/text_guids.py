"""Reads guids out of one long run of text: the usual spelling all at once, the rest one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.storage.cells import database_cells
from mergeguard.storage.source import GuidCells

Places = npt.NDArray[np.intp]


def guids_at(
    text: npt.NDArray[np.uint8], starts: Places, ends: Places, values: Callable[[Places], Sequence[object]]
) -> GuidCells:
    """Read the cells ``text[starts[i]:ends[i]]`` as guids.

    Args:
        text: the characters as bytes.
        starts: where each cell begins.
        ends: where it ends.
        values: returns the values of the rows that are not 36 characters with hyphens, by row number.
    """
    usual = ends - starts == 36
    column = guids.empty(len(starts))
    if usual.any():
        windows = np.lib.stride_tricks.sliding_window_view(text, 36)
        parsed, good = guids.from_texts(windows[starts if usual.all() else starts[usual]])
        if good.all() and usual.all():
            return GuidCells(parsed)
        column[usual] = parsed
        usual[usual] = good
    rows = np.flatnonzero(~usual)
    others = database_cells.guid_cells(values(rows))
    column[rows] = others.column
    return GuidCells(column, {int(rows[place]): value for place, value in others.bad.items()})
