"""A live guid with an outgoing merge is one finding; what leads to it is its blast radius."""

from __future__ import annotations

import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run

from mergeguard.core.findings import MAX_WITNESS


@given(rule_model.cases("live"))
def test_every_live_guid_with_a_merge_to_another_is_found(case: Case) -> None:
    rule_model.finds_every_shadowed_live_guid(case)


def test_a_live_guid_merged_into_itself_is_left_to_the_other_rule() -> None:
    case = Case.of((1, 1), live=frozenset({guid(1)}))
    assert run(case, "shadowed-live").count == 0
    assert run(case, "self-merge").count == 1


def test_a_self_merge_beside_is_not_among_its_rows() -> None:
    (finding,) = exact(Case.of((1, 1), (1, 2), live=frozenset({guid(1)})), "shadowed-live")
    assert finding.path == (guid(1), guid(2))
    assert [row.new for row in finding.rows] == [guid(2)]


def test_the_one_that_most_olds_lead_to_comes_first() -> None:
    case = Case.of((1, 2), (3, 4), (5, 3), (6, 3), live=frozenset({guid(1), guid(3)}))
    assert [(finding.subject, finding.guids) for finding in exact(case, "shadowed-live")] == [
        (guid(3), 3),
        (guid(1), 1),
    ]


def test_rows_are_shown_up_to_the_limit() -> None:
    case = Case.of(*((0, at) for at in range(1, MAX_WITNESS + 10)), live=frozenset({guid(0)}))
    (finding,) = exact(case, "shadowed-live")
    assert len(finding.rows) == MAX_WITNESS


def test_the_path_takes_the_first_of_several_news() -> None:
    news = sorted((guid(2), guid(3), guid(4)))
    (finding,) = exact(Case.of((1, 3), (1, 4), (1, 2), live=frozenset({guid(1)})), "shadowed-live")
    assert finding.path == (guid(1), news[0])
    assert [row.new for row in finding.rows] == news
