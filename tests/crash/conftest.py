"""Fixtures of the crash tests: the forge that starts commands, and how their steps are found."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash.places import Place, PostgresPlace, SqlitePlace
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
        return 100_000, 150
    return (11, 2) if how == "ptrace" else (5, 1)


@pytest.fixture
def fewer(limits: tuple[int, int]) -> tuple[int, int]:
    """The same for what has few kinds of steps, or is tried in several ways."""
    return limits[0] // 2, limits[1] // 2


@pytest.fixture
def beside() -> Iterator[Path]:
    """A folder in memory where there is one: a kill loses nothing that a write has handed over, whatever the disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of its own below it
    with tempfile.TemporaryDirectory(prefix="mergeguard-crash-", dir=memory) as made:
        yield Path(made)


@pytest.fixture
def folder(beside: Path) -> Path:
    """The folder that commands run in; what is kept of its states stands beside it."""
    (beside / "work").mkdir()
    return beside / "work"


@pytest.fixture(params=["sqlite", pytest.param("sqlite-wal", marks=pytest.mark.long), "postgresql"])
def place(request: pytest.FixtureRequest, folder: Path, beside: Path) -> Iterator[Place]:
    """The database whose commands are killed."""
    if request.param != "postgresql":
        (beside / "kept").mkdir()
        made_here = SqlitePlace(folder, beside / "kept")
        made_here.fill([f"PRAGMA journal_mode = {'WAL' if request.param == 'sqlite-wal' else 'DELETE'}"])
        yield made_here
        return
    made = PostgresPlace(request.getfixturevalue("postgres_url"))
    yield made
    made.close()
