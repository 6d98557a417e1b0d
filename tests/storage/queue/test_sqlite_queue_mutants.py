"""Faults planted in the queue on SQLite, one at a time: each is found by the check that bears its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from queue_machine import held
from queue_places import LEASE, SOURCES, Place, SqlitePlace, claimed, event, finish, ids, process, registered
from queue_scenarios import (
    a_dead_event_keeps_its_body,
    a_dead_event_lets_its_successors_go_on,
    a_parked_event_goes_on_in_its_place,
    a_parked_event_holds_its_line,
    a_retry_keeps_its_place,
    a_retry_waits_for_its_time,
    a_run_ends_where_the_queue_does,
    an_effect_comes_with_its_mark,
    an_event_is_done_when_its_effect_is,
    an_expired_lease_is_taken_over,
    counters_are_exact,
    events_without_a_source_run_at_once,
    parking_burns_no_try,
    priorities_of_a_source_run_at_once,
    tries_are_counted_when_they_fail_alone,
    who_lost_its_lease_commits_nothing,
)

from mergeguard.core.events import NO_SOURCE, Denied, NewEvent, Parking, Queue, Ran
from mergeguard.core.order import OrderBroken
from mergeguard.errors import LeaseLost
from mergeguard.storage.queue import sqlite_claiming as claiming
from mergeguard.storage.queue import sqlite_entries as entries
from mergeguard.storage.queue import sqlite_finishing as finishing
from mergeguard.storage.queue import sqlite_parking as parking
from mergeguard.storage.queue import sqlite_registering as registering
from mergeguard.storage.queue import sqlite_runs as runs
from mergeguard.storage.queue import sqlite_transaction as transactions
from mergeguard.storage.queue.sqlite import SqliteEventStore
from mergeguard.storage.queue.sqlite_batch import SqliteBatch
from mergeguard.storage.queue.sqlite_transaction import Transaction

Plant = Callable[[pytest.MonkeyPatch], None]
Story = Callable[[Place], None]
A, B, *_ = SOURCES


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqlitePlace]:
    with closing(SqlitePlace(f"sqlite:///{tmp_path / 'queue.db'}")) as made:
        yield made


# --- Stories that only this store needs ---


def what_was_answered_is_there(place: Place) -> None:
    numbers = registered(place, event(A), event(NO_SOURCE))
    held(sorted(place.look().pending) == numbers, "no_loss", "answered, and nowhere")


def a_line_that_stood_empty_is_found_again(place: Place) -> None:
    for number in range(2):
        registered(place, event(A))
        held(place.store.claim(Queue.FAST, "w", LEASE) is not None, "progress", f"turn {number}")
        place.pass_time()
        place.store.sweep()
        process(place)


def a_large_event_behind_a_small_one_moves_its_line(place: Place) -> None:
    registered(place, event(A), event(A, queue=Queue.LARGE))
    process(place)
    held(place.store.stranded() == [], "progress", "the line says it is of a queue that its head is not of")


def an_id_is_never_given_again(place: Place) -> None:
    first = registered(place, event(A))
    process(place)
    held(registered(place, event(A)) > first, "no_invention", "an id that was done is given again")


def a_file_that_is_denied_is_counted_nowhere(place: Place) -> None:
    for _ in range(2):
        answers = place.store.register([event(A, file="f", size=9)], file_limit=8)
        held(isinstance(answers[0], Denied), "backpressure", "more than the limit")
    held(place.store.sizes()[Queue.FAST].file_bytes == 0, "backpressure", "a denied file takes room")


def room_is_counted_over_all_queues(place: Place) -> None:
    registered(place, event(A, file="f", size=6, queue=Queue.LARGE))
    answers = place.store.register([event(A, file="g", size=6)], file_limit=10)
    held(isinstance(answers[0], Denied), "backpressure", "each queue has the whole limit")


def who_claims_again_has_lost_its_claim_before(place: Place) -> None:
    registered(place, event(A))
    lost = claimed(place, "slow")
    place.pass_time()
    place.store.sweep()
    claimed(place, "slow")
    try:
        finish(place, lost)
    except LeaseLost:
        return
    raise OrderBroken("no_overlap", "a worker has committed under the lease before its last")


def a_batch_takes_only_what_it_did(place: Place) -> None:
    numbers = registered(place, event(A), event(A))
    claim = claimed(place)
    finish(place, claim, [Ran(claim.leases[0], 1)])
    place.store.release(claim)
    held(sorted(place.look().pending) == numbers[1:], "no_loss", "an event that was not run is gone")
    held(ids(claimed(place)) == [numbers[1:]], "order", "the second is the head now")


# --- Faults ---


def text(module: Any, name: str, old: str, new: str) -> Plant:
    """Change a piece of a statement."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        statement = getattr(module, name)
        assert old in statement, f"{name} no longer says {old!r}"
        patch.setattr(module, name, statement.replace(old, new))

    return plant


