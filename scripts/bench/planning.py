"""A plan over the scan of the same table: process start to exit, nothing but the plan is written.

    python scripts/bench/planning.py [--rows 1000000] [--damaged 1000] [--rounds 3] [--database sqlite|postgresql]

The mixed shape with 1,000 damaged components, half of them cycles. The rows have ids, which are an order; of each cycle
one guid is live, and all ends. Both with and without an index on the olds: without one each look at some rows is a look
at all of them. `--profile` shows where a plan's time goes.
"""
# ruff: noqa: PLC0415 - a driver is imported only where its database is asked for

from __future__ import annotations

import argparse
import cProfile
import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from measure import PROFILE, Run, answer, mergeguard, postgresql, print_machine, print_ratios, rounds, run, script

FLAGS = (*PROFILE, "--id-column", "Id", "--live", "Alive:Guid")
INDEX = 'CREATE INDEX "OldGuidIndex" ON "ResourceMerge" ("OldGuid")'


def make(url: str, rows: int, damaged: int) -> None:
    """Fill a database anew."""
    from make_table import mixed

    old, new = mixed(rows, damaged=damaged)
    live = set(new.view("V16").ravel().tolist()) - set(old.view("V16").ravel().tolist()) | set(on_rings(old, new))
    if url.startswith("sqlite"):
        to_sqlite(Path(url.removeprefix("sqlite:///")), old, new, live)
    else:
        to_postgresql(url, old, new, live)
    print(json.dumps({}))


def on_rings(old: Any, new: Any) -> list[bytes]:  # noqa: ANN401 - columns of NumPy, which is imported where it is needed
    """Return one guid of each cycle."""
    from mergeguard.core.facts import Facts
    from mergeguard.core.table import MergeTable

    facts = Facts(MergeTable(old, new))
    return [facts.table.old[ring.members[0]].tobytes() for ring in facts.raw.rings]


def to_sqlite(path: Path, old: Any, new: Any, live: set[bytes]) -> None:  # noqa: ANN401 - as above
    from make_table import pairs

    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute('CREATE TABLE "ResourceMerge" ("Id" INTEGER PRIMARY KEY, "OldGuid" BLOB, "NewGuid" BLOB)')
        connection.executemany('INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid") VALUES (?, ?)', pairs(old, new))
        connection.execute('CREATE TABLE "Alive" ("Guid" BLOB PRIMARY KEY) WITHOUT ROWID')
        connection.executemany('INSERT INTO "Alive" VALUES (?)', ((guid,) for guid in sorted(live)))


def to_postgresql(url: str, old: Any, new: Any, live: set[bytes]) -> None:  # noqa: ANN401 - as above
    import psycopg
    from make_table import to_postgresql as put

    put(url, old, new)
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(
            'ALTER TABLE "ResourceMerge" ADD COLUMN "Id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY'
        )
        connection.execute('DROP TABLE IF EXISTS "Alive"')
        connection.execute('CREATE TABLE "Alive" ("Guid" uuid PRIMARY KEY)')
        with connection.cursor().copy('COPY "Alive" FROM STDIN') as copy:
            for guid in sorted(live):
                copy.write_row([guid.hex()])
        connection.execute('VACUUM (ANALYZE) "ResourceMerge"')
        connection.execute('VACUUM (ANALYZE) "Alive"')


def with_index(url: str) -> None:
    """Put an index on the olds, as a table has that programs look guids up in."""
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(INDEX)
    engine.dispose()


def measure(url: str, title: str, times: int, damaged: int) -> None:
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"

        def scanned() -> float:
            runs["scan"] = run(mergeguard("scan", url, *FLAGS), codes=(0, 1))
            return runs["scan"].seconds

        def planned() -> float:
            runs["plan"] = run(mergeguard("plan", url, *FLAGS, "--out", plan, "--force"), codes=(0, 1))
            return runs["plan"].seconds

        jobs: dict[str, Callable[[], float]] = {"scan": scanned, "plan": planned}
        figures = rounds(times, jobs)
        made = json.loads(plan.read_text())
    decided = f"{len(made['steps'])} steps, {len(made['refused'])} refused of {damaged} planted"
    extra = {name: f"peak {one.peak_mb:,.0f} MB" for name, one in runs.items()}
    print_ratios(f"Plan over scan, {title}", figures, "scan", {**extra, "plan": f"{extra['plan']}; {decided}"})


def show_profile(url: str) -> None:
    """Print where the time of one plan goes."""
    from mergeguard import api
    from mergeguard.integrity.profiles import Overrides, choose_profile

    wanted = Overrides(row_id="Id", live="Alive:Guid")
    profile = choose_profile(url, PROFILE[1], wanted)
    profiler = cProfile.Profile()
    profiler.runcall(api.plan, url, profile)
    profiler.print_stats("cumulative")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a plan against the scan of the same table.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--damaged", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--profile", action="store_true", help="show where the time of a plan on SQLite goes")
    parser.add_argument("--make", metavar="URL", help="only fill this database; used by the script itself")
    asked = parser.parse_args()
    if asked.make:
        make(asked.make, asked.rows, asked.damaged)
        return
    print_machine()
    databases = ["sqlite"] if asked.profile else asked.database or ["sqlite", "postgresql"]
    with (
        tempfile.TemporaryDirectory() as folder,
        postgresql() if "postgresql" in databases else tempfile.TemporaryDirectory() as server,
    ):
        for kind in databases:
            url = f"sqlite:///{folder}/merges.db" if kind == "sqlite" else server
            answer(script("planning.py", "--rows", asked.rows, "--damaged", asked.damaged, "--make", url))
            if asked.profile:
                with_index(url)
                show_profile(url)
                return
            measure(url, f"{kind}, {asked.rows:,} rows, no index", asked.rounds, asked.damaged)
            with_index(url)
            measure(url, f"{kind}, {asked.rows:,} rows, olds indexed", asked.rounds, asked.damaged)


if __name__ == "__main__":
    main()
