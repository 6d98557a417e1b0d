"""Find which row's old each new is: the join that everything else stands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mergeguard.core.index import GuidIndex, Rows
from mergeguard.core.table import MergeTable


@dataclass(frozen=True, slots=True)
class Join:
    """Row numbers for guids.

    ``lead[r]`` is the first row with the same old as row ``r``; the leads stand for the olds. ``succ[r]`` is the lead
    of row ``r``'s new, or -1 where the new is no old. Both have one entry a row.
    """

    lead: Rows
    succ: Rows
    repeated: Rows
    """The rows that are not their own lead, ascending: all rows beyond the first of one old."""
    olds: GuidIndex
    """Finds the lead of any guid."""


def join(table: MergeTable) -> Join:
    """Match the olds of a table with each other and with its news.

    Raises:
        ValueError: more than 2**31 - 1 rows.
    """
    olds = GuidIndex(table.old)
    repeated = np.flatnonzero(olds.lead != np.arange(len(table), dtype=np.int32)).astype(np.int32)
    return Join(olds.lead, olds.find(table.new), repeated, olds)
