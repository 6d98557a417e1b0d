"""The queue's process is killed at each step: what was promised is pending, done or dead, once, and in its order."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
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


DURABLE = textwrap.dedent("""
    import datetime as dt, json, os, sys, uuid
    from pathlib import Path
    from crash import tracing
    from mergeguard.core.events import NewEvent, Queue, Ran
    from mergeguard.storage.queue.sqlite import SqliteEventStore

    folder = Path(sys.argv[1])

    def work():
        answers = os.open(folder / "answers", os.O_WRONLY | os.O_CREAT)
        store = SqliteEventStore(folder / "q.db")
        store.create()
        for at in range(20):
            store.register([NewEvent(uuid.UUID(int=at % 3 + 1), 1, Queue.FAST, 1, b"x")])
            os.write(answers, b"registered")
        while claim := store.claim(Queue.FAST, "w", dt.timedelta(hours=1), events=3):
            with store.batch(claim) as batch:
                batch.finish([Ran(lease, len(lease.events)) for lease in claim.leases])
            os.write(answers, b"done")
        os._exit(0)

    print(json.dumps(tracing.run(work, None, ()).steps))
""")


def test_an_answer_comes_after_the_log_is_on_the_disk(
    queue_forge: Forge, folder: Path, environment: dict[str, str]
) -> None:
    if not queue_forge.traces:
        return  # what the file system is asked for can only be seen from outside
    command = [sys.executable, "-c", DURABLE, str(folder)]
    steps = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    answers = [at for at, step in enumerate(steps) if step == "write answers"]
    assert len(answers) > 25
    for begin, end in itertools.pairwise([-1, *answers]):
        log = [step.partition(" ")[0] for step in steps[begin + 1 : end] if step.endswith("-wal")]
        assert log, "nothing was written before the answer"
        assert log[-1] in {"fsync", "fdatasync"}, log


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
