"""What a repair promises, on both databases: all damage is found, a ring costs one row, the undecided is untouched.

That a second plan is empty, no mapping is lost, nobody else is touched and everything goes back is in
``test_apply_properties``; crashes are in ``tests/crash``, merges beside it in ``test_repair_beside_merges``.
"""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from typing import Any

import networkx as nx
from apply_world import FREE, World, rings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from merge_model import guid
from stale_case import StaleCase, stale_cases

from mergeguard.core.repair.plan import Image, Plan, Step
from mergeguard.integrity.planning import PlanOptions

EACH = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
UNDECIDED = StaleCase([*rings(3), (guid(1), guid(2)), (guid(1), guid(3)), (guid(4), guid(1))], live=frozenset())
"""A ring, and an old with two news, of which all are known to be dead."""


def damaged(case: StaleCase) -> set[uuid.UUID]:
    """The olds on a cycle, with several rows, or live and merged away; by networkx and counting."""
    graph = nx.DiGraph(list(case.pairs))
    found = {old for old, many in Counter(old for old, _ in case.pairs).items() if many > 1}
    found |= {one for ring in nx.strongly_connected_components(graph) if len(ring) > 1 for one in ring}
    found |= set(nx.nodes_with_selfloops(graph))
    return found | ({old for old, _ in case.pairs} & (case.live or frozenset()))


def members(plan: Plan) -> list[uuid.UUID]:
    parts = [step.members for step in plan.steps if not step.component.startswith("references:")]
    return [one for part in (*parts, *(refused.members for refused in plan.refused)) for one in part]


@EACH
@given(case=stale_cases())
@example(case=UNDECIDED)
def test_all_damage_is_found_and_nothing_else(world: World, case: StaleCase) -> None:
    world.put(case)
    found = members(world.plan(PlanOptions()))
    assert len(set(found)) == len(found)
    assert set(found) == damaged(case)


@EACH
@given(sizes=st.lists(st.integers(2, 5), min_size=1, max_size=3), tails=st.integers(0, 3))
def test_a_simple_ring_costs_one_row(world: World, sizes: list[int], tails: int) -> None:
    pairs = rings(*sizes)
    world.put(StaleCase([*pairs, *((guid(number), pairs[0][0]) for number in range(tails))]))
    plan = world.plan()
    assert [len(step.changes) for step in plan.steps] == [1] * len(sizes)
    for step in plan.steps:
        [change] = step.changes
        with world.opened() as source, source.snapshot() as snapshot:
            old = source.rows(snapshot).guid("Merges", "OldGuid", (change.before or {})["OldGuid"])  # type: ignore[attr-defined]
        assert old == step.survivor
    world.apply(plan)
    assert len(world.merges()) == len(pairs) + tails - len(sizes)


@EACH
@given(case=stale_cases())
@example(case=UNDECIDED)
def test_what_is_refused_stays_as_it_is_and_is_refused_again(world: World, case: StaleCase) -> None:
    world.put(case)
    plan = world.plan(PlanOptions())
    before = [row for row in world.merges() if any(row[1] in refused.members for refused in plan.refused)]
    world.apply(plan)
    undecided = {row[1] for row in before}
    assert [row for row in world.merges() if row[1] in undecided] == before
    again = world.plan(PlanOptions())
    assert again.steps == ()
    assert {refused.component for refused in again.refused} == {refused.component for refused in plan.refused}


def plain(image: Image | None) -> dict[str, str | None]:
    """A row without the place at which SQLite keeps it."""
    return {name: cell for name, cell in (image or {}).items() if name != "rowid"}


def told(plan: Plan) -> list[Any]:
    """What a plan decides, its changes in the order in which the plan has them."""
    steps = [step for step in plan.steps if not step.component.startswith("references:")]
    return [
        [(step.component, step.survivor, step.why, step.confidence, retired(step)) for step in steps],
        [(refused.component, refused.reason, refused.override_line) for refused in plan.refused],
    ]


def retired(step: Step) -> list[str]:
    return [json.dumps(plain(change.before), sort_keys=True) for change in step.changes]


@EACH
@given(case=stale_cases(), seed=st.integers(0, 9))
def test_the_order_of_the_rows_in_the_table_decides_nothing(world: World, case: StaleCase, seed: int) -> None:
    world.put(case)
    one = told(world.plan(FREE))
    rows = world.rows("Merges", "Id", "OldGuid", "NewGuid")
    random.Random(seed).shuffle(rows)
    world.execute('DELETE FROM "Merges"')
    for number, old, new in rows:
        world.execute('INSERT INTO "Merges" ("Id", "OldGuid", "NewGuid") VALUES (:a, :b, :c)', a=number, b=old, c=new)
    assert told(world.plan(FREE)) == one
