"""Imports of basic inventories on PostgreSQL beside an ORM importer that does the same work, and unchanged ones.

    python scripts/bench/importing.py [--events 400] [--rounds 5]

An event holds 1 resource, 4 keys, 6 data classes with 40 rows, two of them with foreign keys, and 3 associations. All
ways run in the same processor: the events of a round are registered, then one worker takes them to the end. The peers
write through SQLAlchemy's ORM with one flush an event (see importing_peer.py); one of them deletes rows in bulk. A
round changes the data of every class; then the same inventories come once more, unchanged. A server remembers what it
read before; *read anew* is one that does not, as after a restart or with more computers than it keeps in mind.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import CHECKOUT, HERE, postgresql, print_machine, print_ratios, rounds

OURS, ORM, BULK = "importer", "ORM, one flush an event", "ORM, rows deleted in bulk"
UNCHANGED = "importer, unchanged"
READ_ANEW = "importer, unchanged, read anew"
WAYS = {OURS: "importer", READ_ANEW: "importer-forgets", ORM: "orm", BULK: "orm-bulk"}


class Worker:
    """A process that imports on demand, so that nothing is imported or connected while the clock runs."""

    def __init__(self, way: str, url: str, folder: str, computers: range) -> None:
        numbers = [str(computers.start), str(len(computers))]
        command = [sys.executable, str(HERE / "importing_worker.py"), way, url, folder, *numbers]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(CHECKOUT)}
        )
        self.turn = 0
        self._said()

    def work(self, *, changed: bool) -> float:
        """Return the seconds for one inventory of each computer."""
        self.turn += changed
        if self._process.stdin is not None:
            self._process.stdin.write(f"{self.turn}\n")
            self._process.stdin.flush()
        return float(json.loads(self._said())["seconds"])

    def end(self) -> None:
        self._process.communicate()

    def _said(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit("a worker of the benchmark ended")
        return line


def measure(url: str, events: int, times: int, folder: str) -> None:
    # Each way has computers of its own, or what is unchanged for one would have been changed by another.
    ways = enumerate(WAYS.items())
    workers = {name: Worker(way, url, folder, range(at * events, (at + 1) * events)) for at, (name, way) in ways}
    for worker in workers.values():
        worker.work(changed=True)

    def job(name: str, *, changed: bool) -> Callable[[], float]:
        return lambda: workers[name].work(changed=changed)

    jobs = {name: job(name, changed=name != READ_ANEW) for name in WAYS} | {UNCHANGED: job(OURS, changed=False)}
    figures = rounds(times, jobs)
    for worker in workers.values():
        worker.end()
    each = {name: f"{1000 * min(values) / events:.2f} ms an event" for name, values in figures.items()}
    print_ratios(f"{events:,} basic inventories", figures, OURS, each)
    ours = {name: figures[name] for name in (UNCHANGED, READ_ANEW, OURS)}
    print_ratios("What changes, over what does not", ours, UNCHANGED, {})


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure imports.")
    parser.add_argument("--events", type=int, default=400, help="computers; each sends one event a round")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print_machine()
    with postgresql(durable=True) as url, tempfile.TemporaryDirectory() as folder:
        prepared = [sys.executable, str(HERE / "importing_worker.py"), "prepare", url, folder, "0", "0"]
        subprocess.run(prepared, check=True, env={"PYTHONPATH": str(CHECKOUT)})
        measure(url, asked.events, asked.rounds, str(Path(folder)))


if __name__ == "__main__":
    main()
