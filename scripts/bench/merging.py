"""Safe merges beside the unchecked statements that write the same rows, one transaction a merge, as durably.

    python scripts/bench/merging.py [--rows 100000] [--merges 200] [--rounds 3] [--database sqlite|postgresql]

The unchecked way writes the merge's row, the lookup, the journal and takes out the live row through the bare driver, on
one connection, and looks at nothing. Then come the cost of one merge by the size of the class that it moves, and
``currents`` of as many guids as there are rows beside a bulk reading of the lookup.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from measure import CHECKOUT, answer, databases, print_machine, print_ratios, rounds, script

UNCHECKED, SAFE = "unchecked", "mergeguard"
LARGEST = 10
SIZES = (1, 10, 100, 1_000, 10_000, 100_000)
COLUMNS = {"sqlite": ("INTEGER PRIMARY KEY", "TEXT"), "postgresql": ("bigserial PRIMARY KEY", "uuid")}
NOW = {"sqlite": "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", "postgresql": "clock_timestamp()"}


@contextlib.contextmanager
def connected(url: str) -> Iterator[Any]:
    """Open a database with its bare driver, in autocommit mode."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as lite:
            yield lite
        return
    import psycopg

    plain = url.replace("+psycopg", "", 1)
    # Without prepared statements, as MergeGuard's own connections are: a pooler may stand between.
    with closing(psycopg.connect(plain, autocommit=True, prepare_threshold=None)) as connection:
        yield connection


def kind_of(url: str) -> str:
    return url.partition(":")[0].partition("+")[0]


