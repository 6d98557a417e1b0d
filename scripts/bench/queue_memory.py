"""How much memory `mergeguard serve` holds while it has nothing to do, and whether that grows with what went through.

    python scripts/bench/queue_memory.py [--events 1000000] [--database postgresql|sqlite] [--folder DIR]
        [--sources 50000] [--idle 5]

The real server takes events in and handles them with the plain handler, which parses each and stores a row. Another
process feeds it: it registers most of the events in the database by groups, and posts a tenth over HTTP, of which one
in a hundred is so large that it becomes a file. Sources are many, so that anything kept for each of them would be
seen, and /metrics is asked for all the while.

A figure is the server's resident memory (VmRSS; Linux), with what its libraries map. Python looks for garbage that
points to itself only when there is a quarter more of everything, so memory is a saw with teeth of some MB, and wants
some hundred thousand events to show whether it is flat. Growth is the slope of a line through the second half, in MB a
million events, with its standard error: 20 blocks of samples, each with its mean, stand for the samples, which are not
independent.
"""
# ruff: noqa: PLC0415 - the feeder's imports are not the server's

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from measure import mergeguard, postgresql, print_machine, script
from posting import served

if TYPE_CHECKING:
    from mergeguard.core.events import NewEvent

GOAL_MB = 120
BLOCKS = 20
EVERY = 0.2
AT_ONCE = 500
AHEAD = 10_000
CONNECTIONS = 64
PAUSE = 0.02
MOST_WAITING = 20_000
"""Events that the feeder lets wait; then it waits itself."""
SCRAPES = 25
"""Samples between two looks at /metrics."""


@dataclass(frozen=True)
class Sample:
    """One look at the server."""

    done: int
    mb: float
    children_mb: float
    seconds: float


class Counts:
    """The counters of the queue, read as cheaply as can be: ``EventStore.sizes`` looks for the oldest event as well."""

    def __init__(self, target: str) -> None:
        if target.startswith("postgresql"):
            import psycopg

            self._connection: Any = psycopg.connect(target.replace("+psycopg", "", 1), autocommit=True)
        else:
            self._connection = sqlite3.connect(target, timeout=60)

    def waiting(self) -> int:
        return self._sum("events")

    def done(self) -> int:
        return self._sum("done")

    def dead(self) -> int:
        return self._sum("dead")

    def _sum(self, column: str) -> int:
        return int(self._connection.execute(f"SELECT sum({column}) FROM mergeguard_queue").fetchone()[0])


# --- the feeder ---


@dataclass
class Fed:
    """How far the feeder's two threads are; neither runs far ahead of the other."""

    percent: int
    registered: int = 0
    posted: int = 0

    def may_register(self) -> bool:
        return self.registered * self.percent <= (self.posted + AHEAD) * (100 - self.percent)

    def may_post(self, number: int) -> bool:
        return number * (100 - self.percent) <= (self.registered + AHEAD) * self.percent


def feed(target: str, url: str, count: int, sources: int, percent: int) -> None:
    """Register events by groups, and post some percent of them at the same time, until there are so many."""
    from mergeguard.processor.demo_events import execution, inventory
    from mergeguard.storage.queue.opening import open_store

    store, draw, counts = open_store(target), random.Random(7), Counts(target)
    bodies = [inventory("PC-01").body, execution("PC-01", "program").body]
    posts, fed = count * percent // 100, Fed(percent)
    poster = threading.Thread(target=post, args=(url, bodies[0], posts, fed), daemon=True)
    poster.start()
    while fed.registered < count - posts:
        group = range(fed.registered, min(fed.registered + AT_ONCE, count - posts))
        store.register([_event(bodies[number % len(bodies)], draw.randrange(sources) + 1) for number in group])
        fed.registered = group.stop
        while counts.waiting() > MOST_WAITING or not fed.may_register():
            if not poster.is_alive() and fed.posted < posts:
                raise SystemExit("posting failed")
            time.sleep(PAUSE)
    poster.join()
    store.close()


def _event(body: bytes, key: int) -> NewEvent:
    from mergeguard.core.events import NewEvent, Queue

    return NewEvent(uuid.UUID(int=key << 64 | key), 0, Queue.FAST, len(body), body)


def post(url: str, body: bytes, count: int, fed: Fed) -> None:
    """Post events over some connections; each hundredth is large, and has one of its own."""
    import asyncio

    from posting import connection

    large = body.replace(b"<body>", b"<body><!--" + b"x" * 20_000 + b"-->")

    async def agent(left: Iterator[int]) -> None:
        while some := list(itertools.islice(left, 100)):
            while not fed.may_post(some[0]):  # noqa: ASYNC110 - a thread registers, and has no event of asyncio
                await asyncio.sleep(PAUSE)
            await connection(url, body, iter(some[1:]))
            await connection(url, large, iter(some[:1]))
            fed.posted += len(some)

    async def agents() -> None:
        left = iter(range(count))
        await asyncio.gather(*(agent(left) for _ in range(CONNECTIONS)))

    asyncio.run(agents())


