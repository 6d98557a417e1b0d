"""Registers a group of events, and again after an error that may pass; says of each what became of it.

A commit that nobody answered is the one case in which that cannot be told. The files of such a group are *doubtful*: at
the next try the database is asked which of them it holds. Events without a file may then be registered twice, because
their sender, who has no answer either, posts them again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mergeguard.core.events import Denied, NewEvent, Reason, Registered
from mergeguard.errors import ConnectFailed, Locked, MergeGuardError, WriteFailed
from mergeguard.processor.intake.payloads import Payloads
from mergeguard.processor.intake.refusals import Busy
from mergeguard.processor.settings import Settings
from mergeguard.storage.queue.store import EventStore

STEP_SECONDS: Final = 0.1
"""Retry number n comes n times this after the failure."""

_log = logging.getLogger(__name__)

Outcome: TypeAlias = Registered | Busy
"""What became of an event: it is in the database for good, or nothing of it is."""


@dataclass(slots=True)
class Registration:
    """Puts events into the database. For one thread."""

    store: EventStore
    payloads: Payloads
    settings: Callable[[], Settings]
    wait: Callable[[float], object]
    """Waits before a retry."""
    _doubtful: set[str] = field(default_factory=set)
    _abandoned: set[str] = field(default_factory=set)
    """The doubtful ones that are to go unless the database holds them."""

    def outcomes(self, events: Sequence[NewEvent], *, retry: bool = True) -> list[Outcome]:
        """Register a group in one transaction and return what became of each event, in the same order.

        A group that cannot be written is tried event by event, so that one of them cannot harm another.
        """
        try:
            return self._tried(events, self.settings().registration_retries if retry else 0)
        except MergeGuardError as failure:
            self._doubt(events, failure)
            if len(events) > 1 and isinstance(failure, WriteFailed):
                return [outcome for event in events for outcome in self.outcomes([event], retry=retry)]
            _tell("registration failed", events, failure)
            return [Busy("the database does not take events now") for _ in events]
        except Exception as bug:  # noqa: BLE001 - a bug must neither end the thread nor leave a sender unanswered
            self._doubt(events, bug)
            _tell("registration failed", events, bug)
            return [Busy("the registration failed") for _ in events]

    def forget(self, event: NewEvent) -> None:
        """Remove the payload of an event that is not registered; a doubtful one as soon as the database says so."""
        if event.file is None:
            return
        if event.file in self._doubtful:
            self._abandoned.add(event.file)
        else:
            self.payloads.remove(event.file)

    def _tried(self, events: Sequence[NewEvent], retries: int) -> list[Outcome]:
        for number in range(1, retries + 1):
            try:
                return self._once(events)
            except MergeGuardError as failure:
                if not failure.retryable:
                    raise
                self._doubt(events, failure)
                _tell(f"registration is retried, {number} of {retries}", events, failure)
            self.wait(number * STEP_SECONDS)
        return self._once(events)

    def _once(self, events: Sequence[NewEvent]) -> list[Outcome]:
        held = self._settled() if self._doubtful else {}
        new = [event for event in events if event.file not in held]
        answers = iter(self.store.register(new, file_limit=self.settings().file_limit) if new else ())
        return [self._outcome(event, held, answers) for event in events]

    def _outcome(self, event: NewEvent, held: dict[str, int], answers: Iterator[Registered | Denied]) -> Outcome:
        if event.file is not None and event.file in held:
            return Registered(held[event.file])
        answer = next(answers)
        return answer if isinstance(answer, Registered) else Busy(answer.reason, full=answer.reason is Reason.FULL)

    def _settled(self) -> dict[str, int]:
        """Ask the database for the doubtful files: return those that it holds, remove those that nobody does."""
        known = self.store.files()
        held = {name: known[name] for name in self._doubtful if name in known}
        for name in self._abandoned - held.keys():
            self.payloads.remove(name)
        self._doubtful.clear()
        self._abandoned.clear()
        return held

    def _doubt(self, events: Sequence[NewEvent], failure: Exception) -> None:
        """Remember the files of a group whose commit may have been made."""
        if not isinstance(failure, ConnectFailed | Locked):  # after these it certainly was not
            self._doubtful.update(event.file for event in events if event.file is not None)


def _tell(what: str, events: Sequence[NewEvent], failure: Exception) -> None:
    message = failure.message if isinstance(failure, MergeGuardError) else str(failure)
    _log.warning(what, extra={"events": len(events), "error": type(failure).__name__, "why": message})
