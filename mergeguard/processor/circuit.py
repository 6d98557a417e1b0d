"""The circuit breaker: while the database is away nobody asks it, but one who tries again at growing intervals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from mergeguard.processor.failures import told

_log = logging.getLogger(__name__)
FIRST_PAUSE = 0.1
"""Seconds before the first probe; each next one waits twice as long, up to the longest."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Why work is paused."""

    message: str
    probes: int
    """In vain so far."""


class Circuit:
    """Lets workers through while the database answers, and holds them while it does not.

    Args:
        probe: asks the database for something that also needs the right to write; raises while it is away.
        wait: waits so many seconds and returns whether to stop instead; a test's own returns at once.
        longest: the most seconds between two probes.
    """

    def __init__(
        self, probe: Callable[[], object], wait: Callable[[float], bool], longest: Callable[[], float] = lambda: 1.0
    ) -> None:
        self._probe = probe
        self._wait = wait
        self._longest = longest
        self._probing = threading.Lock()
        self._outage: Outage | None = None
        self._pause = FIRST_PAUSE

    @property
    def outage(self) -> Outage | None:
        """Why work is paused; ``None`` where it is not."""
        return self._outage

    def open(self, error: BaseException) -> None:
        """Pause everybody, because the database failed one of them."""
        if self._outage is None:
            self._outage = Outage(told(error), 0)
            _log.warning("work is paused: the database does not answer", extra={"why": told(error)})

    def succeeded(self) -> None:
        """Note that real work was committed: the next outage begins with short waits again."""
        self._pause = FIRST_PAUSE

    def passed(self) -> bool:
        """Wait until work may go on; return ``False`` if it is to stop instead."""
        while self._outage is not None:
            with self._probing:  # one probes, the others wait for what it finds
                if self._is_open() and self._wait(min(self._pause, self._longest())):
                    return False
                if self._is_open():
                    self._try()
        return True

    def _is_open(self) -> bool:
        return self._outage is not None

    def _try(self) -> None:
        """Probe; a success lets all through, but only real work makes the waits short again."""
        self._pause = min(self._pause * 2, max(self._longest(), FIRST_PAUSE))
        probes = self._outage.probes + 1 if self._outage else 1
        try:
            self._probe()
        except Exception as error:  # noqa: BLE001 - whatever it is, the database does not do what work needs
            self._outage = Outage(told(error), probes)
            return
        self._outage = None
        _log.warning("work goes on: the database answers", extra={"probes": probes})
