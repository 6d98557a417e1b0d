from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from queue_places import LEASE, SOURCES, Place, claimed, event, finish, ids, process, registered

from mergeguard.core.events import NO_SOURCE, Failure, Queue, Ran
from mergeguard.errors import LeaseLost

A, B, C, D = SOURCES


def test_an_empty_queue_gives_nothing(place: Place) -> None:
    registered(place, event(queue=Queue.SLOW))
    assert place.store.claim(Queue.FAST, "w", LEASE) is None


def test_a_claim_says_all_that_a_worker_needs(place: Place) -> None:
    numbers = registered(place, event(A, b"one", priority=7), event(A, file="two.NSE", size=2, priority=7))
    claim = place.store.claim(Queue.FAST, "me", LEASE)
    assert claim is not None
    assert (claim.worker, claim.queue) == ("me", Queue.FAST)
    assert place.store.now() < claim.until <= place.store.now() + LEASE
    first, second = claim.leases[0].events
    assert (first.id, first.source, first.priority, first.size, first.body, first.file) == (
        numbers[0], A, 7, 3, b"one", None,
    )  # fmt: skip
    assert (second.id, second.body, second.file, second.tries) == (numbers[1], None, "two.NSE", 0)


def test_chains_wait_in_the_order_in_which_they_became_ready(place: Place) -> None:
    numbers = [registered(place, event(source))[0] for source in (C, A, B)]
    assert [ids(claimed(place, chains=1)) for _ in range(3)] == [[[number]] for number in numbers]


def test_a_leased_key_is_offered_to_nobody(place: Place) -> None:
    registered(place, event(A))
    claimed(place, "one")
    registered(place, event(A))
    assert place.store.claim(Queue.FAST, "two", LEASE) is None
    assert len(place.look().leases) == 1


def test_different_keys_are_in_flight_together(place: Place) -> None:
    registered(place, event(A), event(A, priority=1), event(B), event(NO_SOURCE), event(NO_SOURCE))
    workers = [claimed(place, str(number), chains=1) for number in range(5)]
    assert len({lease.chain for claim in workers for lease in claim.leases}) == 5
    assert len(place.look().leases) == 5


def test_a_run_stops_at_the_first_event_of_another_queue(place: Place) -> None:
    numbers = registered(place, *[event(A, queue=one) for one in (Queue.FAST, Queue.FAST, Queue.LARGE, Queue.FAST)])
    assert place.store.claim(Queue.LARGE, "w", LEASE) is None
    assert process(place) == [numbers[:2]]
    assert place.store.claim(Queue.FAST, "w", LEASE) is None, "the head is large now"
    assert process(place, queue=Queue.LARGE) == [numbers[2:3]]
    assert process(place) == [numbers[3:]]


def test_a_claim_keeps_to_its_budget_of_events(place: Place) -> None:
    registered(place, *[event(source) for source in (A, B, C) for _ in range(10)])
    found = ids(claimed(place, events=7, chains=3))
    assert sum(map(len, found)) == 7
    assert len(found) > 1, "no chain has all of it"


def test_a_claim_keeps_to_its_budget_of_chains(place: Place) -> None:
    registered(place, *[event(source) for source in SOURCES])
    assert len(claimed(place, chains=3).leases) == 3
    assert len(claimed(place, chains=3).leases) == 1


def test_with_fewer_events_than_chains_no_chain_is_leased_in_vain(place: Place) -> None:
    registered(place, *[event(source) for source in SOURCES])
    assert len(claimed(place, events=2).leases) == 2
    assert len(place.look().leases) == 2


def test_a_long_chain_does_not_keep_the_others_waiting(place: Place) -> None:
    registered(place, *[event(A) for _ in range(100)])
    others = registered(place, event(B), event(C))
    found = [number for run in ids(claimed(place, events=10)) for number in run]
    assert set(others) <= set(found)
    assert len(found) > len(others)


def test_a_chain_alone_has_the_whole_budget(place: Place) -> None:
    numbers = registered(place, *[event(A) for _ in range(600)])
    assert ids(claimed(place)) == [numbers[:512]]


def test_tokens_grow(place: Place) -> None:
    registered(place, *[event(A) for _ in range(3)])
    epochs = []
    for _ in range(3):
        claim = claimed(place, events=1)
        epochs.append(claim.leases[0].epoch)
        finish(place, claim)
        place.store.release(claim)
    assert epochs == sorted(set(epochs))


