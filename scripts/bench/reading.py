"""Reading two guid columns of a database into memory, in one snapshot: MergeGuard beside the fastest readers.

    python scripts/bench/reading.py [--rows 1000000] [--rounds 5] [--database sqlite|postgresql]

Each way runs in a process of its own and reads twice: the second time counts, so that imports and a cold cache do not.
MergeGuard reads what a scan reads, which in SQLite is the row id as well.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path

import columns
import numpy as np
from measure import PeakMemory, answer, postgresql, print_machine, print_ratios, rounds, run, script


def one(database: str, way: str, url: str) -> None:
    read = columns.WAYS[database][way]
    read(url)
    with PeakMemory() as peak:
        start = time.perf_counter()
        old, new = read(url)
        seconds = time.perf_counter() - start
    both = np.ascontiguousarray(np.concatenate([old, new], axis=1)).view("V32").ravel()
    digest = hashlib.blake2b(np.sort(both.view("S32")).tobytes(), digest_size=8).hexdigest()
    print(json.dumps({"seconds": seconds, "peak_mb": peak.mb, "digest": digest}))


def measure(database: str, url: str, rows: int, times: int) -> None:
    ways = columns.installed(database)
    digests, peaks = set(), dict.fromkeys(ways, 0.0)

    def measured(way: str) -> float:
        said = answer(script("reading.py", "--one", way, "--database", database, "--url", url))
        digests.add(said["digest"])
        peaks[way] = max(peaks[way], said["peak_mb"])
        return float(said["seconds"])

    figures = rounds(times, {way: lambda way=way: measured(way) for way in ways})  # type: ignore[misc]
    peers = [way for way in ways if way not in columns.MERGEGUARD]
    fastest = min(peers, key=lambda way: statistics.median(figures[way]))
    extra = {way: f"peak {peak:,.0f} MB" for way, peak in peaks.items()}
    print_ratios(f"Reading from {database}, {rows:,} rows", figures, fastest, extra)
    print(f"  all read the same: {'yes' if len(digests) == 1 else 'NO'}")
    missing = [way for way in columns.WAYS[database] if way not in ways]
    if missing:
        print(f"  not installed here: {', '.join(missing)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure reading.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", choices=tuple(columns.WAYS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.database, asked.one, asked.url)
        return
    print_machine()
    if asked.database != "postgresql":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "merges.db"
            run(script("make_table.py", "--rows", asked.rows, "--sqlite", path))
            measure("sqlite", f"sqlite:///{path}", asked.rows, asked.rounds)
    if asked.database != "sqlite":
        with postgresql() as url:
            run(script("make_table.py", "--rows", asked.rows, "--postgresql", url))
            measure("postgresql", url, asked.rows, asked.rounds)


if __name__ == "__main__":
    main()
