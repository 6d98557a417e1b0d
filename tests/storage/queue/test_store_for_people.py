from __future__ import annotations

import pytest
from queue_places import SOURCES, Place, claimed, event, finish, ids, process, registered

from mergeguard.core.events import NO_SOURCE, Event, Failure, NewEvent, Queue, Ran
from mergeguard.storage.queue.store import DeadCount, DeadEvent

A, B, C, _ = SOURCES


def bury(place: Place, *events: NewEvent, queue: Queue = Queue.FAST) -> list[int]:
    """Register events, one a chain, that die at once."""
    numbers = registered(place, *events)
    claim = claimed(place, "bury", queue)
    finish(place, claim, [Ran(one, 0, Failure(one.events[0].id, "E", "m", None)) for one in claim.leases])
    place.store.release(claim)
    return numbers


def test_an_empty_queue_says_so(place: Place) -> None:
    store = place.store
    assert [one.queue for one in store.sizes()] == list(Queue)
    assert {one.events for one in store.sizes()} == {0}
    assert {one.oldest for one in store.sizes()} == {None}
    assert store.chains() == store.waiting() == store.dead() == store.stranded() == store.dead_counts() == []
    assert store.files() == {}
    assert store.event(1) is store.retry(1) is None
    assert store.drop(1) is False
    assert store.later_done(1) == 0


def test_chains_are_told_by_key(place: Place) -> None:
    registered(place, event(A, b"12", priority=3), event(A, file="f", size=5, priority=3), event(NO_SOURCE, b"1"))
    claim = claimed(place, "me", chains=1)
    first, second = place.store.chains()
    assert (first.source, first.priority, first.queue, first.events) == (str(A), 3, Queue.FAST, 2)
    assert (first.owner, first.lease_until, first.retry_at) == ("me", claim.until, None)
    assert (first.inline_bytes, first.file_bytes, first.tries) == (2, 5, 0)
    assert first.oldest == claim.leases[0].events[0].received
    assert (second.source, second.events, second.owner, second.lease_until) == (str(NO_SOURCE), 1, None, None)
    assert place.store.chains(limit=1) == [first]


def test_a_chain_tells_how_many_it_has_done(place: Place) -> None:
    registered(place, *[event(A) for _ in range(5)])
    process(place, events=3)
    assert [(one.events, one.done) for one in place.store.chains()] == [(2, 3)]


def test_waiting_events_come_in_registration_order_without_bodies(place: Place) -> None:
    numbers = registered(place, *[event(SOURCES[at % 3]) for at in range(9)], event(NO_SOURCE))
    assert [one.id for one in place.store.waiting()] == numbers
    assert {one.body for one in place.store.waiting()} == {None}
    assert [one.id for one in place.store.waiting(limit=4)] == numbers[:4]
    assert [one.id for one in place.store.waiting(source=str(B).upper())] == numbers[1:9:3]
    assert [one.id for one in place.store.waiting(source=str(B), limit=2)] == numbers[1:7:3]
    assert [one.id for one in place.store.waiting(source=str(NO_SOURCE))] == numbers[9:]
    process(place, events=1)
    assert [one.id for one in place.store.waiting()] == numbers[1:]


def test_one_event_is_found_wherever_it_is(place: Place) -> None:
    numbers = registered(place, event(A, b"one"), event(B, b"two"))
    found = place.store.event(numbers[0])
    assert isinstance(found, Event)
    assert (found.source, found.body) == (A, b"one")
    (dead,) = bury(place, event(C, b"three"))[-1:]
    buried = place.store.event(dead)
    assert isinstance(buried, DeadEvent)
    assert buried.event.body == b"three"


def test_a_dead_event_is_registered_again_at_the_end_of_its_line(place: Place) -> None:
    (dead,) = bury(place, event(A, b"body", priority=4))
    later = registered(place, event(A, priority=4))
    new = place.store.retry(dead)
    assert new is not None
    assert place.store.dead() == []
    claim = claimed(place)
    assert ids(claim) == [[*later, new]]
    assert (claim.leases[0].events[1].body, claim.leases[0].events[1].tries) == (b"body", 0)
    counted = place.store.sizes()[Queue.FAST]
    assert (counted.dead, counted.dead_bytes, counted.events, counted.registered) == (0, 0, 2, 3)
    assert place.store.retry(dead) is None


