"""A handler that does not end is ended, and nobody else is: neither its neighbours nor what runs after it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from processor.conftest import Ground, new, register
from processor.test_running_stores import Effects, empty, running, until

from mergeguard.core.events import Event
from mergeguard.errors import HandlerTooSlow
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.time_limit import TimeLimit


def endless() -> None:
    while True:
        pass


def test_what_does_not_end_is_ended() -> None:
    limit = TimeLimit()
    with limit.watched(0.02) as block:
        for _ in range(3):
            with pytest.raises(HandlerTooSlow, match="ran longer than it may"), block:
                endless()


def run(seconds: float, handler: Callable[[], None]) -> None:
    with TimeLimit().watched(seconds) as block, block:
        handler()


def test_who_catches_it_is_told_again_at_the_end() -> None:
    caught = []

    def careless() -> None:
        try:
            endless()
        except Exception as error:  # noqa: BLE001 - what a careless handler does
            caught.append(error)

    with pytest.raises(HandlerTooSlow):
        run(0.02, careless)
    assert [type(error) for error in caught] == [HandlerTooSlow]


def test_who_fails_because_of_it_has_been_too_slow() -> None:
    def failing() -> None:
        try:
            endless()
        except HandlerTooSlow:
            raise ValueError("of its own") from None

    with pytest.raises(HandlerTooSlow) as told:
        run(0.02, failing)
    assert isinstance(told.value.__cause__, ValueError)


def test_an_error_of_its_own_stays() -> None:
    with TimeLimit().watched(60) as block, pytest.raises(ValueError, match="of its own"), block:
        raise ValueError("of its own")


def test_without_a_limit_nobody_watches() -> None:
    before = threading.active_count()
    with TimeLimit().watched(0) as block, block:
        assert threading.active_count() == before


def test_whoever_is_late_is_struck_inside_and_never_afterwards() -> None:
    """One thread fires as often as it can, as if every time were over; the other enters and leaves."""
    limit, done = TimeLimit(), threading.Event()

    def fire() -> None:
        while not done.is_set():
            limit.look(1e18)

    firing = threading.Thread(target=fire)
    firing.start()
    struck = entered = 0
    try:
        with limit.watched(3600) as block:
            while struck < 30 or entered < 500:
                entered += 1
                try:
                    with block:
                        sum(range(50))
                except HandlerTooSlow:
                    struck += 1
                sum(range(50))  # an exception that came late would end the test here
    finally:
        done.set()
        firing.join()
    assert entered > struck


def looping(_event: Event, _batch: EventBatch) -> None:
    endless()


def asking(_event: Event, batch: EventBatch) -> None:
    while True:
        batch.connection.exec_driver_sql("SELECT 1").fetchall()


@pytest.mark.parametrize("stuck", [looping, asking])
def test_an_event_whose_handler_hangs_is_dead_and_its_neighbours_are_done(
    ground: Ground, stuck: Callable[[Event, EventBatch], None]
) -> None:
    store = ground.store()
    ids = register(store, *(new(number % 4 + 1) for number in range(20)))
    hanging = ids[9]

    def sometimes(event: Event, batch: EventBatch) -> None:
        if event.id == hanging:
            stuck(event, batch)

    settings = ground.settings(handler_seconds=0.2, event_retry_limit=1)
    with running(store, lambda: settings, Effects(sometimes)):
        until(store, empty(store))
    (dead,) = store.dead()
    assert (dead.event.id, dead.event.tries, dead.failure.kind) == (hanging, 2, "HandlerTooSlow")
    assert {event for event, *_ in ground.effects()} == set(ids) - {hanging}
