"""The stored lookup is held against the closure row by row."""

from __future__ import annotations

from dataclasses import replace

import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run

from mergeguard.core import rules
from mergeguard.core.facts import Declared, Facts


@given(rule_model.cases("stored"))
def test_every_missing_superfluous_and_different_row_is_found(case: Case) -> None:
    rule_model.finds_every_drift(case)


@given(rule_model.cases())
def test_the_right_lookup_has_no_drift(case: Case) -> None:
    assert run(replace(case, stored=tuple(rule_model.right_lookup(case))), "lookup-drift").count == 0


def test_another_row_for_an_old_is_not_called_a_row_for_no_old() -> None:
    right = (guid(1), guid(2), 1, "ok")
    stored = (right, right, (guid(1), guid(3), 1, "ok"), (guid(8), guid(9), 1, "ok"))
    found = exact(Case.of((1, 2), stored=stored), "lookup-drift")
    assert sorted(finding.message for finding in found) == [
        "the lookup holds a row for a guid that no row merges away",
        "the lookup holds another row for an old that has one",
        "the lookup holds another row for an old that has one",
    ]
    assert [(finding.guids, finding.subject in (guid(1), guid(8))) for finding in found] == [(1, True)] * 3


def test_rows_without_a_guid_are_one_finding() -> None:
    case = Case.of((1, 2))
    stored = rule_model.stored_lookup(rule_model.right_lookup(case), skipped=3)
    outcome = rules.BY_NAME["lookup-drift"].run(Facts(case.table, Declared(stored=stored)))
    assert outcome.count == 1
    assert outcome.findings[0].message == "3 rows of the lookup have no guid as old"


def test_a_finding_shows_the_row_that_the_lookup_should_have_followed() -> None:
    (finding,) = exact(Case.of((8, 9), (1, 2), stored=((guid(8), guid(9), 1, "ok"),)), "lookup-drift")
    assert (finding.subject, finding.guids) == (guid(1), 1)
    assert [(row.old, row.new) for row in finding.rows] == [(guid(1), guid(2))]


def test_one_row_without_a_guid_is_one_row() -> None:
    case = Case.of((1, 2))
    stored = rule_model.stored_lookup(rule_model.right_lookup(case), skipped=1)
    (finding,) = rules.BY_NAME["lookup-drift"].run(Facts(case.table, Declared(stored=stored))).findings
    assert finding.message == "1 row of the lookup has no guid as old"
