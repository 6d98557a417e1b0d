"""Which events a list has: whatever is asked for, in order, of one source or of all, and never more than the limit."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from processor.tended_queue import ALICE, BOB, NO_SOURCE, TendedQueue, tended

from mergeguard.processor import listed
from mergeguard.processor.by_hand import event_of, status_of
from mergeguard.storage.queue.store import DeadEvent

SOURCES = (ALICE, BOB, NO_SOURCE)


def told(queue: TendedQueue, fates: Sequence[tuple[int, int, str]]) -> list[tuple[int, uuid.UUID, str]]:
    """Register events of keys, each key once, and let become of each what is asked for; return them in order."""
    found = []
    for source, priority, fate in fates:
        event = queue.register(SOURCES[source], priority=priority)
        if fate == "parked":
            queue.park(SOURCES[source])
        elif fate == "dead":
            queue.kill(event)
        elif fate == "pending":
            queue.take()  # in process, so that the next one is the head that waits longest
        found.append((event, SOURCES[source], fate))
    return found


fates = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from(["pending", "parked", "dead"])),
    unique_by=lambda one: one[:2],
    max_size=7,
)


@given(
    fates=fates,
    pending=st.booleans(),
    parked=st.booleans(),
    source=st.none() | st.integers(0, 2),
    limit=st.integers(0, 4),
)
@example(fates=[(0, 0, "parked"), (0, 1, "pending")], pending=True, parked=False, source=None, limit=1)
@example(
    fates=[(0, 0, "pending"), (0, 1, "pending"), (0, 2, "parked")], pending=True, parked=False, source=None, limit=1
)
@settings(max_examples=20)
def test_a_list_has_the_first_of_what_is_asked_for(
    fates: list[tuple[int, int, str]], pending: bool, parked: bool, source: int | None, limit: int
) -> None:
    agent = None if source is None else SOURCES[source]
    with tempfile.TemporaryDirectory() as folder, tended(Path(folder)) as queue, pytest.MonkeyPatch.context() as patch:
        patch.setattr(listed, "_AT_ONCE", 2)
        patch.setattr(listed, "_BODIES_AT_ONCE", 2)
        known = [one for one in told(queue, fates) if agent in {None, one[1]}]
        wanted = {name for name, is_wanted in (("pending", pending), ("parked", parked)) if is_wanted}
        of = None if agent is None else str(agent)

        waiting = listed.waiting_events(queue.store, pending=pending, parked=parked, source=of, limit=limit)
        dead = listed.dead_events(queue.store, source=of, limit=limit)

    assert [(event_of(one).id, status_of(one)) for one in waiting] == [
        (event, fate) for event, _, fate in known if fate in wanted
    ][:limit]
    assert [(event_of(one).id, status_of(one)) for one in dead] == [
        (event, fate) for event, _, fate in known if fate == "dead"
    ][:limit]
    assert all(isinstance(one, DeadEvent) for one in dead)
