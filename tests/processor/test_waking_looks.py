"""Parked events are woken by a look at where their guids lead now: all of these and no others, seldom when in vain."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor.fake_store import FakeStore

from mergeguard.core.events import NewEvent, Parking, Queue, Ran
from mergeguard.core.events import Registered as Place
from mergeguard.errors import ConnectionLost
from mergeguard.processor import waking
from mergeguard.processor.waking import Waking

LEASE = dt.timedelta(seconds=30)
GUIDS = [uuid.UUID(int=number) for number in range(1, 9)]


@dataclass
class Lines:
    """Parked events, one a line, and a list of the guids that lead somewhere by now."""

    store: FakeStore = field(default_factory=FakeStore)
    leading: set[uuid.UUID] = field(default_factory=set)
    asked: list[set[uuid.UUID]] = field(default_factory=list)
    trouble: Exception | None = None

    def register(self, guids: Iterable[uuid.UUID], queue: Queue = Queue.FAST) -> int:
        [place] = self.store.register([NewEvent(uuid.uuid4(), 0, queue, 1, b"x")])
        assert isinstance(place, Place)
        self.park(guids, queue)
        return place.id

    def park(self, guids: Iterable[uuid.UUID], queue: Queue = Queue.FAST) -> None:
        """Take the one event that is ready, and park it."""
        claim = self.store.claim(queue, "w", LEASE, events=1)
        assert claim is not None
        [lease] = claim.leases
        with self.store.batch(claim) as batch:
            batch.finish([Ran(lease, 0, parked=Parking(lease.events[0].id, tuple(guids), "cycle", "m"))])
        self.store.release(claim)

    def lead_somewhere(self, guids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        self.asked.append(set(guids))
        if self.trouble is not None:
            raise self.trouble
        return self.leading & set(guids)

    def parked(self) -> list[int]:
        return [one.event.id for one in self.store.parked()]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@given(
    st.lists(st.lists(st.sampled_from(GUIDS), max_size=4), max_size=8),
    st.lists(st.sets(st.sampled_from(GUIDS)), min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_a_look_wakes_exactly_those_whose_guids_all_lead_somewhere(
    events: list[list[uuid.UUID]], looks: list[set[uuid.UUID]], page: int
) -> None:
    lines = Lines()
    waits = {lines.register(guids): set(guids) for guids in events}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waking, "PAGE", page)
        watch = Waking(lines.store, lines.lead_somewhere)
        for leading in looks:
            lines.leading = leading
            expected = [event for event, guids in waits.items() if guids <= leading]
            assert [one.event.id for one in watch.look()] == expected
            waits = {event: guids for event, guids in waits.items() if event not in expected}
            assert lines.parked() == [*waits]


def test_merges_are_not_asked_for_while_nothing_is_parked(lines: Lines) -> None:
    assert Waking(lines.store, lines.lead_somewhere).look() == []
    assert lines.asked == []


def test_each_guid_is_asked_for_once_a_page(lines: Lines) -> None:
    for _ in range(3):
        lines.register(GUIDS[:2])
    Waking(lines.store, lines.lead_somewhere).look()
    assert lines.asked == [set(GUIDS[:2])]


def test_workers_are_told_in_which_queues_there_is_work_now(lines: Lines) -> None:
    told: list[set[Queue]] = []
    lines.register(GUIDS[:1], Queue.FAST)
    lines.register(GUIDS[1:2], Queue.LARGE)
    watch = Waking(lines.store, lines.lead_somewhere, ready=lambda queues: told.append(set(queues)))
    watch.look()
    assert told == []
    lines.leading = {GUIDS[1]}
    watch.look()
    assert told == [{Queue.LARGE}]


def test_an_event_that_is_woken_in_vain_is_woken_less_and_less_often(lines: Lines) -> None:
    """Its importer stumbles over more than its guids say."""
    lines.register(GUIDS[:1])
    lines.leading = set(GUIDS)
    watch = Waking(lines.store, lines.lead_somewhere)
    woken = []
    for look in range(1, 40):
        if watch.look():
            woken.append(look)
            lines.park(GUIDS[:1])
    assert woken == [1, 3, 7, 15, 31]


class Stop(threading.Event):
    """Does not wait: notes for how long it was to, and does something else instead; ends after so many."""

    def __init__(self, *acts: object) -> None:
        super().__init__()
        self.acts = list(acts)
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if not self.acts:
            return True
        act = self.acts.pop(0)
        if callable(act):
            act()
        return False


def test_it_looks_seldom_where_nothing_changes_and_soon_where_something_does(lines: Lines) -> None:
    stop = Stop(
        None,
        None,
        lambda: lines.register(GUIDS[:1]),
        *[None] * 5,
        lambda: lines.register(GUIDS[1:2]),
        None,
        lambda: lines.leading.add(GUIDS[0]),
        None,
    )
    Waking(lines.store, lines.lead_somewhere, first=1, longest=8).run(stop)
    assert stop.waits == [1, 1, 1, 1, 2, 4, 8, 8, 8, 1, 2, 1, 1]
    assert len(lines.parked()) == 1


@pytest.mark.parametrize("trouble", [ConnectionLost("away"), ZeroDivisionError("a bug")])
def test_it_outlives_any_trouble_and_says_so(
    lines: Lines, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    lines.register(GUIDS[:1])

    def mend() -> None:
        lines.trouble = None
        lines.leading = {GUIDS[0]}

    lines.trouble = trouble
    stop = Stop(None, None, mend)
    with caplog.at_level("INFO"):
        Waking(lines.store, lines.lead_somewhere, first=1, longest=60).run(stop)
    assert stop.waits == [1, 2, 4, 1]
    assert lines.parked() == []
    assert [record.getMessage() for record in caplog.records] == [
        *["parked events were not looked at"] * 2,
        "parked events were woken",
    ]
