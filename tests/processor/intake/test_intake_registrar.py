"""Group commit: who shares one, who is told what, what stays of an event that is not registered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_world import PlainStore, World, world

from mergeguard.core.events import NO_SOURCE, NewEvent, Queue, Registered
from mergeguard.errors import (
    ConnectFailed,
    ConnectionLost,
    Locked,
    LoginFailed,
    MergeGuardError,
    PermissionDenied,
    WriteFailed,
)
from mergeguard.processor.intake.refusals import Busy
from mergeguard.processor.intake.registration import Outcome, Registration

HERE = "the database does not take events now"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as opened:
        yield opened


def inline(number: int = 0) -> NewEvent:
    body = b"%d" % number
    return NewEvent(NO_SOURCE, 0, Queue.FAST, len(body), body)


def filed(here: World, body: bytes = b"y" * 5_000) -> NewEvent:
    payload = here.payloads.begin()
    payload.write(body)
    payload.keep()
    return NewEvent(NO_SOURCE, 0, Queue.FAST, len(body), file=payload.name)


class Asked:
    """Events handed over, and what came back."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.outcomes: dict[int, Outcome] = {}
        self.settled = threading.Semaphore(0)

    def submit(self, number: int) -> None:
        def settle(outcome: Outcome) -> None:
            self.outcomes[number] = outcome
            self.settled.release()

        self.here.registrar.submit(inline(number), settle)

    def wait(self, count: int) -> list[Outcome]:
        for _ in range(count):
            assert self.settled.acquire(timeout=30)
        return [self.outcomes[number] for number in sorted(self.outcomes)]


def test_posts_that_come_during_a_commit_share_the_next(tmp_path: Path) -> None:
    with world(tmp_path, PlainStore(gate=threading.Event())) as here:
        asked = Asked(here)
        asked.submit(0)
        assert here.store.entered.wait(30)
        for number in range(1, 50):
            asked.submit(number)
        assert here.store.gate is not None
        assert asked.outcomes == {}  # nobody is told before its commit
        here.store.gate.set()
        assert asked.wait(50) == [Registered(number + 1) for number in range(50)]
        assert here.store.groups == [1, 49]


def test_a_group_has_its_limit_and_order_is_kept(tmp_path: Path) -> None:
    with world(tmp_path, PlainStore(gate=threading.Event()), registration_group=20) as here:
        asked = Asked(here)
        for number in range(50):
            asked.submit(number)
        assert here.store.gate is not None
        here.store.gate.set()
        assert asked.wait(50) == [Registered(number + 1) for number in range(50)]
        assert max(here.store.groups) <= 20


def test_too_many_waiting_are_told_to_come_later(tmp_path: Path) -> None:
    with world(tmp_path, PlainStore(gate=threading.Event())) as here:
        here.registrar.most_waiting = 3
        asked = Asked(here)
        asked.submit(0)
        assert here.store.entered.wait(30)
        event = filed(here)
        for number in range(1, 4):
            asked.submit(number)
        outcome = here.registrar.register(event)
        assert isinstance(outcome, Busy)
        assert outcome.message == "server busy: too many posts are waiting"
        assert here.files == set()
        assert here.store.gate is not None
        here.store.gate.set()
        asked.wait(4)


def test_closing_registers_what_waits_and_refuses_what_comes(tmp_path: Path) -> None:
    with world(tmp_path, PlainStore(gate=threading.Event())) as here:
        asked = Asked(here)
        for number in range(3):
            asked.submit(number)
        closing = threading.Thread(target=here.registrar.close)
        closing.start()
        assert here.store.gate is not None
        here.store.gate.set()
        assert asked.wait(3) == [Registered(1), Registered(2), Registered(3)]
        closing.join()
        late = here.registrar.register(filed(here))
        assert isinstance(late, Busy)
        assert late.message == "server busy: it is shutting down"
        assert here.files == set()


def test_workers_are_woken_for_the_queues_that_got_something(here: World) -> None:
    woken: list[set[Queue]] = []
    here.registrar.wake = lambda queues: woken.append(set(queues))
    here.registrar.register(inline())
    here.registrar.close()
    assert woken == [{Queue.FAST}]


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_an_error_that_passes_is_retried_three_times(here: World, failures: int) -> None:
    here.store.faults = [Locked("busy") for _ in range(failures)]
    assert here.registrar.register(filed(here)) == Registered(1)
    assert here.waited == [0.1, 0.2, pytest.approx(0.3)][:failures]
    here.check()


def test_the_fourth_failure_is_told_and_nothing_stays(here: World, caplog: pytest.LogCaptureFixture) -> None:
    here.store.faults = [ConnectFailed("the server did not answer") for _ in range(4)]
    outcome = here.registrar.register(filed(here))
    assert isinstance(outcome, Busy)
    assert (outcome.message, outcome.full, outcome.retryable) == (f"server busy: {HERE}", False, True)
    assert (here.store.rows, here.files) == ({}, set())
    assert caplog.records[-1].message == "registration failed"


