"""Ends a handler that runs longer than it may: ``HandlerTooSlow`` is raised in its thread, wherever it is.

Python raises it between two steps of the handler's own code. A call into a driver, or into the operating system, has to
return first: such calls need time limits of their own, and the batch's own statements have them.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Final

from mergeguard.errors import HandlerTooSlow

LOOKS: Final = 4
"""How often within a limit it is looked who is over it; once a second for long ones."""


class _Watched:
    """One thread's handlers, one after the other: entering begins the time of one, leaving ends it.

    The thread and the one that watches it both hold the interpreter's lock while they read or write one attribute, so
    that these need no other: either the watcher sees that the time has been ended, or the thread sees ``firing``.
    """

    def __init__(self, seconds: float, lock: threading.Lock) -> None:
        self.seconds = seconds
        self.deadline = math.inf
        self.firing = False
        self.fired = False
        self._lock = lock
        self._thread = threading.get_ident()

    def __enter__(self) -> None:
        self.fired = False  # what struck on the way into or out of a block was raised there, and ended it
        self.deadline = time.monotonic() + self.seconds

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.deadline = math.inf
        if self.firing or self.fired:
            with self._lock:  # whoever fires has fired, or not, when it is free again
                fired = self._disarm()
            if fired and not isinstance(error, HandlerTooSlow):
                raise HandlerTooSlow from error

    def fire_if_over(self, now: float) -> None:
        """Raise in the thread if its time is over. The caller holds the lock."""
        self.firing = True
        if self.deadline <= now:
            self.deadline, self.fired = math.inf, True
            _raise_in(self._thread, HandlerTooSlow)
        self.firing = False

    def disarm(self) -> None:
        """Make sure that nothing is raised in the thread from now on. It calls this itself."""
        self.deadline = math.inf
        with self._lock:
            self._disarm()

    def _disarm(self) -> bool:
        fired, self.fired = self.fired, False
        if fired:
            _raise_in(self._thread, None)
        return fired


class TimeLimit:
    """Watches the handlers of all threads of a process; its own thread lives only while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: set[_Watched] = set()
        self._watcher: threading.Thread | None = None
        self._ended = threading.Event()

    @contextmanager
    def watched(self, seconds: float) -> Iterator[AbstractContextManager[None]]:
        """Give the calling thread a block that may take so many seconds, again and again; 0 sets no limit.

        The block raises ``HandlerTooSlow`` where it took longer, even if it caught that itself.
        """
        if seconds <= 0:
            yield nullcontext()
            return
        watched = _Watched(seconds, self._lock)
        with self._lock:
            self._watched.add(watched)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="mergeguard-time-limit", daemon=True)
                self._watcher.start()
        try:
            yield watched
        finally:
            watched.disarm()
            with self._lock:
                self._watched.discard(watched)

    def look(self, now: float | None = None) -> None:
        """Raise in every thread whose handler is over its limit."""
        with self._lock:
            for watched in self._watched:
                watched.fire_if_over(time.monotonic() if now is None else now)

    def _watch(self) -> None:
        while True:
            with self._lock:
                if not self._watched:
                    self._watcher = None
                    return
                pause = min(1.0, *(watched.seconds / LOOKS for watched in self._watched))
            self._ended.wait(pause)
            self.look()


LIMIT: Final = TimeLimit()
"""The one of this process."""


def _raise_in(thread: int, error: type[Exception] | None) -> None:
    """Let a thread raise an exception at its next step; ``None`` takes back what it has not raised yet."""
    import ctypes  # noqa: PLC0415 - only where a handler is too slow

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)
