"""Workers against every kind of trouble, by choices of Hypothesis: what Q1 to Q11 promise holds at every commit."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processor.queue_world import Broken, Dice, World, play
from processor.worker_mutants import MUTANTS

from mergeguard.processor.settings import Settings

SEEN_IN = 60
"""Runs in which everything that ought to happen sometimes has happened."""
FOUND_IN = 400
"""Runs in which each mutant has been found."""


@dataclass
class Drawn:
    """Choices of Hypothesis."""

    data: st.DataObject

    def choose(self, below: int) -> int:
        return int(self.data.draw(st.integers(0, below - 1)))


@pytest.fixture(autouse=True, scope="module")
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def played(choices: Drawn | Dice, *, backup: bool) -> World:
    with TemporaryDirectory() as folder:
        bad = Path("bad") if backup else None
        return play(choices, Path(folder), Settings(event_queue_path=Path(folder), event_failure_backup_folder=bad))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.booleans())
def test_nothing_is_lost_doubled_reordered_or_charged_for_an_outage(data: st.DataObject, backup: bool) -> None:
    world = played(Drawn(data), backup=backup)
    assert not world.store.order.waiting()


def test_everything_that_ought_to_happen_sometimes_does() -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEN_IN):
        seen += played(Dice(seed), backup=bool(seed % 2)).seen
    wanted = {"two at once", "pause", "crash in a handler", "a lease ran out under its worker", "backup failed"}
    wanted |= {"parked", "woken", "look failed"}
    calls = ("claim", "batch", "savepoint", "connection", "finish", "commit", "release", "sweep")
    wanted |= {f"{kind} at {call}" for kind in ("outage", "clash", "crash") for call in calls}
    wanted |= {f"outage at after {call}" for call in ("claim", "commit", "release")}
    assert wanted <= set(seen), wanted - set(seen)


@pytest.mark.parametrize("name", MUTANTS)
def test_each_planted_fault_is_found_by_its_check(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, checks = MUTANTS[name]
    plant(monkeypatch)
    for seed in range(FOUND_IN):
        try:
            played(Dice(seed), backup=True)
        except Broken as broken:
            assert broken.check in checks, broken  # noqa: PT017 - which check it is, is the question
            return
    pytest.fail(f"{name}: not found in {FOUND_IN} runs")
