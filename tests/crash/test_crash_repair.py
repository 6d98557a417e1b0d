"""`apply` and `undo` are killed at each step, and again while they recover: a component is whole or untouched.

The model works on the tables alone: which rows there must be follows from which steps the journal holds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from crash.places import Place, SqlitePlace
from crash.repair_case import Case, make_case
from crash.runner import Drill, Forge, How

pytestmark = pytest.mark.timeout(3600)  # the long run kills at every step


@pytest.fixture
def case(place: Place, forge: Forge, how: How, folder: Path) -> Case:
    return make_case(place, forge, how, folder, "text" if isinstance(place, SqlitePlace) else "uuid")


def test_apply(case: Case, limits: tuple[int, int]) -> None:
    def between(where: str) -> None:
        found = case.look(after_a_kill=True)
        case.hold(found, where)
        assert list(found.steps) == list(range(1, len(found.steps) + 1)), where
        assert set(found.steps.values()) <= {None}, where

    def done() -> None:
        found = case.look(after_a_kill=False)
        case.hold(found, "at the end")
        assert dict(found.steps) == dict.fromkeys(case.every)
        assert found.finished == {case.plan.plan_id: True}

    arguments = ("apply", "plan.json", "--target", case.place.target, "--yes")
    drill = Drill(case.forge, case.how, case.folder, arguments, lambda: case.place.restore("damaged"), between, done)
    steps = drill.all(*limits)
    assert len(steps) > 5 * len(case.plan.steps), steps


def test_undo(case: Case, limits: tuple[int, int]) -> None:
    run_id = case.plan.plan_id
    applied = case.forge.run(("apply", "plan.json", "--target", case.place.target, "--yes"), case.folder)
    assert applied.status == 0, applied
    case.place.keep("applied")

    def between(where: str) -> None:
        found = case.look(after_a_kill=True)
        case.hold(found, where)
        assert set(found.steps) == case.every, where
        assert set(found.steps.values()) <= {None, *found.finished} - {run_id}, where

    def done() -> None:
        found = case.look(after_a_kill=False)
        case.hold(found, "at the end")
        assert (found.merges, found.inv, found.lookup) == (case.before.merges, case.before.inv, case.before.lookup)
        assert set(found.steps) == case.every
        assert None not in found.steps.values()

    arguments = ("undo", case.place.target, run_id, "--profile", "p.toml", "--yes")
    drill = Drill(
        case.forge,
        case.how,
        case.folder,
        arguments,
        lambda: case.place.restore("applied"),
        between,
        done,
        # Killed after its last step, it did all of it: the next call finds nothing left to take back, and says so.
        ends=frozenset({0, 5}),
    )
    steps = drill.all(*limits)
    assert len(steps) > 5 * len(case.plan.steps), steps
