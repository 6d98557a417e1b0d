"""Each planted fault is found by the check that it is said to be found by, and each check of imports finds one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from importing.import_cases import Case
from importing.import_mutants import COMMUTE, MUTANTS, Mutant, Planted
from importing.import_race import SERIALISABLE, Race
from importing.import_state import CHECKS, Violation
from importing.import_world import World, world_of

from mergeguard.testing.choices import Interruptions, interruptions
from mergeguard.testing.postgresql import PostgresqlWatcher

SERIAL = [mutant for mutant in MUTANTS if not mutant.races]
RACING = [mutant for mutant in MUTANTS if mutant.races]


@pytest.fixture(autouse=True, scope="module")
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def found(mutant: Mutant, play: Any, *drawn: Any) -> str | None:
    """Play cases until a check fails; return its name."""
    settings = hypothesis.settings(
        max_examples=mutant.budget,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        hypothesis.seed(1)(settings(hypothesis.given(mutant.cases, *drawn)(play)))()
    except Violation as violation:
        return violation.check
    except Flaky as flaky:
        raise AssertionError(f"{mutant.name}: {flaky}") from flaky
    return None


@pytest.fixture(params=SERIAL, ids=[mutant.name for mutant in SERIAL])
def serial_mutant(request: pytest.FixtureRequest) -> Mutant:
    return request.param


@pytest.fixture(scope="module")
def file_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("mutants")
    with world_of(f"sqlite:///{folder / 'mutants.db'}", folder) as made:
        yield made


def test_a_fault_that_needs_no_race_is_found(
    file_world: World, serial_mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    if serial_mutant.plant is not None:
        serial_mutant.plant(monkeypatch)
    with Planted(file_world, serial_mutant) as planted:
        assert found(serial_mutant, planted.play, st.randoms(use_true_random=False)) == serial_mutant.killed_by


@pytest.mark.parametrize("mutant", RACING, ids=[mutant.name for mutant in RACING])
def test_a_fault_that_needs_a_race_is_found(
    race_world: World, watcher: PostgresqlWatcher, mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mutant.plant is not None:
        mutant.plant(monkeypatch)
    with Planted(race_world, mutant) as planted:

        def play(case: Case, schedule: Interruptions) -> None:
            Race(race_world, watcher, [mutant.killed_by], planted.handler).run(case, schedule)

        assert found(mutant, play, interruptions()) == mutant.killed_by


def test_every_check_of_imports_finds_a_fault() -> None:
    """Those of the merge table have a zoo of their own, in the kit."""
    of_merges = {"forest", "target_live", "no_shadow", "monotone", "lookup"}
    assert {mutant.killed_by for mutant in MUTANTS} == {*CHECKS, SERIALISABLE, COMMUTE} - of_merges
