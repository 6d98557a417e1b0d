"""A run that breaks off at any statement: each step is there whole or not at all, and the same plan goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from apply_world import World, rings
from merge_model import guid
from stale_case import StaleCase

from mergeguard.core.repair.plan import Plan
from mergeguard.storage.database.writing import DatabaseWriting
from mergeguard.storage.rows.database import DatabaseRows

CASE = StaleCase([*rings(2, 3), (guid(1), guid(2))], inventory=[(guid(1), None, "x"), (guid(1), guid(2), "y")])
SOME = 9
"""Places to break off at where not all are wanted."""


class Fault(Exception):
    """What nobody expects."""


class Breaker:
    """Counts what is sent to the database, and fails at one of it."""

    def __init__(self, at: int | None) -> None:
        self.at, self.count = at, 0
        self.commits: list[int] = []
        """Where a commit was made: just after it another number of steps is done."""

    def tick(self, *_: object, **__: object) -> None:
        self.count += 1
        if self.at == self.count:
            raise Fault(self.at)


@contextmanager
def breaking(monkeypatch: pytest.MonkeyPatch, at: int | None) -> Iterator[Breaker]:
    """Fail before the ``at``-th statement or commit, or just after a commit, of whatever way it goes."""
    breaker = Breaker(at)

    def before(work: Callable[..., Any]) -> Callable[..., Any]:
        def broken(*given: Any, **named: Any) -> Any:
            breaker.tick()
            return work(*given, **named)

        return broken

    def around(work: Callable[..., Any]) -> Callable[..., Any]:
        def broken(*given: Any, **named: Any) -> Any:
            breaker.tick()
            work(*given, **named)
            breaker.tick()
            breaker.commits.append(breaker.count)

        return broken

    with monkeypatch.context() as patched:
        patched.setattr(DatabaseRows, "run", before(DatabaseRows.run))
        patched.setattr(DatabaseRows, "send", before(DatabaseRows.send))
        patched.setattr(DatabaseWriting, "_commit", around(DatabaseWriting._commit))
        sa.event.listen(sa.Engine, "before_cursor_execute", breaker.tick)
        try:
            yield breaker
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", breaker.tick)


def places(whole: Breaker, config: pytest.Config) -> Sequence[int]:
    """Return where to break off: everywhere, or at some places and behind each commit."""
    if config.getoption("--long"):
        return range(1, whole.count + 1)
    return sorted({*range(1, whole.count + 1, max(1, whole.count // SOME)), *whole.commits})


def require_whole_steps(world: World, plan: Plan) -> int:
    """Hold that each step is applied with its journal, or neither; return how many are."""
    done = {step.number for step in world.journal().steps(plan.plan_id)}
    with world.opened() as source, source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        for number, step in enumerate(plan.steps, 1):
            found = sorted(map(repr, (dict(image) for image in rows.having("Merges", "OldGuid", step.members))))
            wanted = step.guard_after if number in done else step.guard
            assert found == sorted(map(repr, map(dict, wanted)))
            for change in step.changes:
                there = change.after if number in done else change.before
                assert there is None or rows.holds(change.table, there)
    return len(done)


def test_apply_goes_on_from_wherever_it_broke_off(
    world: World, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    world.put(CASE, lookup=True)
    plan = world.plan()
    with breaking(monkeypatch, None) as whole:
        world.apply(plan)
    wanted = world.everything()
    seen = set()
    for at in places(whole, pytestconfig):
        world.put(CASE, lookup=True)
        plan = world.plan()
        with breaking(monkeypatch, at), pytest.raises(Fault):
            world.apply(plan)
        seen.add(require_whole_steps(world, plan))
        assert world.drift() == 0
        assert world.apply(plan).left == 0
        assert world.everything() == wanted
        assert len(world.journal().steps(plan.plan_id)) == len(plan.steps)
    assert seen == set(range(len(plan.steps) + 1)), "some state in between was never met"


def test_undo_goes_on_from_wherever_it_broke_off(
    world: World, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    world.put(CASE, lookup=True)
    before, plan = world.everything(), world.plan()
    world.apply(plan)
    with breaking(monkeypatch, None) as whole:
        world.undo(plan.plan_id)
    for at in places(whole, pytestconfig):
        plan = world.plan()
        world.apply(plan)
        with breaking(monkeypatch, at), pytest.raises(Fault):
            world.undo(plan.plan_id)
        assert world.drift() == 0
        left = [step for step in world.journal().steps(plan.plan_id) if step.undone_by is None]
        if left:
            assert world.undo(plan.plan_id).steps == len(left)
        assert world.everything() == before
