"""Parked events on every store: what is told of them, in pages, by counters, and on tables of an earlier version."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_places import SOURCES, Place, claimed, event, finish, ids, park, parked, registered

from mergeguard.core.events import MOST_PARKED_GUIDS, NO_SOURCE, Event, Failure, Parking, Queue, Ran
from mergeguard.errors import LeaseLost
from mergeguard.storage.queue.finishing import require_next
from mergeguard.storage.queue.parking import END_OF_TIME, parked_event, retry_of, spelt

A, B, C, D = SOURCES
BODY = b"body"


def parked_at_once(place: Place, sources: Iterable[uuid.UUID], priority: int = 0) -> list[int]:
    """Register an event of each source, and park all."""
    numbers = registered(place, *(event(source, BODY, priority=priority) for source in sources))
    claim = claimed(place)
    finish(place, claim, [Ran(one, 0, parked=Parking(one.events[0].id, (D,), "split", "m")) for one in claim.leases])
    place.store.release(claim)
    return numbers


def test_a_parked_event_is_told_with_all_that_is_known(place: Place) -> None:
    numbers = registered(place, event(A, b"1", priority=3), event(A, file="f.NSE", size=9, priority=3))
    began = place.store.now()
    claim = claimed(place)
    why = park(place, claim, done=1, guids=(B, C), status="split", message="two ways: 'ü'; %s \N{SNOWMAN}")
    place.store.release(claim)
    (found,) = place.store.parked()
    received = claim.leases[0].events[1].received
    assert found.event == Event(numbers[1], A, 3, Queue.FAST, 9, received, 0, None, "f.NSE")
    assert found.parking == why
    assert began <= found.since <= place.store.now()
    assert place.store.event(numbers[1]) == found.event


def test_a_worker_that_still_has_the_lease_and_finds_a_way_ends_the_parking(place: Place) -> None:
    (number,) = registered(place, event(A))
    claim = claimed(place)
    park(place, claim, done=0, guids=(B,))
    if place.frees_at_finish:  # the lease went with what it parked
        with pytest.raises(LeaseLost):
            finish(place, claim, [Ran(claim.leases[0], 1)])
        assert [one.event.id for one in place.store.parked()] == [number]
        return
    finish(place, claim, [Ran(claim.leases[0], 1)])
    place.store.release(claim)
    assert list(place.store.parked()) == []
    assert sum(size.parked for size in place.store.sizes()) == 0
    assert place.store.event(number) is None


@pytest.mark.parametrize("behind", [0, 1], ids=["the last of its line", "one waits behind it"])
def test_what_is_done_is_not_parked(place: Place, behind: int) -> None:
    numbers = registered(place, *[event(A)] * (1 + behind))
    claim = claimed(place)
    finish(place, claim, [Ran(claim.leases[0], 1)])
    with pytest.raises(LeaseLost):
        park(place, claim, done=0, guids=(B,))
    place.store.release(claim)
    assert list(place.store.parked()) == []
    assert sum(size.parked for size in place.store.sizes()) == 0
    assert [place.store.event(number) is not None for number in numbers] == [False, True][: 1 + behind]
    if behind:
        assert [one.id for one in claimed(place).leases[0].events] == numbers[1:]


def test_its_chain_says_that_it_is_parked_and_not_that_it_retries(place: Place) -> None:
    parked_at_once(place, [A])
    registered(place, event(B))
    (chain, other) = sorted(place.store.chains(), key=lambda one: one.source)
    assert (chain.parked, chain.retry_at, chain.owner, chain.events, chain.tries) == (True, None, None, 1, 0)
    assert (other.parked, other.retry_at) == (False, None)


def test_a_chain_that_retries_is_not_called_parked(place: Place) -> None:
    (number,) = registered(place, event(A))
    claim = claimed(place)
    finish(place, claim, [Ran(claim.leases[0], 0, Failure(number, "E", "m", dt.timedelta(days=9000)))])
    place.store.release(claim)
    (chain,) = place.store.chains()
    assert chain.retry_at is not None
    assert not chain.parked
    assert (parked(place), place.store.wake([number])) == ([], 0)


def test_they_come_in_pages_by_their_ids(place: Place) -> None:
    numbers = parked_at_once(place, [D, B, C, A, NO_SOURCE])
    assert parked(place) == numbers
    assert [one.event.id for one in place.store.parked(limit=2)] == numbers[:2]
    assert [one.event.id for one in place.store.parked(limit=2, after=numbers[1])] == numbers[2:4]
    assert place.store.parked(after=numbers[-1]) == []
    assert place.store.wake([]) == 0
    assert place.store.wake([numbers[3], numbers[0], 10**15]) == 2
    assert parked(place) == [numbers[1], numbers[2], numbers[4]]


def test_the_counters_know_them_among_the_pending(place: Place) -> None:
    parked_at_once(place, [A, B])
    registered(place, event(C))
    sizes = {one.queue: (one.events, one.parked, one.retries, one.dead) for one in place.store.sizes()}
    assert sizes[Queue.FAST] == (3, 2, 0, 0)
    assert {size for queue, size in sizes.items() if queue is not Queue.FAST} == {(0, 0, 0, 0)}
    place.store.wake(parked(place))
    assert place.store.sizes()[Queue.FAST].parked == 0


def test_a_chain_that_waits_for_ever_without_a_reason_is_stranded(place: Place) -> None:
    parked_at_once(place, [A])
    assert place.store.stranded() == []
    place.run("DELETE FROM mergeguard_parked")
    (chain,) = place.store.stranded()
    assert (chain.source, chain.events, chain.parked) == (str(A), 1, True)


def test_a_chain_that_was_freed_by_hand_may_be_parked_again(place: Place) -> None:
    """A person who sets ``retry_at`` in SQL leaves the reason standing."""
    (number,) = parked_at_once(place, [A])
    free = "since = CURRENT_TIMESTAMP, " if place.kind != "sqlite" else ""
    place.run(f"UPDATE mergeguard_chain SET {free} retry_at = NULL")
    assert parked(place) == []
    assert place.store.wake([number]) == 0
    claim = claimed(place)
    why = park(place, claim, message="again")
    place.store.release(claim)
    assert [one.parking for one in place.store.parked()] == [why]


def test_tables_of_an_earlier_version_are_read_and_then_made_whole(place: Place) -> None:
    registered(place, event(A))
    place.run("DROP TABLE mergeguard_parked")
    store = place.store
    assert (store.parked(), store.wake([1]), store.stranded()) == ([], 0, [])
    assert [one.parked for one in store.sizes()] == [0] * len(Queue)
    assert [one.parked for one in store.chains()] == [False]
    store.create()
    claim = claimed(place)
    park(place, claim)
    store.release(claim)
    assert len(parked(place)) == 1
    store.create()
    assert len(parked(place)) == 1


def test_a_dead_event_before_it_does_not_matter(place: Place) -> None:
    first, second = registered(place, event(A), event(A))
    claim = claimed(place)
    finish(place, claim, [Ran(claim.leases[0], 0, Failure(first, "E", "m", None))])
    place.store.release(claim)
    claim = claimed(place)
    park(place, claim)
    place.store.release(claim)
    again = place.store.retry(first)
    assert parked(place) == [second]
    place.store.wake([second])
    assert ids(claimed(place)) == [[second, again]]


@given(st.lists(st.uuids(), max_size=2 * MOST_PARKED_GUIDS), st.text(), st.text())
def test_what_is_stored_comes_back(guids: list[uuid.UUID], status: str, message: str) -> None:
    of = Event(7, A, 0, Queue.FAST, 1, END_OF_TIME, 0)
    text = spelt(Parking(7, tuple(guids), status, message))
    found = parked_event(of, status, text, message, END_OF_TIME)
    assert found.parking == Parking(7, tuple(guids[:MOST_PARKED_GUIDS]), status, message)
    assert len(text) <= 37 * MOST_PARKED_GUIDS


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_only_the_end_of_time_is_parked(when: dt.datetime) -> None:
    assert retry_of(when) == ((None, True) if when >= END_OF_TIME else (when, False))
    assert retry_of(None) == (None, False)


@pytest.mark.parametrize("done", [0, 2, 3])
def test_only_the_event_after_those_that_are_done_is_parked(place: Place, done: int) -> None:
    numbers = registered(place, event(A), event(A))
    claim = claimed(place)
    lease = claim.leases[0]
    wrong = Ran(lease, done, parked=Parking(numbers[1], (), "cycle", "m"))
    with pytest.raises(ValueError, match="done"):
        require_next(wrong)
    with pytest.raises(ValueError, match="done"):
        finish(place, claim, [Ran(lease, min(done, 2), parked=wrong.parked)])
    assert parked(place) == []
    both = Ran(lease, 1, Failure(numbers[1], "E", "m", None), Parking(numbers[1], (), "cycle", "m"))
    with pytest.raises(ValueError, match="not both"):
        require_next(both)
