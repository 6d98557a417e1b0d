"""One process that takes events in and handles them: it starts what belongs together, and ends it in the right order.

A database that is away keeps nothing from starting: posts are answered *busy*, and workers begin when it is back. At a
stop posts are refused at once and those under way are answered, the inboxes rest, and workers finish the events they
are at and give their leases back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mergeguard.errors import MergeGuardError, TargetNotFound
from mergeguard.processor.handlers import Handler
from mergeguard.processor.intake.serving import Address, RunningIntake, running_intake
from mergeguard.processor.metrics import ServerMetrics
from mergeguard.processor.running import Processor
from mergeguard.processor.settings import Settings
from mergeguard.processor.waking import LeadSomewhere, Waking
from mergeguard.storage.queue.store import EventStore

if TYPE_CHECKING:
    from mergeguard.processor.intake.creation import Registry  # comes with the extra `serve`

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Server:
    """What one process does for one queue.

    Args:
        store: the queue.
        settings: those in force.
        metrics: of this process.
        prepare: makes the tables that are missing; called until the database answers.
        address: where to listen; ``None``: no events are taken in here.
        handler: of events; ``None``: none are handled here.
        beside: each runs until it is told to stop, in a thread of its own, once the tables are there.
        started: is told where the server listens, as soon as it does.
        registry: tells agents their guids; ``None``: nobody here knows resources.
        lead_somewhere: says whose merges were mended, so that parked events go on; ``None``: nobody looks here.
    """

    store: EventStore
    settings: Callable[[], Settings]
    metrics: ServerMetrics
    prepare: Callable[[], None]
    address: Address | None = None
    handler: Handler | None = None
    beside: Sequence[Callable[[threading.Event], None]] = ()
    started: Callable[[str | None], None] = lambda _url: None
    registry: Registry | None = None
    lead_somewhere: LeadSomewhere | None = None
    _failure: MergeGuardError | None = field(default=None, init=False)

    def run(self, stop: threading.Event) -> bool:
        """Serve until ``stop`` is set; return whether all that was under way ended in time.

        Raises:
            UsageError: the address is taken, or a file stands in the place of a folder.
            PermissionDenied: a folder cannot be written.
            Locked: another server takes events into the same folder.
            TargetNotFound: the folder of the queue is not there, or its disk is not mounted.
            CannotCheck: the database refuses this server for good.
        """
        with ExitStack() as stack:
            intake = None if self.address is None else stack.enter_context(self._intake(self.address, stop))
            if intake is None:
                _insist(self.settings())
            url = None if intake is None else intake.url
            _log.info("serving", extra={"url": url, "workers": self.handler is not None})
            for note in self.settings().notes:
                _log.warning("a remark on the settings", extra={"note": note})
            self.started(url)
            ended = not self._prepared(intake, stop) or self._work(intake, stop)
        _log.info("stopped", extra={"in_time": ended})
        if self._failure is not None:
            raise self._failure
        return ended

    def _intake(self, address: Address, stop: threading.Event) -> AbstractContextManager[RunningIntake]:
        return running_intake(self.store, self.settings, self.metrics, address, stop, self.registry)

    def _prepared(self, intake: RunningIntake | None, stop: threading.Event) -> bool:
        """Wait until the database answers, and bring tables and folder in order; ``False``: it came to an end."""
        told = ""
        while not stop.is_set():
            try:
                self.prepare()
                if intake is not None:
                    intake.mend()
            except MergeGuardError as failure:
                if not failure.retryable:
                    self._failure = failure
                    stop.set()  # the intake refuses posts from now on
                elif failure.message != told:
                    told = failure.message
                    _log.warning("waiting for the database", extra={"error": failure.id, "why": told})
            else:
                _log.info("ready")
                return True
            stop.wait(self.settings().probe_seconds)
        return False

    def _work(self, intake: RunningIntake | None, stop: threading.Event) -> bool:
        """Do what needs the database; return whether it ended in time."""
        with ExitStack() as stack:
            for work in self.beside:
                stack.enter_context(_beside(work, stop))
            if intake is not None:
                stack.enter_context(intake.inboxes())
            stack.callback(stop.set)  # after a bug here nothing else may run on
            if self.handler is None:
                return stop.wait()
            processor = Processor(self.store, self.settings, self.handler, seen=self.metrics.saw)
            self.metrics.watch_database(lambda: processor.outage is not None)
            if intake is not None:
                intake.registrar.wake = processor.wake
            if self.lead_somewhere is not None:
                waking = Waking(self.store, self.lead_somewhere, ready=processor.wake)
                stack.enter_context(_beside(waking.run, stop))
                stack.callback(stop.set)
            return processor.run(stop)


@contextmanager
def _beside(work: Callable[[threading.Event], None], stop: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work, args=(stop,), name="beside", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _insist(settings: Settings) -> None:
    """Refuse to handle events whose files are elsewhere: each would die for want of its body."""
    if not settings.queue_folder.is_dir():
        raise TargetNotFound(
            f"the folder of the queue, {settings.queue_folder}, is not there",
            hint="mount it here too, or set EventQueuePath: workers read the bodies of events from it",
        )