def changed(change: Callable[[Any], Any]) -> Plant:
    """Register something else than was asked for."""
    real = registering.register

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(registering, "register", lambda to, events, limit: real(to, list(map(change, events)), limit))

    return plant


def both(*plants: Plant) -> Plant:
    return lambda patch: [plant(patch) for plant in plants].clear()


def answer_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """Answer when the rows are written, and let the commit fail unseen."""
    save = Transaction.save

    def save_and_lose(self: Transaction) -> None:
        is_registering = bool(self._entries._events)
        save(self)
        if is_registering:
            self.driver.execute("ROLLBACK")
            self.driver.execute("BEGIN")

    patch.setattr(Transaction, "save", save_and_lose)


def claim_deletes(patch: pytest.MonkeyPatch) -> None:
    read = runs.read

    def read_and_delete(driver: Any, chains: Any, queue: int, events: int) -> Any:
        found = read(driver, chains, queue, events)
        driver.executemany("DELETE FROM mergeguard_event WHERE chain = ?", [(chain,) for chain in chains])
        return found

    patch.setattr(runs, "read", read_and_delete)


def a_batch_that_raises_commits(patch: pytest.MonkeyPatch) -> None:
    leave = SqliteBatch.__exit__
    patch.setattr(SqliteBatch, "__exit__", lambda self, *_: leave(self, None, None, None))


def everything_claimed_is_done(patch: pytest.MonkeyPatch) -> None:
    real = finishing.finish
    patch.setattr(
        finishing,
        "finish",
        lambda to, claim, ran: real(to, claim, [replace(one, done=len(one.lease.events)) for one in ran]),
    )


def denied_is_counted(patch: pytest.MonkeyPatch) -> None:
    real = registering.register

    def register(to: Transaction, events: Any, limit: int) -> Any:
        answers = real(to, events, limit)
        for one, answer in zip(events, answers, strict=True):
            if isinstance(answer, Denied):
                to.change(one.queue).events += 1
                to.change(one.queue).file_bytes += one.size
        return answers

    patch.setattr(registering, "register", register)


def parking_is_a_try(patch: pytest.MonkeyPatch) -> None:
    real = finishing.park

    def park(to: Transaction, chain: int, why: Parking) -> None:
        real(to, chain, why)
        to.driver.execute(finishing._TRIED, (chain, why.event))

    patch.setattr(finishing, "park", park)


def ids_begin_anew(patch: pytest.MonkeyPatch) -> None:
    enter = Transaction.enter

    def anew(self: Transaction, event: NewEvent) -> int:
        if not self._entries._events:
            last = self.driver.execute("SELECT coalesce(max(id), 0) FROM mergeguard_event").fetchone()
            self._last_event = int(last[0])
        return enter(self, event)

    patch.setattr(Transaction, "enter", anew)


def attribute(module: Any, name: str, instead: Any) -> Plant:
    return lambda patch: patch.setattr(module, name, instead)


