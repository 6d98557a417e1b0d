"""Merges beside imports for a long time: memory stays flat, and at no moment does a row stand on a dead guid.

    python scripts/bench/import_soak.py [--minutes 30] [--events 500000] [--computers 1000] [--importers 2]

On PostgreSQL. Processes of workers import inventories as a server does, one process merges computers into each other
all the time, and this one posts events: of guids that were merged away as well, a third of them unchanged. It ends
after so many minutes or events, whichever is first. Every 20 seconds all tables are asked, in one snapshot, whether a
rule is broken; at the end the merges are scanned and the lookup is verified. Exit status 1 where anything was found.
"""
# ruff: noqa: PLC0415 - what is heavy is imported by the process that needs it

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from importing_work import CLASSES, bodies, computer
from measure import CHECKOUT, postgresql, print_machine

LOOK = 20.0
DEPTH = 400
"""Events that wait at most: what is measured is the importers, not a growing queue."""
AT_ONCE = 50
WARM = 0.2
"""The part of the time after which memory is expected to grow no more."""
GROWS = 1.25
"""By so much at most, from then on to the end."""
REFERENCES = [
    ("ResourceKey", "ResourceGuid"),
    ("ResourceUpdateSummary", "ResourceGuid"),
    ("ResourceAssociation", "ParentResourceGuid"),
    ("ResourceAssociation", "ChildResourceGuid"),
    *((one.table, "_ResourceGuid") for one in CLASSES),
    *((one.table, column.name) for one in CLASSES for column in one.columns if column.resource),
]
_DEAD = """SELECT count(*) FROM "{0}" AS t JOIN "Item" AS i ON i."Guid" = t."{1}"
    WHERE NOT EXISTS (SELECT 1 FROM "ItemResource" AS r WHERE r."Guid" = t."{1}")"""
RULES = {
    **{f"live_refs {table}.{column}": _DEAD.format(table, column) for table, column in REFERENCES},
    "no_artifacts: links to oneself": """SELECT count(*) FROM "ResourceAssociation"
        WHERE "ParentResourceGuid" = "ChildResourceGuid" """,
    "no_artifacts: links twice": """SELECT count(*) FROM (SELECT 1 FROM "ResourceAssociation"
        GROUP BY "ResourceAssociationTypeGuid", "ParentResourceGuid", "ChildResourceGuid" HAVING count(*) > 1) AS t""",
    "one_resource: keys of two": """SELECT count(*) FROM (SELECT 1 FROM "ResourceKey"
        GROUP BY lower("KeyName"), lower("KeyValue") HAVING count(DISTINCT "ResourceGuid") > 1) AS t""",
    "forest: merged twice": """SELECT count(*) FROM (SELECT 1 FROM "ResourceMerge"
        GROUP BY "OldGuid" HAVING count(*) > 1) AS t""",
    "no_shadow": """SELECT count(*) FROM "ResourceMerge" AS m JOIN "ItemResource" AS r ON r."Guid" = m."OldGuid" """,
    "lookup": """SELECT count(*) FROM mergeguard_lookup AS l LEFT JOIN "ItemResource" AS r ON r."Guid" = l.current_guid
        WHERE l.status <> 'ok' OR r."Guid" IS NULL""",
    "dead events": "SELECT count(*) FROM mergeguard_dead_event",
    **{
        f"rows of {one.table} beside their summary": f"""SELECT count(*) FROM (
            SELECT s."RowCount" FROM "ResourceUpdateSummary" AS s
            LEFT JOIN "{one.table}" AS t ON t."_ResourceGuid" = s."ResourceGuid"
            WHERE s."InventoryClassGuid" = '{one.guid}' AND s."DataHash" IS NOT NULL
            GROUP BY s."ResourceGuid", s."RowCount" HAVING count(t."_id") <> s."RowCount") AS t"""
        for one in CLASSES
    },
}


# --- The other processes ---


def work(url: str, folder: str) -> None:
    """Import until SIGTERM."""
    from importing_work import importer

    from mergeguard.processor.running import run_workers
    from mergeguard.processor.settings import Settings
    from mergeguard.storage.queue.opening import open_store

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    none = {f"{queue}_threads": 0 for queue in ("priority", "normal", "slow", "large")}
    settings = Settings(event_queue_path=Path(folder), fast_threads=1, idle_milliseconds=5, **none)
    run_workers(open_store(url), lambda: settings, importer(url, settings), stop)


def merge(url: str, computers: int) -> None:
    """Merge computers into each other until SIGTERM; the last line says how many merges were made."""
    from importing_work import opened

    from mergeguard.errors import MergeGuardError, MergeRefused
    from mergeguard.resources.merge import open_merges

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    draw, made = random.Random(5), 0
    source, profile = opened(url)
    with closing(source), open_merges(source, profile) as merges:
        first = 0
        while not stop.wait(0.05):
            first += draw.random() < 0.2  # the fleet moves on: who was merged away is replaced by a new one
            old, new = (computer(first + draw.randrange(computers)) for _ in range(2))
            try:
                made += not merges.merge(old, new).already
            except MergeRefused:
                continue
            except MergeGuardError as error:
                if not error.retryable:
                    raise
    print(made, flush=True)


