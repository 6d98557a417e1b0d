"""The folder of the nightly reports: what its files are called, and which of them are too old.

A file's age is the time in its name, which a copy or a restored backup keeps. Nothing is ever removed whose name was
not made here.
"""

from __future__ import annotations

import datetime as dt
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergeguard.errors import PermissionDenied, UsageError

_STEM: Final = "mergeguard"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(rf"{_STEM}-(?P<stamp>[0-9]{{8}}T[0-9]{{6}}Z)-[0-9a-f]{{8}}\.[a-z]+(?:\.json)?")
_TRAILING: Final = 8
"""Hex digits of the run's id, so that two runs of one second do not write one file."""


@dataclass(frozen=True, slots=True)
class ReportFolder:
    """One folder, which may hold other files too."""

    path: Path

    def prepare(self) -> None:
        """Make the folder where it is missing.

        Raises:
            UsageError: a file stands in its place.
            PermissionDenied: the operating system forbids it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageError(
                f"{self.path} is no folder", hint="give --reports a folder; it is made where it is missing"
            ) from None
        except OSError as failure:
            raise self._forbidden("made", failure) from failure

    def dated(self, started: dt.datetime, run_id: str, suffix: str) -> Path:
        """Return the place of one run's file, e.g. ``mergeguard-20260301T023000Z-1f2e3d4c.html``."""
        return self.path / f"{_STEM}-{started.astimezone(dt.UTC):{_STAMP}}-{run_id[:_TRAILING]}.{suffix}"

    def latest(self, suffix: str) -> Path:
        """Return the place whose name never changes, e.g. ``mergeguard-latest.html``."""
        return self.path / f"{_STEM}-latest.{suffix}"

    def prune(self, before: dt.datetime) -> tuple[Path, ...]:
        """Remove the dated files of runs that started before a moment; return them, oldest first.

        Raises:
            PermissionDenied: one of them may not be removed.
        """
        removed = []
        try:
            for path in sorted(self._older(before)):
                path.unlink(missing_ok=True)
                removed.append(path)
        except OSError as failure:
            raise self._forbidden("tidied up", failure) from failure
        return tuple(removed)

    def _older(self, before: dt.datetime) -> Iterator[Path]:
        for path in self.path.iterdir():
            started = _started(path.name)
            # A folder or a link of such a name is somebody else's.
            if started is not None and started < before and stat.S_ISREG(path.lstat().st_mode):
                yield path

    def _forbidden(self, what: str, failure: OSError) -> PermissionDenied:
        return PermissionDenied(
            f"the folder {self.path} cannot be {what}: {failure.strerror or failure}",
            hint="give --reports a folder that this account may write",
        )


def _started(name: str) -> dt.datetime | None:
    """Return the time in a file's name; ``None`` where the name is not one of ours."""
    matched = _NAME.fullmatch(name)
    if matched is None:
        return None
    try:
        return dt.datetime.strptime(matched["stamp"], _STAMP).replace(tzinfo=dt.UTC)
    except ValueError:  # the 31st of June
        return None
