"""Imports and merges at the same time, statement by statement, by a schedule that is drawn and can be repeated.

Each chain of events has a worker, each merge a session. The checks of states are asked at every commit; at the end,
once all is quiet, the others. ``serialisable``: some order of the operations, that of each chain kept, explains it.
"""

from __future__ import annotations

import itertools
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from import_oracle import Facts, Guid, Import, Merge, Model, Operation
from importing.import_cases import Case
from importing.import_state import CHECKS, Seen, State, Violation, ask
from importing.import_world import NAMES, World

from mergeguard.core.events import Claim
from mergeguard.processor.handlers import Handler
from mergeguard.testing.choices import Interrupting, Interruptions
from mergeguard.testing.history import History, Step
from mergeguard.testing.scheduler import Programs, Scheduler, Watcher
from mergeguard.testing.timeline import Timeline

AT_COMMIT = ("forest", "target_live", "no_shadow", "monotone", "lookup", "live_refs", "no_artifacts", "whole")
SERIALISABLE = "serialisable"
MOST = 5
"""Operations whose orders are all tried."""


class Race:
    """One case, one schedule.

    Args:
        world: of PostgreSQL, whose sessions are steps.
        watcher: of its database.
        checks: by their names, ``serialisable`` among them.
        handler: of the events; the importer if nothing is said.
    """

    def __init__(
        self,
        world: World,
        watcher: Watcher,
        checks: Collection[str] = (*CHECKS, SERIALISABLE),
        handler: Handler | None = None,
    ) -> None:
        self._world = world
        self._watcher = watcher
        self._checks = checks
        self._handler = handler
        self._before: State | None = None
        self._now: Sequence[Operation] = ()

    def run(self, case: Case, schedule: Interruptions) -> History:
        """Play it; raise a ``Violation`` with the time line of the schedule."""
        model, self._now = self._world.reset(case)
        programs = self._programs(self._now)
        self._before = self._world.state()
        scheduler = Scheduler(programs, self._watcher, Interrupting(schedule), self._look, most_steps=5000)
        try:
            scheduler.run()
            self._raise(scheduler.history)
            self._settle()
            self._end(model)
        except Violation as violation:
            names = {str(one): letter for one, letter in NAMES.items()}
            raise Violation(violation.check, f"{violation}\n{Timeline(scheduler.history, names).text()}") from None
        return scheduler.history

    def _programs(self, now: Sequence[Operation]) -> Programs:
        imports = [one for one in now if isinstance(one, Import)]
        merges = [one for one in now if isinstance(one, Merge)]
        for session in range(len(merges)):
            self._world.merges(session)
        self._world.register(imports, chained=True)
        found = [(f"event {number}", partial(self._work, claim)) for number, claim in self._world.claims().items()]
        calls = [f"merge {NAMES[one.old]}->{NAMES[one.new]}" for one in merges]
        ways = [partial(self._world.merge, one, session) for session, one in enumerate(merges)]
        return [*found, *zip(calls, ways, strict=True)]

    def _work(self, claim: Claim | None) -> None:
        """Run a claim, and as often as the database makes it a victim, what there is to claim then."""
        while claim is not None:
            handled = self._world.handle(claim, self._handler)
            claim = None if handled.error is None else self._world.claimed()

    def _look(self, step: Step) -> None:
        if step.ended and step.error is None:
            now = self._world.state()
            self._ask(now, [name for name in AT_COMMIT if name in self._checks], over=False)
            self._before = now

    def _ask(self, now: State, names: Sequence[str], *, over: bool) -> None:
        ask(Seen(self._world.model, self._before or now, now, self._now, over, NAMES), names)

    def _raise(self, history: History) -> None:
        for number, outcome in enumerate(history.outcomes):
            if outcome.error is not None:
                if not getattr(outcome.error, "retryable", False):
                    raise outcome.error
                self._world.merge(self._merge_of(history.names[number]))  # a victim: its caller tries again

    def _merge_of(self, name: str) -> Merge:
        return next(
            one for one in self._now if isinstance(one, Merge) and name == f"merge {NAMES[one.old]}->{NAMES[one.new]}"
        )

    def _settle(self) -> None:
        self._world.drain(self._handler)

    def _end(self, model: Model) -> None:
        now = self._world.state()
        self._ask(now, [name for name in CHECKS if name in self._checks], over=True)
        if SERIALISABLE in self._checks and len(self._now) <= MOST:
            require_serial(model, self._now, now.facts(model.began))


def require_serial(model: Model, operations: Sequence[Operation], found: Facts) -> None:
    """Require that some order explains what was found."""
    said = set()
    for order in orders(operations):
        copy = model.copy()
        for operation in order:
            copy.make(operation)
        difference = found.difference(copy.facts())
        if difference is None:
            return
        said.add(difference)
    raise Violation(SERIALISABLE, f"no order explains it: {min(said, key=len)}")


def orders(operations: Sequence[Operation]) -> Iterator[tuple[Operation, ...]]:
    """Yield every order in which the events of each source stay as they were registered."""
    chains: Mapping[Guid, list[int]] = defaultdict(list)
    for number, one in enumerate(operations):
        if isinstance(one, Import):
            chains[one.message.resources[0].guid or uuid.uuid4()].append(number)
    for order in itertools.permutations(range(len(operations))):
        places = {number: place for place, number in enumerate(order)}
        if all(places[one] < places[other] for chain in chains.values() for one, other in itertools.pairwise(chain)):
            yield tuple(operations[number] for number in order)
