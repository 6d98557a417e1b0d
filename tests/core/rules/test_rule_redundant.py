"""Exact copies, and several news with one current, are one finding with a histogram of rows an old."""

from __future__ import annotations

import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run


@given(rule_model.cases())
def test_copies_and_agreeing_olds_are_the_models(case: Case) -> None:
    rule_model.counts_redundant_rows(case)


def test_copies_among_the_rows_of_a_split_count_and_the_split_does_not() -> None:
    case = Case.of((1, 2), (1, 3), (1, 3))
    (finding,) = exact(case, "redundant")
    assert finding.message == "1 exact copy"
    assert finding.details["histogram"] == {"3": 1}
    assert run(case, "split").count == 1
    assert run(Case.of((1, 2), (1, 3)), "redundant").count == 0


def test_news_that_end_at_one_guid_are_redundant_and_no_split() -> None:
    case = Case.of((1, 2), (1, 3), (2, 4), (3, 4))
    (finding,) = exact(case, "redundant")
    assert finding.message == "1 old with several news and one current"
    assert finding.subject == guid(1)
    assert run(case, "split").count == 0


def test_the_rows_shown_are_those_of_the_old_with_most() -> None:
    case = Case.of((1, 2), (1, 2), *[(3, 4)] * 4, (5, 6), (5, 6))
    (finding,) = exact(case, "redundant")
    assert finding.subject == guid(3)
    assert [(row.old, row.new) for row in finding.rows] == [(guid(3), guid(4))] * 4


def test_a_split_without_copies_is_not_shown_for_all_its_rows() -> None:
    case = Case.of((1, 2), (1, 3), (1, 4), (1, 5), (6, 7), (6, 7))
    (finding,) = exact(case, "redundant")
    assert finding.subject == guid(6)
    assert finding.details["histogram"] == {"2": 1}


def test_the_ten_worst_are_named_with_their_rows() -> None:
    case = Case.of(*((old, 50) for old in range(12) for _ in range(old + 2)))
    (finding,) = exact(case, "redundant")
    assert finding.details["worst"] == [{"guid": str(guid(old)), "rows": old + 2} for old in range(11, 1, -1)]
