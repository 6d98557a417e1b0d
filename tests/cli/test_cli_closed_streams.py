"""Streams that were closed before the start: nobody listens, the verdict stands, and no file takes their place."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

CLOSED = [(0,), (1,), (2,), (0, 1, 2)]


def run(closed: tuple[int, ...], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command with some of its streams closed, as ``>&-`` of a shell does."""

    def close() -> None:
        for number in closed:
            os.close(number)

    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "mergeguard", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        preexec_fn=close,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_a_scan_says_its_verdict_to_whoever_listens(closed: tuple[int, ...], demo: Path) -> None:
    heard = run((), "scan", demo)
    ran = run(closed, "scan", demo)
    assert ran.returncode == heard.returncode == 1
    assert bool(ran.stdout) == (1 not in closed)
    assert not ran.stderr


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_a_mistake_ends_with_its_code(closed: tuple[int, ...]) -> None:
    ran = run(closed, "scan", "nowhere.db")
    assert ran.returncode == 3
    assert not ran.stdout  # with stderr closed Python would print to stdout what was meant for it
    assert ("error: " in ran.stderr) == (2 not in closed)


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_a_lookup_is_built_and_nothing_else_lands_in_the_database(closed: tuple[int, ...], demo: Path) -> None:
    assert run(closed, "lookup", "build", demo).returncode == 0
    with closing(sqlite3.connect(demo)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert run((), "lookup", "verify", demo).returncode == 0


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("scan", "--list-rules"), ("config", "show"), ()])
def test_pages_without_a_reader_do_no_harm(arguments: tuple[str, ...]) -> None:
    ran = run((1, 2), *arguments)
    assert ran.returncode == (0 if arguments else 2)


def test_a_closed_stdin_holds_no_guids(demo: Path) -> None:
    ran = run((0,), "resolve", demo, "-")
    assert (ran.returncode, ran.stderr) == (run((), "resolve", demo, "-").returncode, "")


def test_payloads_go_to_files_all_the_same(demo: Path, folder: Path) -> None:
    ended = run((1,), "scan", demo, "--format", "json", "--output", "report.json")
    assert ended.returncode == 1
    assert (folder / "report.json").read_text().startswith("{")
