"""Commits concurrent posts in groups: one thread takes all that wait, and tells each its outcome after the commit.

A commit that reaches the disk costs milliseconds whatever is in it, so the posts that arrive during one share the next.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mergeguard.core.events import NewEvent, Queue
from mergeguard.processor.intake.payloads import Payloads
from mergeguard.processor.intake.refusals import Busy
from mergeguard.processor.intake.registration import Outcome, Registration
from mergeguard.processor.settings import Settings
from mergeguard.storage.queue.store import EventStore

MOST_WAITING: Final = 10_000
"""Posts in line for a commit; whoever comes on top of them is told to come later, so that memory has an end."""


class _Waiting(NamedTuple):
    event: NewEvent
    settle: Callable[[Outcome], None]
    keep: bool


@dataclass(slots=True)
class Registrar:
    """Registers events in groups, each sender being answered after its own commit."""

    store: EventStore
    payloads: Payloads
    settings: Callable[[], Settings]
    wait: Callable[[float], object] | None = None
    """Waits before a retry; by default until the time is up or the registrar is closed."""
    wake: Callable[[Iterable[Queue]], None] | None = None
    """Is told into which queues events came, so that workers need not look for them."""
    most_waiting: int = MOST_WAITING
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closing: threading.Event = field(default_factory=threading.Event)
    _registration: Registration = field(init=False)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        wait = self.wait or self._closing.wait
        self._registration = Registration(self.store, self.payloads, self.settings, wait)

    def start(self) -> None:
        """Begin to register what is handed over."""
        self._thread = threading.Thread(target=self._run, name="registrar", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Register what waits, without retries, refuse what comes, and end."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    @property
    def closing(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closing.is_set()

    def submit(self, event: NewEvent, settle: Callable[[Outcome], None], *, keep: bool = False) -> None:
        """Hand an event over; ``settle`` is called with its outcome, from the registrar's thread or from this one.

        From now on the event's payload file is no more the caller's: where no row comes to hold it, it is removed,
        unless ``keep`` says that it stays.
        """
        one = _Waiting(event, settle, keep)
        with self._changed:
            refused = self._refused()
            if refused is None:
                self._waiting.append(one)
                if len(self._waiting) == 1:  # else it is awake, or was told
                    self._changed.notify()
        if refused is not None:
            self._settle(one, refused)

    def register(self, event: NewEvent, *, keep: bool = False) -> Outcome:
        """Register one event together with others that wait, and return its outcome; ``keep`` as for ``submit``."""
        outcomes: list[Outcome] = []
        settled = threading.Lock()  # an Event has a lock in a condition in it, and one is made for each post
        settled.acquire()

        def settle(outcome: Outcome) -> None:
            outcomes.append(outcome)
            settled.release()

        self.submit(event, settle, keep=keep)
        settled.acquire()
        return outcomes[0]

    def _refused(self) -> Busy | None:
        if self._closing.is_set():
            return Busy("it is shutting down")
        return Busy("too many posts are waiting") if len(self._waiting) >= self.most_waiting else None

    def _run(self) -> None:
        while group := self._next():
            events = [one.event for one in group]
            outcomes = self._registration.outcomes(events, retry=not self._closing.is_set())
            for one, outcome in zip(group, outcomes, strict=True):
                self._settle(one, outcome)
            if self.wake is not None:
                self.wake({event.queue for event in events})

    def _settle(self, one: _Waiting, outcome: Outcome) -> None:
        if isinstance(outcome, Busy) and not one.keep:
            self._registration.forget(one.event)
        one.settle(outcome)

    def _next(self) -> list[_Waiting]:
        """Return what waits, one group at most; nothing when all is done and no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            most = min(len(self._waiting), self.settings().registration_group)
            return [self._waiting.popleft() for _ in range(most)]
