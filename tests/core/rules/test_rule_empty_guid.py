"""The all-zero guid stays in the graph, and every merge from or to it is a finding."""

from __future__ import annotations

import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run

from mergeguard.core.guids import EMPTY


@given(rule_model.cases())
def test_every_merge_from_or_to_the_all_zero_guid_is_found(case: Case) -> None:
    rule_model.finds_every_empty_guid(case)


def test_its_rows_stay_in_the_graph() -> None:
    case = Case(((guid(1), EMPTY), (EMPTY, guid(2)), (EMPTY, guid(1))), (1, 2, 3))
    assert [finding.details["column"] for finding in exact(case, "empty-guid")] == ["old", "old", "new"]
    assert run(case, "cycle").count == 1
