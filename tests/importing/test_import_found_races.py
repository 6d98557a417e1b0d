"""Schedules that once broke an import, each with the sentence that it was found by."""

from __future__ import annotations

import pytest
from importing.import_cases import Case, Sent
from importing.import_mutants import Mutant, Planted, Through
from importing.import_race import Race
from importing.import_world import World

from mergeguard.testing.postgresql import PostgresqlWatcher

SWITCHES = [((gap, 0), *((each, 0) for _ in range(10))) for gap in range(0, 12, 2) for each in (0, 2)]
AHEAD = Mutant("nothing is wrong", "")
PLAIN = Mutant("every lock is taken by itself, as on other databases", "", store=Through)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(3, (), (Sent(0, shared=0), (0, 1))), id="a key names A, and that is not live"),
        pytest.param(
            Case(3, (Sent(0, shared=0),), (Sent(2, shared=0, newcomer=True), (0, 1))),
            id="whoever is found by a key, and merged away meanwhile",
        ),
        pytest.param(
            Case(3, (), (Sent(2, shared=0, newcomer=True), Sent(2, shared=0, newcomer=True), (0, 1))),
            id="two newcomers with one key",
        ),
        pytest.param(
            Case(3, (Sent(0, single=1),), (Sent(0, any_=(1,)), Sent(1, from_=(0,)))), id="a link stands there twice"
        ),
    ],
)
@pytest.mark.parametrize("mutant", [AHEAD, PLAIN], ids=["ahead", "plain"])
def test_a_schedule_that_broke_an_import_does_so_no_more(
    race_world: World, watcher: PostgresqlWatcher, case: Case, mutant: Mutant
) -> None:
    with Planted(race_world, mutant) as planted:
        for schedule in SWITCHES:
            Race(race_world, watcher, handler=planted.handler).run(case, schedule)
