"""``apply``, ``repair``, ``undo``, ``unmerge`` and ``journal`` as a DBA meets them."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

RINGS = ((1, 2), (3, 4, 5), (6, 7))
FLAGS = ("--table", "Merges", "--id-column", "Id")
NEVER = "00000000-0000-4000-8000-00000000000f"
DATABASE = Path("merges.db")


def guid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


@pytest.fixture
def database(folder: Path) -> Path:
    """Three rings, each row newer than the one before it: strong evidence."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        connection.execute("CREATE TABLE Merges (Id INTEGER PRIMARY KEY, OldGuid TEXT, NewGuid TEXT)")
        for ring in RINGS:
            rows = [(guid(old), guid(new)) for old, new in zip(ring, (*ring[1:], ring[0]), strict=True)]
            connection.executemany("INSERT INTO Merges (OldGuid, NewGuid) VALUES (?, ?)", rows)
    return DATABASE


def rows(path: Path = DATABASE) -> list[tuple[int, str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute("SELECT rowid, OldGuid, NewGuid FROM Merges"))


@pytest.fixture
def plan(call: Callable, database: Path) -> Path:
    assert call("plan", database, "--out", "plan.json", *FLAGS).code == 0
    return Path("plan.json")


def run_id(call: Callable) -> str:
    """The newest run."""
    return str(json.loads(call("journal", DATABASE, *FLAGS, "--format", "json").out)[0]["run_id"])


# There and back.


def test_a_plan_is_applied_told_and_taken_back(call: Callable, plan: Path) -> None:
    before = rows()
    done = call("apply", plan, "--yes")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[:2] == ["3 of 3 steps applied", "3 merge rows retired"]
    assert lines[-2] == "checked: what the plan decided is clean"
    run = run_id(call)
    assert lines[-1] == f"the way back: mergeguard undo {Path(DATABASE).absolute()} {run}"
    assert len(rows()) == len(before) - 3
    assert call("scan", DATABASE, *FLAGS).code == 0
    back = call("undo", DATABASE, run[:6], *FLAGS, "--yes", "--reason", "a test")
    assert (back.code, back.out.splitlines()[0]) == (0, f"3 steps of run {run} taken back; 3 rows of Merges put back")
    assert rows() == before


def test_the_same_plan_again_does_nothing(call: Callable, plan: Path) -> None:
    call("apply", plan, "--yes")
    after = rows()
    again = call("apply", plan, "--yes")
    assert (again.code, again.out.splitlines()[0]) == (0, "0 of 3 steps applied (3 had been applied before)")
    assert rows() == after


def test_batches(call: Callable, plan: Path) -> None:
    first = call("apply", plan, "--yes", "--batch", "2", "--rate", "1000")
    assert first.code == 0
    assert "1 step left: apply the same plan again to go on" in first.out
    assert "3 of 3" not in first.out
    assert call("apply", plan, "--yes").out.startswith("1 of 3 steps applied (2 had been applied before)")


def test_repair_does_it_all(call: Callable, database: Path) -> None:
    done = call("repair", database, *FLAGS, "--yes", "--out", "kept.json")
    assert done.code == 0, done.err
    assert "To repair, in this order" in done.out
    assert "3 of 3 steps applied" in done.out
    assert Path("kept.json").exists()
    again = call("repair", database, *FLAGS)
    assert (again.code, "nothing to do" in again.out) == (0, True)


def test_repair_of_what_it_refuses_ends_with_1(call: Callable, demo: Path) -> None:
    done = call("repair", demo, "--yes", "--no-references")
    assert (done.code, "refused by the plan" in done.out) == (1, True)
    assert call("repair", demo, "--exit-zero", "--no-references").code == 0


def test_one_component_goes_back(call: Callable, plan: Path) -> None:
    call("apply", plan, "--yes")
    run = run_id(call)
    component = json.loads(call("journal", DATABASE, run, *FLAGS, "--format", "json").out)["steps"][1]["component"]
    back = call("undo", DATABASE, run, *FLAGS, "--component", component, "--yes")
    assert back.out.splitlines()[-1] == "2 steps of the run stay applied"
    assert call("scan", DATABASE, *FLAGS).code == 1


def test_unmerge_shows_and_does(call: Callable, plan: Path) -> None:
    call("apply", plan, "--yes")
    old = guid(2)
    done = call("unmerge", DATABASE, old.upper(), *FLAGS, "--yes", "--reason", "two machines")
    assert done.code == 0, done.err
    assert f"{old} is now {guid(1)}" in done.err
    assert "to do: retire 1 merge row of it" in done.err
    assert done.out.startswith(f"{old} is unmerged: 1 merge row retired\n")
    assert old not in {row[1] for row in rows()}
    told = call("journal", DATABASE, run_id(call), *FLAGS)
    assert "because: two machines" in told.out
    assert call("undo", DATABASE, run_id(call), *FLAGS, "--yes").code == 0
    assert old in {row[1] for row in rows()}


# The journal.


def test_the_journal_as_a_table_and_for_programs(call: Callable, plan: Path) -> None:
    empty = call("journal", DATABASE, *FLAGS)
    assert (empty.code, empty.out) == (0, "the journal is empty: nothing was applied to this database\n")
    assert json.loads(call("journal", DATABASE, *FLAGS, "--format", "json").out) == []
    call("apply", plan, "--yes")
    run = run_id(call)
    table = call("journal", DATABASE, *FLAGS)
    assert run in table.out
    assert "apply" in table.out
    call("undo", DATABASE, run, *FLAGS, "--yes")
    lines = [json.loads(line) for line in call("journal", DATABASE, *FLAGS, "--format", "jsonl").out.splitlines()]
    assert [(line["kind"], line["undoes"]) for line in lines] == [("undo", run), ("apply", None)]
    assert [line["undone"] for line in lines] == [0, 3]


def test_a_run_is_told_step_by_step(call: Callable, plan: Path) -> None:
    call("apply", plan, "--yes")
    run = run_id(call)
    told = call("journal", DATABASE, run, *FLAGS)
    assert told.out.startswith(f"Run {run}: apply by ")
    assert told.out.count("retire: Merges") == 3
    assert "evidence E3: row 2 is the newest and leads to it" in told.out
    first, *steps = (
        json.loads(line) for line in call("journal", DATABASE, run, *FLAGS, "--format", "jsonl").out.splitlines()
    )
    assert (first["run_id"], len(steps)) == (run, 3)
    assert [step["changes"][0]["after"] for step in steps] == [None, None, None]


def test_what_is_no_format_and_no_run_is_told(call: Callable, plan: Path) -> None:
    assert call("journal", DATABASE, *FLAGS, "--format", "xml").refused(2, "unknown format 'xml'")
    assert call("journal", DATABASE, "0123456789", *FLAGS).refused(5, "there is no journal here")
    call("apply", plan, "--yes")
    assert call("journal", DATABASE, "0123", *FLAGS).refused(2, "too short to name a run")
    assert call("undo", DATABASE, "zzzzzzzz", *FLAGS, "--yes").refused(5, "the journal knows no run")


# Refusals.


@pytest.mark.parametrize(
    "arguments",
    [("apply", "plan.json"), ("repair", DATABASE, *FLAGS), ("unmerge", DATABASE, guid(1), *FLAGS)],
    ids=["apply", "repair", "unmerge"],
)
def test_nothing_is_changed_without_a_person_or_yes(call: Callable, plan: Path, arguments: Sequence[object]) -> None:
    before = DATABASE.read_bytes()
    ran = call(*arguments, stdin="merges.db\n")
    assert (ran.code, "nobody is at a terminal" in ran.err) == (2, True)
    assert DATABASE.read_bytes() == before


def test_yes_is_not_enough_for_what_is_unsure(call: Callable, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE Twins (OldGuid TEXT, NewGuid TEXT)")
        connection.execute("INSERT INTO Twins SELECT OldGuid, NewGuid FROM Merges WHERE Id < 3")
    made = call("plan", database, "--table", "Twins", "--allow-arbitrary", "--out", "unsure.json")
    assert made.code == 0, made.err
    ran = call("apply", "unsure.json", "--yes")
    assert ran.code == 2
    assert "--yes is not enough here: the plan has steps that are arbitrary only" in ran.err


def test_a_stale_plan_ends_with_5_and_names_the_row(call: Callable, plan: Path) -> None:
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        connection.execute("UPDATE Merges SET NewGuid = ? WHERE Id = 1", (NEVER,))
        connection.execute("INSERT INTO Merges (OldGuid, NewGuid) VALUES (?, ?)", (guid(2), NEVER))
    before = rows()
    ran = call("apply", plan, "--yes")
    assert ran.code == 5
    assert f"{guid(1)} -> {guid(2)} (Id 1" in ran.err
    assert f"{guid(1)} -> {NEVER} (Id 1" in ran.err
    assert f"{guid(2)} -> {NEVER} (Id 8" in ran.err
    assert rows() == before


def test_an_edited_plan_ends_with_5(call: Callable, plan: Path) -> None:
    plan.write_text(plan.read_text().replace(guid(1), guid(9)))
    assert call("apply", plan, "--yes").refused(5, "was edited after it was made")


def test_a_plan_that_is_not_there_ends_with_2(call: Callable) -> None:
    assert call("apply", "nowhere.json", "--yes").refused(2, "plan file nowhere.json does not exist")


@pytest.mark.parametrize("rate", ["0", "-1", "nan"])
def test_a_rate_that_is_none_ends_with_2(call: Callable, plan: Path, rate: str) -> None:
    assert call("apply", plan, "--yes", "--rate", rate).refused(2, "--rate cannot be")


def test_another_database_ends_with_5(call: Callable, plan: Path, folder: Path) -> None:
    (folder / "copy.db").write_bytes(DATABASE.read_bytes())
    ran = call("apply", plan, "--target", "copy.db", "--yes")
    assert (ran.code, "another database" in ran.err) == (5, True)
    done = call("apply", plan, "--target", f"sqlite:///{DATABASE}", "--yes")
    assert done.code == 0
    # By the URL that could write, and not by the one that made the plan.
    assert done.out.splitlines()[-1] == f"the way back: mergeguard undo sqlite:///{DATABASE} {run_id(call)}"


# A person at a terminal.


@dataclass
class Person:
    """Somebody at the terminal of a command that runs."""

    process: subprocess.Popen[bytes]
    keyboard: int

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    def waits_for(self, words: str) -> str:
        """Read what the command says until it has said these words."""
        said = b""
        assert self.process.stderr is not None
        while words.encode() not in said:
            byte = self.process.stderr.read(1)
            assert byte, f"it ended after {said!r}"
            said += byte
        return said.decode()

    def sees(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out.decode(), err.decode()


@pytest.fixture
def at_terminal(command: Callable[..., list[str]]) -> Iterator[Callable[..., Person]]:
    """Start a command whose input is a terminal."""
    opened: list[tuple[Person, int]] = []

    def start(*arguments: object) -> Person:
        keyboard, terminal = pty.openpty()
        process = subprocess.Popen(command(*arguments), stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        person = Person(process, keyboard)
        opened.append((person, terminal))
        return person

    yield start
    for person, terminal in opened:
        person.process.kill()
        person.process.communicate()
        os.close(person.keyboard)
        os.close(terminal)


def test_the_name_of_the_database_is_asked_for(at_terminal: Callable[..., Person], plan: Path) -> None:
    person = at_terminal("apply", plan)
    asked = person.waits_for("to go on: ")
    assert "3 steps will change merges.db" in asked
    assert "Type the name of the database, merges.db, to go on: " in asked
    person.type("merges.db\n")
    code, out, err = person.sees()
    assert (code, err) == (0, "")
    assert out.startswith("3 of 3 steps applied\n")


@pytest.mark.parametrize("answer", ["yes\n", "merges\n", "MERGES.DB\n", "\n", "\x04"])
def test_any_other_answer_changes_nothing(at_terminal: Callable[..., Person], plan: Path, answer: str) -> None:
    before = DATABASE.read_bytes()
    person = at_terminal("apply", plan)
    person.waits_for("to go on: ")
    person.type(answer)
    code, out, err = person.sees()
    assert (code, out) == (2, "")
    assert "nothing was changed" in err
    assert DATABASE.read_bytes() == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_stops_between_two_components_and_goes_on(
    command: Callable[..., list[str]], call: Callable, plan: Path, number: int, code: int
) -> None:
    """The second component would begin after an hour."""
    running = subprocess.Popen(
        command("apply", plan, "--yes", "--rate", str(1 / 3600), "--progress", "always"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    person = Person(running, -1)
    person.waits_for("1 of 3")
    running.send_signal(number)
    ended, out, err = person.sees()
    assert (ended, out) == (code, "")
    assert "1 of 3 steps are applied; apply the same plan to go on" in err
    assert len(rows()) == 6
    done = call("apply", plan, "--yes")
    assert done.out.startswith("2 of 3 steps applied (1 had been applied before)")
