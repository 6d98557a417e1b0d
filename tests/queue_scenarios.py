"""Short stories of the event queue, each ending in a named check; a mutant is killed by the story of its fault."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import sqlalchemy as sa
from queue_machine import held
from queue_places import LEASE, SOURCES, Place, claimed, event, finish, ids, park, parked, process, registered

from mergeguard.core.events import NO_SOURCE, Claim, Failure, Queue, Ran, Registered
from mergeguard.core.order import OrderBroken
from mergeguard.errors import LeaseLost

A, B, *_ = SOURCES
PATIENCE = 20_000
"""So often a test looks whether somebody waits for a lock."""
WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
CANCEL_WAITING = WAITING.replace("count(*)", "pg_cancel_backend(pid)")


def fail(claim: Claim, after: dt.timedelta | None, lease: int = 0) -> list[Ran]:
    return [Ran(claim.leases[lease], 0, Failure(claim.leases[lease].events[0].id, "E", "m", after))]


def offered(place: Place) -> list[list[int]]:
    """The ids of what a worker gets now; nothing where it gets nothing."""
    claim = place.store.claim(Queue.FAST, "w", LEASE)
    return [] if claim is None else ids(claim)


# --- On every store ---


def an_event_is_done_when_its_effect_is(place: Place) -> None:
    numbers = registered(place, event(A))
    claim = claimed(place)
    held(sorted(place.look().pending) == numbers, "no_loss", "a claim took the event away")
    with suppress(ZeroDivisionError), place.store.batch(claim) as batch:
        batch.add("INSERT INTO effect (event, worker) VALUES (?, 'w')", (numbers[0],))
        batch.finish([Ran(claim.leases[0], 1)])
        raise ZeroDivisionError
    seen = place.look()
    held(sorted(seen.pending) == numbers, "no_loss", "it is gone, and its effect was rolled back")
    held(seen.done == [], "effect_once", "its effect stays, and it will be done again")


def an_effect_comes_with_its_mark(place: Place) -> None:
    registered(place, event(A))
    process(place)
    seen = place.look()
    held(len(seen.done) == 1, "no_loss", "done without its effect")
    held(not seen.pending, "effect_once", "the effect is there and the event waits to be done again")


def who_lost_its_lease_commits_nothing(place: Place) -> None:
    registered(place, event(A))
    lost = claimed(place, "lost")
    place.pass_time()
    place.store.sweep()
    claimed(place, "heir")
    try:
        finish(place, lost)
    except LeaseLost:
        return
    raise OrderBroken("no_overlap", "a worker without a lease has committed")


def an_expired_lease_is_taken_over(place: Place) -> None:
    registered(place, event(A))
    claimed(place, "dead")
    place.pass_time()
    place.store.sweep()
    held(place.store.claim(Queue.FAST, "heir", LEASE) is not None, "progress", "the chain stays with a dead worker")


def a_retry_keeps_its_place(place: Place) -> None:
    numbers = registered(place, event(A), event(A))
    claim = claimed(place)
    finish(place, claim, fail(claim, dt.timedelta(0)))
    place.store.release(claim)
    again = claimed(place)
    held(ids(again) == [numbers], "order", f"{ids(again)} came after the failure of {numbers[0]}")


def a_retry_waits_for_its_time(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    finish(place, claim, fail(claim, LEASE))
    place.store.release(claim)
    place.store.sweep()
    held(place.store.claim(Queue.FAST, "w", LEASE) is None, "retry", "it came before its time")
    place.pass_time()
    held(place.store.claim(Queue.FAST, "w", LEASE) is not None, "progress", "it never came again")


def tries_are_counted_when_they_fail_alone(place: Place) -> None:
    registered(place, event(A))
    for tries in (0, 1, 2):
        claim = claimed(place)
        held(claim.leases[0].events[0].tries == tries, "retry", f"{claim.leases[0].events[0].tries}, not {tries}")
        place.store.release(claim)  # the database went away: that is no failed try
        claim = claimed(place)
        held(claim.leases[0].events[0].tries == tries, "retry", "an outage burnt a retry")
        finish(place, claim, fail(claim, dt.timedelta(0)))
        place.store.release(claim)


def priorities_of_a_source_run_at_once(place: Place) -> None:
    registered(place, event(A, priority=0), event(A, priority=1))
    held(len(claimed(place).leases) == 2, "parallel", "one key for two priorities")


def events_without_a_source_run_at_once(place: Place) -> None:
    registered(place, event(NO_SOURCE), event(NO_SOURCE))
    held(len(claimed(place).leases) == 2, "parallel", "events without a source stand in one line")


def a_group_stands_in_its_order(place: Place) -> None:
    registered(place, *[event(source, b"%d" % at) for at, source in enumerate([A, B, A, NO_SOURCE, A, B])])
    lines = sorted([one.body for one in lease.events] for lease in claimed(place).leases)
    held(lines == [[b"0", b"2", b"4"], [b"1", b"5"], [b"3"]], "order", lines)


def a_run_ends_where_the_queue_does(place: Place) -> None:
    numbers = registered(place, event(A), event(A, queue=Queue.LARGE), event(A))
    held(ids(claimed(place)) == [numbers[:1]], "order", "events of two queues in one lease")


def a_dead_event_keeps_its_body(place: Place) -> None:
    registered(place, event(A, b"\0%20 body"))
    claim = claimed(place)
    finish(place, claim, fail(claim, None))
    held([dead.event.body for dead in place.store.dead()] == [b"\0%20 body"], "no_loss", "the body of a dead event")


def a_dead_event_lets_its_successors_go_on(place: Place) -> None:
    numbers = registered(place, event(A), event(A))
    claim = claimed(place)
    finish(place, claim, fail(claim, None))
    place.store.release(claim)
    found = place.store.claim(Queue.FAST, "w", LEASE)
    held(found is not None and ids(found) == [numbers[1:]], "poison", "the line stands still behind a dead event")


def a_parked_event_holds_its_line(place: Place) -> None:
    numbers = registered(place, event(A), event(A), event(A), event(B), event(A, priority=1))
    claim = claimed(place, chains=1)
    park(place, claim, done=1)
    place.store.release(claim)
    registered(place, event(A))
    place.pass_time()
    place.store.sweep()
    held(sorted(offered(place)) == [[numbers[3]], [numbers[4]]], "park", "others wait for it, or it does not wait")
    held(parked(place) == numbers[1:2], "park", f"{parked(place)} are parked")


def a_parked_event_goes_on_in_its_place(place: Place) -> None:
    numbers = registered(place, event(A), event(A))
    claim = claimed(place)
    park(place, claim)
    place.store.release(claim)
    numbers += registered(place, event(A))
    held(place.store.wake(numbers) == 1, "park", "it was not woken")
    held(not parked(place), "park", "it is awake and called parked")
    found = offered(place)
    held(bool(found), "progress", "it was woken, and nobody gets it")
    held(found == [numbers], "order", f"its line is {found} now")
    held(place.store.wake(numbers) == 0, "park", "it was woken twice")


def parking_burns_no_try(place: Place) -> None:
    registered(place, event(A))
    for _ in range(3):
        claim = claimed(place)
        held(claim.leases[0].events[0].tries == 0, "retry", "it costs a try to be parked")
        park(place, claim)
        place.store.release(claim)
        place.store.wake(parked(place))


def who_wakes_before_the_release_loses_nothing(place: Place) -> None:
    numbers = registered(place, event(A))
    claim = claimed(place)
    park(place, claim)
    place.store.wake(numbers)
    place.store.release(claim)
    held(offered(place) == [numbers], "progress", "it was woken, and nobody gets it")


def a_worker_that_dies_after_parking_leaves_it_parked(place: Place) -> None:
    numbers = registered(place, event(A))
    park(place, claimed(place))
    place.pass_time()
    place.store.sweep()
    held(place.store.claim(Queue.FAST, "w", LEASE) is None, "park", "it does not wait any more")
    held(place.store.wake(numbers) == 1, "park", "nobody knows that it is parked")
    held(offered(place) == [numbers], "progress", "it was woken, and nobody gets it")


def an_event_without_a_source_is_parked_alone(place: Place) -> None:
    numbers = registered(place, event(NO_SOURCE), event(NO_SOURCE))
    claim = claimed(place)
    park(place, claim)
    place.store.release(claim)
    held(process(place) == [numbers[1:]], "parallel", "the other one waits for it")
    place.store.wake(numbers)
    held(process(place) == [numbers[:1]], "progress", "it was woken, and nobody gets it")
    held(not place.rows("SELECT id FROM mergeguard_chain"), "no_loss", "its chain stays")


def what_lost_its_lease_parks_nothing(place: Place) -> None:
    registered(place, event(A))
    lost = claimed(place, "lost")
    place.pass_time()
    place.store.sweep()
    claimed(place, "heir")
    with suppress(LeaseLost):
        park(place, lost)
        raise OrderBroken("no_overlap", "a worker without a lease has committed")
    held(not parked(place), "no_overlap", "a worker without a lease has parked its event")


def counters_are_exact(place: Place) -> None:
    registered(place, event(A, b"12"), event(B, file="f", size=7))
    process(place, chains=1)
    size = place.store.sizes()[Queue.FAST]
    counted = (size.events, size.inline_bytes, size.file_bytes, size.registered, size.done)
    held(counted == (1, 0, 7, 2, 1), "no_loss", counted)


EVERYWHERE: list[Callable[[Place], None]] = [
    a_group_stands_in_its_order,
    an_event_is_done_when_its_effect_is,
    an_effect_comes_with_its_mark,
    who_lost_its_lease_commits_nothing,
    an_expired_lease_is_taken_over,
    a_retry_keeps_its_place,
    a_retry_waits_for_its_time,
    tries_are_counted_when_they_fail_alone,
    priorities_of_a_source_run_at_once,
    events_without_a_source_run_at_once,
    a_run_ends_where_the_queue_does,
    a_dead_event_keeps_its_body,
    a_dead_event_lets_its_successors_go_on,
    a_parked_event_holds_its_line,
    a_parked_event_goes_on_in_its_place,
    parking_burns_no_try,
    who_wakes_before_the_release_loses_nothing,
    a_worker_that_dies_after_parking_leaves_it_parked,
    an_event_without_a_source_is_parked_alone,
    what_lost_its_lease_parks_nothing,
    counters_are_exact,
]

# --- Two sessions of PostgreSQL, one after the other at the same lock ---


@contextmanager
def locked(place: Place, rows: str) -> Iterator[sa.Connection]:
    """Hold the locks of some rows."""
    with place.engine.begin() as connection:
        connection.execute(sa.text(f"SELECT 1 FROM {rows} FOR UPDATE"))
        yield connection


def waits(place: Place, many: int) -> None:
    """Come back when so many sessions wait for a lock."""
    for _ in range(PATIENCE):
        if place.rows(WAITING)[0][0] >= many:
            return
    raise AssertionError(f"{many} sessions never waited")


def a_registration_beside_a_release_strands_nothing(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    finish(place, claim)
    with ThreadPoolExecutor(2) as threads:
        with locked(place, "mergeguard_chain"):
            registering = threads.submit(registered, place, event(A))
            waits(place, 1)
            releasing = threads.submit(place.store.release, claim)
            waits(place, 2)
        numbers = registering.result()
        releasing.result()
    held(list(place.store.stranded()) == [], "progress", "a chain with events that nobody will ever claim")
    held(ids(claimed(place)) == [numbers], "progress", "the event is not offered")


def ids_ascend_in_the_order_of_commits(place: Place) -> None:
    with ThreadPoolExecutor(1) as threads:
        with locked(place, "mergeguard_queue WHERE queue = 0 AND part = 0"):
            slow = threads.submit(place.store.register, [event(A, file="slow", size=1)], file_limit=10)
            waits(place, 1)
            quick = registered(place, event(A))
            process(place)
        (late,) = slow.result()
    assert isinstance(late, Registered)
    held(late.id > quick[0], "order", f"{late.id} was committed after {quick[0]} and stands before it")
    held(ids(claimed(place)) == [[late.id]], "no_loss", "it stands behind what is done and is never read")


def _registered_beside(place: Place, meanwhile: Callable[[], object]) -> int:
    """Register an event of A that begins before something else and, because of its counters, ends after it."""
    with ThreadPoolExecutor(1) as threads:
        with locked(place, "mergeguard_queue WHERE queue = 2 AND part = 0"):
            slow = threads.submit(registered, place, event(A, queue=Queue.NORMAL))
            waits(place, 1)
            meanwhile()
        (late,) = slow.result()
    return late


def _offered_in_its_queue(place: Place, number: int) -> None:
    held(list(place.store.stranded()) == [], "progress", "a chain with events that nobody will ever claim")
    held(offered(place) == [], "order", "it is offered to workers of another queue")
    claim = place.store.claim(Queue.NORMAL, "w", LEASE)
    held(claim is not None and ids(claim) == [[number]], "progress", "the event is not offered")


def an_id_is_taken_behind_what_came_meanwhile(place: Place) -> None:
    quick: list[int] = []
    late = _registered_beside(place, lambda: quick.extend(registered(place, event(A)) + process(place)[0]))
    held(late > quick[0], "order", f"{late} was committed after {quick[0]} and stands before it")
    _offered_in_its_queue(place, late)


def a_chain_that_is_made_meanwhile_is_joined(place: Place) -> None:
    quick: list[int] = []
    late = _registered_beside(place, lambda: quick.extend(registered(place, event(A))))
    held(len(place.rows("SELECT 1 FROM mergeguard_chain")) == 1, "no_overlap", "two chains of one key")
    first = place.store.claim(Queue.FAST, "w", LEASE)
    held(first is not None and ids(first) == [quick], "order", "what came first is not offered first")
    if first is not None:
        finish(place, first)
        place.store.release(first)
    _offered_in_its_queue(place, late)


def a_chain_that_is_made_and_done_meanwhile_is_woken(place: Place) -> None:
    late = _registered_beside(place, lambda: (registered(place, event(A)), process(place)))
    _offered_in_its_queue(place, late)


def a_chain_that_is_given_back_meanwhile_is_woken(place: Place) -> None:
    registered(place, event(A))
    late = _registered_beside(place, lambda: process(place))
    _offered_in_its_queue(place, late)


def a_denial_is_exact_beside_another_registration(place: Place) -> None:
    files = [event(A, file="one", size=60), event(B, file="two", size=60)]
    with ThreadPoolExecutor(2) as threads:
        with locked(place, "mergeguard_queue WHERE queue = 1 AND part = 0"):
            asked = [threads.submit(place.store.register, [one], file_limit=100) for one in files]
            waits(place, 2)
        answers = [answer for one in asked for answer in one.result()]
    let_in = sum(isinstance(answer, Registered) for answer in answers)
    held(let_in == 1, "backpressure", f"{let_in * 60} bytes were let in, and 100 may be")


def a_claim_passes_what_another_one_holds(place: Place) -> None:
    numbers = registered(place, event(A), event(B))
    with locked(place, "mergeguard_chain ORDER BY id LIMIT 1"), ThreadPoolExecutor(1) as threads:
        claiming = threads.submit(claimed, place)
        for _ in range(PATIENCE):
            if claiming.done():
                break
            if place.rows(WAITING)[0][0]:
                place.run(CANCEL_WAITING)
                raise OrderBroken("parallel", "a claim waits for another one")
        held(ids(claiming.result()) == [numbers[1:]], "parallel", "it did not pass to the next chain")


def waking_beside_a_release_strands_nothing(place: Place) -> None:
    numbers = registered(place, event(A))
    claim = claimed(place)
    park(place, claim)
    with ThreadPoolExecutor(2) as threads:
        with locked(place, "mergeguard_chain"):
            waking = threads.submit(place.store.wake, numbers)
            waits(place, 1)
            releasing = threads.submit(place.store.release, claim)
            waits(place, 2)
        woken = waking.result()
        releasing.result()
    held(woken == 1, "park", "it was not woken")
    held(offered(place) == [numbers], "progress", "it was woken, and nobody gets it")


def two_that_wake_at_once_wake_once(place: Place) -> None:
    numbers = registered(place, event(A), event(B))
    for _ in range(2):
        claim = claimed(place, chains=1)
        park(place, claim)
        place.store.release(claim)
    with ThreadPoolExecutor(2) as threads:
        with locked(place, "mergeguard_chain"):
            waking = [threads.submit(place.store.wake, some) for some in (numbers, numbers[::-1])]
            waits(place, 2)
        woken = [one.result() for one in waking]
    held(sorted(woken) == [0, 2], "park", f"{woken} were woken")
    held(sorted(offered(place)) == [numbers[:1], numbers[1:]], "progress", "woken, and nobody gets them")


SESSIONS: list[Callable[[Place], None]] = [
    a_registration_beside_a_release_strands_nothing,
    ids_ascend_in_the_order_of_commits,
    an_id_is_taken_behind_what_came_meanwhile,
    a_chain_that_is_made_meanwhile_is_joined,
    a_chain_that_is_made_and_done_meanwhile_is_woken,
    a_chain_that_is_given_back_meanwhile_is_woken,
    a_denial_is_exact_beside_another_registration,
    a_claim_passes_what_another_one_holds,
    waking_beside_a_release_strands_nothing,
    two_that_wake_at_once_wake_once,
]
