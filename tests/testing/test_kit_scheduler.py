"""Turns, waits, victims, faults and ends of schedules on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.testing import Fault, Planned, Sandbox, Scheduler, Stuck, TooManySteps
from mergeguard.testing.actor import Killed
from mergeguard.testing.choices import Interrupting, Recorded, interruptions
from mergeguard.testing.history import History, Kind
from mergeguard.testing.tables import Tables, guid

A, B = guid(0), guid(1)
START = Tables({A: "computer", B: "computer"}, frozenset([A, B]))
Session = Any


def locking(session: Session, *guids: object) -> str:
    for one in guids:
        session.execute("SELECT kind FROM item WHERE guid = %s FOR UPDATE", [one]).fetchone()
    session.commit()
    return "both"


def reading(session: Session) -> int:
    count = session.execute("SELECT count(*) FROM merge").fetchone()[0]
    session.execute("INSERT INTO merge (old, new) VALUES (%s, %s)", [A, B])
    session.commit()
    return count


def scheduled(sandbox: Sandbox, *programs: Callable[[Session], object], choices: Any = (), **how: Any) -> History:
    sandbox.reset(START)
    sessions = sandbox.sessions(len(programs), how.pop("level", "READ COMMITTED"))
    named = [
        (f"p{at}", partial(one, session)) for at, (one, session) in enumerate(zip(programs, sessions, strict=True))
    ]
    chosen = choices if hasattr(choices, "choose") else Recorded(choices)
    return Scheduler(named, sandbox.watcher, chosen, **how).run()


def told(history: History) -> list[tuple[object, ...]]:
    return [
        (one.number, one.actor, one.sql, one.read, one.waited_until, one.waited_for, one.error) for one in history.steps
    ]


def test_without_interruptions_one_runs_after_the_other(sandbox: Sandbox) -> None:
    history = scheduled(sandbox, reading, reading, reading)

    assert [step.actor for step in history.steps] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [outcome.value for outcome in history.outcomes] == [0, 1, 2]
    assert history.preemptions == 0
    assert [step.number for step in history.steps if step.ended] == [3, 6, 9]


def test_a_choice_says_whose_statement_is_next(sandbox: Sandbox) -> None:
    history = scheduled(sandbox, reading, reading, choices=[0, 1, 0, 1])

    assert [step.actor for step in history.steps[:3]] == [0, 1, 1]
    assert [outcome.value for outcome in history.outcomes] == [0, 0]
    assert history.steps[0].read == [(0,)]


def test_who_waits_for_a_lock_is_set_aside_until_it_is_free(sandbox: Sandbox) -> None:
    history = scheduled(sandbox, partial(locking_first, A), partial(locking_first, A), choices=[0, 1])

    waiting = next(step for step in history.steps if step.waited_until)
    assert (waiting.actor, waiting.waited_for) == (1, (0,))
    committed = next(step for step in history.steps if step.actor == 0 and step.kind is Kind.COMMIT)
    assert waiting.waited_until == committed.number
    assert waiting.number < committed.number
    assert all(outcome.ok for outcome in history.outcomes)


def locking_first(one: object, session: Session) -> str:
    return locking(session, one)


def test_a_deadlock_has_a_victim_and_the_same_each_time(sandbox: Sandbox) -> None:
    def crossed() -> History:
        one, other = (lambda session: locking(session, A, B)), (lambda session: locking(session, B, A))
        return scheduled(sandbox, one, other, choices=[0, 1])

    first = crossed()

    victims = [outcome for outcome in first.outcomes if isinstance(outcome.error, psycopg.errors.DeadlockDetected)]
    assert len(victims) == 1
    assert [outcome.value for outcome in first.outcomes if outcome.ok] == ["both"]
    for _ in range(3):
        assert told(crossed()) == told(first)


def test_a_failed_serialisation_is_an_outcome(sandbox: Sandbox) -> None:
    history = scheduled(sandbox, reading, reading, choices=[0, 1, 1, 1], level="SERIALIZABLE")

    errors = [type(outcome.error) for outcome in history.outcomes if not outcome.ok]
    assert errors == [psycopg.errors.SerializationFailure]


@settings(max_examples=25)
@given(drawn=interruptions())
def test_the_same_choices_make_the_same_schedule(sandbox: Sandbox, drawn: Any) -> None:
    def crossed(choices: Any) -> History:
        programs = [partial(locking_first, A), reading, lambda session: locking(session, B, A)]
        return scheduled(sandbox, *programs, choices=choices)

    first = crossed(Interrupting(drawn))

    assert told(crossed(Recorded(first.choices))) == told(first)
    assert len(first.steps) <= 8


@settings(max_examples=200)
@given(drawn=interruptions(), among=st.lists(st.integers(2, 4), max_size=60))
def test_choices_are_among_those_that_there_are_and_few(drawn: Any, among: list[int]) -> None:
    interrupting = Interrupting(drawn)
    chosen = [interrupting.choose(count) for count in among]

    assert all(0 <= one < count for one, count in zip(chosen, among, strict=True))
    assert sum(one > 0 for one in chosen) <= len(drawn)
    again = Recorded(chosen)
    assert [again.choose(count) for count in among] == chosen
    assert again.choose(2) == 0


class Abandoned(Exception):
    pass


@pytest.mark.parametrize("after", range(1, 6))
def test_whatever_ends_a_schedule_its_actors_are_gone_and_their_locks(sandbox: Sandbox, after: int) -> None:
    def give_up(step: Any) -> None:
        if step.number == after:
            raise Abandoned

    with pytest.raises(Abandoned):
        scheduled(sandbox, *[lambda session: locking(session, A, B)] * 3, choices=[1] * 9, after=give_up)

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mergeguard-actor")]
    sandbox.observer.execute("SET lock_timeout = '1s'")
    sandbox.observer.execute("SELECT 1 FROM item FOR UPDATE NOWAIT")


def test_an_actor_that_catches_everything_is_ended_all_the_same(sandbox: Sandbox) -> None:
    ended = []

    def stubborn(session: Session) -> None:
        while True:
            try:
                session.execute("SELECT 1")
            except Exception:  # noqa: BLE001, S110 - that is the point
                pass
            except Killed:
                ended.append(True)
                raise

    with pytest.raises(TooManySteps):
        scheduled(sandbox, stubborn, most_steps=5)
    assert ended == [True]


def test_a_session_that_waits_for_a_stranger_is_told_as_stuck(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mergeguard.testing.scheduler.LONGEST", 0.2)
    (_, stranger) = sandbox.sessions(2)
    sandbox.reset(START)
    stranger.execute("SELECT 1 FROM item FOR UPDATE")
    try:
        with pytest.raises(Stuck, match="p0"):
            Scheduler([("p0", partial(locking, sandbox._sessions[0], A))], sandbox.watcher, Recorded(())).run()
    finally:
        stranger.rollback()


@pytest.mark.parametrize(
    ("fault", "step", "error", "rows"),
    [
        (Fault.CRASH, 2, None, 0),
        (Fault.CRASH, 3, None, 0),
        (Fault.DISCONNECT, 3, psycopg.errors.AdminShutdown, 0),
        (Fault.COMMIT_UNKNOWN, 3, psycopg.errors.AdminShutdown, 1),
        (Fault.COMMIT_UNKNOWN, 2, psycopg.errors.AdminShutdown, 0),
        (Fault.DEADLOCK, 2, psycopg.errors.DeadlockDetected, 0),
        (Fault.SERIALIZATION, 3, psycopg.errors.SerializationFailure, 0),
    ],
)
def test_a_fault_strikes_where_it_was_planned(sandbox: Sandbox, fault: Fault, step: int, error: Any, rows: int) -> None:
    history = scheduled(sandbox, reading, faults=[Planned(0, step, fault)])

    (outcome,) = history.outcomes
    assert outcome.crashed == (fault is Fault.CRASH)
    assert error is None or isinstance(outcome.error, error)
    assert [one.fault for one in history.steps if one.fault] == [fault]
    assert len(sandbox.tables().merges) == rows


def test_a_statement_outside_a_schedule_is_no_step(sandbox: Sandbox) -> None:
    sandbox.reset(START)
    (session,) = sandbox.sessions(1)

    assert reading(session) == 0
    assert sandbox.tables().merges == ((A, B),)


def test_with_blocks_and_savepoints_end_in_steps_too(sandbox: Sandbox) -> None:
    def nested(session: Session) -> None:
        with session.transaction():
            session.execute("SELECT 1")
            with session.transaction():
                session.execute("SELECT 2")

    history = scheduled(sandbox, nested)

    assert [step.sql for step in history.steps] == ["SELECT 1", "SELECT 2", "RELEASE SAVEPOINT", "COMMIT"]
    assert history.steps[-1].ended
