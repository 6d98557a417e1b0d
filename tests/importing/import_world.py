"""A database with queue and reference schema, the real importer and real merges on it, and how they are run.

Everything goes the way that it goes in a server: events are registered, claimed, run by a worker through ``BatchRun``,
and done in the transaction of their effects. Only who goes when is the tests' choice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from import_oracle import Guid, Import, Merge, Model, Operation
from importing.import_cases import Case, start
from importing.import_setup import importer_of, prepare, profile_of
from importing.import_state import CHECKS, Seen, State, ask
from importing.import_tables import Tables
from merge_model import guid

from mergeguard import api
from mergeguard.core.events import NO_SOURCE, Claim, NewEvent, Queue, Registered
from mergeguard.core.nse import write
from mergeguard.errors import MergeRefused
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.handlers import Handler
from mergeguard.processor.settings import Settings
from mergeguard.processor.worker import Handled, Worker
from mergeguard.resources.merge import open_merges
from mergeguard.storage.profile import Profile
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target
from mergeguard.testing.actor import last_step
from mergeguard.testing.systems import schedulable

LEASE = Settings().lease
NAMES: Mapping[Guid, str] = {guid(number): letter for number, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
PATIENT = Options(lock_timeout=20)
REFUSALS = {"cycle", "self-merge"}
"""Merges may be refused for these reasons: then both are one, or it was nonsense."""
Wrap = Callable[[Any], Any]


class World:
    """One database.

    Args:
        url: of an empty one.
        folder: of the queue.
        wrap: puts a fault between the importer and its store.
        steps: whether statements of its sessions are steps of a schedule.
    """

    def __init__(self, url: str, folder: Path, *, wrap: Wrap = lambda store: store, steps: bool = False) -> None:
        self.url = url
        self._stack = ExitStack()
        prepare(url)
        self.engine = sa.create_engine(url, poolclass=sa.pool.StaticPool if "sqlite" in url else None)
        self._stack.callback(self.engine.dispose)
        self.settings = Settings(event_queue_path=folder, retry_step_milliseconds=1, batch_milliseconds=600_000)
        self.settings.queue_folder.mkdir(parents=True, exist_ok=True)
        self.queue = open_store(url, PATIENT)
        self._stack.callback(self.queue.close)
        self.steps = steps
        if steps:
            schedulable(self.queue._sessions.engine)  # type: ignore[attr-defined]
        self.queue.create()
        self.profile = profile_of(url)
        self.importer = self._stack.enter_context(importer_of(self, wrap))
        self.tables = Tables(self.engine)
        self._merges: list[tuple[ExitStack, Any]] = []
        self._numbers: dict[int, int] = {}
        self.model = start(0)
        """What the database held when its operations of now began."""

    def close(self) -> None:
        for stack, _ in self._merges:
            stack.close()
        self._stack.close()

    # --- A case ---

    def reset(self, case: Case) -> tuple[Model, list[Operation]]:
        """Begin a case; return what the database holds by the oracle, and what is to happen now."""
        model = start(case.guids)
        self.tables.reset(model)
        self._numbers = {}
        before, now = case.operations()
        for operation in before:
            self.make(operation)
            model.make(operation)
        self.model = model
        return model, now

    def register(self, imports: Sequence[Import], *, chained: bool = False) -> None:
        """Register events, each a chain of its own, or each in the chain of its source."""
        events = []
        for one in imports:
            body = write(one.message)
            source = one.message.resources[0].guid if chained else NO_SOURCE
            events.append(NewEvent(source or NO_SOURCE, 0, Queue.FAST, len(body), body))
        for one, told in zip(imports, self.queue.register(events) if events else [], strict=True):
            assert isinstance(told, Registered)
            self._numbers[told.id] = one.event

    def claimed(self, most: int = 512) -> Claim | None:
        """Claim one chain."""
        return self.queue.claim(Queue.FAST, uuid.uuid4().hex, LEASE, chains=1, events=most)

    def claims(self) -> dict[int, Claim]:
        """Claim everything; return the claims by the numbers of their first events."""
        found = {}
        while (claim := self.claimed()) is not None:
            found[self._numbers[claim.leases[0].events[0].id]] = claim
        return found

    def worker(self, handler: Handler | None = None) -> Worker:
        return Worker(
            self.queue,
            lambda: self.settings,
            handler or self.importer,
            EventBodies(self.settings.queue_folder),
            clock=time.monotonic,
            is_stopping=lambda: False,
        )

    def handle(self, claim: Claim, handler: Handler | None = None) -> Handled:
        """Run one claim to its end, and give its chains back."""
        handled = self.worker(handler).handle(claim)
        self.queue.release(claim)
        return handled

    def drain(self, handler: Handler | None = None, rounds: int = 200) -> None:
        """Work until nothing can be claimed."""
        for _ in range(rounds):
            claim = self.claimed()
            if claim is None:
                return
            self.handle(claim, handler)
            self.queue.sweep()
        raise AssertionError("the queue does not come to an end")

    def make(self, operation: Operation) -> None:
        """Make one operation, alone."""
        if isinstance(operation, Merge):
            self.merge(operation)
        else:
            self.register([operation])
            self.drain()

    def merge(self, merge: Merge, session: int = 0) -> str:
        """Merge; say what came of it."""
        try:
            return "already" if self.merges(session).merge(merge.old, merge.new).already else "merged"
        except MergeRefused as refused:
            if refused.reason not in REFUSALS:
                raise
            return refused.reason

    def merges(self, session: int) -> Any:
        """The session of some number, opened before it is needed: what it asks once is part of no schedule."""
        while len(self._merges) <= session:
            stack = ExitStack()
            source = open_target(self.url, self.profile, PATIENT)
            stack.callback(source.close)
            if self.steps:
                schedulable(source)
            merges = stack.enter_context(open_merges(source, self.profile))
            with suppress(MergeRefused):
                merges.merge(guid(0), guid(0))
            self._merges.append((stack, merges))
        return self._merges[session][1]

    def go_by(self, profile: Profile) -> None:
        """Merge by another profile from now on."""
        for stack, _ in self._merges:
            stack.close()
        self._merges.clear()
        self.profile = profile

    def rebuild(self) -> None:
        """Build the lookup anew, after somebody wrote rows of merges by hand."""
        api.build_lookup(self.url, self.profile)

    def repair(self) -> int:
        """Repair what can be decided; return how many steps that took."""
        plan = api.plan(self.url, self.profile)
        return api.apply(plan, self.url).applied if plan.steps else 0

    def wake(self) -> int:
        """Let every parked event be tried again."""
        return self.queue.wake([parked.event.id for parked in self.queue.parked()])

    # --- What is there ---

    def state(self) -> State:
        found = self.tables.state()
        named = {name: frozenset(self._numbers.get(one, -one) for one in getattr(found, name)) for name in _EVENTS}
        return replace(found, **named)

    def check(
        self,
        asked: Sequence[Operation],
        names: Collection[str] = tuple(CHECKS),
        *,
        before: State | None = None,
        over: bool = True,
    ) -> State:
        """Ask the checks about what is committed."""
        now = self.state()
        ask(Seen(self.model, before or now, now, asked, over, NAMES), [name for name in CHECKS if name in names])
        return now


_EVENTS = ("waiting", "parked", "dead")


@contextmanager
def world_of(url: str, folder: Path, **options: Any) -> Iterator[World]:
    """A world that is closed."""
    world = World(url, folder, **options)
    try:
        yield world
    finally:
        world.close()


__all__ = ["World", "last_step", "world_of"]
