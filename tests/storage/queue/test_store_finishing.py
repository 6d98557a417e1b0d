from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
import sqlalchemy as sa
from queue_places import SOURCES, Place, claimed, event, finish, ids, process, registered

from mergeguard.core.events import NO_SOURCE, Claim, Failure, Queue, Ran, Reason
from mergeguard.errors import LeaseLost

A, B, C, _ = SOURCES
EFFECT = "INSERT INTO effect (event, worker) VALUES (?, ?)"


def failure(claim: Claim, lease: int = 0, at: int = 0, after: dt.timedelta | None = None) -> Failure:
    return Failure(claim.leases[lease].events[at].id, "ValueError", "no 'good'; %s", after)


def whole(claim: Claim) -> list[Ran]:
    return [Ran(one, len(one.events)) for one in claim.leases]


def test_what_is_done_leaves_the_queue_and_its_effect_stays(place: Place) -> None:
    numbers = registered(place, event(A), event(A), event(B), event(NO_SOURCE))
    process(place)
    seen = place.look()
    assert (seen.pending, seen.dead, sorted(seen.done), seen.leases) == ({}, set(), numbers, [])
    counted = place.store.sizes()[Queue.FAST]
    assert (counted.events, counted.inline_bytes, counted.registered, counted.done) == (0, 0, 4, 4)
    assert place.store.chains() == []


def test_the_chain_of_an_event_without_a_source_goes_with_it(place: Place) -> None:
    registered(place, event(A), event(NO_SOURCE), event(NO_SOURCE))
    claim = claimed(place)
    ran = [*whole(claim)[:2], Ran(claim.leases[2], 0, failure(claim, 2))]
    finish(place, claim, ran)
    place.store.release(claim)
    assert len(place.rows("SELECT id FROM mergeguard_chain")) == 1
    assert len(place.look().dead) == 1


def test_nothing_is_done_when_the_batch_raises(place: Place) -> None:
    numbers = registered(place, event(A), event(B))
    claim = claimed(place)
    with pytest.raises(ZeroDivisionError), place.store.batch(claim) as batch:  # noqa: PT012 - a batch has several steps
        batch.add(EFFECT, (numbers[0], "w"))
        batch.finish(whole(claim))
        raise ZeroDivisionError
    seen = place.look()
    assert (sorted(seen.pending), seen.done) == (numbers, [])
    assert place.store.sizes()[Queue.FAST].done == 0
    finish(place, claim)
    assert sorted(place.look().done) == numbers


def test_a_handler_may_write_through_the_connection_and_its_driver(place: Place) -> None:
    (number,) = registered(place, event(A))
    claim = claimed(place)
    with place.store.batch(claim) as batch:
        batch.add(EFFECT, (number, "added"))
        assert batch.connection.execute(sa.text("SELECT worker FROM effect")).scalar_one() == "added"
        batch.connection.execute(sa.text("INSERT INTO effect VALUES (:number, 'said')"), {"number": number})
        cursor = batch.connection.connection.driver_connection.cursor()
        cursor.execute(f"INSERT INTO effect VALUES ({number}, 'driver')")
        cursor.close()
        assert place.look().done == [], "nobody sees it before the commit"
        batch.finish(whole(claim))
    assert place.rows("SELECT worker FROM effect ORDER BY worker") == [("added",), ("driver",), ("said",)]


