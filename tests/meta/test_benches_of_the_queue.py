"""The benchmarks of the queue: they import and run, their bare loops do the work, and wrong work is found out."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.events import Queue

CHECKOUT = Path(__file__).parents[2]
BENCH = CHECKOUT / "scripts" / "bench"
EVENTS = 40
KEYS = st.lists(st.integers(1, 4), max_size=30).map(lambda keys: [uuid.UUID(int=key << 64 | key) for key in keys])


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """Import a benchmark by its name, as its neighbours do."""
    sys.path.insert(0, str(BENCH))
    yield importlib.import_module
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def work(bench: Any) -> ModuleType:
    return bench("queueing_work")


def test_all_of_them_import() -> None:
    names = sorted(path.stem for path in BENCH.glob("*.py"))
    asked = [sys.executable, "-c", f"import {', '.join(names)}"]
    done = subprocess.run(asked, cwd=BENCH, env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


# --- what is checked after each run ---


@given(keys=KEYS, draw=st.data())
def test_an_order_is_kept_if_each_source_sees_its_own_events_in_turn(work: Any, keys: Any, draw: Any) -> None:
    done = draw.draw(st.permutations(range(len(keys))))
    is_kept = all(
        [at for at in done if keys[at] == key] == sorted(at for at in done if keys[at] == key) for key in keys
    )
    assert refused(lambda: work.check_order("it", done, keys)) == (not is_kept)


@given(some=st.integers(0, 50), more=st.integers(0, 50), sources=st.integers(1, 9))
def test_more_events_begin_with_the_same_ones(work: Any, some: int, more: int, sources: int) -> None:
    assert work.zipf(some + more, sources)[:some] == work.zipf(some, sources)
    assert {key.int & (1 << 64) - 1 for key in work.zipf(some, sources)} <= set(range(1, sources + 1))


def refused(run: Any) -> bool:
    try:
        run()
    except SystemExit:
        return True
    return False


# --- SQLite ---


@pytest.mark.parametrize("loop", ["rows", "chains"])
@given(keys=KEYS)
def test_the_bare_loops_on_sqlite_do_each_event_once_and_in_order(bench: Any, work: Any, loop: str, keys: Any) -> None:
    bare = bench("queueing_sqlite_bare")
    fill, run = {"rows": (bare.fill_rows, bare.by_rows), "chains": (bare.fill_chains, bare.by_chain)}[loop]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE effect (event)")
        fill(connection, keys, b"x")
        run(connection)
        done = [number - 1 for (number,) in connection.execute("SELECT event FROM effect ORDER BY rowid")]
        left = connection.execute("SELECT count(*) FROM event").fetchone()
    assert (sorted(done), left) == (list(range(len(keys))), (0,))
    work.check_order(loop, done, keys)


def test_a_claim_by_chain_takes_what_short_chains_leave(bench: Any) -> None:
    bare = bench("queueing_sqlite_bare")
    long, short = uuid.UUID(int=2), [uuid.UUID(int=key) for key in range(3, 40)]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        bare.fill_chains(connection, [*short, *[long] * 600], b"x")
        runs = list(bare._runs(connection, range(1, len(short) + 2)))
    assert [len(run) for run in runs] == [1] * len(short) + [bare.AT_ONCE - len(short)]


def test_every_way_on_sqlite_runs(bench: Any, tmp_path: Path) -> None:
    lite = bench("queueing_sqlite")
    for number, (name, way) in enumerate({**lite.PROCESSING, **lite.REGISTERING}.items()):
        (tmp_path / str(number)).mkdir()
        assert way(tmp_path / str(number), lite.Amount(EVENTS, 5, 10, 0)) > 0, name


def test_what_was_not_done_or_done_twice_is_found_out(bench: Any) -> None:
    lite = bench("queueing_sqlite")
    for done in (range(1, EVENTS), [*range(1, EVENTS), 1], range(EVENTS, 0, -1)):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE effect (event)")
            connection.executemany("INSERT INTO effect VALUES (?)", [(number,) for number in done])
            with pytest.raises(SystemExit):
                lite.check("it", connection, lite.Amount(EVENTS, 5, 0, 0))


# --- PostgreSQL ---


@pytest.mark.parametrize("way", ["bare", "bare_grouped", "by_store", "by_worker"])
def test_every_way_on_postgresql_does_the_work(bench: Any, work: Any, postgres_url: str, way: str) -> None:
    keys = work.zipf(EVENTS, 5)
    with closing(work.fresh(postgres_url)) as store:
        work.register(store, keys, Queue.FAST)
    steps = getattr(bench("queueing_worker"), way)(postgres_url, "w")
    next(steps)
    done = 0
    while done < EVENTS:
        step = next(steps)
        assert step > 0
        done += step
    steps.close()
    work.check(postgres_url, way, keys)
    for wrong in ("UPDATE effect SET event = 2 WHERE event = 1", "DELETE FROM effect WHERE event = 2"):
        with work.connected(postgres_url) as connection:
            connection.execute(wrong)
        with pytest.raises(SystemExit):
            work.check(postgres_url, way, keys)


def test_both_ways_to_register_on_postgresql_run(bench: Any, work: Any, postgres_url: str) -> None:
    queueing, amount = bench("queueing"), work.Amount(EVENTS, 5, 1, 0)
    assert min(queueing.bare_inserts(postgres_url, amount), queueing.groups(postgres_url, amount)) > 0


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [
        "queueing --events 64 --workers 2 --rounds 1",
        "queueing_backlog --backlog 500 --events 200 --rounds 2 --workers 2",
        "queueing_sqlite --events 64 --rounds 1",
        "processing --events 100 --workers 1 --rounds 1",
        "posting --posts 50 --connections 4 --rounds 1",
        "queue_memory --events 3000 --idle 0.1",
        "queue_memory --events 3000 --idle 0.1 --database sqlite",
    ],
)
def test_a_small_run_of_each(postgres_server: Any, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *options = command.split()
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    done = subprocess.run([sys.executable, BENCH / f"{name}.py", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nan" not in done.stdout


# --- figures ---


@given(slope=st.integers(-50, 50), start=st.integers(50, 100))
def test_growth_is_the_slope_of_the_second_half(bench: Any, slope: int, start: int) -> None:
    memory = bench("queue_memory")
    # What the first half does has no say: caches fill there.
    samples = [
        memory.Sample(at, start + (slope * at / 1e6 if at >= 500_000 else -at % 7), 0, at / 1000)
        for at in range(0, 1_000_001, 2_000)
    ]
    found, error = memory.growth(samples)
    assert found == pytest.approx(slope, abs=1e-6)
    assert error == pytest.approx(0, abs=1e-6)


@given(held=st.lists(st.integers(0, 20), min_size=40, max_size=40))
def test_a_slope_has_the_standard_error_of_a_line_of_least_squares(bench: Any, held: list[int]) -> None:
    memory = bench("queue_memory")
    half = range(memory.BLOCKS, 2 * memory.BLOCKS)  # a sample a block
    slope, error = memory.growth([memory.Sample(at * 1_000_000, mb, 0, at) for at, mb in enumerate(held)])
    line, spread = np.polyfit(half, held[memory.BLOCKS :], 1, cov=True)
    assert slope == pytest.approx(line[0], abs=1e-9)
    assert error == pytest.approx(spread[0, 0] ** 0.5, abs=1e-9)


def test_pairs_are_told_by_median_and_quartiles(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    backlog = bench("queueing_backlog")
    assert backlog.report("it", [(100, 90), (200, 100), (100, 100)]) == 0.9
    assert capsys.readouterr().out.split()[1:6] == ["0.50", "0.70", "0.90", "0.95", "1.00"]


def test_pairs_change_who_is_first_and_the_first_one_does_not_count(bench: Any) -> None:
    said: list[str] = []
    ways = [lambda name=name: said.append(name) or float(len(said)) for name in ("without", "beside")]
    found = bench("queueing_backlog").pairs(2, *ways)
    assert said == ["without", "beside", "beside", "without", "without", "beside"]
    assert found == [(4, 3), (5, 6)]


# --- peers ---


def test_peers_are_pinned_and_their_lock_file_names_no_host() -> None:
    asked = json.loads((BENCH / "pgboss" / "package.json").read_text())["dependencies"]
    locked = json.loads((BENCH / "pgboss" / "package-lock.json").read_text())["packages"]
    assert asked
    assert {name: locked[f"node_modules/{name}"]["version"] for name in asked} == asked
    packages = [package for name, package in locked.items() if name]
    assert all("resolved" not in package and package["integrity"].startswith("sha512-") for package in packages)
    pinned = (BENCH / "peers.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z]+(\[[a-z,]+\])?==[\d.]+", line) for line in pinned)
    assert {re.split(r"\W", line)[0] for line in pinned} == {"huey", "litequeue", "procrastinate", "psycopg"}


def test_what_npm_puts_there_is_nobody_elses(bench: Any, tmp_path: Path) -> None:
    assert "node_modules/" in (CHECKOUT / ".gitignore").read_text().splitlines()
    assert bench("queueing_peers").node_of(tmp_path) is None
    (tmp_path / "node_modules" / "pg-boss").mkdir(parents=True)
    assert bench("queueing_peers").node_of(tmp_path) == shutil.which("node")


def test_peers_that_are_not_there_are_named(bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queueing = bench("queueing")
    assert not queueing.peers("", None, None, tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert said == [f"  {peer}: not measured" for peer in (queueing.PROCRASTINATE, queueing.PGBOSS)]


def test_all_that_runs_runs_what_is_there() -> None:
    text = (BENCH / "run_all.sh").read_text()
    loops = [name for names in re.findall(r"for name in ([\w ]+);", text) for name in names.split()]
    named: Sequence[str] = [*loops, *re.findall(r"\$here/(\w+)\.py", text)]
    assert all((BENCH / f"{name}.py").is_file() for name in named if name != "name")
    assert {"queueing", "queueing_sqlite", "queueing_backlog", "queue_memory", "processing", "posting"} <= set(named)
