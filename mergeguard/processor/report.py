"""The *Event Queue Statistics* report: one look at the queue, counted by the database and timed by its clock.

Rates come from two looks at counters that only grow, so that they are exact over the time between them, whoever
processed the events.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mergeguard.core.events import NO_SOURCE, Queue
from mergeguard.storage.queue.store import ChainState, DeadCount, EventStore, QueueSize

MOST_CHAINS: Final = 1000
"""Chains that a report holds one by one; the counters of the queues count all."""

Key: TypeAlias = tuple[str, int]
"""Source and priority."""
Rates: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Counters:
    """What rates are worked out from: per queue how many events were ever registered and done, at a time."""

    taken: dt.datetime
    registered: Mapping[Queue, int]
    done: Mapping[Queue, int]
    keys: Mapping[Key, tuple[int, int]] = field(default_factory=dict)
    """Of each (source, priority) that was listed: events that are pending, dead or ever done, and those done."""


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue in the report."""

    size: QueueSize
    oldest_seconds: float | None
    """Age of its oldest pending event; ``None`` where it has none."""
    in_per_second: float | None
    """``None`` where there is no earlier look to count from."""
    out_per_second: float | None


@dataclass(frozen=True, slots=True)
class ChainLine:
    """One (source, priority) with pending events."""

    state: ChainState
    oldest_seconds: float | None
    lease_seconds: float | None
    """What is left of its lease, below zero where it has expired; ``None`` where nobody holds it."""
    retry_seconds: float | None
    """Until its head is tried again; ``None`` where no retry is due."""
    in_per_second: float | None = None
    """``None`` where the earlier look did not list it, or there is none."""
    out_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker that holds leases."""

    owner: str
    chains: int
    until: dt.datetime
    """When the first of its leases ends, unless it is renewed."""


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """One look at the queue."""

    taken: dt.datetime
    """By the database's clock."""
    since: dt.datetime | None
    """Where the rates count from."""
    queues: tuple[QueueLine, ...]
    """All five, by id."""
    chains: tuple[ChainLine, ...]
    """The longest waiting first, at most ``MOST_CHAINS``."""
    dead: tuple[DeadCount, ...]
    """The (source, priority) pairs with dead events, those with most first."""
    holders: tuple[Holder, ...]
    stranded: int
    """Chains that nobody would ever pick up: always 0, or there is a bug."""
    file_limit: int
    """Most bytes of pending files; 0: no limit."""

    @property
    def counters(self) -> Counters:
        """What the rates of a later look count from."""
        sizes = [line.size for line in self.queues]
        registered = {size.queue: size.registered for size in sizes}
        dead = {(one.source, one.priority): one.events for one in self.dead}
        keys = {_key(line.state): _arrived_and_done(line.state, dead) for line in self.chains}
        return Counters(self.taken, registered, {size.queue: size.done for size in sizes}, keys)

    @property
    def total(self) -> QueueLine:
        """All queues together; ``size.queue`` says nothing there."""
        return _together(self.queues)


def take_statistics(
    store: EventStore, *, file_limit: int = 0, before: Counters | None = None, limit: int = MOST_CHAINS
) -> QueueStatistics:
    """Look at the queue of a database.

    Args:
        store: the queue.
        file_limit: what the settings allow in files, for the reader to compare with.
        before: an earlier look; rates count from it.
        limit: most chains to list.

    Raises:
        CannotCheck: the database could not be read.
    """
    sizes, chains = store.sizes(), store.chains(limit=limit)
    dead, stranded = store.dead_counts(limit=limit), len(store.stranded())
    now = store.now()
    used = before if before is not None and before.taken < now else None
    killed = {(one.source, one.priority): one.events for one in dead}
    return QueueStatistics(
        taken=now,
        since=None if used is None else used.taken,
        queues=tuple(_queue_line(size, now, used) for size in sorted(sizes, key=lambda size: size.queue)),
        chains=tuple(_chain_line(state, now, used, killed) for state in chains),
        dead=tuple(dead),
        holders=_holders(chains),
        stranded=stranded,
        file_limit=file_limit,
    )


def _queue_line(size: QueueSize, now: dt.datetime, before: Counters | None) -> QueueLine:
    rates: Rates = (None, None)
    if before is not None:
        earlier = before.registered.get(size.queue, 0), before.done.get(size.queue, 0)
        rates = _rates((size.registered, size.done), earlier, now - before.taken)
    return QueueLine(size, _age(size.oldest, now), *rates)


def _chain_line(state: ChainState, now: dt.datetime, before: Counters | None, dead: Mapping[Key, int]) -> ChainLine:
    times = _age(state.oldest, now), _until(state.lease_until, now), _until(state.retry_at, now)
    earlier = None if before is None else before.keys.get(_key(state))
    if before is None or earlier is None or state.source == str(NO_SOURCE):  # each of those is a chain of its own
        return ChainLine(state, *times)
    return ChainLine(state, *times, *_rates(_arrived_and_done(state, dead), earlier, now - before.taken))


def _rates(now: tuple[int, int], earlier: tuple[int, int], between: dt.timedelta) -> Rates:
    """Return events in and out a second.

    Counters that fell are of a queue made anew, or of dead events that were taken away: no rate leads over that.
    """
    came, went = now[0] - earlier[0], now[1] - earlier[1]
    seconds = between.total_seconds()
    return (None, None) if min(came, went) < 0 else (came / seconds, went / seconds)


def _key(state: ChainState) -> Key:
    return state.source, state.priority


def _arrived_and_done(state: ChainState, dead: Mapping[Key, int]) -> tuple[int, int]:
    return state.events + state.done + dead.get(_key(state), 0), state.done


def _holders(chains: Sequence[ChainState]) -> tuple[Holder, ...]:
    held: dict[str, list[dt.datetime]] = {}
    for chain in chains:
        if chain.owner is not None and chain.lease_until is not None:
            held.setdefault(chain.owner, []).append(chain.lease_until)
    return tuple(Holder(owner, len(ends), min(ends)) for owner, ends in sorted(held.items()))


def _age(then: dt.datetime | None, now: dt.datetime) -> float | None:
    """Return seconds since then, never below zero: another session's row may be younger than this look."""
    return None if then is None else max((now - then).total_seconds(), 0.0)


def _until(then: dt.datetime | None, now: dt.datetime) -> float | None:
    return None if then is None else (then - now).total_seconds()


def _together(lines: Sequence[QueueLine]) -> QueueLine:
    sizes = [line.size for line in lines]
    ages = [line.oldest_seconds for line in lines if line.oldest_seconds is not None]
    return QueueLine(
        QueueSize(
            queue=Queue.PRIORITY,
            events=sum(size.events for size in sizes),
            inline_bytes=sum(size.inline_bytes for size in sizes),
            file_bytes=sum(size.file_bytes for size in sizes),
            registered=sum(size.registered for size in sizes),
            done=sum(size.done for size in sizes),
            dead=sum(size.dead for size in sizes),
            dead_bytes=sum(size.dead_bytes for size in sizes),
            retries=sum(size.retries for size in sizes),
            oldest=min((size.oldest for size in sizes if size.oldest is not None), default=None),
            parked=sum(size.parked for size in sizes),
        ),
        max(ages, default=None),
        _sum([line.in_per_second for line in lines]),
        _sum([line.out_per_second for line in lines]),
    )


def _sum(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if len(known) == len(rates) and rates else None
