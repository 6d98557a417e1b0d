"""What the process does around a command: a collector that rarely wakes, and an exit that is as ever."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from mergeguard.cli.commands import COMMANDS, Commands
from mergeguard.cli.process import YOUNG_OBJECTS, tuned

RUN = """
import atexit, gc, sys
atexit.register(lambda: print("handler, frozen:", gc.get_freeze_count() > 0))
class Loop:
    def __init__(self): self.me = self
    def __del__(self): print("collected")
from mergeguard.cli.process import tuned
for _ in range(2):
    with tuned():
        loop = Loop()
        del loop
        print("inside", gc.get_threshold()[0], gc.isenabled())
        gc.collect()
print("outside", gc.get_threshold()[0])
sys.stdout.write("flushed at the exit")
"""


def test_collector_rarely_wakes_within_a_command_and_as_before_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    before = gc.get_threshold()
    seen = []
    with pytest.raises(KeyError), tuned():
        raise KeyError(seen.append(gc.get_threshold()))
    assert seen == [(YOUNG_OBJECTS, *before[1:])]
    assert gc.get_threshold() == before


@pytest.mark.parametrize("said", [None, "7"])
def test_who_says_how_many_threads_is_heard(said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", said or "")
    if said is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    with tuned():
        assert os.environ["OPENBLAS_NUM_THREADS"] == (said or "1")


def test_cycles_are_collected_handlers_run_and_stdout_is_flushed() -> None:
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True, timeout=60)
    once = [f"inside {YOUNG_OBJECTS} True", "collected"]
    assert done.stdout.splitlines() == [*once, *once, "outside 700", "flushed at the exithandler, frozen: True"]
    assert not done.stderr


def test_a_command_is_listed_as_its_own_page_begins() -> None:
    commands = Commands()
    assert list(commands) == [each.name for each in COMMANDS]
    for each in COMMANDS:
        assert each.summary == commands[each.name].help.partition("\n\n")[0]
        assert commands[each.name].name == each.name
        assert commands[each.name] is commands[each.name]
        assert bool(getattr(commands[each.name], "commands", None)) == each.group
    assert "scna" not in commands


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["scan", "--help"], ["scna"]])
def test_no_command_is_imported_but_the_one_that_is_asked_for(words: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv[1:] = {words}\n"
        "from mergeguard.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(*(name for name in sys.modules if name.startswith('mergeguard.cli.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    imported = set(done.stderr.splitlines()[-1].split())
    listed = {f"mergeguard.cli.{each.name}" for each in COMMANDS}
    assert imported & listed == {f"mergeguard.cli.{word}" for word in words if word in Commands()}
