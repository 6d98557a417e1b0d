"""The table of exit codes by command: it has every command, and every command reaches what it lists."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mergeguard import errors
from mergeguard.cli import app, exit_codes
from mergeguard.cli.commands import Commands
from mergeguard.errors import ExitCode, MergeGuardError

GUID = "5401209a-65d4-5317-b31c-4e80491e0fe0"
SPLIT = "16be2aca-2cfb-5dda-bea7-b37469cc91e8"
NOWHERE = {
    "explain": ("nowhere.db", GUID),
    "resolve": ("nowhere.db", GUID),
    "plan": ("nowhere.db", "--out", "plan.json"),
    "undo": ("nowhere.db", "123456", "--yes"),
    "merge": ("nowhere.db", GUID, SPLIT, "--yes"),
    "unmerge": ("nowhere.db", GUID, "--yes"),
    "serve": ("nowhere/x.db", "--port", "0"),
    "post": ("event.nse", "--patience", "0s", "--url", "http://127.0.0.1:9"),
    "queue show": ("nowhere.db", "1"),
    "queue retry": ("nowhere.db", "1"),
    "queue drop": ("nowhere.db", "1", "--yes"),
    "queue export": ("nowhere.db", "dead"),
    "catalogue add": ("nowhere.db", "catalogue.toml"),
    "history": ("--history", "nowhere.db"),
    "demo": ("--dir", "file/below"),
}
"""What a command is given beside a target that is not there; a target alone where nothing stands here."""
TO_ACT_ON = {
    "scan": ("tz.db",),
    "nightly": ("tz.db", "--history", "none"),
    "resolve": ("tz.db", SPLIT),
    "plan": ("tz.db", "--out", "plan.json"),
    "repair": ("tz.db", "--yes"),
    "guard status": ("tz.db",),
    "nse check": ("damaged.nse",),
    "lookup verify": ("tz.db",),
    "discover": ("empty.db",),
}
"""Of the demonstration's database, and files without sense."""
ELSEWHERE = {"guard prove", "queue export", "queue doctor"}
"""Whose findings take a server or a database of their own: the tests of these commands have them."""
REFUSED = {
    "show": ("edited.json",),
    "apply": ("edited.json", "--yes"),
    "undo": ("tz.db", "123456", "--yes"),
    "merge": ("tz.db", GUID, GUID, "--yes"),
    "guard install": ("tz.db", "--constraints", "--yes"),
}


def paths(commands: Commands) -> Iterator[tuple[str, Any]]:
    """Yield every command by the words that call it, those of groups included."""
    for name, command in commands.items():
        for below, each in getattr(command, "commands", {"": command}).items():
            yield f"{name} {below}".strip(), each


EVERY = dict(paths(Commands()))


@pytest.fixture
def files(folder: Path, demo: Path) -> None:
    (folder / "file").touch()
    (folder / "event.nse").write_text("<message/>")
    (folder / "damaged.nse").write_text("<message>")
    (folder / "edited.json").write_text("{}")
    (folder / "catalogue.toml").touch()
    with closing(sqlite3.connect(folder / "empty.db")) as database:
        database.execute("CREATE TABLE some (words TEXT)")
    assert demo.exists()


def test_every_command_has_its_line_and_there_are_no_others() -> None:
    assert set(exit_codes.CODES) == set(EVERY)


@pytest.mark.parametrize("name", sorted(exit_codes.CODES))
def test_a_help_page_lists_the_codes_of_its_command_and_no_others(name: str, call: Callable) -> None:
    _, _, listed = call(*name.split(), "--help").out.partition("\nExit status:\n")
    shown = [int(line.split()[0]) for line in listed.splitlines() if line.lstrip()[:1].isdigit() and line[2] != " "]
    assert shown == [int(code) for code in exit_codes.of(name)]


def test_a_group_lists_what_any_of_its_commands_can_end_with() -> None:
    below = [codes for name, codes in exit_codes.CODES.items() if name.startswith("guard ")]
    assert set(exit_codes.of("guard")) == {code for codes in below for code in codes}
    assert set(exit_codes.of("")) == set(ExitCode)


def test_what_every_command_can_end_with() -> None:
    for codes in exit_codes.CODES.values():
        assert {ExitCode.CLEAN, ExitCode.USAGE, ExitCode.ROLLED_BACK, ExitCode.BUG} < set(codes)
        assert all(codes.values())
        assert list(codes) == sorted(codes)


def test_incomplete_is_what_has_a_limit_of_time() -> None:
    limited = {name for name, command in EVERY.items() if any(each.name == "max_duration" for each in command.params)}
    assert {name for name, codes in exit_codes.CODES.items() if ExitCode.INCOMPLETE in codes} == {*limited, "serve"}


OPENS_NOTHING = {"show", "apply", "nse make"}
"""Whose input is a file of ours: where it is not there, the command line makes no sense."""
UNCHECKED = {name for name, codes in exit_codes.CODES.items() if ExitCode.UNCHECKED in codes}


@pytest.mark.parametrize("name", sorted(UNCHECKED - OPENS_NOTHING))
@pytest.mark.usefixtures("files")
def test_3_where_nothing_is_there(name: str, call: Callable) -> None:
    assert call(*name.split(), *NOWHERE.get(name, ("nowhere.db",))).code == ExitCode.UNCHECKED


@pytest.mark.usefixtures("files")
def test_3_where_the_database_of_a_plan_is_gone_or_the_answer_may_not_be_written(
    call: Callable, nobody: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TemporaryDirectory(dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        plan = place / "plan.json"
        assert call("plan", "tz.db", "--out", plan).code == ExitCode.FINDINGS
        plan.chmod(0o644)
        Path("tz.db").unlink()
        assert call("apply", plan, "--yes").code == ExitCode.UNCHECKED
        monkeypatch.chdir(place)
        with nobody():
            assert call("show", plan, "--output", "shown.txt").code == ExitCode.UNCHECKED
            assert call("nse", "make", "--example", "--output", "event.toml").code == ExitCode.UNCHECKED
        assert [path.name for path in place.iterdir()] == ["plan.json"]


def test_every_command_with_findings_has_an_example() -> None:
    finding = {name for name, codes in exit_codes.CODES.items() if ExitCode.FINDINGS in codes}
    assert finding == {*TO_ACT_ON, *ELSEWHERE}


@pytest.mark.parametrize("name", TO_ACT_ON)
@pytest.mark.usefixtures("files")
def test_1_where_there_is_something_to_act_on(name: str, call: Callable) -> None:
    assert call(*name.split(), *TO_ACT_ON[name]).code == ExitCode.FINDINGS


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.usefixtures("files")
def test_5_where_it_is_refused(name: str, call: Callable) -> None:
    ran = call(*name.split(), *REFUSED[name])
    assert ran.code == ExitCode.PLAN_REFUSED
    assert "hint: " in ran.err


KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, MergeGuardError) and kind is not MergeGuardError
]


@pytest.mark.parametrize("code", sorted({kind.exit_code for kind in KINDS}))
def test_an_error_that_knows_no_hint_gets_one_by_its_code(code: ExitCode) -> None:
    assert app.HINTS[code]
