"""What a batch has to write down at its end, worked out once for all databases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mergeguard.core.events import NO_SOURCE, Claim, Event, Failure, Lease, Parking, Ran
from mergeguard.errors import LeaseLost

_MICROSECOND = dt.timedelta(microseconds=1)
NO_PAUSE: Final = -1
PARKED: Final = -2
"""In place of a pause in microseconds: until the end of time."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far one chain came."""

    lease: Lease
    gone: tuple[Event, ...]
    """Done, and behind them perhaps one that is dead: they leave the line."""
    done: int
    failure: Failure | None = None
    parked: Parking | None = None

    @property
    def done_id(self) -> int:
        """The last that left the line; 0 where none did."""
        return self.gone[-1].id if self.gone else 0

    @property
    def ends(self) -> bool:
        """Whether the chain goes too: that of one event without a source."""
        return bool(self.gone) and self.gone[0].source == NO_SOURCE

    @property
    def dead(self) -> Event | None:
        """The event that is dead now."""
        return self.gone[-1] if self.done < len(self.gone) else None

    @property
    def tried(self) -> Event | None:
        """The event that keeps its place and is tried again."""
        return self.lease.events[self.done] if self.failure is not None and self.dead is None else None

    @property
    def microseconds(self) -> int:
        """How long the chain waits for its next try; ``NO_PAUSE`` where it does not, ``PARKED`` where nobody knows."""
        if self.parked is not None:
            return PARKED
        if self.failure is None or self.failure.retry_after is None:
            return NO_PAUSE
        return self.failure.retry_after // _MICROSECOND


@dataclass(slots=True)
class Change:
    """What is added to the counters of the claim's queue."""

    events: int = 0
    inline_bytes: int = 0
    file_bytes: int = 0
    done: int = 0
    dead: int = 0
    dead_bytes: int = 0
    retries: int = 0

    def take(self, step: Step) -> None:
        """Count one chain's step."""
        self.events -= len(step.gone)
        self.inline_bytes -= sum(event.size for event in step.gone if event.file is None)
        self.file_bytes -= sum(event.size for event in step.gone if event.file is not None)
        self.done += step.done
        if step.dead is not None:
            self.dead += 1
            self.dead_bytes += step.dead.size
        self.retries += step.tried is not None


@dataclass(slots=True)
class Finish:
    """All steps of a batch."""

    claim: Claim
    steps: list[Step] = field(default_factory=list)
    releases: bool = False
    """Whether the chains that ran are given back along with it."""

    @classmethod
    def of(cls, claim: Claim, ran: Iterable[Ran], *, releases: bool = False) -> Finish:
        """Work out the steps.

        Args:
            claim: whose leases ran.
            ran: what became of them.
            releases: whether to give back the chains that ran.

        Raises:
            ValueError: the failed or parked event is not the one after those that are done.
        """
        return cls(claim, [_step(one) for one in ran], releases)

    @property
    def change(self) -> Change:
        """What is added to the counters."""
        change = Change()
        for step in self.steps:
            change.take(step)
        return change

    @property
    def moved(self) -> Sequence[Step]:
        """The steps that took events out of their lines."""
        return [step for step in self.steps if step.gone]

    @property
    def parked(self) -> Sequence[tuple[int, Parking]]:
        """Each chain whose head is parked now, and why."""
        return [(step.lease.chain, step.parked) for step in self.steps if step.parked is not None]


def _step(ran: Ran) -> Step:
    require_next(ran)
    events, failure = ran.lease.events, ran.failure
    if failure is None:
        return Step(ran.lease, events[: ran.done], ran.done, parked=ran.parked)
    is_dead = failure.retry_after is None
    return Step(ran.lease, events[: ran.done + is_dead], ran.done, failure)


def require_next(ran: Ran) -> None:
    """Refuse what no worker may say of a lease.

    Raises:
        ValueError: the failed or parked event is not the one after those that are done, or it is both.
    """
    events = ran.lease.events
    if not 0 <= ran.done <= len(events):
        raise ValueError("more events are done than were leased")
    stopped = [one.event for one in (ran.failure, ran.parked) if one is not None]
    if len(stopped) > 1:
        raise ValueError("an event fails or is parked, not both")
    if stopped and (ran.done == len(events) or events[ran.done].id != stopped[0]):
        raise ValueError("the failed or parked event is the one after those that are done")


def lost() -> LeaseLost:
    """Return the error that tells a worker that its lease is another one's."""
    return LeaseLost(
        "the lease of a chain was taken over while its events were processed; nothing of this batch was kept",
        hint="give the leases more time, or the handlers less work at once",
    )
