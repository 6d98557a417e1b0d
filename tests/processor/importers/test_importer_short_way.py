"""What changes nothing takes a shorter way, which comes to the same as the long one."""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from importing_model import Tables, Transaction, merge
from importing_samples import (
    IDENTIFICATION,
    INSTALLED,
    NOTES,
    OWNED,
    RUN,
    SEATS,
    SERVER,
    SOFTWARE,
    USES,
    World,
    computer,
    guid,
    link,
    rows,
)

from mergeguard.core.importing.answers import Answers
from mergeguard.core.importing.keys import folded
from mergeguard.core.nse.message import Association, ClassData, Resource
from mergeguard.errors import MergeGuardError

PCS = range(1, 4)
PROGRAMS = range(11, 13)
A_PC, A_PROGRAM = st.sampled_from(PCS), st.sampled_from(PROGRAMS)
Parts = tuple[Resource | ClassData | Association, ...]


class Telling(Transaction):
    """It has read everything ahead, and holds it."""

    @property
    def answers(self) -> Answers:
        tables, known = self.tables, Answers()
        every = {*tables.items, *(old for old, *_ in tables.merges), *map(guid, (*PCS, *PROGRAMS, 99))}
        known.learn_standings({each: self._standing(each) for each in every}, every)
        owned = [(key, owner) for owner, keys in tables.keys.items() for key in keys]
        named = [(key.name, key.value) for key, _ in owned]
        found = [
            (at, key.name, key.value, owner)
            for at, (asked, _) in enumerate(owned, 1)
            for key, owner in owned
            if folded(key) == folded(asked)
        ]
        known.learn_owners(named, found)
        for pair, (_, hash_, event) in tables.summaries.items():
            known.loaded(pair, event or 0, hash_)
        links = Transaction(Tables(tables.catalogue, links=tables.links)).linked({name[:2] for name in tables.links})
        ends = {(kind.guid, guid(parent)) for kind in (USES, OWNED, SEATS) for parent in PCS}
        known.learn_links({*ends, *((each.type, each.parent) for each in links)}, links)
        return known


@st.composite
def messages(draw: st.DrawFn) -> Parts:
    """Draw what one computer says: mostly what it said before, as there is little that it can say."""
    pc = draw(A_PC)
    name = draw(st.sampled_from(["fqdn", "FQDN"]))
    keys = [f"{name}={draw(st.sampled_from([pc, pc, pc, 9]))}"]
    kind = draw(st.sampled_from([computer("me", 1).type, computer("me", 1).type, SERVER, None]))
    made: list[Resource | ClassData | Association] = [
        computer("me", draw(st.sampled_from([pc, pc, pc, None])), *keys, kind=kind)
    ]
    if draw(st.booleans()):
        made.append(rows(IDENTIFICATION, "me", (draw(st.sampled_from("ab")), 1, guid(draw(A_PC)))))
    if draw(st.booleans()):
        made.append(rows(INSTALLED, "me", (guid(draw(A_PROGRAM)), "1"), partial=draw(st.booleans())))
    if draw(st.booleans()):
        made.append(rows(NOTES, draw(A_PC), ("a",)))
    if draw(st.integers(0, 3)) == 0:
        made.append(rows(RUN, "me", ("x", guid(draw(A_PROGRAM)))))
    made += [
        link(draw(st.sampled_from([USES, SEATS])), "me", draw(A_PC | A_PROGRAM)) for _ in range(draw(st.integers(0, 2)))
    ]
    made += [link(OWNED, "me", draw(A_PROGRAM | st.just(99)))] * draw(st.integers(0, 1))
    return tuple(made)


Strange = st.tuples(st.sampled_from(["merge", "retire", "ban"]), A_PC, A_PC)


def play(world: World, steps: list[Any], agains: list[int]) -> list[str]:
    """Make all steps; return what was refused."""
    world.send(*(computer(f"c{each}", each, f"fqdn={each}") for each in PCS))
    world.send(*(computer(f"s{each}", each, f"hash={each}", kind=SOFTWARE) for each in PROGRAMS))
    refused = []
    for at, step in enumerate(steps):
        what, one, other = step if isinstance(step[0], str) else ("send", 0, 0)
        if what == "merge":
            merge(world.tables, guid(one), guid(other))
        elif what == "retire" and guid(one) in world.tables.items:
            world.tables.items[guid(one)].retired = True
        elif what == "ban":
            world.tables.blacklist.add(guid(one))
        elif what == "send":
            for event in (10 + 10 * at, 11 + 10 * at - 20 * (at in agains)):
                try:
                    world.send(*step, event=event, source=guid(1 + at % 3) if at % 2 else uuid.UUID(int=0))
                except MergeGuardError as error:
                    refused.append(error.message)
    return refused


@given(st.lists(messages() | messages() | Strange, max_size=7), st.lists(st.integers(0, 6), max_size=2))
def test_the_short_way_comes_to_the_same_as_the_long_one(steps: list[Any], agains: list[int]) -> None:
    long, short = World(), World()
    short.store.opened = Telling
    assert play(short, steps, agains) == play(long, steps, agains)
    assert short.tables.said() == long.tables.said()
    assert short.tables.summaries == long.tables.summaries
    assert short.tables.links == long.tables.links
    assert {name: each.retired for name, each in short.tables.items.items()} == {
        name: each.retired for name, each in long.tables.items.items()
    }


SAID = (
    computer("me", 1, "fqdn=1", "serial=4711"),
    rows(IDENTIFICATION, "me", ("a", 1, guid(2))),
    rows(NOTES, "me", ("a",), ("b",)),
    link(USES, "me", 11),
    link(OWNED, "me", 11),
)


def begun() -> World:
    world = World()
    world.store.opened = Telling
    play(world, [], [])
    world.send(*SAID)
    assert world.calls
    return world


def test_what_came_before_is_confirmed_and_nothing_else_is_asked() -> None:
    world = begun()
    world.send(*SAID)
    assert world.calls == ["confirm", "link"]
    assert set(world.tables.links.values()) == {world.events}
    assert {event for _, _, event in world.tables.summaries.values()} == {world.events}


def test_whatever_is_unusual_goes_the_long_way() -> None:
    """One reason each: nothing of it may be overlooked."""

    def other_owner(tables: Tables) -> None:
        tables.keys[guid(2)].append(tables.keys[guid(1)][0])

    def moved_key(tables: Tables) -> None:
        tables.keys[guid(2)].append(tables.keys[guid(1)].pop())

    def newer(tables: Tables) -> None:
        pair = NOTES.guid, guid(1)
        tables.summaries[pair] = (*tables.summaries[pair][:2], 1000)

    def crowded(tables: Tables) -> None:
        tables.links[OWNED.guid, guid(1), guid(12)] = 1

    changes: dict[str, Any] = {
        "a key that another one has, too": other_owner,
        "a key that another one has instead": moved_key,
        "a newer event": newer,
        "a parent with too many links": crowded,
        "a merged peer": lambda tables: merge(tables, guid(2), guid(3)),
        "a retired computer": lambda tables: setattr(tables.items[guid(1)], "retired", True),
        "a banned agent": lambda tables: tables.blacklist.add(guid(1)),
        "a missing key": lambda tables: tables.keys[guid(1)].pop(),
        "another hash": lambda tables: tables.summaries.update({(NOTES.guid, guid(1)): (2, "0" * 32, 1)}),
        "another type": lambda tables: setattr(tables.items[guid(1)], "type", SERVER),
    }
    for why, change in changes.items():
        world = begun()
        change(world.tables)
        world.tables.calls.clear()
        world.send(*SAID)
        assert "owners" in world.calls, why
