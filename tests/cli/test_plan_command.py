"""`mergeguard plan` and `mergeguard show` as a DBA calls them."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from plan_samples import sample_plan
from syrupy.assertion import SnapshotAssertion

from mergeguard import api
from mergeguard.core.guids import text_id
from mergeguard.storage.own_files.plan_file import load_plan, save_plan

PLAN = Path("plan.json")


def settled_plan(text: str) -> str:
    """Replace what differs from plan to plan by its name."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "<plan>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "<time>", text)
    return re.sub(r"SQLite [\d.]+", "SQLite <version>", text)


def test_a_plan_of_the_demonstration(
    call: Callable, demo: Path, unchanged: Callable, settled: Callable, snapshot: SnapshotAssertion
) -> None:
    before = demo.read_bytes()
    ran = call("plan", demo, "--out", PLAN)
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == snapshot(name="summary")
    assert demo.read_bytes() == before
    assert stat.S_IMODE(PLAN.stat().st_mode) == 0o600
    with unchanged():
        shown = call("show", PLAN)
        assert (shown.code, shown.err) == (0, "")
        assert settled_plan(settled(shown.out)) == snapshot(name="shown")
    component = load_plan(PLAN, now=None).steps[0].component
    one = call("show", PLAN, "--component", component)
    assert settled_plan(settled(one.out)) == snapshot(name="one component")


def test_what_is_refused_decides_the_exit_code_unless_told_otherwise(call: Callable, demo: Path) -> None:
    assert call("plan", demo, "--out", "a.json").code == 1
    assert call("plan", demo, "--out", "b.json", "--exit-zero").code == 0


def small(path: Path, *pairs: str, live: str = "") -> Path:
    """A database of merges ``ab`` (a -> b) and of live guids."""
    guid = {letter: str(text_id(letter)) for letter in "abcdefgh"}
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE Merges (Id INTEGER PRIMARY KEY, OldGuid TEXT, NewGuid TEXT)")
        rows = [(guid[old], guid[new]) for old, new in pairs]
        connection.executemany("INSERT INTO Merges (OldGuid, NewGuid) VALUES (?, ?)", rows)
        connection.execute("CREATE TABLE Alive (Guid TEXT)")
        connection.executemany("INSERT INTO Alive VALUES (?)", [(guid[letter],) for letter in live])
    return path


FLAGS = ("--table", "Merges", "--id-column", "Id", "--live", "Alive:Guid")


def test_nothing_to_do_is_said_and_no_file_is_made(call: Callable, folder: Path) -> None:
    target = small(folder / "m.db", "ab", "bc", live="c")
    ran = call("plan", target, *FLAGS, "--out", PLAN)
    assert (ran.code, ran.out.splitlines()[0]) == (0, "nothing to do")
    assert not PLAN.exists()


def test_all_repaired_exits_0(call: Callable, folder: Path) -> None:
    ran = call("plan", small(folder / "m.db", "ab", "ba", live="a"), *FLAGS, "--out", PLAN)
    assert (ran.code, ran.out.splitlines()[0]) == (0, "1 component to repair (1 certain): 1 merge row retired")
    assert PLAN.exists()


def test_a_plan_is_never_overwritten_unless_forced(call: Callable, folder: Path) -> None:
    target = small(folder / "m.db", "ab", "ba", live="a")
    PLAN.write_text("mine")
    assert call("plan", target, *FLAGS, "--out", PLAN).refused(2, "plan.json exists already", "--force")
    assert PLAN.read_text() == "mine"
    assert call("plan", target, *FLAGS, "--out", PLAN, "--force").code == 0
    assert load_plan(PLAN, now=None).steps


def test_an_override_decides_a_refusal(call: Callable, folder: Path) -> None:
    target = small(folder / "m.db", "ab", "bc", "ca")
    assert call("plan", target, *FLAGS, "--no-references", "--out", PLAN).code in {0, 1}
    flags = ("--table", "Merges", "--live", "Alive:Guid")
    assert call("plan", target, *flags, "--out", PLAN, "--force").code == 1
    (refused,) = load_plan(PLAN, now=None).refused
    line = refused.override_line.rsplit(",", 2)[0] + ",Ada,it is on the desk"
    Path("decided.csv").write_text(f"component,survivor,who,why\n{line}\n")
    ran = call("plan", target, *flags, "--out", PLAN, "--force", "--override", "decided.csv")
    assert (ran.code, "1 ordered" in ran.out) == (0, True)
    (step,) = load_plan(PLAN, now=None).steps
    assert str(step.survivor) == line.split(",")[1]
    assert "Ada" in step.why


