"""What holds for every rule: proofs, names that stay, counts that stay exact, needs, severities from one table."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
import rule_model
from hypothesis import given
from hypothesis import strategies as st
from rule_model import Case

from mergeguard.core import rules
from mergeguard.core.findings import Severity, fingerprint
from mergeguard.core.rule import Need

EMPTY = Case.of(times=(), live=frozenset(), types=(), references={}, stored=())
SEVERITIES = {
    Severity.ERROR: {
        "cycle",
        "self-merge",
        "split",
        "shadowed-live",
        "type-mismatch",
        "malformed-guid",
        "empty-guid",
        "lookup-drift",
    },
    Severity.WARNING: {"dangling", "stale-reference", "flip-flop", "cycle-tree"},
    Severity.INFO: {"chain", "redundant"},
}


@given(rule_model.cases())
def test_every_finding_proves_what_it_says(case: Case) -> None:
    rule_model.proves_what_it_says(case)


@given(rule_model.cases(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_finding(case: Case, chance: random.Random) -> None:
    rule_model.says_the_same_in_any_order(case, chance)


@given(rule_model.cases(), st.integers(0, 3))
def test_a_limit_cuts_findings_and_never_counts(case: Case, limit: int) -> None:
    rule_model.keeps_exact_counts_when_cut(case, limit)


def test_ids_and_names_are_unique_and_in_order() -> None:
    """A rule that goes leaves a gap: an id is never given to another rule."""
    assert [rule.id for rule in rules.RULES] == [f"MG{number:03}" for number in range(1, 15)]
    assert len({rule.name for rule in rules.RULES}) == len(rules.RULES)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name) for rule in rules.RULES)


def test_severities_are_the_ones_that_were_agreed() -> None:
    assert {rule.name: rule.severity for rule in rules.RULES} == {
        name: severity for severity, names in SEVERITIES.items() for name in names
    }


@pytest.mark.parametrize(
    ("need", "missing", "names"),
    [
        (Need.LIVENESS, "live", {"dangling", "shadowed-live"}),
        (Need.TYPES, "types", {"type-mismatch"}),
        (Need.REFERENCES, "references", {"stale-reference"}),
        (Need.LOOKUP, "stored", {"lookup-drift"}),
        (Need.TIME, "times", {"flip-flop"}),
    ],
)
def test_a_rule_whose_need_is_not_declared_is_not_checked_and_says_why(
    need: Need, missing: str, names: set[str]
) -> None:
    outcomes = rules.run(replace(EMPTY, **{missing: None}).facts())
    assert {outcome.name: outcome.not_checked for outcome in outcomes if outcome.not_checked} == dict.fromkeys(
        names, need.value
    )
    assert all(outcome.count == 0 for outcome in outcomes)


def test_an_empty_table_with_everything_declared_is_clean_and_checked() -> None:
    assert [(outcome.count, outcome.not_checked) for outcome in rules.run(EMPTY.facts())] == [(0, None)] * 14


def test_a_fingerprint_is_a_hash_of_rule_and_defect_for_ever() -> None:
    """Known to baselines and histories of earlier versions, so these may not change."""
    assert fingerprint("MG001", "a", "b") == "62c4748ef81d25f6"
    assert rule_model.exact(Case.of((1, 2), (2, 1)), "cycle")[0].fingerprint == "8d0e0b54f0b616ac"


def test_only_and_skip_choose_among_the_rules() -> None:
    facts = EMPTY.facts()
    assert [outcome.rule for outcome in rules.run(facts, only={"MG003", "MG001"})] == ["MG001", "MG003"]
    assert [outcome.rule for outcome in rules.run(facts, only={"MG003", "MG001"}, skip={"MG001"})] == ["MG003"]
    assert len(rules.run(facts, skip={"MG001"})) == len(rules.RULES) - 1
