"""The proof finds what a wrong decision would do: each kind of damage done to a right one, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from merge_model import guid, merge_pairs
from repair_model import Run, Sick, sick_tables

from mergeguard.core.repair.component import Component
from mergeguard.core.repair.evidence import ReadFrom
from mergeguard.core.repair.proof import prove
from mergeguard.core.table import MergeTable

RING = Sick.of((1, 2), (2, 3), (3, 1))
"""The newest row leads to 1, so row 1 is to go."""
KNOT = Sick.of((1, 2), (2, 1), (1, 2), (2, 9), (4, 2))


def problems(sick: Sick, change: Callable[[Component], Component]) -> tuple[str, ...]:
    run = Run.of(sick)
    assert not run.proof.problems
    return prove(sick.facts, [change(component) for component in run.components]).problems


@pytest.mark.parametrize(
    ("retire", "word"),
    [
        ((), "lies on a cycle"),
        ((0, 1), "has no row any more"),
        ((0, 1, 2), "has no row any more"),
        ((1,), "a row of it is left"),
        ((0, 7), "not its own"),
    ],
)
def test_the_wrong_rows_of_a_cycle(retire: tuple[int, ...], word: str) -> None:
    assert any(word in problem for problem in problems(RING, lambda each: replace(each, retire=retire)))


def test_another_survivor_than_the_one_that_is_led_to() -> None:
    (said,) = problems(Sick.of((1, 8), (1, 9)), lambda each: replace(each, survivor=guid(8)))
    assert said.startswith(f"{guid(1)} of component ")
    assert said.endswith(f" does not lead to {guid(8)} after the repair")


def test_another_survivor_than_the_only_guid_outside_that_a_cycle_leads_to() -> None:
    found = problems(Sick.of((1, 2), (2, 1), (2, 9)), lambda each: replace(each, survivor=guid(8)))
    assert [said.endswith(f" does not lead to {guid(8)} after the repair") for said in found] == [True, True]


def test_a_second_row_that_stays() -> None:
    found = problems(KNOT, lambda each: replace(each, retire=(1,)))
    assert any("has several rows" in problem for problem in found)


def test_a_row_of_a_refused_component() -> None:
    sick = Sick.of((1, 2), (2, 1), read_from=ReadFrom())
    assert "was refused, but row 0 is to be retired" in problems(sick, lambda each: replace(each, retire=(0,)))[0]


def test_a_row_of_somebody_else_changes_an_answer() -> None:
    sick = Sick.of((1, 2), (2, 1), (5, 6), (6, 7))
    found = problems(sick, lambda each: replace(each, retire=(*each.retire, 3)))
    assert any("not its own" in problem for problem in found)
    assert f"{guid(5)} led to {guid(7)}, and to {guid(6)} after the repair" in found


def test_a_live_member_that_nothing_is_noted_of() -> None:
    sick = Sick.of((1, 2), (2, 1), live={1, 2})
    assert any("still merged away" in problem for problem in problems(sick, lambda each: replace(each, notes=())))


@given(merge_pairs(deleted=True))
def test_a_table_without_row_ids_keeps_its_row_numbers(pairs: list[tuple[object, object]]) -> None:
    sick = Sick(tuple(pairs), tuple(range(1, len(pairs) + 1)))  # type: ignore[arg-type]
    numbered = replace(sick.facts, table=MergeTable.from_pairs(pairs))  # type: ignore[arg-type]
    components = Run.of(sick).components
    after = prove(numbered, components).after.table
    assert [after.row_id(row) for row in range(len(after))] == [number for number, _, _ in Run.of(sick).left]


@given(sick_tables())
def test_text_ids_and_merge_keys_stay_with_their_rows(sick: Sick) -> None:
    table = sick.facts.table
    texts = [f"row {number}" for number in sick.row_ids]
    named = replace(sick.facts, table=replace(table, row_ids=texts, merge_keys=texts))
    run = Run.of(sick)
    after = prove(named, run.components).after.table
    left = [f"row {number}" for number, _, _ in run.left]
    assert [after.row_id(row) for row in range(len(after))] == left
    assert list(after.merge_keys or ()) == left
