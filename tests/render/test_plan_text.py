"""A plan in words: everything in it is told, a person's terminal is safe, and long plans are cut with a count."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
import repair_strategies
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import NOON, evidence, guid, sample_plan
from syrupy.assertion import SnapshotAssertion

from mergeguard.core.repair.plan import Action, Plan, RowChange, Step
from mergeguard.errors import UsageError
from mergeguard.render.plan import MAX_COMPONENTS, plan_summary, plan_text
from mergeguard.render.plan_component import MAX_ROWS
from mergeguard.render.text import columns

LATER = NOON + dt.timedelta(days=2)


def test_a_plan_in_words(snapshot: SnapshotAssertion) -> None:
    assert plan_text(sample_plan(), now=NOON) == snapshot


def test_a_plan_in_colour_on_a_narrow_terminal(snapshot: SnapshotAssertion) -> None:
    assert plan_text(sample_plan(), colour=True, width=60, now=LATER) == snapshot


@pytest.mark.parametrize("component", ["0123456789abcdef", "references:1", "00000000000000aa"])
def test_one_component_in_full(component: str, snapshot: SnapshotAssertion) -> None:
    assert plan_text(sample_plan(), component=component, now=NOON) == snapshot


def test_a_summary(snapshot: SnapshotAssertion) -> None:
    assert plan_summary(sample_plan()) == snapshot


def test_a_component_that_is_not_in_the_plan_is_refused() -> None:
    with pytest.raises(UsageError, match="no component ffff"):
        plan_text(sample_plan(), component="ffff")


def test_a_plan_without_anything_says_so() -> None:
    empty = sample_plan(steps=(), refused=(), left_alone=())
    assert plan_summary(empty) == "nothing to do\n"
    assert "mergeguard undo" not in plan_text(empty)


def test_an_expired_plan_is_shown_and_says_so() -> None:
    assert "EXPIRED" not in plan_text(sample_plan(), now=NOON)
    assert "EXPIRED 2024-05-02 12:00:00 UTC" in plan_text(sample_plan(), now=NOON + dt.timedelta(hours=24))


def test_what_an_undo_cannot_restore_is_named() -> None:
    assert "ResourceMerge.Stamp" in plan_text(sample_plan())


def test_a_long_plan_is_cut_with_a_count() -> None:
    plan = sample_plan()
    many = tuple(replace(plan.steps[0], component=f"{number:016x}") for number in range(MAX_COMPONENTS + 3))
    text = plan_text(replace(plan, steps=many, refused=plan.refused * (MAX_COMPONENTS + 1)))
    assert "... and 3 more components; --component ID" in text
    assert "... and 1 more component; --component ID" in text
    assert text.count("America/Denver survives") == MAX_COMPONENTS


def _wide(rows: int) -> Step:
    told = evidence([(1, 1, 2, False)] * (rows - 1) + [(9, 2, 1, True)])
    return replace(sample_plan().steps[0], evidence=told)


@given(st.integers(1, 3 * MAX_ROWS))
def test_of_a_wide_component_no_row_that_goes_is_cut_and_in_full_no_row_at_all(rows: int) -> None:
    plan = sample_plan(steps=(_wide(rows),))
    short, full = plan_text(plan), plan_text(plan, component="0123456789abcdef")
    assert "- row 9" in short
    assert short.count("  row 1 ") == min(rows, MAX_ROWS) - 1
    assert full.count("row 1 ") == rows - 1
    assert (", which stay" in short) == (rows > MAX_ROWS)
    assert ", which stay" not in full


@pytest.mark.parametrize(
    ("ordered", "ids", "newest"),
    [("row_id", (1, 2), True), (None, (1, 2), False), ("row_id", (2, 2), False), ("row_id", ("a", 2), False)],
)
def test_a_row_is_called_newest_only_by_a_declared_order(
    ordered: str | None, ids: tuple[object, ...], newest: bool
) -> None:
    told = evidence([(1, 1, 2, True), (2, 2, 1, False)], read_from={ordered: "ResourceMerge.Id"} if ordered else {})
    told["rows"] = [row | {"row_id": number} for row, number in zip(told["rows"], ids, strict=True)]
    assert ("(newest)" in plan_text(sample_plan(steps=(replace(sample_plan().steps[0], evidence=told),)))) == newest


def _hostile(text: str) -> Plan:
    plan = sample_plan()
    rows = [{"row_id": text, "old": str(guid(1)), "new": str(guid(2)), "time": text, "retired": True}]
    names = {str(guid(1)): text, str(guid(2)): text}
    step = replace(plan.steps[0], why=text, notes=(text,), evidence={"rows": rows, "names": names})
    refused = replace(plan.refused[0], reason=text, override_line=text, kinds=(text,))
    return replace(
        plan,
        target=replace(plan.target, url=text, server=text, database=text),
        steps=(step, *plan.steps[2:]),
        refused=(refused,),
        left_alone=({"rule": text, "count": 1, "why": text},),
        notes=(text,),
    )


def test_no_text_of_the_database_reaches_the_terminal_as_it_is(hostile_texts: st.SearchStrategy[str]) -> None:
    @given(hostile_texts)
    def hold(text: str) -> None:
        told = plan_text(_hostile(text), width=80)
        assert all(line.isprintable() for line in told.splitlines())
        told.encode()

    hold()


@given(st.integers(10, 200))
def test_words_keep_to_the_width_of_the_terminal(width: int) -> None:
    for line in plan_summary(sample_plan(), width=width).splitlines():
        assert columns(line) <= max(width, 40)


def test_a_step_whose_evidence_is_bare_is_shown_too() -> None:
    bare = replace(sample_plan().steps[0], evidence={}, notes=())
    text = plan_text(sample_plan(steps=(bare,)))
    assert f"{guid(1)} survives (certain)" in text


def test_what_a_step_says_of_its_columns_is_printed_and_hashes_beside_it() -> None:
    step = sample_plan().steps[2]
    numbers = {"rows": 5, "changed": 2, "self-references dropped": 3, "duplicates collapsed": 0}
    hashes = RowChange(Action.CLEAR_HASH, "Summary", {"Id": "i:1", "Hash": "t:x"}, {"Id": "i:1", "Hash": None})
    told = replace(step, evidence={"columns": {"Inv.Guid": numbers}}, changes=(*step.changes, hashes))
    text = plan_text(sample_plan(steps=(told, replace(told, component="references:2"))))
    lines = [line.split() for line in text.splitlines()]
    assert ["Inv.Guid", "4", "6", "-"] in lines
    assert ["Summary.Hash", "-", "-", "2"] in lines
    assert "Stale references: 6 rows in 2 transactions" in text


@given(repair_strategies.PLANS)
def test_any_plan_can_be_printed(plan: Plan) -> None:
    assert plan_text(plan, now=NOON).encode()
    assert plan_summary(plan).encode()
