"""The whole processor on PostgreSQL: threads, claims, handlers, retries, renewals and sweeps, beside the bare loop.

    python scripts/bench/processing.py [--events 20000] [--sources 500] [--workers 4] [--rounds 3]

Work, bare loop and checks are those of ``queueing.py``; here each process runs ``run_workers`` as ``mergeguard serve``
does, with one thread. What differs from row to row is how the handler writes its one row, and whether events fail or
take their time. With failures too, every event must have its effect once and in its place in line. ``slow`` handlers
take 5 ms each: the ideal is 200 events a second and process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from measure import CHECKOUT, HERE, postgresql, print_machine
from queueing_work import Amount, check, compare, connected, fill, go, processed, said

PATIENCE = 300
LOOK = 0.005


def worked(url: str, way: str, amount: Amount, count: int) -> float:
    """Return the events a second of processes that run until none is left."""
    keys = amount.keys(count)
    fill(url, keys)
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            subprocess.Popen(
                [sys.executable, str(HERE / "processing_worker.py"), way, url, folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={"PYTHONPATH": str(CHECKOUT)},
            )
            for _ in range(amount.workers)
        ]
        try:
            seconds = _timed(url, workers)
            check(url, way, keys)
            return count / seconds
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.communicate()


def _timed(url: str, workers: list[subprocess.Popen[str]]) -> float:
    for worker in workers:
        if said(worker) != "ready":
            raise SystemExit("a process of workers did not start")
    begin = time.perf_counter()
    for worker in workers:
        go(worker)
    with connected(url) as connection:
        while (connection.execute("SELECT sum(events) FROM mergeguard_queue").fetchone() or (0,))[0]:
            if time.perf_counter() - begin > PATIENCE:
                raise SystemExit(f"not done after {PATIENCE} seconds")
            time.sleep(LOOK)
        return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, number in {"events": 20_000, "sources": 500, "workers": 4, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    amount = Amount(given.events, given.sources, given.workers, 0)
    print_machine()
    with postgresql(durable=True) as url:
        ways: dict[str, Callable[[], float]] = {
            "bare loop, claim by chain": lambda: processed(url, "bare", amount, amount.events),
            "processor, unit of work": lambda: worked(url, "add", amount, amount.events),
            "processor, 1% fail their first try": lambda: worked(url, "fails", amount, amount.events),
            "processor, the driver's cursor": lambda: worked(url, "driver", amount, amount.events),
            "processor, SQLAlchemy": lambda: worked(url, "sqlalchemy", amount, amount.events),
        }
        compare(f"processing {amount.events:,} events, {amount.workers} processes", given.rounds, ways)
        slow = amount.events // 5
        rate = worked(url, "slow", amount, slow)
        print(f"\n{slow:,} events of 5 ms: {rate:,.0f}/s, {rate / (amount.workers * 200):.2f} of the ideal")


if __name__ == "__main__":
    main()
