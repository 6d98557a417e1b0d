"""What goes where: formats and outputs in pairs, stdout for the payload alone, colour and progress on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.cli import terminal
from mergeguard.errors import UsageError
from mergeguard.render import FORMATS

SUFFIXES = {"json": "json", "html": "html", "sarif": "sarif", "md": "markdown", "xml": "junit", "prom": "prometheus"}
STDOUT = Path("-")
NAMES = st.sampled_from(FORMATS)
PATHS = st.builds("{}.{}".format, st.sampled_from("abc"), st.sampled_from([*SUFFIXES, "doc"])) | st.just("-")


def pair(formats: list[str], outputs: list[str]) -> list[tuple[str, str]] | None:
    """Pair as a command does; ``None`` where it refuses."""
    try:
        pairs = terminal.pair_outputs(formats, [Path(path) for path in outputs], FORMATS, "table")
    except UsageError:
        return None
    return [(name, str(path)) for name, path in pairs]


@given(st.lists(NAMES, min_size=1, max_size=4), st.data())
def test_as_many_outputs_as_formats_are_paired_in_order(formats: list[str], data: st.DataObject) -> None:
    outputs = data.draw(st.lists(PATHS, min_size=len(formats), max_size=len(formats), unique=True))
    assert pair(formats, outputs) == list(zip(formats, outputs, strict=True))


@given(st.lists(NAMES, max_size=4), st.lists(PATHS, max_size=4))
def test_every_output_gets_one_payload_and_no_place_gets_two(formats: list[str], outputs: list[str]) -> None:
    pairs = pair(formats, outputs)
    if pairs is None:
        unclear = [path for path in outputs if path.rpartition(".")[2] not in SUFFIXES]
        told = {SUFFIXES[path.rpartition(".")[2]] for path in outputs} if not unclear else set()
        left = [name for name in formats if name not in told]
        unpaired = len(formats) != len(outputs)
        assert (unpaired and (unclear or len(left) > 1)) or len(set(outputs)) < len(outputs)
        return
    places = [place for _, place in pairs]
    assert len(set(places)) == len(places)
    assert set(outputs) <= set(places) <= {*outputs, "-"}
    assert {name for name, _ in pairs} >= set(formats)


@given(st.lists(PATHS.filter(lambda path: path.rpartition(".")[2] in SUFFIXES), min_size=1, max_size=3, unique=True))
def test_without_formats_the_suffix_tells_and_people_still_get_their_table(outputs: list[str]) -> None:
    expected = [(SUFFIXES[path.rpartition(".")[2]], path) for path in outputs]
    assert pair([], outputs) == [*expected, ("table", "-")]


def test_examples_of_the_manual() -> None:
    assert pair([], []) == [("table", "-")]
    assert pair(["json"], []) == [("json", "-")]
    assert pair(["table", "sarif"], ["night.sarif"]) == [("sarif", "night.sarif"), ("table", "-")]
    assert pair(["json", "html"], ["-", "night.html"]) == [("json", "-"), ("html", "night.html")]
    assert pair(["json"], ["night.txt"]) == [("json", "night.txt")]
    assert pair(["json", "sarif"], []) is None
    assert pair([], ["-"]) is None


def test_several_reports_of_one_scan_agree(call: Callable, demo: Path) -> None:
    ran = call("scan", demo, "--output", "r.json", "--output", "r.prom", "--output", "r.html", "--format", "table")
    assert (ran.code, ran.err) == (1, "")
    report = json.loads(Path("r.json").read_text())
    assert f"run {report['run_id']}," in ran.out
    assert ran.out.startswith("MergeGuard ")
    assert Path("r.prom").read_text().startswith("#")
    assert "<html" in Path("r.html").read_text()


@pytest.mark.parametrize("form", FORMATS)
def test_stdout_holds_the_report_and_nothing_else(form: str, call: Callable, demo: Path) -> None:
    ran = call("scan", demo, "--format", form, "--history", "nights.db")
    assert ran.code == 1
    assert ran.err.startswith("history: ")
    assert ran.out.endswith("\n")
    call("scan", demo, "--format", form, "--output", "report")
    varying = r"[0-9a-f]{32}|[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?"  # a duration has now more digits and now fewer
    steady = [re.sub(varying, "0", text) for text in (ran.out, Path("report").read_text("utf-8"))]
    assert steady[0] == steady[1]


def coloured(call: Callable, target: Path, *flags: str, on_terminal: bool) -> bool:
    return "\x1b[" in call("scan", target, *flags, terminal=on_terminal).out


@pytest.mark.parametrize("on_terminal", [True, False])
@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, None),
        ({"NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
        ({"MERGEGUARD_COLOUR": "always", "NO_COLOR": "1"}, True),
        ({"MERGEGUARD_COLOUR": "never", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_follows_the_environment_and_the_flag_beats_it(
    variables: dict[str, str],
    told: bool | None,
    on_terminal: bool,
    call: Callable,
    cycle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert coloured(call, cycle, on_terminal=on_terminal) is (on_terminal if told is None else told)
    assert coloured(call, cycle, "--colour", "always", on_terminal=on_terminal)
    assert not coloured(call, cycle, "--colour", "never", on_terminal=on_terminal)


def test_a_file_and_a_machine_format_are_never_coloured(call: Callable, cycle: Path) -> None:
    call("scan", cycle, "--colour", "always", "--format", "table", "--output", "report.txt")
    assert "\x1b" not in Path("report.txt").read_text()
    assert "\x1b" not in call("scan", cycle, "--colour", "always", "--format", "json").out


def test_progress_only_where_it_is_asked_for_or_seen(call: Callable, cycle: Path) -> None:
    assert call("scan", cycle).err == ""
    assert call("scan", cycle, "--progress", "never").err == ""
    shown = call("scan", cycle, "--progress", "always")
    assert re.search(r"reading|checking", shown.err)
    assert "\x1b" not in shown.out


def test_progress_on_a_terminal_leaves_the_payload_alone(cycle: Path, call: Callable) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb") as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "mergeguard", "scan", cycle],
            stdout=subprocess.PIPE,
            stderr=screen,
            env=os.environ | {"TERM": "xterm"},
        )
    seen = b""
    with os.fdopen(ours, "rb", buffering=0) as screen:
        while True:
            try:
                part = screen.read(4096)
            except OSError:  # Linux says so when the other side is closed
                break
            if not part:
                break
            seen += part
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.search(rb"reading|checking", seen)
    assert b"1 x cycle" in out
    assert b"\x1b" not in out


def test_names_that_a_code_page_cannot_show_do_not_stop_a_report(folder: Path) -> None:
    (folder / "m.csv").write_text("OldGuid,NewGuid\n\u5bc6,\u00e4\n\u00e4,\u5bc6\n", "utf-8")
    command = [sys.executable, "-m", "mergeguard", "scan", "m.csv", "--ids", "text"]
    ran = subprocess.run(command, capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "cp1252"})
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert "? -> \u00e4 -> ?" in ran.stdout.decode("cp1252") or "\u00e4 -> ? -> \u00e4" in ran.stdout.decode("cp1252")
