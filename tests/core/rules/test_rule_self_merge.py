"""A guid merged into itself is a finding of its own, once a guid, and no cycle."""

from __future__ import annotations

import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run

from mergeguard.core.findings import MAX_WITNESS


@given(rule_model.cases())
def test_every_guid_merged_into_itself_is_one_finding_with_its_rows(case: Case) -> None:
    rule_model.finds_every_self_merge(case)


def test_it_is_no_cycle_and_no_chain() -> None:
    case = Case.of((1, 1))
    (finding,) = exact(case, "self-merge")
    assert finding.path == (guid(1), guid(1))
    assert run(case, "cycle").count == run(case, "chain").count == run(case, "cycle-tree").count == 0


def test_many_copies_are_counted_and_the_first_ones_shown() -> None:
    (finding,) = exact(Case.of(*[(1, 1)] * (MAX_WITNESS + 5)), "self-merge")
    assert finding.message == f"the guid is merged into itself in {MAX_WITNESS + 5} rows"
    assert len(finding.rows) == MAX_WITNESS
