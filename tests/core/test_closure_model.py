"""Status, current guid, depth and cycles equal the dictionary model's on random and on adversarial tables."""

from __future__ import annotations

import random
import uuid

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from merge_model import Answer, Pair, answers, guid, merge_pairs, rings, with_live

from mergeguard.core import branches, guids, index
from mergeguard.core.closure import STATUS_TEXTS, Closure, Liveness, Status, close, leads
from mergeguard.core.join import join
from mergeguard.core.table import MergeTable


def closed(pairs: list[Pair], live: frozenset[uuid.UUID] | None = None) -> tuple[MergeTable, Closure]:
    table = MergeTable.from_pairs(pairs)
    liveness = None
    if live is not None:
        flags = [(old in live, new in live) for old, new in pairs]
        liveness = Liveness(np.array([f[0] for f in flags], bool), np.array([f[1] for f in flags], bool))
    return table, close(table, join(table), liveness)


def told(table: MergeTable, closure: Closure) -> dict[uuid.UUID, Answer]:
    """What the closure says of each row; rows of one old must say the same."""
    rows = np.arange(len(table), dtype=np.int32)
    currents, has = closure.current(table, rows)
    said: dict[uuid.UUID, Answer] = {}
    for row in rows.tolist():
        depth = int(closure.depth[row])
        answer = (
            STATUS_TEXTS[closure.status[row]],
            guids.to_uuid(currents, row) if has[row] else None,
            depth if depth >= 0 else None,
        )
        assert said.setdefault(guids.to_uuid(table.old, row), answer) == answer
    return said


@given(with_live())
@example(([], None))
@example(([(guid(1), guid(1))], None))
@example(([(guid(1), guid(1)), (guid(1), guid(2))], frozenset({guid(2)})))
@example(([(guid(1), guid(2)), (guid(2), guid(1))], frozenset({guid(2)})))
def test_every_old_is_answered_as_the_model_answers_it(
    drawn: tuple[list[Pair], frozenset[uuid.UUID] | None],
) -> None:
    pairs, live = drawn
    assert told(*closed(pairs, live)) == answers(pairs, live)


@given(merge_pairs())
def test_cycles_and_what_they_take_down_equal_networkx(pairs: list[Pair]) -> None:
    table, closure = closed(pairs)
    found = {frozenset(guids.to_uuids(table.old[ring.members])): ring.down for ring in closure.rings}
    assert found == rings(pairs)


@given(merge_pairs())
def test_a_ring_is_simple_exactly_when_no_member_has_a_second_new(pairs: list[Pair]) -> None:
    table, closure = closed(pairs)
    news = {old: {new for other, new in pairs if other == old} for old, _ in pairs}
    for ring in closure.rings:
        assert ring.simple == all(len(news[old]) == 1 for old in guids.to_uuids(table.old[ring.members]))


def test_a_cycle_that_exists_only_through_a_row_that_loses_a_conflict_is_found() -> None:
    pairs = [(guid(1), guid(3)), (guid(1), guid(2)), (guid(2), guid(1))]
    for order in (pairs, pairs[::-1]):
        _, closure = closed(order)
        assert [len(ring.members) for ring in closure.rings] == [2]


@given(merge_pairs(), st.randoms(use_true_random=False))
def test_weights_add_up_along_with_the_olds(pairs: list[Pair], chance: random.Random) -> None:
    table = MergeTable.from_pairs(pairs)
    joined = join(table)
    weights = np.array([chance.randrange(10) for _ in pairs], np.int64)
    by_old = {guids.to_uuid(table.old, lead): int(weights[lead]) for lead in leads(joined).tolist()}
    for ring in close(table, joined, weights=weights).rings:
        reach = answers(pairs)
        members = frozenset(guids.to_uuids(table.old[ring.members]))
        upstream = {old for old in reach if leads_into(pairs, old, members)}
        assert ring.mass == sum(by_old[old] for old in upstream)
        assert ring.down == len(upstream)


def leads_into(pairs: list[Pair], start: uuid.UUID, members: frozenset[uuid.UUID]) -> bool:
    seen, todo = {start}, [start]
    while todo:
        at = todo.pop()
        if at in members:
            return True
        for old, new in pairs:
            if old == at and new not in seen:
                seen.add(new)
                todo.append(new)
    return False


@given(merge_pairs(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(pairs: list[Pair], chance: random.Random) -> None:
    shuffled = list(pairs)
    chance.shuffle(shuffled)
    assert told(*closed(shuffled)) == told(*closed(pairs))


@pytest.mark.parametrize("length", [1, 2, 100, 101, 32_768, 200_000])
def test_a_long_chain_needs_no_recursion(length: int) -> None:
    column = guids.from_bytes(np.arange(2 * (length + 1), dtype=np.uint64).tobytes())
    table = MergeTable(column[:-1].copy(), column[1:].copy())
    closure = close(table, join(table))
    assert closure.depth.tolist() == list(range(length, 0, -1))
    assert set(closure.end.tolist()) == {length - 1}


@pytest.mark.parametrize("length", [2, 3, 1000, 100_000])
def test_one_long_ring_is_one_cycle(length: int) -> None:
    column = guids.from_bytes(np.arange(2 * length, dtype=np.uint64).tobytes())
    table = MergeTable(column.copy(), np.roll(column, -1, axis=0).copy())
    closure = close(table, join(table))
    assert [(len(ring.members), ring.simple, ring.down) for ring in closure.rings] == [(length, True, length)]
    assert set(closure.status.tolist()) == {Status.CYCLE}


def test_more_cycles_than_a_branch_remembers_are_counted_for_the_first_ones_only() -> None:
    many = branches.MAX_RINGS + 5
    pairs = [(guid(0), guid(10 * at)) for at in range(1, many + 1)]
    pairs += [
        edge
        for at in range(1, many + 1)
        for edge in ((guid(10 * at), guid(10 * at + 1)), (guid(10 * at + 1), guid(10 * at)))
    ]
    _, closure = closed(pairs)
    assert len(closure.rings) == many
    assert sorted(ring.down for ring in closure.rings) == [2] * 5 + [3] * branches.MAX_RINGS


@given(merge_pairs())
def test_hostile_guids_change_nothing_but_the_way_they_are_found(pairs: list[Pair]) -> None:
    """Hashes that all collide send the index to its sorted column."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "mix", lambda column: np.zeros(len(column), np.uint64))
        patch.setattr(index, "MAX_PROBES", 2)
        assert told(*closed(pairs)) == answers(pairs)
