"""One queue's workers, round by round on a virtual clock: what they claim, hold, give back, and how long it takes."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor.conftest import new, register
from processor.fake_store import FakeBatch, FakeStore

from mergeguard.core.events import Claim, Event, Lease, NewEvent, Queue, Ran
from mergeguard.errors import ConnectionLost, FolderAway, Locked, LostBody
from mergeguard.processor.budget import Budget
from mergeguard.processor.circuit import Circuit
from mergeguard.processor.dispatcher import Dispatcher, Seat
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.renewals import Renewals
from mergeguard.processor.settings import Settings
from mergeguard.processor.worker import Worker


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@dataclass
class Room:
    """A store, a handler that a test scripts, and the workers of the fast queue."""

    folder: Path
    act: Callable[[Event, EventBatch], None] = lambda _event, _batch: None
    settings: Settings = field(init=False)
    store: FakeStore = field(default_factory=FakeStore)
    calls: list[int] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)
    """What ran in each committed batch."""
    stopping: bool = False

    def __post_init__(self) -> None:
        self.settings = Settings(event_queue_path=self.folder)
        self.settings.queue_folder.mkdir(parents=True, exist_ok=True)
        self.store.committed = self._committed
        self.bodies = EventBodies(self.settings.queue_folder)
        self.circuit = Circuit(self.store.sweep, self._wait)
        self.renewals = Renewals(self.store, lambda: self.settings.lease, lambda: self.store.seconds)
        self.dispatcher = Dispatcher(
            Queue.FAST,
            self.store,
            lambda: self.settings,
            self.circuit,
            self.renewals,
            is_stopping=lambda: self.stopping,
            wait=self._idle,
        )

    def seat(self, name: str = "w") -> Seat:
        worker = Worker(
            self.store,
            lambda: self.settings,
            self,
            self.bodies,
            clock=lambda: self.store.seconds,
            is_stopping=lambda: self.stopping,
        )
        return Seat(worker, name)

    def handle(self, event: Event, _body: bytes, batch: EventBatch) -> None:
        self.calls.append(event.id)
        batch.add("effect", (event.id,))
        self.act(event, batch)

    def round(self, seat: Seat) -> list[int]:
        """Let a worker do one round; return what it committed."""
        before = len(self.batches)
        if self.circuit.passed() and self.dispatcher.is_free(seat):
            claim = self.dispatcher.claim(seat)
            if claim is not None:
                self.dispatcher.run(seat, claim)
        return [event for batch in self.batches[before:] for event in batch]

    def done(self) -> list[int]:
        return [number for (number,) in self.store.effects]

    def charged(self) -> Counter[int]:
        return Counter({number: tries for number, tries in self.store.order.tries.items() if tries})

    def _wait(self, seconds: float) -> bool:
        self.store.pass_time(seconds)
        return self.stopping

    def _idle(self, seconds: float) -> None:
        if held(self.store):
            return  # whoever has nothing to do must not turn the clock on while others are at work
        self.store.pass_time(seconds)
        self.stopping = self.store.seconds > 60

    def _committed(self, _claim: Claim, ran: object) -> None:
        self.batches.append([event.id for one in ran for event in one.lease.events[: one.done]])  # type: ignore[attr-defined]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from([0, 1, 7, 20, 60, 300])), min_size=1, max_size=60))
def test_no_batch_outlasts_its_time_by_more_than_one_event(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[int, int]]
) -> None:
    room = Room(tmp_path_factory.mktemp("queue"))
    ids = register(room.store, *(new(source) for source, _ in plan))
    cost = {number: milliseconds / 1000 for number, (_, milliseconds) in zip(ids, plan, strict=True)}
    room.act = lambda event, _batch: room.store.pass_time(cost[event.id])
    seat = room.seat()
    while room.round(seat):
        pass
    assert sorted(room.done()) == ids
    for batch in room.batches:
        times = [cost[number] for number in batch]
        assert sum(times[:-1]) < 0.05 + 1e-9, "it would have ended before its last event"


def test_slow_work_is_claimed_in_small_pieces_and_quick_work_in_large_ones(room: Room) -> None:
    register(room.store, *(new(number + 1) for number in range(400)))
    room.act = lambda _event, _batch: room.store.pass_time(0.010)
    seat, claimed = room.seat(), []
    room.store.trouble = lambda call: claimed.append(held(room.store)) if call == "batch" else None
    for _ in range(6):
        room.round(seat)
    assert max(claimed[2:]) <= 20, "what 50 ms are for, and as much again"
    room.act = lambda _event, _batch: None
    for _ in range(6):
        room.round(seat)
    assert max(claimed[6:]) >= 60


def held(store: FakeStore) -> int:
    return sum(line.held is not None for line in store.order.lines.values())


def test_other_workers_take_what_a_slow_one_has_not_begun(room: Room) -> None:
    ids = register(room.store, *(new(number + 1) for number in range(10)))
    room.act = lambda event, _batch: room.store.pass_time(1.0 if event.id == ids[0] else 0)
    assert room.round(room.seat("slow")) == ids[:1]
    assert room.round(room.seat("quick")) == ids[1:2], "it claims what the last batch suggests, and nothing is held"
    assert room.round(room.seat("quick")) == ids[2:4]
    assert not held(room.store)


# --- Failures within a batch ---


def test_a_failing_event_is_called_once_a_try_and_its_successors_not_at_all(room: Room) -> None:
    ids = register(room.store, *(new(number % 4 + 1) for number in range(40)))
    bad = ids[17]

    def act(event: Event, _batch: EventBatch) -> None:
        if event.id == bad:
            raise ValueError

    room.act = act
    room.round(room.seat())
    assert Counter(room.calls)[bad] == 1
    behind = [number for number in ids if number > bad and (number - bad) % 4 == 0]
    assert not set(behind) & set(room.calls)
    assert sorted(room.done()) == [number for number in ids if number not in (bad, *behind)]
    assert room.charged() == {bad: 1}


def test_the_retries_come_after_100_200_and_300_milliseconds_and_then_the_line_goes_on(room: Room) -> None:
    first, second = register(room.store, new(1), new(1))
    tried: list[float] = []

    def act(event: Event, _batch: EventBatch) -> None:
        if event.id == first:
            tried.append(room.store.seconds)
            raise ValueError

    room.act = act
    seat = room.seat()
    for _ in range(100):
        room.round(seat)
        room.store.pass_time(0.01)
    assert [round(later - before, 3) for before, later in pairwise(tried)] == pytest.approx([0.1, 0.2, 0.3], abs=0.0101)
    assert room.done() == [second]
    assert [one.event.id for one in room.store.dead()] == [first]


@given(
    bad=st.sets(st.integers(0, 29), max_size=8),
    how=st.sampled_from(["raise", "add", "execute", "swallow", "effect"]),
    segment=st.sampled_from([1, 3, 8, 128]),
    lines=st.integers(1, 30),
)
def test_whoever_fails_and_however_the_others_keep_their_effects(
    tmp_path_factory: pytest.TempPathFactory, bad: set[int], how: str, segment: int, lines: int
) -> None:
    room = Room(tmp_path_factory.mktemp("queue"))
    ids = register(room.store, *(new(number % lines + 1) for number in range(30)))
    fails = {ids[at] for at in bad}

    def act(event: Event, batch: EventBatch) -> None:
        if event.id not in fails:
            return
        if how == "raise":
            raise ValueError
        if how == "add":
            batch.add("nonsense")
        elif how == "effect":
            batch.effect(_fail)
        elif how == "execute":
            batch.connection.execute("nonsense")
        else:
            _swallow(batch)

    room.act = act
    seat = room.seat()
    seat.worker._segment = segment
    for _ in range(400):
        room.round(seat)
        room.store.pass_time(0.3)
        if not room.store.order.waiting():
            break
    assert sorted(room.done()) == [number for number in ids if number not in fails]
    assert room.charged() == dict.fromkeys(fails, 4 - 1 + 1)


def _fail(_key: str) -> None:
    raise ValueError


def _swallow(batch: EventBatch) -> None:
    with suppress(Exception):  # what a careless handler does
        batch.connection.execute("nonsense")


def test_effects_outside_come_last_with_the_events_id_and_not_for_failed_events(room: Room) -> None:
    ids = register(room.store, *(new(number + 1) for number in range(6)))
    made: list[str] = []

    def act(event: Event, batch: EventBatch) -> None:
        batch.effect(made.append)
        if event.id == ids[2]:
            raise ValueError

    room.act = act
    room.round(room.seat())
    assert sorted(set(made)) == [str(number) for number in ids if number != ids[2]]
    with pytest.raises(RuntimeError, match="being handled"):
        EventBatch(None).effect(made.append)  # type: ignore[arg-type]


# --- Clashes and outages ---


def test_an_event_that_always_clashes_holds_back_itself_alone(room: Room) -> None:
    ids = register(room.store, *(new(number + 1) for number in range(30)))
    stuck, is_locked = ids[0], True

    def act(event: Event, _batch: EventBatch) -> None:
        if event.id == stuck and is_locked:
            raise Locked("another session holds a lock")

    room.act = act
    seat = room.seat()
    for _ in range(12):
        room.round(seat)
    assert sorted(room.done()) == ids[1:], "without a moment's passing"
    for _ in range(50):
        room.store.pass_time(10)
        room.round(seat)
    assert room.calls.count(stuck) < 30, "the waits grow"
    is_locked = False
    room.store.pass_time(31)
    room.round(seat)
    assert stuck in room.done()
    assert not room.charged()


def test_a_folder_that_is_away_holds_back_the_events_with_files_alone(room: Room) -> None:
    name = f"{uuid.UUID(int=1)}.NSE"
    away = room.settings.queue_folder.rename(room.folder / "elsewhere")
    (away / name).write_bytes(b"<message/>")
    (kept,) = register(room.store, NewEvent(uuid.UUID(int=1), 0, Queue.FAST, 10, None, name))
    others = register(room.store, *(new(number + 2) for number in range(9)))
    seat = room.seat()
    for _ in range(12):
        room.round(seat)
    assert room.done() == others
    away.rename(room.settings.queue_folder)
    room.store.pass_time(31)
    room.round(seat)
    assert kept in room.done()
    assert not room.charged()


@given(st.lists(st.sampled_from(["claim", "batch", "savepoint", "finish", "commit", "after commit", "release"])))
def test_after_an_outage_work_goes_on_at_once_and_no_try_is_spent(
    tmp_path_factory: pytest.TempPathFactory, outages: list[str]
) -> None:
    room = Room(tmp_path_factory.mktemp("queue"))
    ids = register(room.store, *(new(number % 3 + 1) for number in range(9)))
    left = list(outages)

    def trouble(call: str) -> None:
        if left and left[0] == call:
            left.pop(0)
            raise ConnectionLost("it is away")

    room.store.trouble = trouble
    seat = room.seat()
    for _ in range(2 * len(outages) + 2):
        room.round(seat)
    assert sorted(room.done()) == ids
    assert not room.charged()
    assert room.store.seconds <= sum(min(0.1 * 2**at, 1.0) for at in range(len(outages) + 1)), "waits of probes alone"


def test_a_long_outage_costs_no_event_and_is_probed_by_growing_waits(room: Room) -> None:
    ids = register(room.store, *(new(number % 3 + 1) for number in range(9)))

    def trouble(_call: str) -> None:
        if room.store.seconds < 86_400:
            raise ConnectionLost("it is away")

    room.store.trouble = trouble
    seat = room.seat()
    for _ in range(4):
        room.round(seat)
    assert sorted(room.done()) == ids
    assert not room.charged()
    assert not room.store.order.dead()


def test_a_lost_lease_is_forgotten_and_the_rest_of_the_claim_given_back(room: Room) -> None:
    ids = register(room.store, new(1), new(2))
    thief: list[Claim | None] = []

    def act(event: Event, _batch: EventBatch) -> None:
        if event.id == ids[1] and not thief:
            room.store.pass_time(room.settings.lease_seconds + 1)
            thief.append(room.store.claim(Queue.FAST, "thief", room.settings.lease, chains=1))

    room.act = act
    assert room.round(room.seat()) == []
    assert room.done() == []
    assert sorted(str(chain.owner) for chain in room.store.chains()) == ["None", "thief"]


# --- Turns, stops, leases ---


def test_workers_wait_for_their_turn_and_end_when_told(room: Room) -> None:
    ids = register(room.store, *(new(number + 1) for number in range(50)))
    threads = [threading.Thread(target=room.dispatcher.work, args=(room.seat(str(at)),)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(room.done()) == ids
    assert not held(room.store)


def test_who_is_not_wanted_any_more_ends(room: Room) -> None:
    register(room.store, new(1))
    room.dispatcher.work(room.seat(), lambda: not room.done())
    assert len(room.done()) == 1


def claim(*chains: int) -> Claim:
    until = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return Claim("w", Queue.FAST, tuple(Lease(chain, 1, ()) for chain in chains), until)


def test_leases_are_prolonged_when_a_third_of_them_is_over(room: Room) -> None:
    register(room.store, new(1))
    mine = room.store.claim(Queue.FAST, "w", room.settings.lease)
    assert mine is not None
    with room.renewals.kept(mine):
        assert room.renewals.renew() == 0
        for _ in range(20):
            room.store.pass_time(room.settings.lease_seconds / 3)
            assert room.renewals.renew() == 1
            assert room.store.claim(Queue.FAST, "thief", room.settings.lease) is None
    room.store.pass_time(room.settings.lease_seconds)
    assert room.renewals.renew() == 0
    assert room.store.claim(Queue.FAST, "thief", room.settings.lease) is not None


def test_a_renewal_that_fails_is_tried_again_at_the_next_look(room: Room) -> None:
    register(room.store, new(1))
    mine = room.store.claim(Queue.FAST, "w", room.settings.lease)
    assert mine is not None
    fails = [True]

    def trouble(call: str) -> None:
        if call == "renew" and fails.pop() is True:
            raise ConnectionLost("it is away")

    with room.renewals.kept(mine):
        room.store.pass_time(room.settings.lease_seconds / 2)
        room.store.trouble = trouble
        assert room.renewals.renew() == 0
        room.store.trouble = lambda _call: None
        assert room.renewals.renew() == 1


@given(st.lists(st.integers(1, 30), min_size=1, max_size=64), st.data(), st.integers(1, 512), st.integers(1, 64))
def test_a_budget_stays_in_its_limits_and_grows_only_when_all_ran(
    sizes: list[int], data: st.DataObject, most_events: int, most_chains: int
) -> None:
    leases = tuple(Lease(at, 1, tuple(range(size))) for at, size in enumerate(sizes))  # type: ignore[arg-type]
    ran, begun = data.draw(st.integers(0, sum(sizes))), data.draw(st.integers(0, len(sizes)))
    budget = Budget(64, 64)
    whole = replace(claim(1), leases=leases)
    budget.learn(whole, ran, begun, most_events=most_events, most_chains=most_chains)
    assert 1 <= budget.chains <= min(budget.events, most_chains)
    assert budget.events <= most_events
    if ran < sum(sizes):
        assert budget.events <= max(1, ran * 2)
        assert budget.chains <= max(1, begun)
    budget.isolate()
    assert (budget.events, budget.chains) == (1, 1)


# --- Bodies ---


@pytest.mark.parametrize("name", ["../x.NSE", "/etc/passwd", "a/b.NSE", "..\\x.NSE", "x\0.NSE", "..", ""])
def test_a_name_that_leads_out_of_the_folder_is_a_lost_body(room: Room, name: str) -> None:
    number = register(room.store, NewEvent(uuid.UUID(int=1), 0, Queue.FAST, 1, None, name))[0]
    with pytest.raises((LostBody, IsADirectoryError)):
        room.bodies.read(room.store.event_of(number))
    room.bodies.remove(room.store.event_of(number))
    assert room.settings.queue_folder.is_dir()


def test_another_folder_in_its_place_is_away_and_no_folder_is_too(room: Room) -> None:
    number = register(room.store, NewEvent(uuid.UUID(int=1), 0, Queue.FAST, 1, None, "x.NSE"))[0]
    event = room.store.event_of(number)
    with pytest.raises(LostBody):
        room.bodies.read(event)
    room.settings.queue_folder.rename(room.folder / "elsewhere")
    with pytest.raises(FolderAway):
        room.bodies.read(event)
    room.settings.queue_folder.mkdir()
    with pytest.raises(FolderAway):
        room.bodies.read(event)


def test_ran_names_the_leases_of_the_claim_itself(room: Room) -> None:
    """Even where a commit was refused and only the first event ran: a store compares leases as it gave them."""
    ids = register(room.store, *(new(1) for _ in range(3)))
    finished: list[Ran] = []
    room.store.committed = lambda _claim, ran: finished.extend(ran)
    refused = [True, True]

    def trouble(call: str) -> None:
        if call == "commit" and refused:
            refused.pop()
            raise TypeError("a value that the driver cannot send")

    room.store.trouble = trouble
    room.round(room.seat())
    assert [(one.done, [event.id for event in one.lease.events]) for one in finished] == [(1, ids)]


@pytest.mark.parametrize("all_ran", [True, False])
def test_chains_that_the_commit_gave_back_are_not_given_back_again(
    room: Room, monkeypatch: pytest.MonkeyPatch, all_ran: bool
) -> None:
    def finish_and_release(batch: FakeBatch, ran: Sequence[Ran]) -> bool:
        batch.finish(ran)
        return all_ran

    def committed(claim: Claim, ran: object) -> None:
        room._committed(claim, ran)
        room.store.order.release(claim)

    released: list[Claim] = []
    monkeypatch.setattr(FakeBatch, "finish_and_release", finish_and_release, raising=False)
    monkeypatch.setattr(room.store, "release", released.append)
    room.store.committed = committed
    numbers = register(room.store, *(new(number + 1) for number in range(5)))
    seat = room.seat()
    while room.round(seat):
        pass
    assert sorted(room.done()) == numbers
    assert bool(released) is not all_ran
    assert seat.owed is None
