"""The nightly command as a scheduler meets it: settings, one exit code, and one run at a time."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mergeguard.storage.own_files.process_lock import held


def test_a_night_says_what_it_found_and_where_it_stands(call: Callable, cycle: Path, folder: Path) -> None:
    ran = call("nightly", cycle, "--reports", "out", "--metrics-file", "m.prom", "--history", "h.db")
    assert (ran.code, ran.err) == (1, "")
    lines = ran.out.splitlines()
    assert lines[0] == "cycle.csv"
    assert lines[1].startswith("1 error, ")
    assert lines[2].startswith("history: 2 new, ")
    written = [Path(line.removeprefix("written: ")) for line in lines if line.startswith("written: ")]
    assert len(written) == 5
    assert all(path.is_file() for path in written)
    assert {path.suffix for path in (folder / "out").iterdir()} == {".html", ".json"}


def test_everything_may_stand_in_the_settings_file(
    call: Callable, cycle: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "etc").mkdir()
    (folder / "etc" / "mergeguard.toml").write_text(
        'reports = "../out"\nreport_formats = ["sarif"]\nmetrics_file = "m.prom"\nhistory = "h.db"\nfail_on = "none"\n'
    )
    ran = call("nightly", cycle, "--config", "etc/mergeguard.toml")
    assert (ran.code, ran.err) == (0, "")
    assert sorted(path.name for path in (folder / "etc").iterdir() if path.suffix != ".lock") == [
        "h.db",
        "m.prom",
        "mergeguard.toml",
    ]
    assert {path.suffix for path in (folder / "out").iterdir()} == {".sarif"}
    monkeypatch.setenv("MERGEGUARD_REPORT_FORMATS", "json,markdown")
    assert call("nightly", cycle, "--config", "etc/mergeguard.toml", "--reports", "b").code == 0
    assert {path.suffix for path in (folder / "b").iterdir()} == {".json", ".md"}
    assert call("nightly", cycle, "--config", "etc/mergeguard.toml", "--reports", "c", "--format", "svg").code == 0
    assert {path.suffix for path in (folder / "c").iterdir()} == {".svg"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--format", "pdf", "--reports", "out"), 2, "unknown format 'pdf'"),
        (("--repair", "all"), 2, "--repair cannot be 'all'"),
        (("--repair", "safe"), 2, "plan beside the reports"),
        (("--history", "none", "--fail-on", "new"), 2, "needs a history"),
        (("--keep-days", "0"), 2, "keep-days"),
        (("--metrics-file", "missing/m.prom"), 2, "its folder does not exist"),
        (("--metrics-file", "cycle.csv"), 2, "it is the target"),
        (("--only", "MG999"), 2, "there is no rule 'MG999'"),
        (("--baseline", "missing.toml"), 2, "missing.toml"),
        (("--reports", "cycle.csv"), 2, "is no folder"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: tuple[str, ...], code: int, words: str, call: Callable, cycle: Path, unchanged: Callable
) -> None:
    with unchanged():
        assert call("nightly", cycle, *arguments).refused(code, words)


def test_a_target_that_is_not_there_leaves_no_report(call: Callable, folder: Path) -> None:
    assert call("nightly", "gone.csv", "--reports", "out").refused(3, "gone.csv")
    assert list((folder / "out").iterdir()) == []


def test_the_second_of_two_at_once_is_told_who_is_first(
    command: Callable, run: Callable, demo: Path, folder: Path
) -> None:
    (folder / "out").mkdir()
    page = folder / "out" / "mergeguard-latest.html"
    os.mkfifo(page)
    arguments = ("nightly", demo, "--history", "h.db", "--reports", "out", "--format", "html")
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        with page.open("rb") as slow:  # opens once the first one writes: more than a pipe holds, so it stays there
            assert run(*arguments).refused(3, f"nightly run of sqlite:///{demo} is under way", f"process {first.pid}")
            assert len(slow.read()) > 65_536
        said, complained = first.communicate(timeout=60)
    assert (first.returncode, complained) == (1, "")
    assert "(1 night of this target)" in said
    page.unlink()
    assert "(2 nights of this target)" in run(*arguments).out


def test_a_failure_on_the_way_is_told_and_the_rest_is_done(call: Callable, cycle: Path, folder: Path) -> None:
    (folder / "h.db").write_bytes(b"SQLite format 3\0" + b"x" * 200)
    ran = call("nightly", cycle, "--fail-on", "none", "--reports", "out", "--history", "h.db", "--format", "json")
    assert ran.code == 3
    assert ran.err.startswith("error: ")
    assert "hint: " in ran.err
    assert "1 error" in ran.out
    assert json.loads((folder / "out" / "mergeguard-latest.json").read_text())["verdict"]


def test_the_lock_of_a_night_stands_beside_the_history(call: Callable, cycle: Path, folder: Path) -> None:
    assert call("nightly", cycle, "--history", "h.db").code == 1
    [lock] = folder.glob("h.db.*.lock")
    with held(lock, "it"):
        assert call("nightly", cycle, "--history", "h.db").refused(3, "under way already")
        assert call("nightly", cycle, "--history", "other.db").code == 1


def test_a_demonstration_repairs_nothing_unless_asked(call: Callable, demo: Path) -> None:
    before = demo.read_bytes()
    ran = call("nightly", demo, "--reports", "out", "--history", "none")
    assert ran.code == 1
    assert "repair: " not in ran.out
    assert demo.read_bytes() == before
