"""Process start to exit: read the merges of a database, work out the lookup, write it.

    python scripts/bench/end_to_end.py [--rows 1000000] [--rounds 3] [--database sqlite|postgresql]

`mergeguard lookup build` (with and without the fast drivers), a networkx script and a dictionary walk, both peers
SQLAlchemy Core in and out, and a dictionary walk with the driver's own executemany. All write the same table anew. Also
`mergeguard scan --format sarif`, for its memory; more than 20% of the rows are chain rows. The processor time is that
of the process alone, without the server's: on a machine that has other things to do it says more than the clock.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from databases import answer_of, drop_lookup
from measure import PROFILE, Run, mergeguard, postgresql, print_machine, print_ratios, rounds, run, script

WAYS: dict[str, Callable[[str], Sequence[str]]] = {
    "mergeguard": lambda url: mergeguard("lookup", "build", url, *PROFILE, "--fast"),
    "mergeguard without fast drivers": lambda url: mergeguard("lookup", "build", url, *PROFILE, "--no-fast"),
    "dictionary, driver's executemany": lambda url: script("peer_end_to_end.py", "driver", url),
    "dictionary, SQLAlchemy Core": lambda url: script("peer_end_to_end.py", "dictionary", url),
    "networkx, SQLAlchemy Core": lambda url: script("peer_end_to_end.py", "networkx", url),
    "networkx, nodes as bytes": lambda url: script("peer_end_to_end.py", "networkx-bytes", url),
}
SARIF = "mergeguard scan --format sarif"


def measure(url: str, rows: int, times: int, ways: Sequence[str], begin: Callable[[], None]) -> None:
    runs: dict[str, list[Run]] = {way: [] for way in (*ways, SARIF)}
    answers = set()

    def build(way: str) -> float:
        begin()
        runs[way].append(run(WAYS[way](url)))
        answers.add(answer_of(url))
        return runs[way][-1].seconds

    def scan() -> float:
        with tempfile.NamedTemporaryFile(suffix=".sarif") as report:
            command = mergeguard("scan", url, *PROFILE, "--format", "sarif", "--output", report.name)
            runs[SARIF].append(run(command, codes=(0, 1)))
        return runs[SARIF][-1].seconds

    jobs: dict[str, Callable[[], float]] = {way: lambda way=way: build(way) for way in ways}  # type: ignore[misc]
    figures = rounds(times, {**jobs, SARIF: scan})
    processor = {way: statistics.median(one.cpu for one in of) for way, of in runs.items()}
    peak = {way: max(one.peak_mb for one in of) for way, of in runs.items()}
    extra = {
        way: f"processor x {used / processor['mergeguard']:.1f}, peak {peak[way]:,.0f} MB"
        for way, used in processor.items()
    }
    print_ratios(f"End to end, {url.partition(':')[0]}, {rows:,} rows", figures, "mergeguard", extra)
    print(f"  all wrote the same lookup: {'yes' if len(answers) == 1 else 'NO'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure from process start to exit.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--without", action="append", default=[], help="leave out the ways whose name holds this")
    asked = parser.parse_args()
    ways = [way for way in WAYS if not any(word in way for word in asked.without)]
    from_postgresql = [way for way in ways if way != "networkx, nodes as bytes"]  # its driver gives UUIDs to all
    databases = asked.database or ["sqlite", "postgresql"]
    print_machine()
    if "sqlite" in databases:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "merges.db"
            run(script("make_table.py", "--rows", asked.rows, "--sqlite", path))
            made = shutil.copy(path, path.with_suffix(".made"))

            def again() -> None:
                """Begin with the file as it was made: where a lookup was dropped, the order of free pages counts."""
                shutil.copy(made, path)
                os.sync()

            measure(f"sqlite:///{path}", asked.rows, asked.rounds, ways, again)
    if "postgresql" in databases:
        with postgresql() as url:
            run(script("make_table.py", "--rows", asked.rows, "--postgresql", url))
            measure(url, asked.rows, asked.rounds, from_postgresql, lambda: drop_lookup(url))


if __name__ == "__main__":
    main()
