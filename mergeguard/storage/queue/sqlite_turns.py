"""Whose turn it is to write, among the threads of one process; what many of them ask for at once is done together.

Whoever comes first leads: it takes the jobs that wait, does them with its own, answers all of them, and hands the lead
to the next that waits. So there is no thread to start or to stop, a caller alone pays for no hand-over, and while a
leader waits for the disk the next group gathers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mergeguard.errors import Locked

T = TypeVar("T")
GROUP = 256
"""Jobs that are done together, at most."""


class Job(Generic[T]):
    """What one caller wants to be done. It is run again if what it was done together with comes to nothing.

    Args:
        run: the work, on what the leader gives it.
        durable: whether the caller may only be answered when the disk has it.
        early: whether it is run before the other jobs of its group.
        alone: whether only its own thread may do it.
    """

    __slots__ = ("alone", "durable", "early", "error", "leads", "result", "run", "wake")

    def __init__(
        self, run: Callable[[Any], T], *, durable: bool = True, early: bool = False, alone: bool = False
    ) -> None:
        self.run = run
        self.durable = durable
        self.early = early
        self.alone = alone
        self.result: T
        self.error: BaseException | None = None
        self.leads = False
        self.wake = threading.Lock()
        self.wake.acquire()

    def answer(self) -> T:
        """Return what it came to, or raise."""
        if self.error is not None:
            raise self.error
        return self.result


class Turns:
    """The line of those who wait to write.

    Args:
        patience: seconds to wait for a turn.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._mutex = threading.Lock()
        self._waiting: list[Job[Any]] = []
        self._leader: int | None = None

    def enter(self, job: Job[Any]) -> bool:
        """Wait until the job is done by somebody else, or return True: the caller leads and owes ``hand_over``.

        Raises:
            Locked: neither came in time; the job will not be done.
            RuntimeError: this very thread has the lead; it would wait for itself.
        """
        with self._mutex:
            if self._leader == threading.get_ident():
                raise RuntimeError("a handler that writes through its batch's connection cannot call the queue as well")
            if self._leader is None:
                self._leader = threading.get_ident()
                return True
            self._waiting.append(job)
        self._wait(job)
        return job.leads

    def group(self, own: Job[Any]) -> list[Job[Any]]:
        """Return the leader's job and those that wait and may be done with it, the early ones first."""
        with self._mutex:
            taken = [job for job in self._waiting if not job.alone][: GROUP - 1]
            gone = set(map(id, taken))
            self._waiting = [job for job in self._waiting if id(job) not in gone]
        return sorted([own, *taken], key=lambda job: not job.early)

    def hand_over(self) -> None:
        """Give the lead to the next that waits."""
        with self._mutex:
            if not self._waiting:
                self._leader = None
                return
            following = self._waiting.pop(0)
            following.leads = True
            self._leader = -1  # until it is awake
        following.wake.release()

    def _wait(self, job: Job[Any]) -> None:
        try:
            woken = job.wake.acquire(timeout=self._patience)
            if not woken and not self._withdraw(job):
                woken = job.wake.acquire()  # it is being done at this moment
        except BaseException:
            if not self._withdraw(job) and job.leads:
                self.hand_over()
            raise
        if not woken:
            raise Locked(f"the event queue was being written for longer than {self._patience:g} s")
        if job.leads:
            self._leader = threading.get_ident()

    def _withdraw(self, job: Job[Any]) -> bool:
        with self._mutex:
            if job not in self._waiting:
                return False
            self._waiting.remove(job)
            return True
