"""What holds for every rule: proofs, names that stay, counts that stay exact, needs, severities from one table."""

from __future__ import annotations

import random

import rule_model
from hypothesis import given
from hypothesis import strategies as st
from rule_model import Case


@given(rule_model.cases())
def test_every_finding_proves_what_it_says(case: Case) -> None:
    rule_model.proves_what_it_says(case)


@given(rule_model.cases(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_finding(case: Case, chance: random.Random) -> None:
    rule_model.says_the_same_in_any_order(case, chance)


@given(rule_model.cases(), st.integers(0, 3))
def test_a_limit_cuts_findings_and_never_counts(case: Case, limit: int) -> None:
    rule_model.keeps_exact_counts_when_cut(case, limit)
