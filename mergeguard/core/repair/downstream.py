"""The rows of some olds and of all that they lead to: no more rows than these say where they get to."""

from __future__ import annotations

import numpy as np

from mergeguard.core.facts import Facts
from mergeguard.core.index import Places, Rows
from mergeguard.core.join import Join
from mergeguard.core.repair.damage import SHORT
from mergeguard.core.table import MergeTable
from mergeguard.core.walk import mark


def downstream(facts: Facts, leads: Rows | Places) -> Facts:
    """Return the rows on all walks from some leads, without liveness; all facts where the walks are long.

    What the rows say of these olds is the same there, for no old's answer depends on rows that it does not lead to.
    """
    join = facts.join
    seen = mark(len(facts.table), leads)
    reached = np.flatnonzero(seen)
    for _ in range(SHORT):
        after = join.succ[_rows_of(join, reached)]
        reached = np.unique(after[after >= 0])
        reached = reached[~seen[reached]]
        if not len(reached):
            rows = np.flatnonzero(seen[join.lead])
            return Facts(MergeTable(facts.table.old[rows], facts.table.new[rows]))
        seen[reached] = True
    return facts


def _rows_of(join: Join, leads: Rows | Places) -> Places:
    """Return all rows of some leads."""
    further = join.repeated[np.isin(join.lead[join.repeated], leads)]
    return np.concatenate((leads.astype(np.int64), further.astype(np.int64)))
