"""Signals wait for the end of a component; transactions that were broken off begin again."""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NoReturn

import pytest
from apply_world import member

from mergeguard.errors import Locked, Stale
from mergeguard.integrity import apply
from mergeguard.integrity.apply import Applied
from mergeguard.integrity.boundary import signals_held
from mergeguard.integrity.component_apply import StepDone, apply_step
from mergeguard.integrity.planning import make_plan
from mergeguard.integrity.tries import TRIES, tried, with_words
from mergeguard.integrity.workshop import Workshop
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target


class Came(Exception):
    """What the handler of the test raises."""


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    def raising(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Came

    before = signal.signal(request.param, raising)
    yield request.param
    signal.signal(request.param, before)


def test_a_signal_waits_for_the_end_of_the_block(number: signal.Signals) -> None:
    done = []

    def block() -> None:
        with signals_held():
            signal.raise_signal(number)
            done.append("all of it")

    with pytest.raises(Came):
        block()
    assert done == ["all of it"]


def test_a_second_signal_does_not_wait(number: signal.Signals) -> None:
    done = []

    def block() -> None:
        with signals_held():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append("never")

    with pytest.raises(Came):
        block()
    assert done == []


def test_afterwards_signals_do_what_they_did(number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    with signals_held():
        assert signal.getsignal(number) is not handler
    assert signal.getsignal(number) is handler


def test_what_went_wrong_in_the_block_goes_before_the_signal(number: signal.Signals) -> None:
    def block() -> None:
        with signals_held():
            signal.raise_signal(number)
            raise Stale("rows changed")

    with pytest.raises(Stale):
        block()
    assert signal.getsignal(number) is not signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with signals_held():
        assert signal.getsignal(number) is signal.SIG_IGN
        signal.raise_signal(number)


def test_other_threads_hold_nothing(number: signal.Signals) -> None:
    handler, seen = signal.getsignal(number), []

    def look() -> None:
        with signals_held():
            seen.append(signal.getsignal(number))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [handler]


def test_the_step_that_a_signal_waited_for_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    profile = Profile(merge=Merge("m", "old", "new"))
    with closing(sqlite3.connect(tmp_path / "m.db")) as connection, connection:
        connection.execute("CREATE TABLE m (old TEXT, new TEXT)")
        connection.executemany("INSERT INTO m VALUES (?, ?)", [(str(member(ring, 0)),) * 2 for ring in range(3)])
    told = []

    def interrupted(*given: Any) -> StepDone:
        signal.raise_signal(number)
        return apply_step(*given)

    monkeypatch.setattr(apply, "apply_step", interrupted)
    with closing(open_target(str(tmp_path / "m.db"), profile)) as source:
        plan = make_plan(source, profile)
        with pytest.raises(Came):
            apply.apply_plan(source, profile, plan, progress=lambda *said: told.append(said))
    assert told[-1] == (apply.PHASE, 1, 3)


def shop(lock_timeout: float) -> Workshop:
    made: Any = SimpleNamespace(source=SimpleNamespace(options=Options(lock_timeout=lock_timeout)))
    return made  # type: ignore[no-any-return]


def failing(times: int) -> Callable[[], int]:
    calls = iter(range(1, 100))

    def step() -> int:
        call = next(calls)
        if call <= times:
            raise Locked("the server chose this session as the victim of a deadlock")
        return call

    return step


@pytest.mark.parametrize("times", range(TRIES))
def test_the_victim_of_a_deadlock_begins_again(times: int) -> None:
    assert tried(shop(1000.0), failing(times)) == times + 1


def test_not_for_ever() -> None:
    with pytest.raises(Locked):
        tried(shop(1000.0), failing(TRIES))


def test_who_waited_for_the_whole_timeout_does_not_wait_again() -> None:
    with pytest.raises(Locked):
        tried(shop(0.0), failing(1))


def test_words_are_added_to_the_message_and_to_what_is_printed() -> None:
    error = with_words(Stale("rows changed", changed=("one",)), "2 of 3 steps are applied")
    assert error.message == str(error) == "rows changed; 2 of 3 steps are applied"


@pytest.mark.parametrize(
    ("locked", "share", "wanted"),
    [((), 0.5, 0.0), ((3.0,), 0.99, 3.0), ((4.0, 1.0, 3.0, 2.0), 0.5, 3.0), (tuple(range(100)), 0.99, 99)],
)
def test_the_time_under_lock_that_a_share_did_not_exceed(
    locked: tuple[float, ...], share: float, wanted: float
) -> None:
    assert Applied("run", 1, locked=locked).locked_at(share) == wanted
