"""Applying a plan beside a bare loop that does one UPDATE, one INSERT and a commit per component, as durably.

    python scripts/bench/applying.py [--rows 100000] [--components 1000] [--rounds 3] [--database sqlite|postgresql]

The merges are many plain ones and rings of 2 to 4 guids, with olds that lead into them. MergeGuard's time is that of
the whole call: the checks before, the steps, with the journal and a stored lookup, and the check at the end. On the
tests' own PostgreSQL fsync and synchronous_commit are switched on first.
"""
# ruff: noqa: PLC0415 - a driver is imported only where its database is asked for

from __future__ import annotations

import argparse
import contextlib
import cProfile
import json
import random
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from measure import CHECKOUT, answer, databases, print_machine, print_ratios, rounds, script

WAYS = ("bare loop", "mergeguard", "mergeguard, no lookup")
COLUMNS = {"sqlite": ("INTEGER PRIMARY KEY", "TEXT"), "postgresql": ("bigint PRIMARY KEY", "uuid")}


def merges(rows: int, components: int) -> Iterator[tuple[int, str, str, str]]:
    """Yield (id, old, new, time): the rings with what leads into them, then the rest; always the same."""
    draw = random.Random(11)
    number = 0

    def row(old: uuid.UUID, new: uuid.UUID) -> tuple[int, str, str, str]:
        nonlocal number
        number += 1
        return number, str(old), str(new), f"2024-01-{1 + number % 28:02d} {number // 3600 % 24:02d}:00:00"

    def guid() -> uuid.UUID:
        return uuid.UUID(int=draw.getrandbits(128))

    for _ in range(components):
        ring = [guid() for _ in range(draw.randint(2, 4))]
        yield from (row(guid(), draw.choice(ring)) for _ in range(draw.randint(0, 2)))
        yield from (row(old, new) for old, new in zip(ring, ring[1:] + ring[:1], strict=True))
    while number < rows:
        yield row(guid(), guid())


@contextlib.contextmanager
def connected(url: str) -> Iterator[Any]:
    """Open a database with its bare driver, in autocommit mode."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as lite:
            yield lite
        return
    import psycopg

    with closing(psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)) as connection:
        yield connection


def make(url: str, rows: int, components: int) -> None:
    """Fill a database anew."""
    kind = url.partition(":")[0].partition("+")[0]
    mark, (key, guid) = "?" if kind == "sqlite" else "%s", COLUMNS[kind]
    with connected(url) as connection:
        cursor = connection.cursor()
        for table in ("ResourceMerge", "mergeguard_lookup", "bare_journal", *(f"mergeguard_{n}" for n in JOURNAL)):
            cursor.execute(f'DROP TABLE IF EXISTS "{table}"')
        cursor.execute(
            f'CREATE TABLE "ResourceMerge" ("Id" {key}, "OldGuid" {guid}, "NewGuid" {guid}, "MergedAt" TEXT)'
        )
        cursor.execute('CREATE TABLE "bare_journal" ("Id" integer, "Image" text)')
        cursor.execute("BEGIN")
        cursor.executemany(
            f'INSERT INTO "ResourceMerge" VALUES ({mark},{mark},{mark},{mark})', merges(rows, components)
        )
        cursor.execute("COMMIT")
        cursor.execute('CREATE INDEX "IX_OldGuid" ON "ResourceMerge" ("OldGuid")')
        cursor.execute('CREATE INDEX "IX_NewGuid" ON "ResourceMerge" ("NewGuid")')


JOURNAL = ("run", "step", "change")


def bare(url: str, components: int) -> dict[str, float]:
    """One UPDATE, one INSERT and a commit for each component."""
    mark = "?" if url.startswith("sqlite") else "%s"
    with connected(url) as connection:
        cursor = connection.cursor()
        ids = [row[0] for row in cursor.execute('SELECT "Id" FROM "ResourceMerge" ORDER BY "Id"').fetchall()]
        step = len(ids) // components
        start = time.perf_counter()
        for number in range(components):
            cursor.execute("BEGIN IMMEDIATE" if mark == "?" else "BEGIN")
            cursor.execute(
                f'UPDATE "ResourceMerge" SET "MergedAt" = {mark} WHERE "Id" = {mark}', ("x", ids[number * step])
            )
            cursor.execute(f'INSERT INTO "bare_journal" VALUES ({mark}, {mark})', (number, "x" * 200))
            cursor.execute("COMMIT")
        return {"seconds": time.perf_counter() - start}


def repaired(url: str, components: int, *, lookup: bool, profile_to: Path | None) -> dict[str, float]:
    """Plan the repair, then time its application."""
    from mergeguard import api
    from mergeguard.storage.profile import Merge, Profile

    profile = Profile(merge=Merge(row_id="Id"))
    if lookup:
        api.build_lookup(url, profile)
    plan = api.plan(url, profile)
    if len(plan.steps) != components:
        raise SystemExit(f"{len(plan.steps)} steps for {components} components")
    watch = cProfile.Profile() if profile_to else contextlib.nullcontext()
    start, busy = time.perf_counter(), time.process_time()
    with watch:
        done = api.apply(plan, url)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    if profile_to:
        watch.dump_stats(profile_to)  # type: ignore[union-attr]
    return {"seconds": seconds, "busy": busy, "p50": done.locked_at(0.5), "p99": done.locked_at(0.99)}


def one(way: str, url: str, rows: int, components: int, profile_to: Path | None) -> None:
    sys.path.insert(0, str(CHECKOUT))
    from mergeguard.cli import process

    make(url, rows, components)
    with process.tuned():  # as every command is, the bare loop for once as well
        if way == "bare loop":
            said = bare(url, components)
        else:
            said = repaired(url, components, lookup=way == "mergeguard", profile_to=profile_to)
    print(json.dumps(said))


def measure(database: str, url: str, asked: argparse.Namespace) -> None:
    said: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}

    def measured(way: str) -> float:
        size = ("--rows", asked.rows, "--components", asked.components)
        said[way].append(answer(script("applying.py", "--one", way, "--url", url, *size)))
        return said[way][-1]["seconds"]

    def job(way: str) -> Callable[[], float]:
        return lambda: measured(way)

    figures = rounds(asked.rounds, {way: job(way) for way in WAYS})
    extra = {}
    for way, runs in said.items():
        rate = asked.components / min(run["seconds"] for run in runs)
        locked = (f"{1000 * min(run[share] for run in runs):.1f} ms" for share in ("p50", "p99") if share in runs[0])
        extra[way] = (
            f"{rate:,.0f} a second; wait and lock {' p50, '.join(locked)} p99"
            if "p50" in runs[0]
            else f"{rate:,.0f} a second"
        )
    print_ratios(
        f"Applying {asked.components:,} components to {asked.rows:,} rows in {database}", figures, WAYS[0], extra
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the application of plans.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--components", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=tuple(COLUMNS))
    parser.add_argument("--profile-to", type=Path, help="with --one: write cProfile's figures there")
    for hidden in ("--one", "--url"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.url, asked.rows, asked.components, asked.profile_to)
        return
    print_machine()
    for name, url in databases(asked.database):
        measure(name, url, asked)


if __name__ == "__main__":
    main()
