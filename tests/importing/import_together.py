"""Events that share a claim and a savepoint, so that they are prepared together, and how they are run without that."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st
from import_oracle import Import
from importing.import_cases import Case, Sent, merges, sent
from importing.import_state import State
from importing.import_tables import tangle
from importing.import_world import LEASE, World

from mergeguard.core.events import NO_SOURCE, NewEvent, Queue, Registered
from mergeguard.core.nse import write
from mergeguard.processor.handlers import Handler
from mergeguard.processor.importers.importer import Importer

BROKEN: Final = b"<message><from/>"
GUIDS: Final = 4
TANGLED: Final = GUIDS + 1
"""It is merged into two others at once; the number before it is a guid that nobody knows."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a database begins with, and the events of one claim."""

    before: tuple[Sent | tuple[int, int], ...]
    now: tuple[Sent, ...]
    broken: frozenset[int] = frozenset()
    """Places of events whose body is no message."""
    chained: bool = False
    """Whether events of one source stand in one line; else each stands in its own."""


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it."""

    state: State
    failed: Mapping[int, str]
    """By event: what the first run of the claim said."""


class Stuck(Exception):
    """The events do not come to an end."""


class OneByOne:
    """The importer as a handler that is told of one event after the other."""

    def __init__(self, importer: Importer) -> None:
        self.handle = importer.handle


def play(world: World, crowd: Crowd, handler: Handler) -> Came:
    """Run the events in one claim, and what is tried again until nothing is left to do."""
    case = Case(GUIDS, crowd.before, crowd.now)
    _, now = world.reset(replace(case, guids=TANGLED + 3))
    tangle(world.tables, [(TANGLED, TANGLED + 1, TANGLED + 2)])
    _register(world, [one for one in now if isinstance(one, Import)], crowd)
    failed: dict[int, str] = {}
    for turn in range(50):
        claim = world.queue.claim(Queue.FAST, uuid.uuid4().hex, LEASE, chains=64)
        if claim is None:
            return Came(_plain(world.state(), world._numbers), failed)
        handled = world.handle(claim, handler)
        if handled.error is not None:
            raise Stuck(handled.told)
        if not turn:
            ended = [ran.failure or ran.parked for ran in handled.ran]
            failed |= {world._numbers[one.event]: one.message for one in ended if one is not None}
        world.queue.sweep()
    raise Stuck


def _register(world: World, imports: list[Import], crowd: Crowd) -> None:
    events = []
    for place, one in enumerate(imports):
        body = BROKEN if place in crowd.broken else write(one.message)
        source = one.message.resources[0].guid if crowd.chained else None
        events.append(NewEvent(source or NO_SOURCE, 0, Queue.FAST, len(body), body))
    for one, told in zip(imports, world.queue.register(events), strict=True):
        assert isinstance(told, Registered)
        world._numbers[told.id] = one.event


def _plain(state: State, numbers: Mapping[int, int]) -> State:
    """A state whose rows stand in an order of their own, and whose events have the numbers of their case."""

    def in_order(rows: Any) -> list[Any]:
        return sorted(rows, key=str)

    return replace(
        state,
        keys=in_order(state.keys),
        links=in_order((*link, numbers.get(event or 0)) for *link, event in state.links),
        summaries={
            place: (hash_, numbers.get(event or 0), rows) for place, (hash_, event, rows) in state.summaries.items()
        },
        data={data_class: in_order(rows) for data_class, rows in state.data.items()},
    )


@st.composite
def crowds(draw: st.DrawFn, most: int = 7) -> Crowd:
    """Draw events of few resources that share keys, repeat each other, make newcomers, are broken or lead nowhere."""
    one = sent(GUIDS, keys=True, counted=True, partial=True)
    now = draw(st.lists(one, min_size=2, max_size=most))
    for number in draw(st.lists(st.integers(0, len(now) - 1), max_size=2)):
        now.append(now[number])  # what is said again is unchanged, or newer
    strange = draw(st.dictionaries(st.integers(0, len(now) - 1), st.sampled_from([GUIDS, TANGLED]), max_size=2))
    now = [
        replace(each, any_=(*each.any_, strange[place])) if place in strange else each for place, each in enumerate(now)
    ]
    broken = draw(st.frozensets(st.integers(0, len(now) - 1), max_size=1))
    before = draw(st.lists(st.one_of(one, merges(GUIDS)), max_size=3))
    return Crowd(tuple(before), tuple(now), broken, draw(st.booleans()))
