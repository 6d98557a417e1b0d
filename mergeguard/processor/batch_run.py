"""Runs the events of one claim inside its transaction: in order, the failing ones alone, the neighbours unharmed.

Savepoints cost round trips, so one stands before a *segment* of events and not before each. When an event fails, its
segment is undone, the events before it run again, and it alone is charged. A failure that may be a neighbour's doing
(the database refused a statement, or the statements left to be sent) is charged to nobody until the event has failed
by itself. An event that is parked is treated as one that fails, but for the charge.

A handler that wants to is shown the events of a segment before the first of them is handled, under their savepoint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from mergeguard.core.events import Event, Failure, Lease, Parking, Ran
from mergeguard.processor.failures import Verdict, is_of_the_database, verdict_of_handler
from mergeguard.processor.handlers import EventBatch, Handler
from mergeguard.processor.looking_ahead import MOST, LookingAhead
from mergeguard.storage.queue.store import Batch, BatchLost

LONGEST_SEGMENT = 128
SHORTEST_SEGMENT = 8


@dataclass(frozen=True, slots=True)
class Step:
    """One event, and which lease of its claim it belongs to."""

    lease: int
    event: Event


@dataclass(frozen=True, slots=True)
class Work:
    """What the running of a claim needs beside it."""

    handler: Handler
    body: Callable[[Event], bytes]
    """Reads an event's body, and copies it first where that is asked for."""
    failure: Callable[[Event, BaseException], Failure | Parking]
    """Says what a try that raised has ended with."""
    is_over: Callable[[], bool]
    """Whether the batch has had its time, or the worker is to stop."""
    limit: AbstractContextManager[None] = field(default_factory=nullcontext)
    """A block for each event that raises ``HandlerTooSlow`` where it takes too long."""


@dataclass(frozen=True, slots=True)
class _Blame:
    """Why a segment failed: at which of its steps, ``None`` where nobody knows."""

    at: int | None
    error: BaseException


class BatchRun:
    """One attempt at the events of a claim.

    Args:
        leases: of the claim.
        batch: its transaction.
        work: what the events are handled with.
        segment: how many events may share a savepoint, to begin with.
        ahead: how many events a handler may be shown before they are handled, to begin with.
        sends: send the statements of each segment before the next one begins, so that a bad one is found out there.
    """

    def __init__(
        self,
        leases: Sequence[Lease],
        batch: Batch,
        work: Work,
        *,
        segment: int = LONGEST_SEGMENT,
        ahead: int = MOST,
        sends: bool = False,
    ) -> None:
        self._leases = leases
        self._batch = batch
        self._events = EventBatch(batch)
        self._work = work
        self._ahead = LookingAhead(work.handler, work.body, work.limit, ahead)
        self._sends = sends
        self.segment = segment
        """How many events share a savepoint now: fewer after failures."""
        self._done = [0] * len(leases)
        self._failed: dict[int, Failure | Parking] = {}
        self._left = deque(Step(at, event) for at, lease in enumerate(leases) for event in lease.events)

    @property
    def ahead(self) -> int:
        """How many events a handler may be shown now: fewer after a batch that ended before it reached them."""
        return self._ahead.most

    def run(self) -> Sequence[Ran]:
        """Handle events until all are, or until the batch has had its time; at least one.

        Raises:
            Exception: the database is away, or the transaction was chosen as a victim: nothing is charged to an event.
            BatchLost: an event failed, and all others were undone with it.
        """
        try:
            while self._left:
                self._segment_of(self._next())
                if self._work.is_over():
                    break
        finally:
            self._events.forget()  # what was prepared refers to the batch, and both would wait for the collector
        return [
            ran_of(lease, self._done[at], self._failed.get(at))
            for at, lease in enumerate(self._leases)
            if self._done[at] or at in self._failed
        ]

    def _next(self) -> list[Step]:
        """Take the steps of the next segment; an event that failed before runs by itself."""
        steps = [self._left.popleft()]
        while self._left and len(steps) < self.segment and not (steps[0].event.tries or self._left[0].event.tries):
            steps.append(self._left.popleft())
        return steps

    def _segment_of(self, steps: list[Step]) -> None:
        taken, blame = self._tried(steps, whole=False)
        self._left.extendleft(reversed(steps[taken:]))
        if blame is None:
            if taken == self.segment:
                self.segment = min(LONGEST_SEGMENT, self.segment * 2)
            return
        self.segment = max(SHORTEST_SEGMENT, self.segment // 2)
        self._sort_out(steps[:taken], blame)

    def _sort_out(self, steps: list[Step], blame: _Blame) -> None:
        """Find out who failed; everything of the segment is undone by now."""
        if len(steps) == 1:
            return self._fail(steps[0], blame.error)
        if blame.at is None:
            half = len(steps) // 2
            self._again(steps[:half])
            return self._again(steps[half:])
        self._again(steps[: blame.at])
        culprit = steps[blame.at]
        if is_of_the_database(blame.error):
            self._again([culprit])  # perhaps what an event before it did broke the transaction
        else:
            self._fail(culprit, blame.error)
        return self._again(steps[blame.at + 1 :])

    def _again(self, steps: list[Step]) -> None:
        """Run steps of an undone segment, but for those that come after a failed or parked one of their chain."""
        steps = [step for step in steps if step.lease not in self._failed]
        if not steps:
            return
        _, blame = self._tried(steps, whole=True)
        if blame is not None:
            self._sort_out(steps, blame)

    def _fail(self, step: Step, error: BaseException) -> None:
        if step.lease in self._failed:
            return
        self._failed[step.lease] = self._work.failure(step.event, error)
        self._left = deque(other for other in self._left if other.lease != step.lease)

    def _tried(self, steps: list[Step], *, whole: bool) -> tuple[int, _Blame | None]:
        """Run steps under one savepoint; return how many were looked at, and who failed.

        A segment that takes too long ends early, unless it is to run as a ``whole``.
        """
        at: int | None = None
        taken = len(steps)
        self._events.forget()
        self._ahead.forget()
        try:
            with self._batch.savepoint():
                events = [step.event for step in steps]
                for place, step in enumerate(steps):
                    at, taken = None, len(steps)
                    self._ahead.see(events, place, self._events)
                    at, taken = place, place + 1
                    self._handle(step.event)
                    if not whole and self._work.is_over():
                        self._ahead.end_early(taken)
                        break
                at = None
                self._events.settle()
                for event in self._events.make_effects():
                    at = next(place for place, step in enumerate(steps) if step.event is event)
                at = None
                if self._sends:
                    _ = self._batch.connection
        except (Exception, SystemExit) as error:
            if isinstance(error, BatchLost) or verdict_of_handler(error) is not Verdict.FAILED:
                raise
            return taken, _Blame(at, error)
        for step in steps[:taken]:
            self._done[step.lease] += 1
        return taken, None

    def _handle(self, event: Event) -> None:
        body = self._ahead.take(event)
        with self._events.handling(event), self._work.limit:
            self._work.handler.handle(event, body, self._events)


def ran_of(lease: Lease, done: int, ended: Failure | Parking | None) -> Ran:
    """Return what became of a lease."""
    if isinstance(ended, Parking):
        return Ran(lease, done, parked=ended)
    return Ran(lease, done, ended)