def test_a_released_chain_is_offered_again(place: Place) -> None:
    numbers = registered(place, event(A), event(A))
    claim = claimed(place)
    place.store.release(claim)
    assert place.look().leases == []
    assert ids(claimed(place, "two")) == [numbers]


def test_an_idle_chain_wakes_when_an_event_comes(place: Place) -> None:
    registered(place, event(A))
    process(place)
    numbers = registered(place, event(A, queue=Queue.SLOW))
    assert ids(claimed(place, queue=Queue.SLOW)) == [numbers]


def test_what_is_registered_meanwhile_waits_for_the_release(place: Place) -> None:
    first = registered(place, event(A))
    claim = claimed(place)
    second = registered(place, event(A, queue=Queue.NORMAL))
    assert ids(claim) == [first]
    finish(place, claim)
    place.store.release(claim)
    assert ids(claimed(place, queue=Queue.NORMAL)) == [second]


def test_an_expired_lease_is_taken_over_by_the_sweep(place: Place) -> None:
    numbers = registered(place, event(A), event(B))
    lost = claimed(place, "lost")
    assert place.store.sweep() == 0
    place.pass_time()
    assert place.store.sweep() == 2
    again = claimed(place, "heir")
    assert ids(again) == [numbers[:1], numbers[1:]]
    assert all(one.epoch > other.epoch for one, other in zip(again.leases, lost.leases, strict=True))


def test_a_prolonged_lease_does_not_expire(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    place.pass_time()
    assert place.store.renew(claim, LEASE) == list(claim.leases)
    assert place.store.sweep() == 0
    finish(place, claim)


def test_only_what_is_still_held_is_prolonged_and_released(place: Place) -> None:
    registered(place, event(A), event(B))
    lost = claimed(place, "lost")
    place.pass_time()
    place.store.sweep()
    heir = claimed(place, "heir", chains=1)
    assert place.store.renew(lost, LEASE) == []
    place.store.release(lost)
    assert [owner for _, owner in place.look().leases] == ["heir"]
    finish(place, heir)


def test_the_same_worker_does_not_take_an_earlier_lease_for_its_own(place: Place) -> None:
    registered(place, event(A))
    lost = claimed(place, "w")
    place.pass_time()
    place.store.sweep()
    held = claimed(place, "w")
    assert place.store.renew(lost, LEASE) == []
    place.store.release(lost)
    assert len(place.look().leases) == 1
    finish(place, held)


def test_a_retry_waits_for_its_time_and_keeps_its_place(place: Place) -> None:
    numbers = registered(place, event(A), event(A))
    claim = claimed(place)
    failed = Failure(numbers[0], "E", "m", LEASE)
    finish(place, claim, [Ran(claim.leases[0], 0, failed)])
    place.store.release(claim)
    assert place.store.claim(Queue.FAST, "w", LEASE) is None
    assert place.store.stranded() == []
    (chain,) = place.store.chains()
    assert chain.retry_at is not None
    assert chain.tries == 1
    place.pass_time()
    again = claimed(place)
    assert ids(again) == [numbers]
    assert [one.tries for one in again.leases[0].events] == [1, 0]


def test_a_chain_that_waits_for_a_retry_is_not_woken_by_a_new_event(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    finish(place, claim, [Ran(claim.leases[0], 0, Failure(claim.leases[0].events[0].id, "E", "m", LEASE))])
    place.store.release(claim)
    registered(place, event(A))
    assert place.store.claim(Queue.FAST, "w", LEASE) is None
    place.pass_time()
    assert place.store.sweep() >= 1
    assert len(claimed(place).leases[0].events) == 2


def test_a_worker_that_died_before_its_release_leaves_the_retry_as_it_was(place: Place) -> None:
    registered(place, event(A))
    claim = place.store.claim(Queue.FAST, "w", dt.timedelta(0))
    assert claim is not None
    finish(place, claim, [Ran(claim.leases[0], 0, Failure(claim.leases[0].events[0].id, "E", "m", LEASE))])
    place.store.sweep()
    assert place.store.claim(Queue.FAST, "w", LEASE) is None
    place.pass_time()
    claimed(place)


def test_an_invented_lease_commits_nothing(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    forged = replace(claim, leases=(replace(claim.leases[0], epoch=claim.leases[0].epoch + 1),))
    with pytest.raises(LeaseLost):
        finish(place, forged)
    assert len(place.look().pending) == 1
    assert place.look().done == []
