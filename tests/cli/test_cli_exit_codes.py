"""Every exit code, by a real process wherever this release can reach it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mergeguard import api, errors
from mergeguard.errors import ExitCode


def subclasses(kind: type[errors.MergeGuardError]) -> Iterator[type[errors.MergeGuardError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def test_the_codes_are_what_they_were() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "CLEAN": 0,
        "FINDINGS": 1,
        "USAGE": 2,
        "UNCHECKED": 3,
        "INCOMPLETE": 4,
        "PLAN_REFUSED": 5,
        "ROLLED_BACK": 6,
        "BUG": 70,
        "INTERRUPTED": 130,
        "TERMINATED": 143,
    }


def test_each_error_has_a_code_with_a_meaning() -> None:
    codes = {kind.exit_code for kind in subclasses(errors.MergeGuardError)}
    refused = ExitCode.PLAN_REFUSED
    assert codes == {ExitCode.USAGE, ExitCode.UNCHECKED, refused, ExitCode.ROLLED_BACK, ExitCode.BUG}
    assert all(code.meaning for code in ExitCode)


def test_5_for_a_plan_that_is_none(run: Callable, tmp_path: Path, unchanged: Callable) -> None:
    (tmp_path / "plan.json").write_text("{")
    with unchanged():
        assert run("apply", tmp_path / "plan.json", "--yes").refused(ExitCode.PLAN_REFUSED, "plan.json")


def test_0_where_nothing_grave_is_found(run: Callable, merges: Path) -> None:
    ran = run("scan", merges)
    assert (ran.code, ran.err) == (ExitCode.CLEAN, "")
    assert "1 info in 2 rows" in ran.out


def test_1_where_something_grave_is_found(run: Callable, cycle: Path) -> None:
    ran = run("scan", cycle)
    assert (ran.code, ran.err) == (ExitCode.FINDINGS, "")
    assert "1 x cycle" in ran.out


def test_2_for_a_command_line_that_makes_no_sense(run: Callable, cycle: Path, unchanged: Callable) -> None:
    with unchanged():
        assert run("scan", cycle, "--fail-on", "disaster").refused(ExitCode.USAGE, "disaster", "error, warning, info")


def test_3_where_there_is_nothing_to_check(run: Callable, unchanged: Callable) -> None:
    with unchanged():
        assert run("scan", "nowhere.db").refused(ExitCode.UNCHECKED, "nowhere.db", "does not exist")


def test_4_where_time_ran_out_before_anything_was_found(run: Callable, cycle: Path) -> None:
    ran = run("scan", cycle, "--max-duration", "0.000001")
    assert (ran.code, ran.err) == (ExitCode.INCOMPLETE, "")
    assert "INCOMPLETE" in ran.out.upper()


def test_6_where_the_database_refuses_a_row_of_the_lookup(run: Callable, demo: Path) -> None:
    assert run("lookup", "build", demo).code == 0
    with closing(sqlite3.connect(demo)) as database:
        database.executescript(
            "DELETE FROM mergeguard_lookup WHERE depth = 2;"
            "CREATE TRIGGER no BEFORE INSERT ON mergeguard_lookup BEGIN SELECT RAISE(ABORT, 'said no'); END"
        )
    before = demo.read_bytes()
    assert run("lookup", "build", demo).refused(ExitCode.ROLLED_BACK, "said no")
    assert demo.read_bytes() == before


def test_6_where_stdout_is_a_full_disk(command: Callable, cycle: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(command("scan", cycle), stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == ExitCode.ROLLED_BACK
    assert ran.stderr.decode().splitlines()[0] == "error: cannot write to stdout: No space left on device"


def test_70_for_a_bug_which_ends_in_a_file(
    call: Callable, cycle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = tmp_path / "crashes"
    crashes.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(crashes))

    def broken(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError("the moon is made of \x1b[31mcheese")

    monkeypatch.setattr(api, "scan", broken)
    ran = call("scan", cycle)
    [file] = crashes.iterdir()
    assert ran.refused(ExitCode.BUG, "ZeroDivisionError", str(file))
    assert file.stat().st_mode & 0o077 == 0
    story = file.read_text()
    assert "Traceback" in story
    assert "in broken" in story
    assert "made of \\x1b[31mcheese" in story
    assert "scan cycle.csv" in story


def test_70_where_there_is_no_room_for_the_file(call: Callable, cycle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    monkeypatch.setattr(api, "scan", lambda *_arguments, **_more: 1 // 0)
    assert call("scan", cycle).refused(ExitCode.BUG, "ZeroDivisionError", "division")


def wait_until_it_sleeps(process: subprocess.Popen) -> None:
    """Return when a process waits for more to read: a signal just before that would only be heard after it."""
    status = Path(f"/proc/{process.pid}/stat")
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] not in {"S", "Z"}:
        pass


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, ExitCode.INTERRUPTED, "interrupted\n"), (signal.SIGTERM, ExitCode.TERMINATED, "terminated\n")],
)
def test_a_signal_in_the_middle_of_a_read(number: signal.Signals, code: ExitCode, words: str, folder: Path) -> None:
    os.mkfifo("merges.csv")
    # A shell that starts the tests in the background lets its children ignore Ctrl-C; this one is to hear it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "mergeguard", "scan", "merges.csv", "--output", "report.json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with Path("merges.csv").open("wb") as writer:  # returns when the process has opened it
        writer.write(b"OldGuid,NewGuid\n")
        writer.flush()
        wait_until_it_sleeps(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.decode()) == (code, b"", words)
    assert [path.name for path in folder.iterdir()] == ["merges.csv"]


def test_the_verdict_stands_where_the_reader_of_stdout_has_gone(command: Callable, cycle: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        ran = subprocess.run(command("scan", cycle), stdout=gone, stderr=subprocess.PIPE, check=False)
    assert (ran.returncode, ran.stderr) == (ExitCode.FINDINGS, b"")


def test_a_help_page_may_be_cut_off(command: Callable) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        ran = subprocess.run(command("--help"), stdout=gone, stderr=subprocess.PIPE, check=False)
    assert (ran.returncode, ran.stderr) == (ExitCode.CLEAN, b"")


def test_an_error_that_nobody_hears_keeps_its_code(command: Callable) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        ran = subprocess.run(command("scan", "nowhere.db"), stdout=subprocess.PIPE, stderr=gone, check=False)
    assert (ran.returncode, ran.stdout) == (ExitCode.UNCHECKED, b"")


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("info", 1), ("none", 0)])
def test_fail_on_each_severity_of_a_cycle(fail_on: str, code: int, call: Callable, cycle: Path) -> None:
    assert call("scan", cycle, "--fail-on", fail_on).code == code


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("warning", 0), ("info", 1), ("none", 0)])
def test_fail_on_each_severity_of_a_chain(fail_on: str, code: int, call: Callable, merges: Path) -> None:
    assert call("scan", merges, "--fail-on", fail_on).code == code


def test_findings_beat_incompleteness_and_exit_zero_beats_both(call: Callable, cycle: Path) -> None:
    plain, zero = (call("scan", cycle, *flags) for flags in ((), ("--exit-zero",)))
    assert (plain.code, zero.code) == (1, 0)
    late = call("scan", cycle, "--max-duration", "0.000001", "--exit-zero")
    assert late.code == 0
    assert call("scan", "nowhere.csv", "--exit-zero").refused(3, "nowhere.csv")
