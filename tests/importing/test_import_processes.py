"""Free-running processes that import, merge and repair one database at the same time: what is left is what must be."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from import_oracle import Guid, Import, Merge
from importing.import_cases import HAPPENED, Case, Sent, operations, start
from importing.import_state import CHECKS
from importing.import_tables import tangle
from importing.import_world import World
from merge_model import guid

TESTS = Path(__file__).parent.parent
GUIDS = 12
SPLIT = 3
"""So many of them are merged into two others at once: imports of them wait for the repair."""


@dataclass
class Crowd:
    """Processes that begin together."""

    world: World
    folder: Path
    stack: ExitStack
    started: list[subprocess.Popen[str]]

    def start(self, what: str, *rest: str) -> None:
        command = [sys.executable, str(Path(__file__).parent / "import_worker.py"), what, self.world.url]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
        process = subprocess.Popen(
            [*command, str(self.folder), *rest],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.stack.enter_context(process)
        self.stack.callback(process.kill)
        self.started.append(process)

    def run(self) -> list[int]:
        """Let all begin, and wait for all; return what each of them counted."""
        for process in self.started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.stderr and process.stderr.read()
        for process in self.started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        ends = [process.communicate(timeout=120) for process in self.started]
        for process, (_, err) in zip(self.started, ends, strict=True):
            assert process.returncode == 0, err
        return [int(out) for out, _ in ends]


@contextmanager
def crowd(world: World, folder: Path) -> Iterator[Crowd]:
    with ExitStack() as stack:
        yield Crowd(world, folder, stack, [])


def story(seed: int, events: int) -> list[Sent]:
    """Events of few sources about few guids."""
    draw = random.Random(seed)

    def some(most: int) -> tuple[int, ...]:
        return tuple(draw.randrange(GUIDS) for _ in range(draw.randrange(most + 1)))

    return [
        Sent(
            source=draw.randrange(GUIDS),
            single=draw.choice([None, draw.randrange(GUIDS)]),
            many=tuple({(part, draw.randrange(GUIDS)) for part in range(draw.randrange(3))}),
            other=draw.randrange(-1, GUIDS),
            happened=draw.randrange(GUIDS),
            any_=some(2),
            from_=some(1),
            shared=draw.choice([None] * 8 + [draw.randrange(40)]),
            same=draw.random() < 0.5,
        )
        for _ in range(events)
    ]


def pairs(seed: int, count: int) -> list[tuple[int, int]]:
    draw = random.Random(seed)
    return [(one, (one + draw.randrange(1, GUIDS)) % GUIDS) for one in (draw.randrange(GUIDS) for _ in range(count))]


def in_order(world: World, imports: Sequence[Import]) -> None:
    """Hold the order of each source: its rows were written in the order in which its events were registered."""
    lines: dict[Guid | None, list[int]] = {}
    sources = {one.event: one.message.resources[0].guid for one in imports}
    for _, cells in world.state().data[HAPPENED.guid]:
        number = int(str(cells[0]).removeprefix("of "))
        lines.setdefault(sources[number], []).append(number)
    assert sum(map(len, lines.values())) == len(imports)
    assert all(line == sorted(line) for line in lines.values())


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
def test_imports_merges_retries_and_a_repair_at_the_same_time(world: World, tmp_path: Path, seed: int) -> None:
    """Events of guids that are split wait, in their lines, until the repair has decided; nothing else does."""
    imports = operations(story(seed, 60))
    world.reset(Case(GUIDS + 2 * SPLIT, (), ()))
    tangle(world.tables, [(number, GUIDS + number, GUIDS + SPLIT + number) for number in range(SPLIT)])
    world.rebuild()
    world.register([one for one in imports if isinstance(one, Import)], chained=True)
    wanted = [pair for pair in pairs(seed, 6) if min(pair) >= SPLIT]
    with crowd(world, tmp_path) as processes:
        processes.start("import")
        processes.start("import")
        processes.start("merge", json.dumps(wanted))
        processes.start("repair")
        *taken, _, steps = processes.run()
    assert all(taken), "one process did everything"
    assert steps == SPLIT
    world.model = start(GUIDS + 2 * SPLIT)
    world.model.into = dict(world.state().merges)
    world.model.keys = {key for key in world.model.keys if key[0] not in set(map(guid, range(SPLIT)))}
    world.check([*imports, *(Merge(guid(old), guid(new)) for old, new in wanted)], set(CHECKS) - {"monotone"})
    in_order(world, [one for one in imports if isinstance(one, Import)])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 12))
def test_more_imports_and_merges(world: World, tmp_path: Path, seed: int) -> None:
    imports = operations(story(seed, 200))
    model, _ = world.reset(Case(GUIDS, (), ()))
    world.register([one for one in imports if isinstance(one, Import)], chained=True)
    wanted = pairs(seed, 9)
    with crowd(world, tmp_path) as processes:
        for _ in range(2):
            processes.start("import")
        processes.start("merge", json.dumps(wanted))
        taken = processes.run()
    assert all(taken[:2]), "one process did everything"
    world.model = model
    world.check([*imports, *(Merge(guid(old), guid(new)) for old, new in wanted)])
    in_order(world, [one for one in imports if isinstance(one, Import)])
