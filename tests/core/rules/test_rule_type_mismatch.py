"""A merge between two types is one finding, whatever the number of its rows."""

from __future__ import annotations

import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run


@given(rule_model.cases("types"))
def test_every_merge_between_two_known_types_is_found(case: Case) -> None:
    rule_model.finds_every_type_mismatch(case)


def test_copies_of_a_row_are_one_finding_that_shows_them_all() -> None:
    case = Case.of((1, 2), (1, 2), types=((guid(1), "Computer"), (guid(2), "User")))
    (finding,) = exact(case, "type-mismatch")
    assert finding.message == "a Computer is merged into a User"
    assert [row.row_id for row in finding.rows] == [1, 2]


def test_a_guid_with_two_types_has_no_one_type() -> None:
    types = ((guid(1), "Asset"), (guid(1), "Computer"), (guid(2), "Computer"))
    for order in (types, types[::-1]):
        assert run(Case.of((1, 2), types=order), "type-mismatch").count == 0
    assert run(Case.of((1, 2), types=(*types[1:], types[1])), "type-mismatch").count == 0
