"""From two columns in memory to the answer: cycles with their members, conflicts, depth and current guid of every row.

    python scripts/bench/analysis.py [--rows 1000000] [--rounds 3]

Every way runs in a process of its own, warmed up on a small table; imports, reading and compilation are not counted.
"""
# ruff: noqa: PLC0415 - each way imports only what it needs

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from make_table import Column, mixed, pairs, to_arrays
from measure import CHECKOUT, PeakMemory, answer, print_machine, print_ratios, rounds, script

WAYS = ("mergeguard", "numba", "dictionary", "networkx")


def mergeguard(old: Column, new: Column) -> tuple[Any, ...]:
    from mergeguard.core.facts import Facts
    from mergeguard.core.table import MergeTable
    from mergeguard.integrity.lookup import lookup_of

    facts = Facts(MergeTable(old, new))
    lookup = lookup_of(facts)
    return lookup, [ring.members for ring in facts.closure.rings], facts.closure.branches


def job(way: str) -> Callable[[Column, Column], object]:
    sys.path.insert(0, str(CHECKOUT))
    import peers

    if way == "mergeguard":
        return mergeguard
    if way == "numba":
        pipeline: Callable[[Column, Column], object] = peers.numba_pipeline()
        return pipeline
    walk = peers.with_networkx if way == "networkx" else peers.with_dictionary
    return lambda old, new: walk(pairs(old, new))


def rows_of(result: object) -> Iterable[tuple[bytes, bytes | None, int | None, str]]:
    """Bring an answer to (old, current, depth, status), to see that all ways agree."""
    if isinstance(result, dict):
        return ((old, *rest) for old, rest in result.items())
    from mergeguard.core.closure import STATUS_TEXTS

    lookup = result[0]  # type: ignore[index]
    columns = (
        pairs(lookup.olds, lookup.currents),
        lookup.has_current.tolist(),
        lookup.depths.tolist(),
        lookup.statuses,
    )
    return (
        (old, current if has else None, depth if has else None, STATUS_TEXTS[status])
        for (old, current), has, depth, status in zip(*columns, strict=True)
    )


def digest(result: object) -> str:
    whole = 0
    for row in rows_of(result):
        whole ^= int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=8).digest())
    return f"{whole:016x}"


def one(way: str, folder: Path) -> None:
    work = job(way)
    work(*mixed(2000, 7))
    old, new = np.load(folder / "old.npy"), np.load(folder / "new.npy")
    with PeakMemory() as peak:
        start = time.perf_counter()
        result = work(old, new)
        seconds = time.perf_counter() - start
    checked = "" if way == "numba" else digest(result)
    print(json.dumps({"seconds": seconds, "peak_mb": peak.mb, "digest": checked}))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the analysis.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", action="append", default=[], choices=WAYS)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.folder)
        return
    ways = [way for way in WAYS if way not in asked.without and (way != "numba" or importlib.util.find_spec("numba"))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        to_arrays(folder, *mixed(asked.rows))
        said: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}

        def measured(way: str) -> float:
            said[way].append(answer(script("analysis.py", "--one", way, "--folder", folder)))
            return float(said[way][-1]["seconds"])

        figures = rounds(asked.rounds, {way: lambda way=way: measured(way) for way in ways})
    print_machine()
    extra = {way: f"peak {max(run['peak_mb'] for run in runs):,.0f} MB above the columns" for way, runs in said.items()}
    print_ratios(f"Analysis of {asked.rows:,} rows", figures, "mergeguard", extra)
    if "numba" not in ways:
        print("  numba is not installed here: pip install numba to see the fastest pipeline beside it")
    answers = {run["digest"] for runs in said.values() for run in runs} - {""}
    print(f"  the same answer from all but numba, which ignores conflicts: {'yes' if len(answers) == 1 else 'NO'}")


if __name__ == "__main__":
    main()
