"""Several processes of workers, killed with SIGKILL in the middle of their work: nothing lost, doubled, reordered."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from processor.conftest import Ground, register
from processor.worker_process import is_poison

from mergeguard.core.events import NewEvent, Queue
from mergeguard.storage.queue.store import EventStore

PROGRAM = Path(__file__).parent / "worker_process.py"
EVENTS, SOURCES, PROCESSES = 900, 23, 3
PATIENCE = 120.0


class Herd:
    """Processes of which each is replaced when it is killed."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.processes = [self._start() for _ in range(PROCESSES)]
        self.killed = 0
        self._ready: set[int] = set()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROGRAM), self._ground.url, str(self._ground.folder)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def kill(self, at: int) -> None:
        self.processes[at].kill()
        self._end(self.processes[at])
        self.processes[at] = self._start()
        self.killed += 1

    def stop(self) -> list[int]:
        for process in self.processes:
            self.wait(process)
            process.terminate()
        return [self._end(process) for process in self.processes]

    def wait(self, process: subprocess.Popen[str]) -> None:
        """Wait until a process has said that it can be stopped; it says so once."""
        if process.pid not in self._ready and process.stdout is not None:
            assert process.stdout.readline() == "ready\n"
            self._ready.add(process.pid)

    def _end(self, process: subprocess.Popen[str]) -> int:
        code = process.wait(PATIENCE)
        if process.stdout is not None:
            process.stdout.close()
        return code


@contextmanager
def herd(ground: Ground) -> Iterator[Herd]:
    made = Herd(ground)
    try:
        for process in made.processes:
            made.wait(process)
        yield made
    finally:
        for process in made.processes:
            process.kill()
            made._end(process)


def until(is_so: Callable[[], bool], what: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if is_so():
            return
        pause.wait(0.02)
    pytest.fail(f"it never came to be: {what()}")


def left(store: EventStore) -> int:
    return sum(one.events for one in store.sizes())


def events(folder: Path) -> Sequence[NewEvent]:
    """Events of few sources; each tenth is a file."""
    made = []
    for number in range(EVENTS):
        body = b"<message>%d</message>" % number
        file = f"{uuid.UUID(int=number)}.NSE" if number % 10 == 0 else None
        if file is not None:
            (folder / file).write_bytes(body)
        source = uuid.UUID(int=number * number % SOURCES)
        made.append(NewEvent(source, number % 2, Queue.FAST, len(body), None if file else body, file))
    return made


def test_killed_processes_lose_double_and_reorder_nothing(ground: Ground) -> None:
    store, choose = ground.store(), random.Random(5)
    folder = ground.settings().queue_folder
    ids = register(store, *events(folder))
    bodies = {number: b"<message>%d</message>" % at for at, number in enumerate(ids)}
    with herd(ground) as processes:
        for part in range(9, 0, -2):
            until(lambda part=part: left(store) <= EVENTS * part // 10, lambda: store.chains(limit=10))  # type: ignore[misc]
            processes.kill(choose.randrange(PROCESSES))
        until(lambda: left(store) == 0 and not store.dead(), lambda: (store.chains(limit=10), store.dead(limit=3)))
        assert processes.stop() == [0] * PROCESSES
        assert processes.killed == 5
    poison = {number for number in ids if is_poison(number)}
    effects = ground.effects()
    assert sorted(event for event, *_ in effects) == [number for number in ids if number not in poison]
    lines: dict[str, list[int]] = defaultdict(list)
    for event, line, _place in effects:
        lines[line].append(event)
    nobody = str(uuid.UUID(int=0))
    assert all(line == sorted(line) for name, line in lines.items() if not name.startswith(nobody))
    written = {path.read_bytes() for path in (ground.folder / "bad").rglob("*.NSE")}
    assert written == {bodies[number] for number in poison}
    assert not store.stranded()
    orphans = [path for path in folder.iterdir() if path.name not in store.files()]
    assert len(orphans) <= processes.killed * 32, "only what was killed between its commit and the removal is left over"
