"""Whom importers hear: black-listed agents, retired computers."""

from __future__ import annotations

import pytest
from importing_model import merge
from importing_samples import IDENTIFICATION, LOGON, RUN, World, computer, guid, rows

from mergeguard.errors import EventRefused

PC = computer("pc", 1, "fqdn=pc1")
AGENT = guid(1)


def world_with(**settings: str) -> World:
    world = World(**settings)
    world.send(PC, source=AGENT)
    return world


def test_an_agent_that_speaks_for_itself_is_managed() -> None:
    world = world_with()
    world.send(computer("other", 2, "fqdn=pc2"), source=AGENT)
    assert [item.managed for item in world.tables.items.values()] == [True, False]


def test_events_of_a_black_listed_agent_are_those_of_what_it_is_now() -> None:
    world = world_with()
    world.send(computer("pc", 2, "fqdn=pc2"))
    merge(world.tables, AGENT, guid(2))
    world.tables.blacklist.add(AGENT)
    world.send(PC, rows(RUN, "pc", ("a",)), source=AGENT)
    assert world.rows(RUN, 2) == [("a", None)]


def test_events_of_a_black_listed_agent_are_refused_where_that_is_set() -> None:
    world = world_with(black_listed_agents="refuse")
    world.send(computer("pc", 2, "fqdn=pc2"))
    merge(world.tables, AGENT, guid(2))
    world.tables.blacklist.add(AGENT)
    before = world.tables.said()
    with pytest.raises(EventRefused, match=r"0+-.*1 is on the black list"):
        world.send(PC, rows(RUN, "pc", ("a",)), source=AGENT)
    assert world.tables.said() == before
    world.send(PC, rows(RUN, "pc", ("a",)), source=guid(2))
    world.send(PC, rows(RUN, "pc", ("a",)))
    assert len(world.rows(RUN, 2)) == 2


@pytest.fixture
def retired() -> World:
    world = world_with()
    world.tables.items[AGENT].retired = True
    return world


def test_events_of_a_retired_computer_are_refused(retired: World) -> None:
    before = retired.tables.said()
    for parts in (
        (rows(RUN, "pc", ("a",)),),
        (rows(RUN, "pc", ("a",)), rows(LOGON, "pc", ("me",))),
        (computer("other", 2, "fqdn=x"), rows(IDENTIFICATION, "other", ("x", 1))),
        (),
    ):
        with pytest.raises(EventRefused, match="is a retired computer"):
            retired.send(PC, *parts, source=AGENT)
    assert retired.tables.said() == before
    assert retired.tables.items[AGENT].retired


def test_its_logons_are_taken(retired: World) -> None:
    retired.send(PC, rows(LOGON, "pc", ("me",)), source=AGENT)
    assert retired.rows(LOGON, 1) == [("me",)]
    assert retired.tables.items[AGENT].retired


@pytest.mark.parametrize("named", ["software EXECUTION", "x; evt_run"])
def test_logon_classes_can_be_set(named: str) -> None:
    world = world_with(logon_event_classes=named)
    world.tables.items[AGENT].retired = True
    world.send(PC, rows(RUN, "pc", ("a",)), source=AGENT)
    with pytest.raises(EventRefused):
        world.send(PC, rows(LOGON, "pc", ("me",)), source=AGENT)


def test_its_inventory_makes_it_active_again(retired: World) -> None:
    retired.send(PC, rows(RUN, "pc", ("a",)), rows(IDENTIFICATION, "pc", ("x", 1)), source=AGENT)
    assert not retired.tables.items[AGENT].retired
    assert retired.rows(RUN, 1)


def test_others_may_speak_about_a_retired_computer(retired: World) -> None:
    retired.send(PC, rows(RUN, "pc", ("a",)))
    assert retired.rows(RUN, 1) == [("a", None)]
    assert retired.tables.items[AGENT].retired


def test_an_agent_that_nobody_knows_is_heard() -> None:
    world = world_with()
    world.send(PC, rows(RUN, "pc", ("a",)), source=guid(77))
    assert world.rows(RUN, 1) == [("a", None)]
