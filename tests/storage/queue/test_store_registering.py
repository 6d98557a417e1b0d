from __future__ import annotations

import datetime as dt
import itertools
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from queue_places import SOURCES, Place, claimed, event, ids, process, registered

from mergeguard.core.events import NO_SOURCE, Denied, Event, NewEvent, Queue, Reason, Registered
from mergeguard.core.order import Order
from mergeguard.errors import MergeGuardError
from mergeguard.storage.queue.store import QueueSize

NEW = st.builds(
    NewEvent,
    source=st.sampled_from([*SOURCES, NO_SOURCE]),
    priority=st.sampled_from([0, 1, -5, 1000, 2**31 - 1]),
    queue=st.sampled_from(Queue),
    size=st.integers(0, 40),
    body=st.binary(max_size=30),
)
NUMBERS = itertools.count()


def as_file(one: NewEvent) -> NewEvent:
    return NewEvent(one.source, one.priority, one.queue, one.size, None, f"{next(NUMBERS)}.NSE")


EVENTS = st.lists(NEW | NEW.map(as_file), max_size=12)


def size(place: Place, queue: Queue) -> QueueSize:
    return place.store.sizes()[queue]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(EVENTS, max_size=3), limit=st.sampled_from([0, 1, 40, 100]))
def test_what_fits_is_registered_in_order_and_the_rest_leaves_nothing(
    place: Place, batches: list[list[NewEvent]], limit: int
) -> None:
    place.clear()
    order, denied = Order(), 0
    for events in batches:
        answers = place.store.register(events, file_limit=limit)
        assert len(answers) == len(events)
        for one, answer in zip(events, answers, strict=True):
            assert isinstance(answer, Registered) is order.admits(one, limit)
            if isinstance(answer, Registered):
                order.register(one, answer.id)
            else:
                assert answer == Denied(Reason.FULL)
                denied += 1
    assert set(place.look().pending) == set(order.waiting())
    for queue, found in zip(Queue, place.store.sizes(), strict=True):
        account = order.accounts[queue]
        assert (found.queue, found.events, found.registered) == (queue, account.events, account.registered)
        assert (found.inline_bytes, found.file_bytes) == (account.inline_bytes, account.file_bytes)
    assert len(place.store.files()) == sum(one.file is not None for one in order.events.values())
    for number, one in order.events.items():
        stored = place.store.event(number)
        assert isinstance(stored, Event)
        assert (stored.source, stored.priority, stored.queue, stored.size) == (
            one.source, one.priority, one.queue, one.size,
        )  # fmt: skip
        assert (stored.body, stored.file, stored.tries) == (one.body, one.file, 0)
    assert place.store.stranded() == []


def test_ids_ascend_in_the_order_of_the_answers(place: Place) -> None:
    numbers = registered(place, *[event(SOURCES[number % 3]) for number in range(50)])
    assert numbers == sorted(set(numbers))
    assert registered(place, event()) > numbers[-1:]


def test_nothing_registers_nothing(place: Place) -> None:
    assert list(place.store.register([])) == []


def test_the_limit_is_met_to_the_byte(place: Place) -> None:
    registered(place, event(file="a", size=60), file_limit=100)
    over = place.store.register([event(file="b", size=41), event(file="c", size=40)], file_limit=100)
    assert [type(answer) for answer in over] == [Denied, Registered]
    assert set(place.store.files()) == {"a", "c"}
    assert isinstance(place.store.register([event(file="d", size=1)], file_limit=100)[0], Denied)
    assert isinstance(place.store.register([event(file="e", size=0)], file_limit=100)[0], Registered)


def test_an_inline_event_is_let_in_when_the_files_are_full(place: Place) -> None:
    registered(place, event(file="a", size=100))
    registered(place, event(body=b"x" * 2999), file_limit=1)
    assert size(place, Queue.FAST).inline_bytes == 2999


def test_what_is_done_makes_room(place: Place) -> None:
    registered(place, event(file="a", size=100), file_limit=100)
    process(place)
    registered(place, event(file="b", size=100), file_limit=100)


def test_a_denied_event_does_not_bring_its_chain(place: Place) -> None:
    place.store.register([event(SOURCES[0], file="a", size=2)], file_limit=1)
    assert place.rows("SELECT * FROM mergeguard_chain") == []
    assert place.store.claim(Queue.FAST, "w", dt.timedelta(seconds=1)) is None


@pytest.mark.parametrize("body", [b"", b"\0\xff%20'\"\\", b"x" * 100_000])
def test_a_body_comes_back_byte_for_byte(place: Place, body: bytes) -> None:
    registered(place, event(body=body))
    assert claimed(place).leases[0].events[0].body == body


def test_the_time_of_arrival_is_the_databases(place: Place) -> None:
    before = place.store.now()
    (number,) = registered(place, event())
    stored = place.store.event(number)
    assert isinstance(stored, Event)
    assert before <= stored.received <= place.store.now()
    assert stored.received.utcoffset() == dt.timedelta(0)


def test_the_same_file_is_not_registered_twice(place: Place) -> None:
    registered(place, event(file="a"))
    with pytest.raises(MergeGuardError):
        place.store.register([event(SOURCES[1]), event(file="a")])
    assert len(place.look().pending) == 1
    assert size(place, Queue.FAST).registered == 1


def test_a_source_is_one_key_however_many_events_come_at_once(place: Place) -> None:
    source = uuid.uuid4()
    numbers = registered(place, *[event(source, priority=number % 2) for number in range(6)])
    assert sorted(ids(claimed(place))) == [numbers[0::2], numbers[1::2]]


def test_creating_again_changes_nothing(place: Place) -> None:
    numbers = registered(place, event(), event(SOURCES[1]))
    place.store.create()
    assert list(place.look().pending) == numbers
