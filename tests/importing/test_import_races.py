"""Imports and merges at the same time on PostgreSQL, statement by statement, by drawn schedules."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from importing.import_cases import Case, Sent, cases
from importing.import_race import Race
from importing.import_world import World

from mergeguard.testing.choices import Interruptions, interruptions
from mergeguard.testing.postgresql import PostgresqlWatcher

racing = settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)


@racing
@given(case=cases(most=4, before=2), schedule=interruptions())
def test_no_row_lands_on_a_guid_that_was_merged_away(
    race_world: World, watcher: PostgresqlWatcher, case: Case, schedule: Interruptions
) -> None:
    Race(race_world, watcher).run(case, schedule)


@racing
@given(case=cases(most=4, before=1, keys=True), schedule=interruptions())
def test_keys_that_come_at_the_same_time_make_one_resource(
    race_world: World, watcher: PostgresqlWatcher, case: Case, schedule: Interruptions
) -> None:
    Race(race_world, watcher).run(case, schedule)


@pytest.mark.long
@racing
@given(case=cases(most=5, counted=True, partial=True, guids=3), schedule=interruptions())
def test_some_order_explains_what_depends_on_it(
    race_world: World, watcher: PostgresqlWatcher, case: Case, schedule: Interruptions
) -> None:
    asked = ("forest", "lookup", "live_refs", "no_artifacts", "whole", "summarised", "settled", "serialisable")
    Race(race_world, watcher, asked).run(case, schedule)


EVERYTHING = Sent(0, single=1, many=((0, 1), (0, 2)), other=2, happened=1, any_=(1, 2), from_=(1,))
SWITCHES = [tuple((gap, 0) for _ in range(12)) for gap in (0, 1, 2, 4, 6)]
"""The other goes on after every so many steps."""


@pytest.mark.parametrize("merge", [(0, 1), (1, 0), (1, 2), (2, 1)])
def test_an_import_and_a_merge_of_what_it_names_by_turns(
    race_world: World, watcher: PostgresqlWatcher, merge: tuple[int, int]
) -> None:
    seen: Counter[str] = Counter()
    for schedule in SWITCHES:
        history = Race(race_world, watcher).run(Case(3, (), (EVERYTHING, merge)), schedule)
        seen["preempted"] += history.preemptions > 0
        seen["waited"] += any(step.waited_until is not None for step in history.steps)
    assert seen["preempted"] == len(SWITCHES)
    assert seen["waited"], "a merge and an import of the same guid must have met"


def test_events_of_one_source_are_taken_one_after_the_other_while_it_is_merged(
    race_world: World, watcher: PostgresqlWatcher
) -> None:
    case = Case(3, (), (Sent(0, happened=1), Sent(0, happened=2), (0, 1), Sent(0, happened=0), (2, 1)))
    for schedule in SWITCHES[::2]:
        Race(race_world, watcher).run(case, schedule)
        assert told(race_world) == sorted(told(race_world))


def told(world: World) -> list[int]:
    """The numbers of the events in the order in which their rows were written."""
    rows = [row for rows in world.state().data.values() for row in rows]
    return [int(str(cells[0]).removeprefix("of ")) for _, cells in rows if str(cells[0]).startswith("of ")]
