"""The workers of one process: threads for each queue, one that prolongs leases, one that sweeps and backs up."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from mergeguard.core.events import Queue
from mergeguard.processor.backup import FailureBackup
from mergeguard.processor.circuit import Circuit, Outage
from mergeguard.processor.dispatcher import Dispatcher, Seat
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.failures import told
from mergeguard.processor.handlers import Handler
from mergeguard.processor.renewals import Renewals
from mergeguard.processor.settings import Settings
from mergeguard.processor.worker import Handled, Worker
from mergeguard.storage.queue.store import EventStore

_log = logging.getLogger(__name__)
_NEW_TRY = 60
"""Sweeps after which dead events that could not be written to their folder are tried again."""


@dataclass(slots=True)
class _Queue:
    """The workers of one queue."""

    dispatcher: Dispatcher
    knock: threading.Event
    threads: dict[int, threading.Thread] = field(default_factory=dict)


class Processor:
    """Handles the events of a store until it is told to stop. Any number of processes may share one store.

    Args:
        store: the queue; its tables exist.
        settings: those in force; asked again for each claim, so that they may change meanwhile.
        handlers: what events are given to; shared by all threads.
        name: of this process, as others see it at its leases; unique by default.
        seen: is told, by the worker's thread, what became of each claim.
    """

    def __init__(
        self,
        store: EventStore,
        settings: Callable[[], Settings],
        handlers: Handler,
        *,
        name: str | None = None,
        seen: Callable[[Queue, Handled], object] = lambda _queue, _handled: None,
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._store = store
        self._settings = settings
        self._handler = handlers
        self._seen = seen
        self._stop = threading.Event()
        self._idle = threading.Event()
        """Set when all workers have ended, so that nothing needs to be prolonged or swept any more."""
        self._bodies = EventBodies(settings().queue_folder)
        self._backup = FailureBackup(store, settings, self._bodies)
        self._circuit = Circuit(store.sweep, self._stop.wait, lambda: settings().probe_seconds)
        self._renewals = Renewals(store, lambda: settings().lease, time.monotonic)
        self._queues = {queue: self._queue(queue) for queue in Queue}

    @property
    def outage(self) -> Outage | None:
        """Why work is paused; ``None`` where it is not."""
        return self._circuit.outage

    def wake(self, queues: Iterable[Queue] = tuple(Queue)) -> None:
        """Say that events were registered in these queues, so that no worker waits for its next look."""
        for queue in queues:
            self._queues[queue].knock.set()

    def run(self, stop: threading.Event) -> bool:
        """Handle events until ``stop`` is set; then running events finish and leases are given back.

        Returns:
            Whether all workers ended within ``stop_seconds``; what one that did not had leased is taken over later.
        """
        keeping = [
            self._started("renewals", self._renew),
            self._started("sweeper", self._sweep),
        ]
        try:
            while True:
                self._staff()
                if stop.wait(1.0):
                    break
        finally:
            self._stop.set()
            self.wake()
            ended = self._joined([thread for queue in self._queues.values() for thread in queue.threads.values()])
            self._idle.set()
            self._joined(keeping)
        return ended

    def _queue(self, queue: Queue) -> _Queue:
        knock = threading.Event()
        dispatcher = Dispatcher(
            queue,
            self._store,
            self._settings,
            self._circuit,
            self._renewals,
            is_stopping=self._stop.is_set,
            wait=partial(_knocked, knock),
            seen=self._seen,
        )
        return _Queue(dispatcher, knock)

    def _staff(self) -> None:
        """Start the workers that are missing; one too many ends by itself after its claim."""
        for queue, count in self._settings().threads.items():
            threads = self._queues[queue].threads
            for number in range(count):
                if number not in threads or not threads[number].is_alive():
                    work = partial(self._work, queue, number)
                    threads[number] = self._started(f"{queue.name.lower()}-{number}", work)

    def _work(self, queue: Queue, number: int) -> None:
        worker = Worker(
            self._store,
            self._settings,
            self._handler,
            self._bodies,
            clock=time.monotonic,
            is_stopping=self._stop.is_set,
        )
        name = f"{self.name}:{queue.name.lower()}-{number}"
        self._queues[queue].dispatcher.work(Seat(worker, name), lambda: number < self._settings().threads[queue])

    def _renew(self) -> None:
        while not self._idle.wait(self._renewals.interval):
            self._renewals.renew()

    def _sweep(self) -> None:
        sweeps = 0
        while not self._idle.wait(self._settings().sweep_milliseconds / 1000):
            if self._circuit.outage is not None:
                continue  # the probe sweeps
            sweeps += 1
            if sweeps % _NEW_TRY == 0:
                self._backup.retry_stuck()
            self._swept()

    def _swept(self) -> None:
        try:
            if self._store.sweep():
                self.wake()
            self._backup.move()
        except Exception as error:  # noqa: BLE001 - the next sweep tries again
            _log.warning("the sweep failed", extra={"why": told(error)})

    def _started(self, name: str, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=_guarded, args=(work, name), name=f"mergeguard-{name}", daemon=True)
        thread.start()
        return thread

    def _joined(self, threads: Iterable[threading.Thread]) -> bool:
        until = time.monotonic() + self._settings().stop_seconds
        alive = []
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                alive.append(thread.name)
        if alive:
            _log.warning("workers did not end in time", extra={"threads": alive})
        return not alive


def run_workers(store: EventStore, settings: Callable[[], Settings], handlers: Handler, stop: threading.Event) -> bool:
    """Handle the events of a store until ``stop`` is set; return whether all workers ended in time."""
    return Processor(store, settings, handlers).run(stop)


def _knocked(knock: threading.Event, seconds: float) -> None:
    if knock.wait(seconds):
        knock.clear()


def _guarded(work: Callable[[], object], name: str) -> None:
    """Run a thread; a bug in it is told, and whoever staffs the queues starts another one."""
    try:
        work()
    except Exception:
        _log.exception("a worker ended by a bug", extra={"worker": name})
        raise
