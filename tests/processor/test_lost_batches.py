"""A database that takes back a whole batch when one of its events fails, as SQL Server does if a trigger fails."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor.fake_store import FakeBatch, FakeStore

from mergeguard.core.events import Event, NewEvent, Queue
from mergeguard.errors import EventParked, Locked, MalformedEvent
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.failures import Verdict
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.settings import Settings
from mergeguard.processor.worker import Handled, Worker
from mergeguard.storage.queue.store import BatchLost

SETTINGS = Settings(event_queue_path=Path("nowhere"), batch_milliseconds=60_000)
PARKED = "parked"
FAULTS = {
    "none": None,
    "bad": MalformedEvent("no envelope"),
    "worse": ZeroDivisionError("a bug"),
    PARKED: EventParked("they lead in a circle", guids=(uuid.UUID(int=1),), status="cycle"),
}


@contextmanager
def losing(batch: FakeBatch) -> Iterator[None]:
    """A savepoint that is gone, and its transaction with it, once something failed."""
    try:
        yield
        batch._insist()
    except Exception as error:
        batch.effects, batch.unit, batch.aborted = [], [], False
        raise BatchLost(str(error)) from error


class Handler:
    """Events do what stands in their bodies."""

    def __init__(self) -> None:
        self.clash: Exception | None = None

    def handle(self, event: Event, body: bytes, batch: EventBatch) -> None:
        batch.add("effect", (event.id,))
        if event.id % 2:
            _ = batch.connection
        fault = self.clash or FAULTS[body.decode()]
        if fault is not None:
            raise fault


class Site:
    def __init__(self, faults: list[str]) -> None:
        self.store, self.handler = FakeStore(), Handler()
        self.faults = dict(enumerate(faults, 1))
        self.store.register(
            [NewEvent(uuid.UUID(int=at), 0, Queue.FAST, 9, f.encode()) for at, f in self.faults.items()]
        )
        self.worker = Worker(
            self.store,
            lambda: SETTINGS,
            self.handler,
            EventBodies(SETTINGS.queue_folder),
            clock=lambda: 0.0,
            is_stopping=lambda: False,
        )

    def work(self) -> list[Handled]:
        """Handle claims until none is given."""
        handled = []
        while (claim := self.store.claim(Queue.FAST, "w", SETTINGS.lease)) is not None:
            handled.append(self.worker.handle(claim))
            self.store.release(claim)
        return handled


@given(st.lists(st.sampled_from([*FAULTS]), min_size=1, max_size=12))
def test_the_neighbours_of_what_fails_keep_their_effects_and_it_alone_is_charged(faults: list[str]) -> None:
    site = Site(faults)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeBatch, "savepoint", losing)
        assert all(one.verdict is None for one in site.work())
    assert sorted(number for (number,) in site.store.effects) == [
        at for at, what in site.faults.items() if what == "none"
    ]
    assert site.store.broken == []
    charged = {number for number, tries in site.store.order.tries.items() if tries}
    assert charged == {at for at, what in site.faults.items() if what in {"bad", "worse"}}
    assert {one.failure.kind for one in site.store.dead(limit=99)} <= {"MalformedEvent"}
    assert [one.event.id for one in site.store.parked()] == [at for at, what in site.faults.items() if what == PARKED]


def test_a_clash_is_charged_to_nobody() -> None:
    site = Site(["none", "none"])
    site.handler.clash = Locked("somebody else merges the same")
    claim = site.store.claim(Queue.FAST, "w", SETTINGS.lease)
    assert claim is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeBatch, "savepoint", losing)
        assert site.worker.handle(claim).verdict is Verdict.CLASH
    assert (site.store.effects, set(site.store.order.tries.values())) == ([], {0})
