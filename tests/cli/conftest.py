"""The command line as a user meets it: a folder of its own, quick calls in this process, and real processes."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from mergeguard import __version__
from mergeguard.api import make_demo
from mergeguard.cli import crash, exit_codes
from mergeguard.cli.app import main

MERGES = "OldGuid,NewGuid\n{0}1,{0}2\n{0}2,{0}3\n".format("00000000-0000-4000-8000-00000000000")
CYCLE = MERGES + "{0}3,{0}1\n".format("00000000-0000-4000-8000-00000000000")
_VOLATILE = (
    (r"\brun [0-9a-f]{32}\b", "run <run>"),
    (r"\b\d+\.\d\d s$", "<seconds> s"),
    (rf"(?i)\bmergeguard {re.escape(__version__)}\b", "MergeGuard <version>"),
)


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refused(self, code: int, *words: str) -> bool:
        """Hold that it failed as a user may expect: words and a hint on stderr, nothing on stdout, no traceback."""
        assert (self.code, self.out) == (code, ""), self
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert any(line.startswith("error: ") for line in lines), self.err
        assert any(line.startswith("hint: ") and len(line) > len("hint: ...") for line in lines), self.err
        for word in words:
            assert word in self.err
        return True


class Caller(Protocol):
    def __call__(self, *arguments: object, stdin: str = "", terminal: bool = False) -> Ran: ...


class _Stream(io.TextIOWrapper):
    """A stream of bytes as a process has them, which may claim to be a terminal."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def call() -> Caller:
    """Run a command in this process and tell how it ended; ``terminal`` makes stdout claim to be one."""

    def run(*arguments: object, stdin: str = "", terminal: bool = False) -> Ran:
        out, err = _Stream(terminal=terminal), _Stream()
        before = sys.argv, sys.stdin, signal.getsignal(signal.SIGTERM)
        sys.argv, sys.stdin = ["mergeguard", *map(str, arguments)], io.StringIO(stdin)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stop:
                main()
        finally:
            sys.argv, sys.stdin = before[:2]
            signal.signal(signal.SIGTERM, before[2])
            crash._SECRETS.clear()  # a process starts with none
        return expected(Ran(int(stop.value.code or 0), out.text, err.text), *arguments)

    return run


@pytest.fixture(scope="session")
def run() -> Callable[..., Ran]:
    """Run a command as a process of its own, in the current folder; a warning of Python's is an error there."""

    def start(*arguments: object, **more: object) -> Ran:
        done = subprocess.run(command(*arguments), capture_output=True, check=False, timeout=60, **more)  # type: ignore[call-overload]
        return expected(Ran(done.returncode, done.stdout.decode(), done.stderr.decode()), *arguments)

    return start


def expected(ran: Ran, *arguments: object) -> Ran:
    """Hold of every command of every test that it ended with an exit code that its help page lists."""
    name = exit_codes.called([str(argument) for argument in arguments])
    assert name is None or ran.code in exit_codes.CODES[name], f"{name} ended with {ran.code}: {ran.err}"
    return ran


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "mergeguard", *map(str, arguments)]


@pytest.fixture(scope="session", name="command")
def _command() -> Callable[..., list[str]]:
    return command


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and an environment in which nobody ever set anything."""
    for name in [name for name in os.environ if name.startswith("MERGEGUARD_") or name in {"NO_COLOR", "FORCE_COLOR"}]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture(scope="session")
def made_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp("demo")).database


@pytest.fixture
def demo(made_demo: Path, folder: Path) -> Path:
    """The demonstration's database in the current folder: 77 errors, 9 warnings, 2 infos."""
    return Path(shutil.copy(made_demo, folder / "tz.db")).relative_to(folder)


@pytest.fixture
def merges(folder: Path) -> Path:
    """A file of two merges in a chain and nothing else: infos alone."""
    (folder / "merges.csv").write_text(MERGES)
    return Path("merges.csv")


@pytest.fixture
def cycle(folder: Path) -> Path:
    """A file of three merges in a circle: one error."""
    (folder / "cycle.csv").write_text(CYCLE)
    return Path("cycle.csv")


@pytest.fixture
def settled(tmp_path: Path) -> Callable[[str], str]:
    """Replace what differs from run to run by its name."""

    def settle(text: str) -> str:
        text = text.replace(str(tmp_path), "<folder>")
        for pattern, name in _VOLATILE:
            text = re.sub(pattern, name, text, flags=re.MULTILINE)
        return text

    return settle


@pytest.fixture
def unchanged(folder: Path) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Hold that a block leaves every file of the current folder as it was, and makes none."""

    def contents() -> dict[str, bytes]:
        return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}

    @contextlib.contextmanager
    def hold() -> Iterator[None]:
        before = contents()
        yield
        assert contents() == before

    return hold


@pytest.fixture
def nobody() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Be an unprivileged user for a while, where the tests run as root."""

    @contextlib.contextmanager
    def be() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)

    return be
