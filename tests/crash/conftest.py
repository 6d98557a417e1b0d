"""Fixtures of the crash tests: the forge that starts commands, and how their steps are found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash.runner import Forge, How, forge


@pytest.fixture(scope="session", name="forge")
def _forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with forge(tmp_path_factory.mktemp("forge")) as started:
        yield started


@pytest.fixture(params=["ptrace", "hooks"])
def how(request: pytest.FixtureRequest, forge: Forge, record_property: pytest.Session) -> How:
    """How steps are found: by system call where processes may be traced, and by statement inside the process."""
    used: How = "ptrace" if request.param == "ptrace" and forge.traces else "hooks"
    record_property("steps found by", used)  # type: ignore[operator]
    sys.stdout.write(f"steps found by {used}\n")
    return used


@pytest.fixture
def limits(pytestconfig: pytest.Config, how: How) -> tuple[int, int]:
    """At how many steps to kill, and how many recoveries: all of them in the long run."""
    if pytestconfig.getoption("--long"):
        return 100_000, 2_000
    return (16, 3) if how == "ptrace" else (6, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that commands run in."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"