def test_the_unit_of_work_is_sent_in_its_order(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    with place.store.batch(claim) as batch:
        batch.add(EFFECT, (1, "a"))
        batch.add(EFFECT, (2, "b"))
        batch.add("UPDATE effect SET worker = '? 100%' WHERE event = ?", (1,))
        batch.add("DELETE FROM effect WHERE event = ?", (2,))
        batch.add(EFFECT, (3, "c"))
        batch.finish(whole(claim))
    assert place.rows("SELECT event, worker FROM effect ORDER BY event") == [(1, "? 100%"), (3, "c")]


def test_a_savepoint_undoes_one_handler_and_leaves_its_neighbours(place: Place) -> None:
    numbers = registered(place, event(A), event(B), event(C))
    claim = claimed(place)
    with place.store.batch(claim) as batch:
        with batch.savepoint():
            batch.add(EFFECT, (numbers[0], "w"))
        with pytest.raises(ZeroDivisionError), batch.savepoint():  # noqa: PT012 - as above
            batch.add(EFFECT, (numbers[1], "added"))
            batch.connection.execute(sa.text("INSERT INTO effect VALUES (7, 'written')"))
            batch.add(EFFECT, (numbers[1], "added too"))
            raise ZeroDivisionError
        with batch.savepoint():
            batch.connection.execute(sa.text("INSERT INTO effect VALUES (:number, 'w')"), {"number": numbers[2]})
        batch.finish([Ran(claim.leases[0], 1), Ran(claim.leases[1], 0, failure(claim, 1)), Ran(claim.leases[2], 1)])
    seen = place.look()
    assert sorted(seen.done) == [numbers[0], numbers[2]]
    assert seen.dead == {numbers[1]}


def test_a_statement_that_fails_in_a_savepoint_fails_there(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    with place.store.batch(claim) as batch:
        with pytest.raises(Exception, match=r"nosuch"), batch.savepoint():  # noqa: PT012 - as above
            batch.add("INSERT INTO nosuch VALUES (?)", (1,))
            _ = batch.connection
        batch.add(EFFECT, (1, "w"))
        batch.finish(whole(claim))
    assert place.look().done == [1]


def test_part_of_a_lease_may_be_done(place: Place) -> None:
    numbers = registered(place, *[event(A) for _ in range(5)])
    claim = claimed(place)
    finish(place, claim, [Ran(claim.leases[0], 2)])
    place.store.release(claim)
    assert sorted(place.look().pending) == numbers[2:]
    assert ids(claimed(place)) == [numbers[2:]]


def test_a_lease_of_which_nothing_ran_is_as_before(place: Place) -> None:
    numbers = registered(place, event(A), event(B))
    claim = claimed(place)
    finish(place, claim, [Ran(claim.leases[0], 1)])
    place.store.release(claim)
    assert ids(claimed(place)) == [numbers[1:]]


def test_who_lost_one_lease_commits_nothing_at_all(place: Place) -> None:
    numbers = registered(place, event(A), event(B))
    lost = claimed(place, "lost")
    place.pass_time()
    place.store.sweep()
    heir = claimed(place, "heir", chains=1)
    with pytest.raises(LeaseLost):
        finish(place, lost)
    seen = place.look()
    assert (sorted(seen.pending), seen.done, len(seen.leases)) == (numbers, [], 1)
    finish(place, heir)
    with pytest.raises(LeaseLost):
        finish(place, lost)
    assert place.look().done == ids(heir)[0]
    assert place.store.sizes()[Queue.FAST].done == 1


def test_who_lost_a_lease_to_nobody_yet_commits_nothing_either(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    place.pass_time()
    place.store.sweep()
    with pytest.raises(LeaseLost):
        finish(place, claim)
    assert len(place.look().pending) == 1


def test_committing_twice_is_refused(place: Place) -> None:
    registered(place, event(A), event(NO_SOURCE))
    claim = claimed(place)
    finish(place, claim)
    with pytest.raises(LeaseLost):
        finish(place, claim)
    assert len(place.look().done) == 2
    place.store.release(claim)
    assert place.store.stranded() == []


@pytest.mark.parametrize("keep", [1, 0])
def test_a_failure_must_be_of_the_next_event(place: Place, keep: int) -> None:
    registered(place, event(A), event(A), event(A))
    claim = claimed(place)
    wrong = Ran(claim.leases[0], 1, replace(failure(claim), event=claim.leases[0].events[2 * keep].id))
    with pytest.raises(ValueError, match="failed or parked event"):
        finish(place, claim, [wrong])
    assert len(place.look().pending) == 3


def test_a_dead_event_leaves_the_line_and_its_body_stays(place: Place) -> None:
    numbers = registered(place, event(A, b"\0one"), event(A, b"two"), event(A, b"three"))
    claim = claimed(place)
    finish(place, claim, [Ran(claim.leases[0], 1, replace(failure(claim, at=1), reason=Reason.MALFORMED))])
    place.store.release(claim)
    (dead,) = place.store.dead()
    assert (dead.event.id, dead.event.body, dead.event.source, dead.event.tries) == (numbers[1], b"two", A, 1)
    assert dead.failure == Failure(numbers[1], "ValueError", "no 'good'; %s", None, Reason.MALFORMED)
    assert dead.event.received <= dead.died <= place.store.now()
    assert ids(claimed(place)) == [numbers[2:]]
    counted = place.store.sizes()[Queue.FAST]
    assert (counted.events, counted.done, counted.dead, counted.dead_bytes, counted.inline_bytes) == (1, 1, 1, 3, 5)


def test_dead_bytes_never_make_the_server_busy(place: Place) -> None:
    registered(place, event(A, file="a", size=100), file_limit=100)
    claim = claimed(place)
    finish(place, claim, [Ran(claim.leases[0], 0, failure(claim))])
    place.store.release(claim)
    registered(place, event(A, file="b", size=100), file_limit=100)
    counted = place.store.sizes()[Queue.FAST]
    assert (counted.file_bytes, counted.dead_bytes) == (100, 100)


def test_each_failed_try_is_counted(place: Place) -> None:
    registered(place, event(A), event(B))
    for tries in range(4):
        claim = claimed(place)
        assert [lease.events[0].tries for lease in claim.leases] == [tries] * len(claim.leases)
        after = dt.timedelta(0) if tries < 3 else None
        finish(place, claim, [Ran(one, 0, failure(claim, at, after=after)) for at, one in enumerate(claim.leases)])
        place.store.release(claim)
    assert [dead.event.tries for dead in place.store.dead()] == [4, 4]
    assert place.store.sizes()[Queue.FAST].retries == 6


def test_a_rolled_back_try_is_not_counted(place: Place) -> None:
    registered(place, event(A))
    for _ in range(5):
        claim = claimed(place)
        with pytest.raises(ConnectionError), place.store.batch(claim) as batch:  # noqa: PT012 - as above
            batch.connection.execute(sa.text("INSERT INTO effect VALUES (1, 'w')"))
            raise ConnectionError
        place.store.release(claim)
    assert claimed(place).leases[0].events[0].tries == 0


def test_a_handler_that_breaks_its_transaction_harms_nobody_else(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    with pytest.raises(sa.exc.SQLAlchemyError), place.store.batch(claim) as batch:
        batch.connection.execute(sa.text("INSERT INTO nosuch VALUES (1)"))
    finish(place, claim)
    place.store.release(claim)
    assert place.store.sizes()[Queue.FAST].done == 1
