"""What a repair never touches is counted as the rules count it, and stays."""

from __future__ import annotations

import random

import rule_model
from hypothesis import given
from repair_model import Run, Sick

from mergeguard.core import rules
from mergeguard.core.facts import Facts
from mergeguard.core.repair.left_alone import WHY, left_alone
from mergeguard.core.table import MergeTable, Rejected, RejectedRow


@given(rule_model.cases())
def test_counts_are_those_of_the_rules(case: rule_model.Case) -> None:
    facts = case.facts()
    outcomes = {outcome.name: outcome.count for outcome in rules.run(facts)}
    told = {alone.rule: alone.count for alone in left_alone(facts)}
    assert told == {name: outcomes[name] for name in WHY if outcomes[name]}
    assert left_alone(case.shuffled(random.Random(1)).facts()) == left_alone(facts)


def test_every_rule_is_either_repaired_or_left_alone_or_has_its_own_command() -> None:
    repaired = {"cycle", "self-merge", "split", "shadowed-live", "redundant"}
    elsewhere = {"lookup-drift", "stale-reference"}
    assert repaired | elsewhere | set(WHY) == set(rules.BY_NAME)


def test_rows_that_are_no_merges_are_counted() -> None:
    rejected = Rejected()
    rejected.add(RejectedRow(1, "old", "nonsense"))
    rejected.add(RejectedRow(2, "new", None))
    empty = MergeTable.from_pairs([])
    found = left_alone(Facts(MergeTable(empty.old, empty.new, rejected=rejected)))
    assert [(alone.rule, alone.count) for alone in found] == [("malformed-guid", 1), ("empty-guid", 1)]


def test_a_dangling_row_is_no_damage() -> None:
    run = Run.of(Sick.of((1, 2), (2, 3), live={9}))
    assert not run.components
    assert [(alone.rule, alone.count) for alone in left_alone(run.sick.facts)] == [("dangling", 1), ("chain", 1)]
