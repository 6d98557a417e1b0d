"""What the process does around a command: a collector that rarely wakes, and an exit that is as ever."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from mergeguard.cli import app
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


def test_one_command_is_built_where_one_is_asked_for() -> None:
    everything = [one.name for one in [*app.app.registered_commands, *app.app.registered_groups]]
    for name in everything:
        built = app.asked_for([str(name), "--help"])
        assert [one.name for one in [*built.registered_commands, *built.registered_groups]] == [name]
    assert [one.name for one in [*app.app.registered_commands, *app.app.registered_groups]] == everything
    for unclear in ([], ["--help"], ["scna"], ["--version"], ["-x", "scan"], [""]):
        assert app.asked_for(unclear) is app.app
