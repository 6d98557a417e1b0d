"""Faults that other queues have, planted one at a time: each is found by the check that bears its name."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from queue_places import Place, PostgresqlPlace
from queue_scenarios import (
    a_chain_that_is_given_back_meanwhile_is_woken,
    a_chain_that_is_made_and_done_meanwhile_is_woken,
    a_chain_that_is_made_meanwhile_is_joined,
    a_claim_passes_what_another_one_holds,
    a_dead_event_keeps_its_body,
    a_dead_event_lets_its_successors_go_on,
    a_denial_is_exact_beside_another_registration,
    a_group_stands_in_its_order,
    a_parked_event_goes_on_in_its_place,
    a_parked_event_holds_its_line,
    a_registration_beside_a_release_strands_nothing,
    a_retry_keeps_its_place,
    a_retry_waits_for_its_time,
    a_run_ends_where_the_queue_does,
    an_effect_comes_with_its_mark,
    an_event_is_done_when_its_effect_is,
    an_expired_lease_is_taken_over,
    an_id_is_taken_behind_what_came_meanwhile,
    counters_are_exact,
    events_without_a_source_run_at_once,
    ids_ascend_in_the_order_of_commits,
    priorities_of_a_source_run_at_once,
    tries_are_counted_when_they_fail_alone,
    two_that_wake_at_once_wake_once,
    who_lost_its_lease_commits_nothing,
    who_wakes_before_the_release_loses_nothing,
)

from mergeguard.core.events import NO_SOURCE
from mergeguard.core.order import OrderBroken
from mergeguard.storage.queue import postgresql_batch as batch
from mergeguard.storage.queue import postgresql_claiming as claiming
from mergeguard.storage.queue import postgresql_parking as parking
from mergeguard.storage.queue import postgresql_registering as registering

Plant = Callable[[pytest.MonkeyPatch], None]
Story = Callable[[Place], None]


def text(module: Any, name: str, old: str, new: str) -> Plant:
    """Change a piece of a statement."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        statement = getattr(module, name)
        assert old in statement, f"{name} no longer says {old!r}"
        patch.setattr(module, name, statement.replace(old, new))

    return plant


def release_in_one_statement(patch: pytest.MonkeyPatch) -> None:
    def release(run: Any, claimed: Any) -> None:
        run(
            """
            UPDATE mergeguard_chain AS c SET owner = NULL, lease_until = NULL, since = CASE WHEN EXISTS (
                SELECT 1 FROM mergeguard_event AS e WHERE e.chain = c.id) THEN clock_timestamp() END
            WHERE c.id = ANY(%s)
            """,
            ([one.chain for one in claimed.leases],),
        )

    patch.setattr(claiming, "release", release)


def ids_before_the_locks(patch: pytest.MonkeyPatch) -> None:
    """Take the ids first of all, as a column's default or a client does that asks for them early."""
    register, values, early = registering.register, registering._values, threading.local()

    def asking(run: Any, events: Any, file_limit: int = 0) -> Any:
        asked = run("SELECT nextval('mergeguard_event_id') FROM generate_series(1, %s)", (len(events),))
        early.ids = [row[0] for row in asked.fetchall()]
        return register(run, events, file_limit)

    def given(events: Any) -> Any:
        found = values(events)
        return (*found[:7], early.ids, *found[7:])

    text(registering, "_REGISTER", "nextval('mergeguard_event_id')", "(%s::bigint[])[e.place]")(patch)
    patch.setattr(registering, "register", asking)
    patch.setattr(registering, "_values", given)


def sweep_does_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claiming, "sweep", lambda _run: 0)


def delete_at_claim(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claiming, "_RUNS", "WITH gone AS (DELETE FROM mergeguard_event RETURNING id) " + claiming._RUNS)


def done_in_a_transaction_of_its_own(patch: pytest.MonkeyPatch) -> None:
    finish = batch.finish

    def early(driver: Any, finished: Any) -> None:
        finish(driver, finished)
        driver.commit()

    patch.setattr(batch, "finish", early)


def acknowledge_without_the_work(patch: pytest.MonkeyPatch) -> None:
    """Commit the mark, and lose what was added to the unit of work before."""
    patch.setattr(batch, "send", lambda _driver, _groups: None)


def keep_what_is_done(patch: pytest.MonkeyPatch) -> None:
    """Acknowledge nothing: the effects are committed and the events stay."""
    patch.setattr(batch, "finish", lambda _driver, _finished: None)


def key_is_the_source(patch: pytest.MonkeyPatch) -> None:
    values = registering._values
    patch.setattr(registering, "_values", lambda events: values([replace(one, priority=0) for one in events]))


def empty_source_is_a_key(patch: pytest.MonkeyPatch) -> None:
    values, somebody = registering._values, uuid.uuid4()
    patch.setattr(
        registering,
        "_values",
        lambda events: values([replace(one, source=somebody) if one.source == NO_SOURCE else one for one in events]),
    )