HEAD = "(SELECT min(id) FROM mergeguard_event WHERE chain = ?3)"
QUEUE = "coalesce((SELECT queue FROM mergeguard_event WHERE chain = ?3 ORDER BY id LIMIT 1), queue)"
LOOK_NOT = attribute(SqliteEventStore, "_held", lambda *_: True)
MUTANTS: dict[str, tuple[Plant, Story, str]] = {
    "ack before commit": (answer_before_the_commit, what_was_answered_is_there, "no_loss"),
    "no fencing": (
        both(LOOK_NOT, text(finishing, "_GIVE_BACK", "owner = ?4 AND epoch = ?5", "?4 <> ?5")),
        who_lost_its_lease_commits_nothing, "no_overlap",
    ),
    "a token is given twice": (
        text(claiming, "_EXPIRE", "owner = NULL", "owner = NULL, epoch = epoch - 1"),
        who_claims_again_has_lost_its_claim_before, "no_overlap",
    ),
    "a lease never expires": (attribute(claiming, "sweep", lambda _: 0), an_expired_lease_is_taken_over, "progress"),
    "retry at the tail": (
        text(finishing, "_TRIED", "tries = tries + 1", "tries = tries + 1, id = id + 1000"), a_retry_keeps_its_place,
        "order",
    ),
    "a retry does not wait": (
        text(finishing, "_GIVE_BACK", "retry_at = ?1", "retry_at = nullif(?1, ?1)"), a_retry_waits_for_its_time,
        "retry",
    ),
    "a retry never wakes": (
        text(claiming, "_WAKE", "retry_at = NULL", "retry_at = retry_at"), a_retry_waits_for_its_time, "progress",
    ),
    "an outage burns retries": (
        text(runs, "_RUN", "tries,", "tries + (SELECT epoch FROM mergeguard_chain AS c WHERE c.id = chain),"),
        tries_are_counted_when_they_fail_alone, "retry",
    ),
    "failed tries are not counted": (
        text(finishing, "_TRIED", "tries + 1", "tries + 0"), tries_are_counted_when_they_fail_alone, "retry",
    ),
    "a claim deletes": (claim_deletes, an_event_is_done_when_its_effect_is, "no_loss"),
    "a batch that raises commits": (a_batch_that_raises_commits, an_event_is_done_when_its_effect_is, "no_loss"),
    "done without its effect": (
        attribute(finishing, "send", lambda _to, _statements: None), an_effect_comes_with_its_mark, "no_loss",
    ),
    "its effect without done": (
        attribute(finishing, "_delete_done", lambda _to, _ran: None), an_effect_comes_with_its_mark, "effect_once",
    ),
    "all that is claimed is done": (everything_claimed_is_done, a_batch_takes_only_what_it_did, "no_loss"),
    "the key is the source alone": (
        changed(lambda one: replace(one, priority=0)), priorities_of_a_source_run_at_once, "parallel",
    ),
    "the empty source is a key": (
        changed(lambda one: replace(one, source=B) if one.source == NO_SOURCE else one),
        events_without_a_source_run_at_once, "parallel",
    ),
    "a run does not end at its queue": (
        attribute(runs, "takewhile", lambda _alike, rows: rows), a_run_ends_where_the_queue_does, "order",
    ),
    "a dead event loses its body": (
        text(finishing, "_BURY", "e.file, e.body", "e.file, x''"), a_dead_event_keeps_its_body, "no_loss",
    ),
    "a dead event holds its line": (
        text(finishing, "_GIVE_BACK", HEAD, f"CASE WHEN ?2 > 0 THEN {HEAD} END"),
        a_dead_event_lets_its_successors_go_on, "poison",
    ),
    "a parked event does not wait": (
        attribute(finishing, "FOR_EVER", None), a_parked_event_holds_its_line, "park",
    ),
    "nobody knows what is parked": (
        attribute(finishing, "park", lambda *_: None), a_parked_event_holds_its_line, "park",
    ),
    "what is woken waits on": (
        text(parking, "_FREE", "retry_at = NULL", "retry_at = retry_at"), a_parked_event_goes_on_in_its_place,
        "progress",
    ),
    "to be parked costs a try": (
        parking_is_a_try, parking_burns_no_try, "retry",
    ),
    "a line that stood empty is forgotten": (
        text(entries, "_CHAIN", "head = excluded.head", "head = c.head"),
        a_line_that_stood_empty_is_found_again, "progress",
    ),
    "a line stays with its queue": (
        text(finishing, "_GIVE_BACK", QUEUE, "queue"), a_large_event_behind_a_small_one_moves_its_line, "progress",
    ),
    "what is done is not counted": (
        text(transactions, "_COUNT", "done = done + ?", "done = done + 0 * ?"), counters_are_exact, "no_loss",
    ),
    "ids begin anew": (ids_begin_anew, an_id_is_never_given_again, "no_invention"),
    "a denied event is counted": (denied_is_counted, a_file_that_is_denied_is_counted_nowhere, "backpressure"),
    "each queue has the whole limit": (
        attribute(Transaction, "file_bytes", property(lambda to: to.change(Queue.FAST).file_bytes)),
        room_is_counted_over_all_queues, "backpressure",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed_by_its_check(sqlite: SqlitePlace, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plant, story, check = MUTANTS[name]
    plant(monkeypatch)
    with pytest.raises(OrderBroken) as broken:
        story(sqlite)
    assert broken.value.check == check, broken.value


@pytest.mark.parametrize("story", dict.fromkeys(story for _, story, _ in MUTANTS.values()))
def test_without_a_mutant_every_story_ends_well(sqlite: SqlitePlace, story: Story) -> None:
    story(sqlite)
