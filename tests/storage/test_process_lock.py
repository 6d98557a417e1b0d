"""One process at a time: who comes second is told, and a killed holder leaves nothing in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mergeguard.errors import Locked, PermissionDenied
from mergeguard.storage.own_files.process_lock import held

HOLDER = textwrap.dedent("""
    import pathlib, sys
    from mergeguard.storage.own_files.process_lock import held
    with held(pathlib.Path(sys.argv[1]), "a run"):
        print("held", flush=True)
        sys.stdin.read()
""")


def holder(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock until its stdin ends; return once it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "night.lock"
    with holder(path) as process:
        with pytest.raises(Locked) as caught, held(path, "a run"):
            pytest.fail("two at once")
        assert caught.value.message == f"a run is under way already (process {process.pid})"
        assert str(path) in str(caught.value.hint)
        assert caught.value.exit_code == 3
    with held(path, "a run"):
        assert path.read_text() == f"process {os.getpid()}"


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "night.lock"
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with held(path, "a run"):
            pass


def test_one_process_cannot_hold_it_twice_and_may_hold_it_again(tmp_path: Path) -> None:
    path = tmp_path / "night.lock"
    for _ in range(2):
        with held(path, "a run"), pytest.raises(Locked), held(path, "a run"):
            pytest.fail("twice")


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "night.lock"
    with pytest.raises(ZeroDivisionError), held(path, "a run"):
        _ = 1 // 0
    with held(path, "a run"):
        assert path.exists()


def test_what_stands_in_the_file_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "night.lock"
    with holder(path):
        path.write_bytes(b"\x1b[2J\xff" * 99)
        with pytest.raises(Locked, match=r"^a run is under way already$"), held(path, "a run"):
            pytest.fail("two at once")


def test_a_place_that_is_no_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied, match="cannot be opened"), held(tmp_path, "a run"):
        pytest.fail("a folder")
