"""What hangs on a cycle is counted once a cycle."""

from __future__ import annotations

import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run


@given(rule_model.cases())
def test_every_cycle_with_trees_is_one_finding_with_exact_counts(case: Case) -> None:
    rule_model.finds_what_hangs_on_cycles(case)


def test_references_to_the_members_themselves_are_not_counted() -> None:
    case = Case.of((1, 2), (2, 1), (3, 1), (4, 3), references={"T.g": {guid(1): 100, guid(3): 5, guid(4): 2}})
    (finding,) = exact(case, "cycle-tree")
    assert finding.message == "2 guids lead into a cycle of 2"
    assert (finding.guids, finding.references) == (2, 7)
    assert finding.path == (guid(3), guid(1))


def test_a_bare_cycle_has_no_tree() -> None:
    assert run(Case.of((1, 2), (2, 1)), "cycle-tree").count == 0