def make(url: str, rows: int, classes: Sequence[int]) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Fill a database anew; return (a root with a class of the size, a root alone) for each size in ``classes``."""
    kind = kind_of(url)
    mark, (key, guid) = "?" if kind == "sqlite" else "%s", COLUMNS[kind]
    draw = random.Random(7)

    def new() -> uuid.UUID:
        return uuid.UUID(int=draw.getrandbits(128))

    pairs = [(new(), new()) for _ in classes]
    merges = [(new(), root) for (root, _), size in zip(pairs, classes, strict=True) for _ in range(size - 1)]
    others = [new() for _ in range(max(1, (rows - len(merges)) // 4))]
    merges += [(new(), draw.choice(others)) for _ in range(rows - len(merges))]
    live = [*(guid for pair in pairs for guid in pair), *others]
    with connected(url) as connection:
        cursor = connection.cursor()
        for table in ("ResourceMerge", "Alive", *(f"mergeguard_{name}" for name in OURS)):
            cursor.execute(f'DROP TABLE IF EXISTS "{table}"')
        cursor.execute(f'CREATE TABLE "ResourceMerge" ("Id" {key}, "OldGuid" {guid}, "NewGuid" {guid})')
        cursor.execute(f'CREATE TABLE "Alive" ("Guid" {guid} PRIMARY KEY)')
        cursor.execute("BEGIN")
        cursor.executemany(
            f'INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid") VALUES ({mark}, {mark})',
            [(str(old), str(now)) for old, now in merges],
        )
        cursor.executemany(f'INSERT INTO "Alive" VALUES ({mark})', [(str(one),) for one in live])
        cursor.execute("COMMIT")
        cursor.execute('CREATE INDEX "IX_OldGuid" ON "ResourceMerge" ("OldGuid")')
        cursor.execute('CREATE INDEX "IX_NewGuid" ON "ResourceMerge" ("NewGuid")')
    return pairs


OURS = ("lookup", "run", "step", "change", "root", "never", "request")


def profile_of() -> Any:  # noqa: ANN401 - imported where it is needed
    from mergeguard.storage.profile import Live, Merge, Profile

    return Profile(merge=Merge(row_id="Id"), live=Live("Alive", "Guid"))


@contextlib.contextmanager
def prepared(url: str) -> Iterator[Any]:
    """Build the lookup and make the journal and our own tables; yield what merges."""
    from mergeguard import api
    from mergeguard.resources.merge import open_merges
    from mergeguard.storage.source import Options
    from mergeguard.storage.targets import open_target

    api.build_lookup(url, profile_of())
    source = open_target(url, profile_of(), Options())
    try:
        with open_merges(source, profile_of()) as merges:
            yield merges
    finally:
        source.close()


def unchecked(cursor: Any, kind: str, old: str, new: str) -> None:  # noqa: ANN401 - either driver's
    """Write what a merge writes, and look at nothing."""
    mark = "?" if kind == "sqlite" else "%s"
    run = uuid.uuid4().hex
    image = json.dumps({"Id": "i:1", "OldGuid": f"t:{old}", "NewGuid": f"t:{new}"})
    many = lambda count: ", ".join([mark] * count)  # noqa: E731 - a shorthand of this function
    cursor.execute("BEGIN IMMEDIATE" if kind == "sqlite" else "BEGIN")
    cursor.execute(f'INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid") VALUES ({many(2)})', (old, new))
    cursor.execute(f'DELETE FROM "Alive" WHERE "Guid" = {mark}', (old,))
    cursor.execute(
        f"UPDATE mergeguard_lookup SET current_guid = {mark}, depth = depth + 1 WHERE current_guid = {mark}", (new, old)
    )
    cursor.execute(f"INSERT INTO mergeguard_lookup VALUES ({mark}, {mark}, 1, 'ok')", (old, new))
    cursor.execute(
        "INSERT INTO mergeguard_run (run_id, kind, who, tool_version, started, reason, finished) "
        f"VALUES ({many(4)}, {NOW[kind]}, {mark}, {NOW[kind]})",
        (run, "merge", "bench", "0", ""),
    )
    cursor.execute(
        "INSERT INTO mergeguard_step (run_id, step, component, kinds, members, confidence, why, guard_after, evidence, "
        f"happened, digest, survivor) VALUES ({many(9)}, {NOW[kind]}, {many(2)})",
        (run, 1, f"merge:{old}", '["merge"]', f'["{old}"]', "ordered", "x" * 100, f"[{image}]", "{}", "x" * 64, new),
    )
    cursor.executemany(
        f"INSERT INTO mergeguard_change (run_id, step, place, action, table_name, after_image) VALUES ({many(6)})",
        [(run, 1, 0, "merge", "ResourceMerge", image), (run, 1, 1, "remove", "Alive", f'{{"Guid": "t:{old}"}}')],
    )
    cursor.execute("COMMIT")


def one(way: str, url: str, rows: int, merges: int, profile_to: Path | None) -> None:
    """Time some merges of classes of up to ten guids, one way."""
    sys.path.insert(0, str(CHECKOUT))
    pairs = make(url, rows, [1 + number % LARGEST for number in range(merges + 10)])
    with prepared(url) as safe, connected(url) as connection:
        cursor = connection.cursor()

        def merge(old: uuid.UUID, new: uuid.UUID) -> None:
            if way == SAFE:
                safe.merge(old, new)
            else:
                unchecked(cursor, kind_of(url), str(old), str(new))

        for pair in pairs[:10]:
            merge(*pair)
        watch = cProfile.Profile() if profile_to else contextlib.nullcontext()
        start = time.perf_counter()
        with watch:
            for pair in pairs[10:]:
                merge(*pair)
        seconds = time.perf_counter() - start
    if profile_to:
        watch.dump_stats(profile_to)  # type: ignore[union-attr]
    print(json.dumps({"seconds": seconds}))


def sizes(url: str, rows: int) -> None:
    """Print what one merge costs by the size of the class that it moves."""
    pairs = make(url, max(rows, 2 * sum(SIZES)), [size for size in SIZES for _ in range(3)])
    print("\n  guids in the class     seconds of one merge")
    with prepared(url) as safe:
        for at, size in enumerate(SIZES):
            taken = []
            for pair in pairs[3 * at : 3 * at + 3]:
                start = time.perf_counter()
                safe.merge(*pair)
                taken.append(time.perf_counter() - start)
            print(f"  {size:>18,}     {min(taken):.4f}")


def bulk(url: str, rows: int) -> None:
    """Print what ``currents`` of as many guids as there are rows costs beside a bulk reading of the lookup."""
    import numpy as np

    from mergeguard import api
    from mergeguard.resources.current import currents
    from mergeguard.storage.assemble import stored_lookup
    from mergeguard.storage.source import Options
    from mergeguard.storage.targets import open_target

    make(url, rows, [1])
    api.build_lookup(url, profile_of())
    source = open_target(url, profile_of(), Options())
    with source.snapshot() as snapshot:
        stored = stored_lookup(snapshot, profile_of())
    if stored is None:
        raise SystemExit("the lookup was not built")
    asked = np.ascontiguousarray(stored.olds[np.random.default_rng(3).permutation(len(stored.olds))])

    def reading() -> float:
        start = time.perf_counter()
        with source.snapshot() as snapshot:
            stored_lookup(snapshot, profile_of())
        return time.perf_counter() - start

    def looking_up() -> float:
        start = time.perf_counter()
        found = currents(source, profile_of(), asked)
        seconds = time.perf_counter() - start
        if not found.has_current.all():
            raise SystemExit("currents gave wrong answers")
        return seconds

    figures = rounds(5, {"bulk reading of the lookup": reading, "currents": looking_up})
    extra = {name: f"{min(values):.2f} s" for name, values in figures.items()}
    print_ratios(f"currents of {len(asked):,} guids", figures, "bulk reading of the lookup", extra)
    source.close()


def measure(database: str, url: str, asked: argparse.Namespace) -> None:
    def measured(way: str) -> float:
        size = ("--rows", asked.rows, "--merges", asked.merges)
        return float(answer(script("merging.py", "--one", way, "--url", url, *size))["seconds"])

    def job(way: str) -> Callable[[], float]:
        return lambda: measured(way)

    figures = rounds(asked.rounds, {way: job(way) for way in (UNCHECKED, SAFE)})
    extra = {way: f"{1000 * min(times) / asked.merges:.2f} ms a merge" for way, times in figures.items()}
    title = f"{asked.merges:,} merges of classes of up to {LARGEST} guids among {asked.rows:,} rows in {database}"
    print_ratios(title, figures, UNCHECKED, extra)
    sys.path.insert(0, str(CHECKOUT))
    sizes(url, asked.rows)
    bulk(url, asked.bulk)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure merges.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--merges", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bulk", type=int, default=1_000_000, help="guids that currents is asked for")
    parser.add_argument("--database", choices=tuple(COLUMNS))
    parser.add_argument("--profile-to", type=Path, help="with --one: write cProfile's figures there")
    for hidden in ("--one", "--url"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.url, asked.rows, asked.merges, asked.profile_to)
        return
    print_machine()
    for name, url in databases(asked.database):
        measure(name, url, asked)


if __name__ == "__main__":
    main()
