"""What leads to a dead guid is one finding a dead guid."""

from __future__ import annotations

import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run

from mergeguard.core.guids import TOMBSTONE


@given(rule_model.cases("live"))
def test_every_dead_end_is_one_finding_with_all_that_leads_there(case: Case) -> None:
    rule_model.finds_what_leads_to_the_dead(case)


def test_deleted_is_not_dangling() -> None:
    assert run(Case(((guid(1), TOMBSTONE),), (1,), live=frozenset()), "dangling").count == 0


def test_the_witness_is_the_longest_way_to_the_dead() -> None:
    case = Case.of((1, 2), (1, 3), (2, 3), (3, 4), (9, 4), live=frozenset({guid(77)}))
    (finding,) = exact(case, "dangling")
    assert finding.path == (guid(1), guid(2), guid(3), guid(4))
    assert finding.message == "4 olds lead to a guid that is not live"


def test_the_dead_guid_that_most_olds_lead_to_comes_first_and_equals_in_text_order() -> None:
    case = Case.of((1, 20), (2, 22), (3, 22), (4, 21), live=frozenset({guid(50)}))
    dead = [finding.subject for finding in exact(case, "dangling")]
    assert dead == [guid(22), *sorted((guid(20), guid(21)))]


def test_one_old_leads_and_several_lead() -> None:
    case = Case.of((1, 20), (2, 21), (3, 21), live=frozenset({guid(50)}))
    assert [finding.message for finding in exact(case, "dangling")] == [
        "2 olds lead to a guid that is not live",
        "1 old leads to a guid that is not live",
    ]


def test_of_equally_deep_olds_the_path_begins_at_the_first() -> None:
    olds = sorted(map(guid, (1, 2, 3)))
    (finding,) = exact(Case.of((3, 9), (1, 9), (2, 9), live=frozenset({guid(50)})), "dangling")
    assert finding.path == (olds[0], guid(9))