MUTANTS: dict[str, tuple[Plant, Story, str]] = {
    "release in one statement": (
        release_in_one_statement, a_registration_beside_a_release_strands_nothing, "progress",
    ),
    "ids before the locks": (ids_before_the_locks, ids_ascend_in_the_order_of_commits, "order"),
    "ids before the wait": (ids_before_the_locks, an_id_is_taken_behind_what_came_meanwhile, "order"),
    "a chain is as it was when the statement began": (
        text(registering, "_REGISTER", "k.priority FOR NO KEY UPDATE", "k.priority"),
        a_chain_that_is_given_back_meanwhile_is_woken, "progress",
    ),
    "a chain that came meanwhile is not woken": (
        text(registering, "_REGISTER", "THEN excluded.since ELSE", "THEN c.since ELSE"),
        a_chain_that_is_made_and_done_meanwhile_is_woken, "progress",
    ),
    "a chain that came meanwhile is taken for idle": (
        text(registering, "_REGISTER", f"queue = CASE WHEN {registering._IDLE} THEN", "queue = CASE WHEN true THEN"),
        a_chain_that_is_made_meanwhile_is_joined, "order",
    ),
    "the ids of a group are dealt out as they come": (
        text(registering, "_REGISTER", "ORDER BY k.place", "ORDER BY k.place DESC"),
        a_group_stands_in_its_order, "order",
    ),
    "the counters are read without a lock": (
        text(registering, "_LOCK_COUNTERS", "FOR UPDATE", ""), a_denial_is_exact_beside_another_registration,
        "backpressure",
    ),
    "claims wait for each other": (
        text(claiming, "_LOCK", "SKIP LOCKED", ""), a_claim_passes_what_another_one_holds, "parallel",
    ),
    "no fencing": (
        text(batch, "_FENCED", "c.owner = %s AND c.epoch = k.epoch", "%s <> ''"), who_lost_its_lease_commits_nothing,
        "no_overlap",
    ),
    "fenced by the token alone, which does not grow": (
        lambda patch: (
            text(claiming, "_LEASE", "epoch = epoch + 1", "epoch = epoch")(patch),
            text(batch, "_FENCED", "c.owner = %s", "%s <> ''")(patch),
        )[0],
        who_lost_its_lease_commits_nothing,
        "no_overlap",
    ),
    "a lease never expires": (sweep_does_nothing, an_expired_lease_is_taken_over, "progress"),
    "retry at the tail": (
        text(batch, "_TRIED", "SET tries = e.tries + 1", "SET id = nextval('mergeguard_event_id')"),
        a_retry_keeps_its_place, "order",
    ),
    "a retry does not wait": (text(batch, "_FENCED", "mine.pause >= 0", "false"), a_retry_waits_for_its_time, "retry"),
    "a retry never wakes": (
        text(claiming, "_WAKE", "retry_at <=", "false AND retry_at <="), a_retry_waits_for_its_time, "progress",
    ),
    "an outage burns retries": (
        text(claiming, "_RUNS", "e.tries", "e.tries + (SELECT epoch - 1 FROM mergeguard_chain WHERE id = e.chain)"),
        tries_are_counted_when_they_fail_alone, "retry",
    ),
    "failed tries are not counted": (
        text(batch, "_TRIED", "e.tries + 1", "e.tries"), tries_are_counted_when_they_fail_alone, "retry",
    ),
    "a claim deletes": (delete_at_claim, an_event_is_done_when_its_effect_is, "no_loss"),
    "done before its effect": (done_in_a_transaction_of_its_own, an_event_is_done_when_its_effect_is, "no_loss"),
    "done without its effect": (acknowledge_without_the_work, an_effect_comes_with_its_mark, "no_loss"),
    "its effect without done": (keep_what_is_done, an_effect_comes_with_its_mark, "effect_once"),
    "the key is the source alone": (key_is_the_source, priorities_of_a_source_run_at_once, "parallel"),
    "the empty source is a key": (empty_source_is_a_key, events_without_a_source_run_at_once, "parallel"),
    "a run does not end at its queue": (
        lambda patch: patch.setattr(claiming, "takewhile", lambda _alike, rows: rows), a_run_ends_where_the_queue_does,
        "order",
    ),
    "a dead event loses its body": (
        text(batch, "_BURY", "e.file, e.body,", "e.file, NULL,"), a_dead_event_keeps_its_body, "no_loss",
    ),
    "a dead event holds its line": (
        text(claiming, "_FREE", "WHEN h.queue IS NOT NULL AND", "WHEN false AND"),
        a_dead_event_lets_its_successors_go_on, "poison",
    ),
    "a parked event does not wait": (
        text(batch, "_FENCED", "mine.pause = -2", "false"), a_parked_event_holds_its_line, "park",
    ),
    "nobody knows what is parked": (
        text(batch, "PARK", "SELECT e.chain, e.id,", "SELECT -e.chain, e.id,"), a_parked_event_holds_its_line, "park",
    ),
    "what is woken has no place": (
        text(parking, "_FREE", "CASE WHEN owner IS NULL THEN clock_timestamp() END", "NULL"),
        a_parked_event_goes_on_in_its_place, "progress",
    ),
    "a chain is woken after its release alone": (
        text(parking, "_LOCK", "AND c.retry_at", "AND c.owner IS NULL AND c.retry_at"),
        who_wakes_before_the_release_loses_nothing, "progress",
    ),
    "two wake the same": (
        text(parking, "_LOCK", "FOR NO KEY UPDATE OF c", ""), two_that_wake_at_once_wake_once, "park",
    ),
    "what is done is not counted": (
        text(batch, "_COUNT", "done = done + %s", "done = done + 0 * %s"), counters_are_exact, "no_loss",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed_by_its_check(
    postgresql: PostgresqlPlace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plant, story, check = MUTANTS[name]
    plant(monkeypatch)
    with pytest.raises(OrderBroken) as broken:
        story(postgresql)
    assert broken.value.check == check, broken.value