def test_an_override_of_nothing_is_refused_before_a_plan_is_written(call: Callable, folder: Path) -> None:
    target = small(folder / "m.db", "ab", "ba", live="a")
    Path("wrong.csv").write_text(f"component,survivor,who,why\nffffffffffffffff,{text_id('a')},Ada,why\n")
    ran = call("plan", target, *FLAGS, "--out", PLAN, "--override", "wrong.csv")
    assert ran.refused(2, "component ffffffffffffffff")
    assert not PLAN.exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--out", "-"), "a plan is a file"),
        (("--out", "nowhere/plan.json"), "its folder does not exist"),
        (("--out", "m.db"), "it is the target"),
        (("--out", "plan.json", "--expires", "soon"), "'soon' is no duration"),
        (("--out", "plan.json", "--component", "0"), "no damaged component 0"),
        ((), "missing option"),
    ],
)
def test_a_wrong_flag_is_refused(call: Callable, folder: Path, flags: tuple[str, ...], words: str) -> None:
    small(folder / "m.db", "ab", "ba", live="a")
    assert call("plan", "m.db", *FLAGS, *flags).refused(2, words)


def test_a_file_is_not_planned_for(call: Callable, cycle: Path) -> None:
    assert call("plan", cycle, "--out", PLAN).refused(3, "needs a database", "SQLite")


def test_a_plan_that_is_none_is_refused(call: Callable, demo: Path) -> None:
    assert call("show", "missing.json").refused(2, "missing.json does not exist")
    call("plan", demo, "--out", PLAN)
    text = PLAN.read_text()
    PLAN.write_text(text[: len(text) // 2])
    assert call("show", PLAN).refused(5, "cut short")
    PLAN.write_text(text.replace("America/Denver", "America/Dallas"))
    assert call("show", PLAN).refused(5, "edited")


def test_an_expired_plan_is_shown_and_says_so(call: Callable, folder: Path) -> None:
    save_plan(sample_plan(), PLAN)  # of May 2024
    shown = call("show", PLAN)
    assert shown.code == 0
    assert "!! EXPIRED 2024-05-02 12:00:00 UTC" in shown.out


def test_a_plan_as_json_is_the_plan(call: Callable, folder: Path) -> None:
    save_plan(sample_plan(), PLAN)
    shown = call("show", PLAN, "--format", "json")
    assert json.loads(shown.out)["plan_id"] == "5f" * 16
    assert call("show", PLAN, "--format", "json", "--output", "copy.json").out == ""
    assert load_plan("copy.json", now=None) == sample_plan()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--format", "pdf"), "unknown format 'pdf'"),
        (("--sql", "--component", "x"), "--sql writes the whole plan"),
        (("--component", "x"), "no component x"),
        (("--output", "plan.json"), "it is the target"),
    ],
)
def test_show_refuses_what_makes_no_sense(call: Callable, folder: Path, flags: tuple[str, ...], words: str) -> None:
    save_plan(sample_plan(), PLAN)
    assert call("show", PLAN, *flags).refused(2, words)


def test_a_script_does_what_apply_does(call: Callable, demo: Path, folder: Path) -> None:
    call("plan", demo, "--out", PLAN)
    script = call("show", PLAN, "--sql")
    assert (script.code, script.err) == (0, "")
    by_hand = folder / "by_hand.db"
    by_hand.write_bytes(demo.read_bytes())
    with closing(sqlite3.connect(by_hand, isolation_level=None)) as connection:
        connection.executescript(script.out)
    applied = call("apply", PLAN, "--yes")
    assert applied.code == 0, applied
    assert rows(by_hand) == rows(demo)


def rows(path: Path) -> dict[str, list[str]]:
    """Every row of every table that is not one of ours."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        theirs = [name for name in names if not name.startswith("mergeguard_")]
        return {name: sorted(map(repr, connection.execute(f'SELECT rowid, * FROM "{name}"'))) for name in theirs}


def test_the_flat_functions_are_the_commands(demo: Path) -> None:
    made = api.plan(demo)
    api.save_plan(made, PLAN)
    assert api.load_plan(PLAN) == made
    assert api.load_plan(PLAN, expired=True) == made
