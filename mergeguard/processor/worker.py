"""One worker: takes a claim through its transaction, and looks after what the commit leaves to be done."""

from __future__ import annotations

import datetime as dt
import enum
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mergeguard.core.events import Claim, Event, Failure, Parking, Ran
from mergeguard.errors import EventParked
from mergeguard.processor.batch_run import LONGEST_SEGMENT, BatchRun, Work, ran_of
from mergeguard.processor.copying import copy_event
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.failures import Verdict, failure_of, parking_of, told, verdict_of_commit, verdict_of_store
from mergeguard.processor.handlers import Handler
from mergeguard.processor.looking_ahead import MOST
from mergeguard.processor.settings import Settings
from mergeguard.processor.time_limit import LIMIT
from mergeguard.storage.queue.store import Batch, BatchLost, EventStore, Releasing

_log = logging.getLogger(__name__)


class Care(enum.IntEnum):
    """How a claim is run; the next one is taken when its commit is refused for what an event wrote."""

    QUICK = 0
    """Statements travel together, a bad one is found out when all are sent."""
    SENDING = 1
    """Those of each segment are sent within it."""
    SINGLE = 2
    """Only the first event: what refuses its commit is its own."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a claim."""

    verdict: Verdict | None
    """``None``: its transaction was committed."""
    ran: Sequence[Ran] = ()
    error: BaseException | None = None
    released: bool = False
    """Whether the commit has given its chains back."""

    @property
    def events(self) -> int:
        """How many events were done, failed or were parked."""
        return sum(one.done + (one.failure is not None) + (one.parked is not None) for one in self.ran)

    @property
    def told(self) -> str:
        """Why the claim was not committed."""
        return "" if self.error is None else told(self.error)


class Worker:
    """Handles claims, one after the other. Every thread has its own.

    Args:
        store: the queue.
        settings: those in force.
        handler: of the events.
        bodies: of events that are files.
        clock: seconds that only grow; it bounds batches.
        is_stopping: whether to end the batch after the event that is running.
    """

    def __init__(
        self,
        store: EventStore,
        settings: Callable[[], Settings],
        handler: Handler,
        bodies: EventBodies,
        *,
        clock: Callable[[], float],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._store = store
        self._settings = settings
        self._handler = handler
        self._bodies = bodies
        self._clock = clock
        self._is_stopping = is_stopping
        self._segment = LONGEST_SEGMENT
        self._ahead = MOST
        self._care = Care.QUICK

    def handle(self, claim: Claim) -> Handled:
        """Run a claim and commit what it did. Nothing is raised: what went wrong is in the answer."""
        care = self._care
        self._care = Care(max(care - 1, Care.QUICK))
        while True:
            try:
                ran, released = self._committed(claim, care)
            except Exception as error:  # noqa: BLE001 - each kind has its verdict
                verdict = verdict_of_commit(error)
                if verdict is not Verdict.FAILED:
                    return Handled(verdict, error=error)
                if care is Care.SINGLE:
                    return self._charged(claim, _failed(error))
                self._care = care = Care(care + 1)
            else:
                self._clean_up(ran)
                return Handled(None, ran, released=released)

    def _committed(self, claim: Claim, care: Care) -> tuple[Sequence[Ran], bool]:
        """Return what ran, and whether the chains are given back."""
        settings = self._settings()
        over = self._clock() + settings.batch_milliseconds / 1000
        work = Work(
            handler=self._handler,
            body=partial(self._body, settings),
            failure=partial(self._failure, settings),
            is_over=lambda: self._clock() >= over or self._is_stopping(),
        )
        with self._store.batch(claim) as batch, LIMIT.watched(settings.handler_seconds) as limit:
            leases = claim.leases if care is not Care.SINGLE else _first(claim).leases
            run = BatchRun(
                leases,
                batch,
                replace(work, limit=limit),
                segment=self._segment,
                ahead=self._ahead,
                sends=care is not Care.QUICK,
            )
            ran = run.run()
            self._segment, self._ahead = run.segment, run.ahead
            released = _finished(batch, _as_claimed(claim, ran))
        return ran, released

    def _charged(self, claim: Claim, error: BaseException) -> Handled:
        """Charge the first event with a commit that was refused although it was alone in it."""
        lease = claim.leases[0]
        ran = [ran_of(lease, 0, self._failure(self._settings(), lease.events[0], error))]
        try:
            with self._store.batch(claim) as batch:
                batch.finish(ran)
        except Exception as again:  # noqa: BLE001 - it was not the event's doing after all
            return Handled(verdict_of_store(again), error=again)
        return Handled(None, ran)

    def _body(self, settings: Settings, event: Event) -> bytes:
        body = self._bodies.read(event)
        if settings.copy_folder is not None:
            copy_event(event, body, settings.copy_folder)
        return body

    def _failure(self, settings: Settings, event: Event, error: BaseException) -> Failure | Parking:
        if isinstance(error, EventParked):
            return self._parking(event, error)
        step = dt.timedelta(milliseconds=settings.retry_step_milliseconds)
        failure = failure_of(event, error, limit=settings.event_retry_limit, step=step)
        _log.log(
            logging.ERROR if failure.retry_after is None else logging.WARNING,
            "an event is dead" if failure.retry_after is None else "a try of an event failed",
            extra={"event": event.id, "source": str(event.source), "tries": event.tries + 1, "why": told(error)},
        )
        return failure

    @staticmethod
    def _parking(event: Event, error: EventParked) -> Parking:
        parking = parking_of(event, error)
        extra = {"event": event.id, "source": str(event.source), "status": parking.status, "why": parking.message}
        _log.warning("an event is parked", extra=extra)
        return parking

    def _clean_up(self, ran: Sequence[Ran]) -> None:
        """Remove the files of events that are done, now that the commit says so."""
        for one in ran:
            for event in one.lease.events[: one.done]:
                self._bodies.remove(event)


def _finished(batch: Batch, ran: Sequence[Ran]) -> bool:
    """Mark what ran; say whether the commit gives back the chains."""
    if isinstance(batch, Releasing):
        return batch.finish_and_release(ran)
    batch.finish(ran)
    return False


def _failed(error: Exception) -> BaseException:
    """Return what failed of a batch that was lost with it."""
    return error.__cause__ or error if isinstance(error, BatchLost) else error


def _first(claim: Claim) -> Claim:
    lease = claim.leases[0]
    return replace(claim, leases=(replace(lease, events=lease.events[:1]),))


def _as_claimed(claim: Claim, ran: Sequence[Ran]) -> Sequence[Ran]:
    """Return what ran in the words of the claim: its own leases, whole."""
    leases = {lease.chain: lease for lease in claim.leases}
    return [replace(one, lease=leases[one.lease.chain]) for one in ran]
