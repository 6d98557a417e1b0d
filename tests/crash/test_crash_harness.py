"""The killing itself: each step is seen, the chosen one is not taken, and those before it are."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from crash.runner import KILLED, TESTS, Forge, pairs, spread
from hypothesis import given
from hypothesis import strategies as st

WORK = textwrap.dedent("""
    import json, os, sqlite3, sys, threading
    from pathlib import Path
    from crash import hooks, tracing

    place, how, kill_at = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])

    def thread():
        (place / "threads").write_text("x")

    def work():
        if how == "hooks":
            hooks.install(hooks.Steps(place / "log", kill_at))
        (place / "read").read_text()
        with open(place / "a", "w") as file:
            file.write("1")
            file.flush()
            os.fsync(file.fileno())
        os.replace(place / "a", place / "b")
        other = threading.Thread(target=thread)
        other.start()
        other.join()
        os.unlink(place / "b")
        connection = sqlite3.connect(place / "m.db")
        connection.execute("CREATE TABLE t (a)")
        connection.close()

    if how == "ptrace":
        seen = tracing.run(work, kill_at, ())
    else:
        child = os.fork()
        if not child:
            work()
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seen = tracing.Traced(status, (place / "log").read_text().splitlines())
    print(json.dumps([seen.status, seen.steps]))
""")


def run(place: Path, how: str, kill_at: int | None) -> tuple[int, list[str], set[str]]:
    """Do the work above in a folder of its own; return how it ended, its steps, and the files there are."""
    place.mkdir()
    (place / "read").touch()
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(place), how, json.dumps(kill_at)],
        env={"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    status, steps = json.loads(done.stdout)
    return status, steps, {path.name for path in place.iterdir()} - {"read", "log"}


STATES = [set(), {"a"}, {"b"}, {"b", "threads"}, {"threads"}, {"threads", "m.db"}]


@pytest.mark.parametrize("how", ["ptrace", "hooks"])
def test_what_is_killed_at_a_step_did_all_before_it_and_not_the_step(how: str, tmp_path: Path, forge: Forge) -> None:
    used = how if forge.traces else "hooks"
    status, steps, files = run(tmp_path / "whole", used, None)
    assert (status, files) == (0, STATES[-1])
    assert {step.split()[-1] for step in steps} >= {"a", "threads"}
    assert "read" not in {step.split()[-1] for step in steps}, "reading is no step"
    left = []
    for at in range(1, len(steps) + 1):
        status, seen, files = run(tmp_path / str(at), used, at)
        assert (status, len(seen)) == (KILLED, at)
        left.append(files - {"m.db-journal"})
    # Every state there is between two changes is seen, in their order, and no other.
    assert [state for state, _ in itertools.groupby([*left, STATES[-1]])] == STATES
    assert run(tmp_path / "beyond", used, len(steps) + 1)[0] == 0


def test_the_first_step_leaves_nothing_at_all(tmp_path: Path, forge: Forge) -> None:
    for how in ("ptrace", "hooks") if forge.traces else ("hooks",):
        assert run(tmp_path / how, how, 1)[2] == set()


def test_a_command_runs_as_it_always_does(forge: Forge, folder: Path) -> None:
    (folder / "m.csv").write_text("OldGuid,NewGuid\n")
    for how in ("ptrace", "hooks"):
        whole = forge.run(("scan", "m.csv", "--format", "json"), folder, None, how)  # type: ignore[arg-type]
        assert (whole.status, whole.err) == (0, "")
        assert json.loads(whole.out)["rows"] == 0
    assert forge.run(("scan", "gone.csv"), folder).status == 3


@given(st.integers(1, 400), st.integers(1, 60))
def test_the_sample_of_steps_holds_the_first_and_the_last(count: int, most: int) -> None:
    chosen = spread(count, most)
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= most
    assert set(chosen) <= set(range(1, count + 1))
    assert chosen[0] == 1
    assert most == 1 or chosen[-1] == count


@given(st.integers(1, 60), st.integers(1, 60))
def test_the_sample_of_pairs_is_within_bounds(count: int, most: int) -> None:
    every: list[tuple[int, Any]] = pairs(count, most)
    assert len(every) == min(most, max(min(count * count, most), 0))
    assert all(1 <= step <= count for pair in every for step in pair)
