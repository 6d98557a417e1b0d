"""Registration: events get their ids and stand behind the ones before them.

The order of the locks is the counters of part 0, then chains by key; nobody takes them the other way round. A chain
is locked before an id is taken, so within a chain ids ascend in the order of commits.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mergeguard.core.events import NO_SOURCE, Denied, NewEvent, Queue, Reason, Registered
from mergeguard.storage.queue.postgresql_sessions import Run

Key: TypeAlias = tuple[uuid.UUID, int]
_LOCK_COUNTERS = "SELECT 1 FROM mergeguard_queue WHERE part = 0 ORDER BY queue FOR UPDATE"
_FILE_BYTES = "SELECT sum(file_bytes)::bigint FROM mergeguard_queue"
_COUNT = """
    UPDATE mergeguard_queue SET events = events + %s, inline_bytes = inline_bytes + %s, file_bytes = file_bytes + %s,
        registered = registered + %s WHERE queue = %s AND part = 0
"""
_CHAINS = """
    INSERT INTO mergeguard_chain AS c (source, priority, queue, since)
    SELECT k.source, k.priority, k.queue, clock_timestamp()
    FROM unnest(%s::uuid[], %s::integer[], %s::smallint[]) AS k (source, priority, queue)
    ORDER BY k.source, k.priority
    ON CONFLICT (source, priority) WHERE source IS NOT NULL
    DO UPDATE SET since = excluded.since, queue = excluded.queue
    WHERE c.since IS NULL AND c.owner IS NULL AND c.retry_at IS NULL
"""
"""Locks every chain, the ones that it has no reason to change too: those are ready, leased or retrying already."""
_FIND_CHAINS = """
    SELECT c.id FROM unnest(%s::uuid[], %s::integer[]) WITH ORDINALITY AS k (source, priority, place)
    JOIN mergeguard_chain AS c ON c.source = k.source AND c.priority = k.priority ORDER BY k.place
"""
_IDS = "SELECT nextval('mergeguard_event_id') FROM generate_series(1, %s)"
_OWN_CHAINS = """
    INSERT INTO mergeguard_chain (id, priority, queue, since)
    SELECT k.id, k.priority, k.queue, clock_timestamp()
    FROM unnest(%s::bigint[], %s::integer[], %s::smallint[]) WITH ORDINALITY AS k (id, priority, queue, place)
    ORDER BY k.place
"""
_EXHUME = """
    DELETE FROM mergeguard_dead_event WHERE id = %s RETURNING source, priority, queue, size, body, file
"""
_COUNT_DEAD = """
    UPDATE mergeguard_queue SET dead = dead - 1, dead_bytes = dead_bytes - %s WHERE queue = %s AND part = 0
"""
_EVENTS = """
    INSERT INTO mergeguard_event (chain, id, queue, size, received, body, file)
    SELECT k.chain, k.id, k.queue, k.size, clock_timestamp(), k.body, k.file
    FROM unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %b::bytea[], %s::text[])
        AS k (chain, id, queue, size, body, file)
"""


@dataclass(slots=True)
class Registration:
    """Events that are let in, on their way into one transaction."""

    events: list[NewEvent] = field(default_factory=list)
    heads: dict[Key, Queue] = field(default_factory=dict)
    """The keys, each with the queue of its first event."""

    def add(self, event: NewEvent) -> None:
        """Let an event in."""
        self.events.append(event)
        if event.source != NO_SOURCE:
            self.heads.setdefault((event.source, event.priority), event.queue)

    def write(self, run: Run) -> list[int]:
        """Write counters, chains and events; return the ids in the order of the events."""
        if not self.events:
            return []
        keys = sorted(self.heads)
        sources, priorities = [source for source, _ in keys], [priority for _, priority in keys]
        self._count(run)
        found: Iterable[tuple[int]] = ()
        if keys:
            run(_CHAINS, (sources, priorities, [int(self.heads[key]) for key in keys]))
            found = run(_FIND_CHAINS, (sources, priorities))
        numbers = sorted(int(row[0]) for row in run(_IDS, (len(self.events),)))
        chains = {key: int(chain) for key, (chain,) in zip(keys, found, strict=True)}
        self._insert(run, numbers, chains)
        return numbers

    def _count(self, run: Run) -> None:
        """Change the counters; the rows stay locked until the commit, which is what makes a denial exact."""
        events, inline, files = Counter[Queue](), Counter[Queue](), Counter[Queue]()
        for event in self.events:
            events[event.queue] += 1
            (inline if event.file is None else files)[event.queue] += event.size
        for queue in sorted(events):
            count = events[queue]
            run(_COUNT, (count, inline[queue], files[queue], count, int(queue)))

    def _insert(self, run: Run, numbers: Sequence[int], chains: dict[Key, int]) -> None:
        own = [(number, event) for number, event in zip(numbers, self.events, strict=True) if event.source == NO_SOURCE]
        if own:
            given = (
                [-number for number, _ in own],
                [one.priority for _, one in own],
                [int(one.queue) for _, one in own],
            )
            run(_OWN_CHAINS, given)
        places = [
            -number if event.source == NO_SOURCE else chains[event.source, event.priority]
            for number, event in zip(numbers, self.events, strict=True)
        ]
        queues, sizes = [int(event.queue) for event in self.events], [event.size for event in self.events]
        bodies, files = [event.body for event in self.events], [event.file for event in self.events]
        run(_EVENTS, (places, list(numbers), queues, sizes, bodies, files))


def register(run: Run, events: Sequence[NewEvent], file_limit: int) -> Sequence[Registered | Denied]:
    """Write events at the ends of their chains; an event that would make the pending files too large is denied."""
    registration = Registration()
    is_limited = file_limit > 0 and any(event.file is not None for event in events)
    pending = _pending_bytes(run) if is_limited else 0
    is_in: list[bool] = []
    for event in events:
        size = 0 if event.file is None else event.size
        fits = not is_limited or event.file is None or pending + size <= file_limit
        is_in.append(fits)
        if fits:
            pending += size
            registration.add(event)
    numbers = iter(registration.write(run))
    return [Registered(next(numbers)) if fits else Denied(Reason.FULL) for fits in is_in]


def write(run: Run, events: Sequence[NewEvent]) -> list[int]:
    """Register events whatever the limit is; return their ids."""
    registration = Registration()
    for event in events:
        registration.add(event)
    return registration.write(run)


def exhume(run: Run, number: int) -> NewEvent | None:
    """Take a dead event out of its table and off the counters."""
    row = run(_EXHUME, (number,)).fetchone()
    if row is None:
        return None
    source, priority, queue, size, body, file = row
    run(_COUNT_DEAD, (size, queue))
    return NewEvent(source or NO_SOURCE, priority, Queue(queue), size, body, file)


def _pending_bytes(run: Run) -> int:
    """Return the bytes in files, and keep everybody else from adding to them. Workers may still take some away."""
    run(_LOCK_COUNTERS)
    return int((run(_FILE_BYTES).fetchone() or (0,))[0])
