"""The queue's process is killed at each step: what was promised is pending, done or dead, once, and in its order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash.queue_look import look, told
from crash.runner import TESTS, Drill, Forge, How

pytestmark = pytest.mark.timeout(3600)  # the long run kills at every step


@pytest.fixture(scope="session", name="environment")
def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}


@pytest.fixture(scope="session", name="queue_forge")
def _queue_forge(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Forge]:
    folder = tmp_path_factory.mktemp("queue-forge")
    command = [sys.executable, "-m", "crash.queue_forge"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        yield Forge(process, folder)
        process.stdin.close()


def test_killed_at_each_step(queue_forge: Forge, how: How, folder: Path, beside: Path, limits: tuple[int, int]) -> None:
    aside = beside / "aside"
    states: set[str] = set()

    def reset() -> None:
        shutil.rmtree(folder)
        folder.mkdir()

    def between(where: str) -> None:
        try:
            found = look(folder, aside)
        except AssertionError as broken:
            raise AssertionError(where) from broken
        states.update(name for name in ("pending", "dead", "done") if getattr(found, name))

    def done() -> None:
        found = look(folder, aside)
        assert not found.pending
        assert found.dead
        assert found.done
        assert set(told(folder).registered) <= {*found.dead, *dict(found.done)}

    steps = Drill(queue_forge, how, folder, (), reset, between, done).all(*limits)
    assert len(steps) > 50, steps
    assert states >= {"pending", "done"}, "no death came in the middle"


def started(folder: Path, name: str, environment: dict[str, str], *amounts: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "crash.queue_work", str(folder), name, *map(str, amounts)]
    return subprocess.Popen(command, env=environment)


def test_several_processes_on_one_file(folder: Path, beside: Path, environment: dict[str, str]) -> None:
    processes = [started(folder, f"p{number}", environment, 2, 40, 2) for number in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    found = look(folder, beside / "aside")
    assert not found.pending
    assert set(told(folder).registered) == {*found.dead, *dict(found.done)}
    assert len(told(folder).registered) == 3 * 2 * 40


def test_one_of_several_processes_is_killed_and_the_others_do_its_work(
    folder: Path, beside: Path, environment: dict[str, str], pytestconfig: pytest.Config
) -> None:
    for turn in range(20 if pytestconfig.getoption("--long") else 2):
        victim = started(folder, f"victim{turn}", environment, 2, 100_000, 2)
        others = [started(folder, f"other{turn}.{number}", environment, 1, 60, 1) for number in range(2)]
        while f"victim{turn}." not in (folder / "told").read_text() if (folder / "told").exists() else True:
            assert victim.poll() is None
        os.kill(victim.pid, signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
        assert [process.wait() for process in others] == [0, 0]
    assert started(folder, "last", environment, 1, 1, 1).wait() == 0
    found = look(folder, beside / "aside")
    assert not found.pending
    assert set(told(folder).registered) <= {*found.dead, *dict(found.done)}