@pytest.mark.parametrize("source", [A, NO_SOURCE])
def test_a_retried_event_keeps_its_file(place: Place, source: object) -> None:
    (dead,) = bury(place, event(source, file="f", size=9))  # type: ignore[arg-type]
    assert place.store.files() == {"f": dead}
    new = place.store.retry(dead)
    assert place.store.files() == {"f": new}
    assert place.store.sizes()[Queue.FAST].file_bytes == 9
    assert len(claimed(place).leases) == 1


def test_later_events_that_are_done_are_counted(place: Place) -> None:
    registered(place, event(A))
    process(place)
    (dead,) = bury(place, event(A))
    assert place.store.later_done(dead) == 0
    registered(place, event(A), event(A), event(A, priority=1), event(B))
    process(place)
    assert place.store.later_done(dead) == 2


def test_a_dropped_event_is_gone(place: Place) -> None:
    (dead,) = bury(place, event(A, file="f", size=3))
    assert place.store.drop(dead) is True
    assert place.store.drop(dead) is False
    assert place.store.event(dead) is None
    assert place.store.files() == {}
    counted = place.store.sizes()[Queue.FAST]
    assert (counted.dead, counted.dead_bytes) == (0, 0)


def test_a_pending_event_is_neither_retried_nor_dropped(place: Place) -> None:
    (number,) = registered(place, event(A))
    assert place.store.retry(number) is None
    assert place.store.drop(number) is False
    assert list(place.look().pending) == [number]


def test_dead_events_are_counted_by_key(place: Place) -> None:
    bury(place, event(A, b"1"), event(NO_SOURCE, b"4444"))
    bury(place, event(A, b"22"))
    assert place.store.dead_counts() == [DeadCount(str(A), 0, 2, 3), DeadCount(str(NO_SOURCE), 0, 1, 4)]
    assert place.store.dead_counts(limit=1) == [DeadCount(str(A), 0, 2, 3)]
    assert [one.event.body for one in place.store.dead(limit=1)] == [b"1"]


def test_dead_events_are_gone_through_by_their_ids(place: Place) -> None:
    bury(place, event(A, b"1"), event(B, b"22"))
    bury(place, event(A, b"333"))
    found = [one.event.id for one in place.store.dead()]
    (first,) = place.store.dead_after(0, limit=1)
    assert (first.event.id, first.event.body) == (min(found), b"1")
    assert [one.event.id for one in place.store.dead_after(first.event.id)] == sorted(found)[1:]
    assert place.store.dead_after(max(found)) == []


def test_the_oldest_event_of_a_queue_is_told(place: Place) -> None:
    (number,) = registered(place, event(A, queue=Queue.SLOW))
    registered(place, event(B, queue=Queue.SLOW))
    stored = place.store.event(number)
    assert isinstance(stored, Event)
    assert place.store.sizes()[Queue.SLOW].oldest == stored.received
    assert place.store.sizes()[Queue.FAST].oldest is None


def test_a_stranded_chain_would_be_seen(place: Place) -> None:
    registered(place, event(A, priority=6), event(A, priority=6))
    assert place.store.stranded() == []
    place.run(place.strand)
    (found,) = place.store.stranded()
    assert (found.source, found.priority, found.events) == (str(A), 6, 2)


def test_events_without_a_chain_would_be_seen(place: Place) -> None:
    registered(place, event(A))
    place.run("DELETE FROM mergeguard_chain")
    assert [one.events for one in place.store.stranded()] == [1]


def test_leased_and_waiting_chains_are_not_stranded(place: Place) -> None:
    registered(place, event(A), event(B), event(C))
    claimed(place, chains=1)
    place.pass_time()
    assert place.store.stranded() == [], "an expired lease is taken over"
