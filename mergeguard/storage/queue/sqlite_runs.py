"""Which events of the claimed chains a worker gets: a fair share of each, and all of the budget."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]
"""Id, queue, size, time of registration, failed tries, body, file."""
_RUN = """
    SELECT id, queue, size, received, tries, body, file FROM mergeguard_event
    WHERE chain = ? AND id > ? ORDER BY id LIMIT ?
"""


def read(driver: sqlite3.Connection, chains: Sequence[int], queue: int, events: int) -> Sequence[list[Row]]:
    """Read the beginnings of chains: the same share of each, and what the short ones leave goes to the long ones.

    The first event of another queue ends a run: its chain is for the workers of that queue from there on.
    """
    runs: list[list[Row]] = []
    longer: list[tuple[int, list[Row]]] = []
    for at, chain in enumerate(chains):
        share = -(-events // (len(chains) - at))
        rows = driver.execute(_RUN, (chain, 0, share)).fetchall()
        run = list(takewhile(lambda row: row[1] == queue, rows))
        runs.append(run)
        events -= len(run)
        if len(run) == share:
            longer.append((chain, run))
    for chain, run in longer:
        if events <= 0:
            break
        rows = driver.execute(_RUN, (chain, run[-1][0], events)).fetchall()
        more = list(takewhile(lambda row: row[1] == queue, rows))
        run.extend(more)
        events -= len(more)
    return runs
