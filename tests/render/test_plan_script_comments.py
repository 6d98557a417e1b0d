"""What a script says beside its statements: never a statement itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import sample_plan

from mergeguard.core.repair.plan import Plan
from mergeguard.errors import Unsupported
from mergeguard.render.plan_script import plan_script

KINDS = ("sqlite", "postgresql", "mssql")


def of_kind(kind: str, plan: Plan) -> Plan:
    return replace(plan, target=replace(plan.target, kind=kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_without_steps_is_a_script_of_comments(kind: str) -> None:
    lines = plan_script(of_kind(kind, sample_plan(steps=(), tables=()))).splitlines()
    assert lines[0].startswith("-- MergeGuard 0.2.0: plan 5f5f")
    assert all(line.startswith("--") or not line for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_one_transaction_below_what_it_is_about(kind: str) -> None:
    script = plan_script(of_kind(kind, sample_plan())).partition("-- The way back")[0]
    assert script.count("\nBEGIN") - script.count("\nBEGIN\n") == script.count("\nCOMMIT") == 3
    assert "\n-- 1. 0123456789abcdef: cycle, America/Denver survives (certain)\n" in script


def test_other_databases_have_no_script() -> None:
    with pytest.raises(Unsupported, match="no script"):
        plan_script(of_kind("oracle", sample_plan()))


def test_no_text_of_the_database_ends_a_comment(hostile_texts: st.SearchStrategy[str]) -> None:
    @given(hostile_texts, st.sampled_from(KINDS))
    def hold(text: str, kind: str) -> None:
        sample = sample_plan(tables=())
        step = replace(sample.steps[0], why=text, kinds=(text,), changes=(), guard=(), evidence={})
        target = replace(sample.target, url=text, server=text, database=text, kind=kind)
        plain = plan_script(of_kind(kind, replace(sample, steps=(replace(step, why="x", kinds=("x",)),))))
        told = plan_script(replace(sample, target=target, steps=(step,), tool_version=text))
        assert told.isprintable() or all(line.isprintable() for line in told.split("\n"))
        assert "$(" not in told
        assert [line for line in told.split("\n") if not line.startswith("--")] == [
            line for line in plain.split("\n") if not line.startswith("--")
        ]

    hold()
