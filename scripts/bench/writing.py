"""Writing a whole lookup into a new table with a primary key: MergeGuard beside the fastest writers.

    python scripts/bench/writing.py [--rows 1000000] [--rounds 5] [--database sqlite|postgresql]

Each way runs in a process of its own and writes twice, the table dropped between: the second time counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from databases import answer_of, drop_lookup
from lookups import MERGEGUARD, WAYS, Content
from make_table import mixed
from measure import PeakMemory, answer, postgresql, print_machine, print_ratios, rounds, run, script


def one(database: str, way: str, url: str, folder: Path) -> None:
    write = WAYS[database][way]
    # The tables' own columns are read from the database by name, so an empty one of the merges stands there.
    content = Content(np.load(folder / "old.npy"), np.load(folder / "new.npy"))
    small = Content(*mixed(1000, 3))
    drop_lookup(url)
    write(url, small)
    drop_lookup(url)
    with PeakMemory() as peak:
        start = time.perf_counter()
        write(url, content)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak_mb": peak.mb, "answer": answer_of(url)}))


def measure(database: str, url: str, folder: Path, rows: int, times: int) -> None:
    ways = [way for way in WAYS[database] if "ADBC" not in way or importlib.util.find_spec("adbc_driver_sqlite")]
    answers, peaks = set(), dict.fromkeys(ways, 0.0)

    def measured(way: str) -> float:
        said = answer(script("writing.py", "--one", way, "--database", database, "--url", url, "--folder", folder))
        answers.add(said["answer"])
        peaks[way] = max(peaks[way], said["peak_mb"])
        return float(said["seconds"])

    figures = rounds(times, {way: lambda way=way: measured(way) for way in ways})  # type: ignore[misc]
    fastest = min((way for way in ways if way not in MERGEGUARD), key=lambda way: statistics.median(figures[way]))
    extra = {way: f"peak {peak:,.0f} MB" for way, peak in peaks.items()}
    print_ratios(f"Writing a lookup of {rows:,} rows into {database}", figures, fastest, extra)
    print(f"  all wrote the same: {'yes' if len(answers) == 1 else 'NO'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure writing.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", choices=tuple(WAYS))
    for hidden in ("--one", "--url"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.database, asked.one, asked.url, asked.folder)
        return
    print_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(script("make_table.py", "--rows", asked.rows, "--arrays", folder))
        if asked.database != "postgresql":
            run(script("make_table.py", "--rows", 1000, "--sqlite", folder / "merges.db"))
            measure("sqlite", f"sqlite:///{folder}/merges.db", folder, asked.rows, asked.rounds)
        if asked.database != "sqlite":
            with postgresql() as url:
                run(script("make_table.py", "--rows", 1000, "--postgresql", url))
                measure("postgresql", url, folder, asked.rows, asked.rounds)


if __name__ == "__main__":
    main()
