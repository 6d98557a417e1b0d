"""Apply beside others: merges that wait for a component, two applies at once, merges between two components."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa
from apply_world import World, member, rings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merge_model import guid
from stale_case import StaleCase

from mergeguard.core.repair.plan import Plan
from mergeguard.errors import Stale
from mergeguard.integrity.apply import Applied
from mergeguard.storage.journal.rows import StepValues
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.rows.database import DatabaseRows

PATIENCE = 60
MERGE = 'INSERT INTO "Merges" VALUES (:id, :old, :new)'
WAITING = sa.text("""SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '"Merges"'::regclass""")


class Gate:
    """Stops the first component in the middle of its transaction, under the merge lock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()
        record = Journal.record_values

        def stopping(journal: Journal, rows: DatabaseRows, step: StepValues, *, briefly: bool) -> None:
            self.inside.set()
            assert self.go_on.wait(PATIENCE)
            record(journal, rows, step, briefly=briefly)

        monkeypatch.setattr(Journal, "record_values", stopping)


def merge(world: World, number: int, old: uuid.UUID, new: uuid.UUID) -> None:
    world.execute(MERGE, id=number, old=world.spell(old), new=world.spell(new))


@pytest.mark.parametrize("world", ["postgresql"], indirect=True)
def test_a_merge_waits_for_the_component_and_readers_do_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(StaleCase(rings(2, 2)), lookup=True)
    plan, gate = world.plan(), Gate(monkeypatch)
    with ThreadPoolExecutor() as pool:
        applying = pool.submit(world.apply, plan)
        assert gate.inside.wait(PATIENCE)
        merging = pool.submit(merge, world, 50, guid(1), member(0, 0))
        with world.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as look:
            while not look.scalar(WAITING):
                assert not merging.done(), "the merge did not wait"
            assert not applying.done()
        assert len(world.merges()) == 4, "a reader sees the rows as they were, at once"
        gate.go_on.set()
        assert applying.result(PATIENCE).left == 0
        merging.result(PATIENCE)
    assert len(world.merges()) == 3
    assert world.plan().steps == ()


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_a_file_lets_nobody_merge_during_a_component_and_everybody_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(StaleCase(rings(2)))
    plan, gate = world.plan(), Gate(monkeypatch)
    path = world.url.removeprefix("sqlite:///")
    with ThreadPoolExecutor() as pool:
        applying = pool.submit(world.apply, plan)
        assert gate.inside.wait(PATIENCE)
        with closing(sqlite3.connect(path, timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO Merges VALUES (50, 'a', 'b')")
            assert other.execute("SELECT count(*) FROM Merges").fetchone() == (2,)
        gate.go_on.set()
        assert applying.result(PATIENCE).left == 0


def at_once(world: World, *plans: Plan) -> list[Applied | BaseException]:
    """Apply plans in threads that begin together; return what came of each."""
    together = threading.Barrier(len(plans))

    def one(plan: Plan) -> Applied:
        together.wait(PATIENCE)
        return world.apply(plan)

    with ThreadPoolExecutor() as pool:
        futures: list[Future[Applied]] = [pool.submit(one, plan) for plan in plans]
        return [future.exception(PATIENCE) or future.result() for future in futures]


def test_two_that_apply_one_plan_share_its_steps(world: World) -> None:
    world.put(StaleCase(rings(2, 2, 2, 3, 3, 3)), lookup=True)
    plan = world.plan()
    done: list[Any] = at_once(world, plan, plan)
    assert [one.left for one in done] == [0, 0]
    assert sum(one.applied for one in done) == len(plan.steps) == 6
    assert [step.number for step in world.journal().steps(plan.plan_id)] == [1, 2, 3, 4, 5, 6]
    assert len(world.merges()) == 15 - 6
    assert world.drift() == 0


def test_two_plans_for_the_same_damage_never_repair_it_twice(world: World) -> None:
    world.put(StaleCase(rings(2, 2, 2, 3)), lookup=True)
    one, other = world.plan(), world.plan()
    done = at_once(world, one, other)
    assert all(isinstance(each, Applied | Stale) for each in done), done
    assert any(isinstance(each, Stale) for each in done)
    steps = [step for plan in (one, other) for step in world.journal().steps(plan.plan_id)]
    assert len({step.component for step in steps}) == len(steps)
    assert len(world.merges()) == 9 - len(steps)
    assert world.apply(world.plan()).left == 0
    assert len(world.merges()) == 5
    assert world.drift() == 0


GUIDS = [member(ring, place) for ring in range(3) for place in range(2)] + [guid(90), guid(91)]


@settings(max_examples=7, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    merges=st.lists(
        st.tuples(st.integers(1, 2), st.sampled_from(GUIDS), st.sampled_from(GUIDS)), min_size=1, max_size=3
    )
)
def test_merges_between_two_components_are_kept_and_stop_what_they_concern(
    world: World, merges: list[tuple[int, uuid.UUID, uuid.UUID]]
) -> None:
    world.put(StaleCase(rings(2, 2, 2)), lookup=True)
    before, plan = world.merges(), world.plan()
    made: list[tuple[int, uuid.UUID, uuid.UUID]] = []

    def meanwhile(phase: str, done: int, _total: int | None) -> None:
        for place, (after, old, new) in enumerate(merges):
            if phase == "applying steps" and after == done:
                merge(world, 100 + place, old, new)
                made.append((100 + place, old, new))

    try:
        world.apply(plan, progress=meanwhile)
    except Exception as error:
        if type(error).__name__ not in {"Stale", "ApplyFailed"}:
            raise
    gone = [change.before or {} for step in world.journal().steps(plan.plan_id) for change in step.changes]
    numbers = {int(str(image["Id"]).removeprefix("i:")) for image in gone}
    assert world.merges() == sorted([row for row in before if row[0] not in numbers] + made, key=repr)
    concerned = [step for step in plan.steps if any(old in step.members for _, old, _ in made)]
    assert len(numbers) == 3 or concerned
