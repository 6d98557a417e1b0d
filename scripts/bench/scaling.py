"""Whether cost grows with the rows and no faster: the time at ten times the rows, and at a chain of a million.

    python scripts/bench/scaling.py [--rows 1000000] [--rounds 5] [--chain 1000000]

The analysis from arrays, of the mixed shape at ROWS and 10 x ROWS rows, and of one chain against a mixed table of as
many rows. Each run is a process of its own.
"""
# ruff: noqa: PLC0415 - MergeGuard is imported where it is measured

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np
from make_table import Column, guids_of, mixed
from measure import CHECKOUT, PeakMemory, answer, print_machine, print_ratios, rounds, script


def chain(rows: int) -> tuple[Column, Column]:
    """Return one chain of all rows, in random order."""
    order = np.random.default_rng(1).permutation(rows)
    return guids_of(order, 1), guids_of(order + 1, 1)


def one(rows: int, shape: str) -> None:
    sys.path.insert(0, str(CHECKOUT))
    from mergeguard.core.facts import Facts
    from mergeguard.core.table import MergeTable
    from mergeguard.integrity.lookup import lookup_of

    lookup_of(Facts(MergeTable(*mixed(2000, 7))))
    table = MergeTable(*(chain(rows) if shape == "chain" else mixed(rows)))
    with PeakMemory() as peak:
        start = time.perf_counter()
        lookup = lookup_of(Facts(table))
        seconds = time.perf_counter() - start
    deepest = int(lookup.depths.max())
    print(json.dumps({"seconds": seconds, "peak_mb": peak.mb, "deepest": deepest}))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how cost grows.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chain", type=int, default=1_000_000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--shape", default="mixed", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.shape)
        return
    jobs = {
        f"mixed, {asked.rows:,} rows": (asked.rows, "mixed"),
        f"mixed, {10 * asked.rows:,} rows": (10 * asked.rows, "mixed"),
        f"one chain of {asked.chain:,} merges": (asked.chain, "chain"),
    }
    extra = {}

    def measured(name: str) -> float:
        rows, shape = jobs[name]
        said = answer(script("scaling.py", "--one", rows, "--shape", shape))
        extra[name] = f"peak {said['peak_mb']:,.0f} MB above the columns, deepest {said['deepest']:,}"
        return float(said["seconds"])

    figures = rounds(asked.rounds, {name: lambda name=name: measured(name) for name in jobs})  # type: ignore[misc]
    print_machine()
    print_ratios("Growth of the analysis", figures, f"mixed, {asked.rows:,} rows", extra)


if __name__ == "__main__":
    main()