def test_an_error_that_does_not_pass_is_told_at_once(here: World) -> None:
    here.store.faults = [PermissionDenied("no INSERT")]
    assert isinstance(here.registrar.register(inline()), Busy)
    assert here.waited == []


def test_one_event_that_the_database_refuses_does_not_harm_its_group(tmp_path: Path) -> None:
    class Picky(PlainStore):
        def register(self, events, *, file_limit=0):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            if any(event.body == b"3" for event in events):
                raise WriteFailed("this value does not fit")
            return super().register(events, file_limit=file_limit)

    with world(tmp_path, Picky()) as here:
        registration = Registration(here.store, here.payloads, lambda: here.settings, here.waited.append)  # type: ignore[arg-type]
        outcomes = registration.outcomes([inline(number) for number in range(5)])
    assert [isinstance(outcome, Registered) for outcome in outcomes] == [True, True, True, False, True]


def test_a_database_that_takes_nobody_is_not_asked_for_each(here: World) -> None:
    registration = Registration(here.store, here.payloads, lambda: here.settings, here.waited.append)  # type: ignore[arg-type]
    here.store.faults = [LoginFailed("the password has expired")]
    outcomes = registration.outcomes([inline(number) for number in range(5)])
    assert [isinstance(outcome, Busy) for outcome in outcomes] == [True] * 5
    assert here.store.rows == {}


def test_a_bug_is_answered_and_told_and_the_next_group_goes_on(here: World, caplog: pytest.LogCaptureFixture) -> None:
    here.store.faults = [KeyError("bug")]
    outcome = here.registrar.register(inline())
    assert isinstance(outcome, Busy)
    assert outcome.message == "server busy: the registration failed"
    assert here.registrar.register(inline()) == Registered(1)


# --- A commit that nobody answered ---


def test_an_answer_that_is_lost_is_looked_up_and_registered_once(here: World) -> None:
    here.store.late_faults = [ConnectionLost("gone")]
    assert here.registrar.register(filed(here)) == Registered(1)
    assert len(here.store.rows) == 1
    here.check()


def test_a_doubtful_file_stays_until_the_database_tells(here: World) -> None:
    here.store.late_faults = [ConnectionLost("gone")]
    committed, lost = filed(here), filed(here)
    registration = Registration(here.store, here.payloads, lambda: here.settings, here.waited.append)  # type: ignore[arg-type]
    (outcome,) = registration.outcomes([committed], retry=False)
    assert isinstance(outcome, Busy)  # nobody can tell its sender more
    registration.forget(committed)
    here.store.faults = [ConnectionLost("gone")]
    (outcome,) = registration.outcomes([lost], retry=False)
    registration.forget(lost)
    assert isinstance(outcome, Busy)
    # The second call asked for the first file; the second file is still in doubt.
    assert here.files == {committed.file, lost.file}
    assert registration.outcomes([inline()]) == [Registered(2)]
    assert here.files == {committed.file}
    here.check()


FAULTS = st.lists(
    st.sampled_from([None, "before", "after", "denied", "never"]),
    max_size=8,
)


@given(st.lists(st.tuples(st.integers(0, 6_000), FAULTS), max_size=6), st.booleans())
def test_whatever_fails_files_and_rows_belong_together(
    tmp_path_factory: pytest.TempPathFactory, posts: list[tuple[int, list[str | None]]], retry: bool
) -> None:
    kinds: dict[str, MergeGuardError] = {
        "before": ConnectFailed("x"),
        "denied": PermissionDenied("x"),
        "never": Locked("x"),
    }
    with world(tmp_path_factory.mktemp("w"), max_file_queue_kb=9) as here:
        registration = Registration(here.store, here.payloads, lambda: here.settings, here.waited.append)  # type: ignore[arg-type]
        told_yes = 0
        for size, faults in posts:
            event = filed(here, b"z" * size) if size >= 3_000 else inline(size)
            here.store.faults = [kinds[fault] for fault in faults if fault in kinds]
            here.store.late_faults = [ConnectionLost("x") for fault in faults if fault == "after"]
            (outcome,) = registration.outcomes([event], retry=retry)
            if isinstance(outcome, Busy):
                registration.forget(event)
            else:
                told_yes += 1
                assert here.store.rows[outcome.id] == event
        here.store.faults, here.store.late_faults = [], []
        registration.outcomes([inline()])
        here.check()  # no file without a row, no row without a file
        assert told_yes <= len(here.store.rows) - 1
        assert here.store.highest <= here.settings.file_limit
