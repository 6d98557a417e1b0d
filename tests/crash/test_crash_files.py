"""A plan file and the files of a night are whole or not there, wherever the process that writes them is killed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from crash.places import SqlitePlace
from crash.repair_case import PROFILE, make_case, statements
from crash.runner import Drill, Forge, How

from mergeguard.storage.own_files.plan_file import load_plan

pytestmark = pytest.mark.timeout(3600)  # the long run kills at every step


@pytest.fixture
def place(folder: Path, beside: Path) -> SqlitePlace:
    (beside / "kept").mkdir()
    return SqlitePlace(folder, beside / "kept")


def left_over(folder: Path) -> set[str]:
    """The names in a folder, without the unfinished files that a killed process may leave: hidden, and never read."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_plan_file(place: SqlitePlace, forge: Forge, how: How, folder: Path, fewer: tuple[int, int]) -> None:
    case = make_case(place, forge, how, folder, "text")
    out = folder / "out.json"
    others = left_over(folder)

    def reset() -> None:
        out.unlink(missing_ok=True)

    def between(where: str) -> None:
        assert left_over(folder) - {"out.json"} == others, where
        if out.exists():  # it has its name only once all of it is there: then its digest fits
            assert load_plan(out, now=None).steps == case.plan.steps, where

    def done() -> None:
        assert load_plan(out, now=None).steps == case.plan.steps
        assert case.look(after_a_kill=False) == case.before

    # Killed after the file got its name, the next call finds it there and refuses to write over it.
    drill = Drill(
        forge,
        how,
        folder,
        ("plan", place.target, "--profile", "p.toml", "--out", "out.json"),
        reset,
        between,
        done,
        ends=frozenset({0, 1, 2}),
    )
    assert len(drill.all(*fewer)) >= 4


def test_the_files_of_a_night(
    place: SqlitePlace, forge: Forge, how: How, folder: Path, beside: Path, fewer: tuple[int, int]
) -> None:
    place.fill(statements("text"))
    (folder / "p.toml").write_text(PROFILE)
    place.keep("damaged")
    night = beside / "night"
    night.mkdir()
    reports, metrics, history = night / "reports", night / "m.prom", night / "h.db"
    merges = (folder / place.target).read_bytes()

    def reset() -> None:
        place.restore("damaged")
        for path in sorted(night.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def between(where: str) -> None:
        for path in reports.glob("mergeguard-*"):
            text = path.read_text()
            assert json.loads(text)["rows"] if path.suffix == ".json" else text.endswith("</html>\n"), (where, path)
        if metrics.exists():
            assert "mergeguard_last_success_timestamp_seconds{" in metrics.read_text(), where
        assert (folder / place.target).read_bytes() == merges, where

    def done() -> None:
        between("at the end")
        latest = json.loads((reports / "mergeguard-latest.json").read_text())
        assert metrics.exists()
        with closing(sqlite3.connect(history)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            runs = [run for (run,) in connection.execute("SELECT run_id FROM night ORDER BY started")]
            half = connection.execute(
                "SELECT count(*) FROM night WHERE id NOT IN (SELECT night_id FROM rule_count)"
            ).fetchone()
        assert runs[-1] == latest["run_id"]
        assert half == (0,), "a run is kept with its counts or not at all"

    arguments = ("nightly", place.target, "--profile", "p.toml", "--history", history)
    arguments += ("--reports", reports, "--metrics-file", metrics)  # type: ignore[assignment]
    drill = Drill(forge, how, folder, arguments, reset, between, done, ends=frozenset({1}))
    assert len(drill.all(*fewer)) > 20