# --- the server ---


def resident_mb(process: int, name: str = "VmRSS") -> float:
    """Return what a process holds, or held at most (``VmHWM``)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0


def children_mb(process: int) -> float:
    """Return what the children of a process hold together."""
    total = 0.0
    for task in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread or a child that has just ended
            total += sum(map(resident_mb, map(int, (task / "children").read_text().split())))
    return total


def scrape(url: str) -> None:
    where = urlsplit(url)
    with contextlib.closing(HTTPConnection(where.hostname or "", where.port, timeout=60)) as asked:
        asked.request("GET", "/metrics")
        asked.getresponse().read()


def watched(
    process: int, url: str, done: Callable[[], int], count: int, feeder: subprocess.Popen[bytes]
) -> list[Sample]:
    """Look at the server until all events are done, and print a line at each tenth."""
    begin = time.perf_counter()
    samples: list[Sample] = []
    last = Sample(0, 0, 0, 0)
    while not samples or samples[-1].done < count:
        if feeder.poll():
            raise SystemExit("the feeder failed")
        if len(samples) % SCRAPES == 0:
            scrape(url)
        now = Sample(done(), resident_mb(process), children_mb(process), time.perf_counter() - begin)
        samples.append(now)
        if now.done * 10 // count > last.done * 10 // count:
            rate = (now.done - last.done) / (now.seconds - last.seconds)
            print(f"  {now.done:>12,}{now.mb:>10.1f}{now.children_mb:>10.1f}{rate:>14,.0f}/s", flush=True)
            last = now
        time.sleep(EVERY)
    return samples


# --- the verdict ---


def growth(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return the slope of the second half's memory in MB a million events, and its standard error."""
    half = [sample for sample in samples if sample.done * 2 >= samples[-1].done]
    size = max(1, len(half) // BLOCKS)
    blocks = [half[at : at + size] for at in range(0, len(half), size)]
    done = [statistics.fmean(sample.done for sample in block) / 1e6 for block in blocks]
    held = [statistics.fmean(sample.mb for sample in block) for block in blocks]
    if len(blocks) < 3:
        return float("nan"), float("nan")
    slope, start = statistics.linear_regression(done, held)
    spread = sum((mb - start - slope * at) ** 2 for at, mb in zip(done, held, strict=True)) / (len(blocks) - 2)
    middle = statistics.fmean(done)
    return slope, (spread / sum((at - middle) ** 2 for at in done)) ** 0.5


def measure(target: str, folder: Path, given: argparse.Namespace) -> None:
    command = mergeguard("serve", target, "--port", "0", "--handler", "store")
    with served(command, folder) as (url, process):
        time.sleep(given.idle)
        idle = resident_mb(process)
        print(f"  idle: {idle:.1f} MB; the goal is under {GOAL_MB}")
        print(f"  {'events':>12}{'MB':>10}{'children':>10}{'rate':>16}", flush=True)
        numbers = (given.events, given.sources, given.posts)
        feeder = subprocess.Popen(script("queue_memory.py", "feed", target, url, *numbers))
        counts = Counts(target)
        samples = watched(process, url, counts.done, given.events, feeder)
        if feeder.wait():
            raise SystemExit("the feeder failed")
        dead = counts.dead()
        time.sleep(given.idle)
        after, peak = resident_mb(process), resident_mb(process, "VmHWM")
    half = statistics.fmean(sample.mb for sample in samples if sample.done * 2 >= given.events)
    print(f"  idle again: {after:.1f} MB; at most {peak:.1f} MB; {half:.1f} MB in the second half; {dead} events dead")
    slope, error = growth(samples)
    print(f"  growth in the second half: {slope:+.2f} MB a million events, standard error {error:.2f}")


def main() -> None:
    if sys.argv[1:2] == ["feed"]:
        target, url, *numbers = sys.argv[2:]
        feed(target, url, *map(int, numbers))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--sources", type=int, default=50_000)
    parser.add_argument("--posts", type=int, default=10, help="percent of the events that are posted over HTTP")
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--folder", type=Path, help="on a real disk")
    parser.add_argument("--idle", type=float, default=5, help="seconds of nothing to do, before and after")
    given = parser.parse_args()
    print_machine()
    print(f"\nmemory of the server on {given.database}, {given.events:,} events")
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder)))
        lite = given.database == "sqlite"
        measure(str(scratch / "queue.db") if lite else stack.enter_context(postgresql(durable=True)), scratch, given)


if __name__ == "__main__":
    main()