# --- This one ---


@dataclass
class Soak:
    """A run."""

    url: str
    processes: list[subprocess.Popen[str]]
    computers: int
    posted: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)
    _turns: dict[int, int] = field(default_factory=dict)
    _draw: random.Random = field(default_factory=lambda: random.Random(11))

    def post(self, store: Any, merged: int) -> None:  # noqa: ANN401 - an EventStore
        """Register events while few wait."""
        from mergeguard.core.events import NewEvent, Queue

        waiting = sum(size.events for size in store.sizes())
        while waiting < DEPTH:
            events = []
            for _ in range(AT_ONCE):
                number = merged // 5 + self._draw.randrange(self.computers)
                self._turns[number] = self._turns.get(number, 0) + (self._draw.random() > 1 / 3)
                ((source, body),) = bodies([number], self._turns[number])
                events.append(NewEvent(source, 0, Queue.FAST, len(body), body))
            store.register(events)
            self.posted += len(events)
            waiting += len(events)

    def look(self, connection: Any, began: float) -> int:  # noqa: ANN401 - a psycopg connection
        """Ask all rules in one snapshot; print a line; return how many merges there are."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            counts = {name: connection.execute(sql).fetchone()[0] for name, sql in RULES.items()}
            done = int(connection.execute("SELECT sum(done) FROM mergeguard_queue").fetchone()[0])
            merges = connection.execute('SELECT count(*) FROM "ResourceMerge"').fetchone()[0]
        wrong = {name: count for name, count in counts.items() if count}
        self.broken |= wrong
        self.memory.append(sum(_resident(process.pid) for process in self.processes))
        seconds = time.monotonic() - began
        print(
            f"{seconds:>6.0f} s  {done:>9,} events done  {done / seconds:>6,.0f}/s  {merges:>7,} merges  "
            f"{self.memory[-1]:>6.0f} MB  {wrong or 'no rule broken'}",
            flush=True,
        )
        return int(merges)

    def verdict(self) -> list[str]:
        """Say what is wrong."""
        found = [f"{name}: {count}" for name, count in self.broken.items()]
        warm = self.memory[max(1, int(len(self.memory) * WARM)) :]
        if len(warm) > 1 and warm[-1] > GROWS * warm[0]:
            found.append(f"memory grew from {warm[0]:.0f} to {warm[-1]:.0f} MB")
        return found


def _resident(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@contextmanager
def started(url: str, folder: str, asked: argparse.Namespace) -> Iterator[list[subprocess.Popen[str]]]:
    """Start the other processes; end them."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    ways = [("work", url, folder)] * asked.importers + [("merge", url, str(asked.computers))]
    commands = [[sys.executable, __file__, "--child", *way] for way in ways]
    children = [subprocess.Popen(each, env=environment, stdout=subprocess.PIPE, text=True) for each in commands]
    try:
        yield children
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.communicate(timeout=60)


def run(url: str, folder: str, asked: argparse.Namespace) -> list[str]:
    import psycopg
    from importing_work import opened, prepare

    from mergeguard import api
    from mergeguard.storage.queue.opening import open_store

    prepare(url, others=2000)
    store = open_store(url)
    (Path(folder) / "EvtQueue").mkdir(exist_ok=True)
    with started(url, folder, asked) as children, psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as sql:
        soak, began, merges, looked = Soak(url, children, asked.computers), time.monotonic(), 0, 0.0
        while time.monotonic() - began < 60 * asked.minutes and soak.posted < asked.events:
            soak.post(store, merges)
            if time.monotonic() - looked > LOOK:
                looked, merges = time.monotonic(), soak.look(sql, began)
            ended = [child.args for child in children if child.poll() is not None]
            if ended:
                return [f"a process ended: {ended}"]
            time.sleep(0.02)
        while sum(size.events for size in store.sizes()):
            time.sleep(0.1)
        soak.look(sql, began)
    found = soak.verdict()
    source, profile = opened(url)
    source.close()
    scanned = api.scan(url, profile)
    found += [f"{finding.rule}: {finding.message}" for finding in scanned.findings if finding.severity.value == "error"]
    return found


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        logging.disable(logging.CRITICAL)
        what, url, last = sys.argv[2:]
        if what == "work":
            work(url, last)
        else:
            merge(url, int(last))
        return
    parser = argparse.ArgumentParser(description="Merge beside imports for a long time.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--computers", type=int, default=1000)
    parser.add_argument("--importers", type=int, default=2)
    asked = parser.parse_args()
    print_machine()
    with postgresql() as url, tempfile.TemporaryDirectory() as folder:
        found = run(url, folder, asked)
    print("\n".join(found) or "no rule was broken, and memory stayed flat")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
