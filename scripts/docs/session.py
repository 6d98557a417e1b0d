"""Runs the commands of a page for real, each page in a folder of its own; their output is the same everywhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
TABLES = CHECKOUT / "mergeguard" / "data" / "tz"
# What differs between runs and machines, and what stands in the documentation instead.
_SAME = (
    (re.compile(r"\b[0-9a-f]{32}\b"), "5d2f8a01c4be4c6f9a7730e1b2d4c6f8"),
    (re.compile(r"\b\d+\.\d+ s\b"), "0.1 s"),
    (re.compile(r"\bMergeGuard \d+\.\d+\.\d+\w*"), "MergeGuard"),
    (re.compile(r"\bSQLite \d+(\.\d+)+"), "SQLite 3"),
    (re.compile(r"_duration_seconds(\{[^}]*\}) \S+"), r"_duration_seconds\1 0.125"),
    (re.compile(r"_timestamp_seconds(\{[^}]*\}) \S+"), r"_timestamp_seconds\1 1795305600"),
    (re.compile(r'("(?:started|finished)": )"[^"]+"'), r'\1"2026-11-22T01:00:00.000000Z"'),
    (re.compile(r'("tool_version": )"[^"]+"'), r'\1"0.1.0"'),
    (re.compile(r"\b20\d\d-\d\d-\d\d \d\d:\d\d(?= UTC)"), "2026-11-22 01:00"),
)


@dataclass(frozen=True)
class Answer:
    """What a command printed on its two streams together, and its exit code."""

    text: str
    code: int


class Session:
    """A folder with the real tables of the tz history in it, and a shell that knows ``mergeguard``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        for table in TABLES.glob("*.tsv"):
            shutil.copy(table, self.folder)
        self._environment = _environment(folder)

    def run(self, command: str) -> Answer:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        return Answer(self._same(done.stdout), done.returncode)

    def _same(self, text: str) -> str:
        for folder in {str(self.folder), str(self.folder.resolve())}:
            text = text.replace(f"{folder}/", "").replace(folder, ".")
        for pattern, instead in _SAME:
            text = pattern.sub(instead, text)
        return "".join(line.rstrip() + "\n" for line in text.splitlines())


def _environment(folder: Path) -> dict[str, str]:
    """Ours without the settings of its user, and with a ``mergeguard`` that runs this checkout."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "mergeguard"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mergeguard "$@"\n')
    program.chmod(0o755)
    dropped = ("MERGEGUARD_", "XDG_", "FORCE_COLOR", "NO_COLOR", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "100",
        "LINES": "50",
        "TERM": "dumb",
        "HOME": str(folder),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }


@contextmanager
def session() -> Iterator[Session]:
    with tempfile.TemporaryDirectory(prefix="mergeguard-docs-") as folder:
        yield Session(Path(folder))
