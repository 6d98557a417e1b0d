"""Kills a command at each of its steps, and its recovery too, and asks after each death what is left."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

TESTS = Path(__file__).parents[1]
KILLED = -9
How = Literal["ptrace", "hooks"]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    """Its exit code; ``KILLED`` where it was killed."""
    steps: tuple[str, ...]
    out: str
    err: str


class Forge:
    """Starts commands quickly, each in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._number = itertools.count()
        self.traces = bool(self._answer()["ptrace"])

    def run(
        self,
        arguments: Sequence[object],
        cwd: Path,
        kill_at: int | None = None,
        how: How = "ptrace",
        **environment: str,
    ) -> Ended:
        """Run a command; with ``kill_at`` it gets SIGKILL before that step (from 1), if it has so many."""
        number = next(self._number)
        places = {name: self._folder / f"{number}.{name}" for name in ("out", "err", "log", "modules")}
        for name in ("out", "err", "log"):
            places[name].touch()
        request = {name: str(place) for name, place in places.items()} | {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd),
            "kill_at": kill_at,
            "how": how,
            "environment": environment,
        }
        print(json.dumps(request), file=self._process.stdin, flush=True)
        said = self._answer()
        return Ended(said["status"], tuple(said["steps"]), places["out"].read_text(), places["err"].read_text())

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that starts the commands is gone"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def forge(folder: Path) -> Iterator[Forge]:
    """Start the process that starts the others; ``folder`` keeps what they print."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MERGEGUARD_")}
    own = {
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",  # a process with threads forks only itself
        "XDG_STATE_HOME": str(folder / "state"),
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    with (
        (folder / "forge.err").open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "crash.forge"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=clean | own,
            text=True,
        ) as process,
    ):
        try:
            yield Forge(process, folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


@dataclass(frozen=True)
class Drill:
    """One command to be killed."""

    forge: Forge
    how: How
    folder: Path
    arguments: Sequence[object]
    reset: Callable[[], None]
    """Put everything back to before the first run."""
    between: Callable[[str], None]
    """Hold that what a killed run left is whole; it may look, but not repair."""
    done: Callable[[], None]
    """Hold that all is as a run that was never killed leaves it."""
    ends: frozenset[int] = frozenset({0})
    """Exit codes of a run that was not killed."""

    def all(self, kills: int, twice: int) -> tuple[str, ...]:
        """Kill the command at ``kills`` of its steps, and ``twice`` times the recovery too; return the steps."""
        self.reset()
        steps = self._finish("never killed").steps
        self.kill_at_each(spread(len(steps), kills))
        self.kill_recovery_too(pairs(len(steps), twice))
        return steps

    def kill_at_each(self, steps: Iterable[int]) -> None:
        """Kill the command before each of the steps, then run it again to its end."""
        for at in steps:
            self.reset()
            where = self._kill(at, "")
            if where is not None:
                self._finish(where)

    def kill_recovery_too(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Kill the command before a step, the run after it before a step of its own, and then let it finish."""
        for at, again in pairs:
            self.reset()
            where = self._kill(at, "")
            if where is not None and (where := self._kill(again, where)) is not None:
                self._finish(where)

    def _kill(self, at: int, before: str) -> str | None:
        """Return where it died, in words; ``None`` where it had fewer steps and came to its end."""
        ended = self.forge.run(self.arguments, self.folder, at, self.how)
        if ended.status != KILLED:
            assert ended.status in self.ends, (before, at, ended)
            self.done()
            return None
        where = f"{before}killed before step {at} ({ended.steps[-1]}); "
        self.between(where)
        return where

    def _finish(self, where: str) -> Ended:
        ended = self.forge.run(self.arguments, self.folder, None, self.how)
        assert ended.status in self.ends, (where, ended)
        self.done()
        return ended


def spread(count: int, most: int) -> list[int]:
    """Choose at most ``most`` of the steps 1..count, evenly, the first and the last among them."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(at * (count - 1) / max(1, most - 1)) for at in range(most)})


def pairs(count: int, most: int) -> list[tuple[int, int]]:
    """Choose at most ``most`` pairs (step of the first run, step of the recovery), scattered over all of them."""
    if count * count <= most:
        return [(at, again) for at in range(1, count + 1) for again in range(1, count + 1)]
    # Multiples of the golden ratio leave no large gap, however many of them are taken.
    scattered = [(at + 0.5) * 0.618034 % 1 for at in range(most)]
    return [(1 + int((at + 0.5) * count / most), 1 + int(part * count)) for at, part in enumerate(scattered)]
