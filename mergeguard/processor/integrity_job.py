"""The scheduled look at the integrity of the database, taken by a process of its own, told to the log and to metrics.

Where it fails, the events go on: a look is worth less than they are.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Final

from mergeguard.processor.integrity_look import Looked, Question
from mergeguard.processor.settings import Settings

FIRST_SECONDS: Final = 60.0
"""After the start comes the first look, unless the interval is shorter: a server that restarts is not to scan first."""
COMMAND: Final = (sys.executable, "-m", "mergeguard.processor.integrity_look")
_PAUSE: Final = 1.0
_POLL: Final = 0.1
_GRACE: Final = 60.0
"""Seconds beyond the limit of a scan until a look is ended, for the rest of its work."""
_TAIL: Final = 300
"""Characters of what a process that failed said last."""

_log = logging.getLogger(__name__)


class IntegrityJob:
    """Looks at the interval of the settings until it is told to stop.

    Args:
        question: of each look; its limit is that of the settings.
        settings: those in force, asked before each look.
        saw: is told what each look saw.
        ask: takes one look; ``None`` where the server stopped first.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        question: Callable[[Settings], Question],
        settings: Callable[[], Settings],
        saw: Callable[[Looked], object],
        *,
        ask: Callable[[Question, threading.Event], Looked | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._question = question
        self._settings = settings
        self._saw = saw
        self._ask = ask or ask_process
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Look whenever it is time."""
        since, first = self._clock(), True
        while not stop.wait(_PAUSE):
            interval = self._settings().integrity_interval_seconds
            wait = min(interval, FIRST_SECONDS) if first else interval
            if interval and self._clock() - since >= wait:
                since, first = self._clock(), False
                self.look_once(stop)

    def look_once(self, stop: threading.Event) -> None:
        """Take one look, and tell what it saw."""
        looked = self._ask(self._question(self._settings()), stop)
        if looked is not None:
            self._saw(looked)
            _tell(looked)


def ask_process(question: Question, stop: threading.Event, command: Sequence[str] = COMMAND) -> Looked | None:
    """Take one look in a process of its own, which is ended when its time is over or ``stop`` is set."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = _started(question, command, out, err)
        except OSError as failure:
            return Looked(failures=(f"no process could be started: {failure.strerror or failure}",))
        until = time.monotonic() + question.limit + _GRACE
        try:
            while process.poll() is None:
                if stop.wait(_POLL):
                    return None
                if time.monotonic() >= until:
                    return Looked(failures=(f"it was not done after {question.limit + _GRACE:.0f} seconds",))
        finally:
            _ended(process)
        return _answer(process.returncode, out, err)


def _started(question: Question, command: Sequence[str], out: IO[bytes], err: IO[bytes]) -> subprocess.Popen[bytes]:
    # It imports from where this process does, whatever put that in its way.
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environ)  # noqa: S603 - ours
    if process.stdin is not None:
        with suppress(OSError):  # it has ended, and its code says so
            process.stdin.write(question.line().encode())
            process.stdin.flush()
    return process


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):  # what it was to read stays unread
            process.stdin.close()


def _answer(code: int, out: IO[bytes], err: IO[bytes]) -> Looked:
    out.seek(0)
    err.seek(0)
    try:
        return Looked.read(out.read().decode())
    except ValueError:
        said = err.read().decode(errors="replace").strip()[-_TAIL:]
        return Looked(failures=(f"the process ended with {code} and no answer: {said}",))


def _tell(looked: Looked) -> None:
    for rule in looked.rules:
        if rule.count and rule.severity != "info":
            about = {"rule": rule.rule, "rule_name": rule.name, "severity": rule.severity}
            _log.warning("the merges have findings", extra={**about, "findings": rule.count, "first": rule.example})
    if looked.drift is not None and any(looked.drift.values()):
        _log.warning("the lookup has drifted from the merges", extra=dict(looked.drift))
    for failure in looked.failures:
        _log.error("a part of the integrity job failed", extra={"why": failure})
    about_it = {"findings": looked.findings, "purged": looked.purged, "seconds": looked.seconds}
    _log.info("the integrity job is done", extra=about_it)
