"""A reference column with merged-away guids is one finding with exact counts and the worst guids."""

from __future__ import annotations

import numpy as np
import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run

from mergeguard.core import guids, rules
from mergeguard.core.columns import ReferenceCounts
from mergeguard.core.facts import Declared, Facts
from mergeguard.core.rules import stale_reference


@given(rule_model.cases("references"))
def test_every_column_with_merged_away_guids_is_found(case: Case) -> None:
    rule_model.finds_every_stale_reference(case)


def test_a_live_guid_is_not_stale_and_a_member_of_a_cycle_is() -> None:
    columns = {"T.g": {guid(1): 3, guid(2): 5}}
    case = Case.of((1, 2), (2, 1), references=columns)
    (finding,) = exact(case, "stale-reference")
    assert finding.message == "8 rows of T.g hold 2 merged-away guids"
    assert [sample["current"] for sample in finding.details["samples"]] == [None, None]
    (finding,) = exact(Case.of((1, 2), (2, 1), references=columns, live=frozenset({guid(2)})), "stale-reference")
    assert finding.message == "3 rows of T.g hold 1 merged-away guid"


def test_a_guid_merged_into_itself_alone_is_not_stale() -> None:
    columns = {"T.g": {guid(1): 3}}
    assert run(Case.of((1, 1), references=columns), "stale-reference").count == 0
    assert run(Case.of((1, 1), (1, 2), references=columns), "stale-reference").count == 1


def test_a_guid_in_several_spellings_is_one_guid_whose_rows_add_up() -> None:
    twice = ReferenceCounts("T.g", guids.from_uuids([guid(1), guid(3), guid(1)]), np.array([2, 3, 2]))
    facts = Facts(Case.of((1, 2), (3, 2)).table, Declared(references=[twice]))
    (finding,) = rules.BY_NAME["stale-reference"].run(facts).findings
    assert (finding.guids, finding.references) == (2, 7)
    assert [(sample["guid"], sample["rows"]) for sample in finding.details["samples"]] == [
        (str(guid(1)), 4),
        (str(guid(3)), 3),
    ]


def test_of_many_stale_guids_those_with_most_rows_are_samples_and_all_are_counted() -> None:
    counts = {guid(at): at + 1 for at in range(stale_reference.MAX_SAMPLES + 3)}
    (finding,) = exact(Case.of(*((at, 50) for at in range(len(counts))), references={"T.G": counts}), "stale-reference")
    samples = finding.details["samples"]
    assert [each["rows"] for each in samples] == sorted(counts.values(), reverse=True)[: stale_reference.MAX_SAMPLES]
    assert (finding.guids, finding.references) == (len(counts), sum(counts.values()))
    assert len(samples) == 10


def test_the_column_with_most_stale_rows_comes_first_and_equals_by_name() -> None:
    columns = {"T.b": {guid(1): 3}, "T.a": {guid(1): 3}, "T.c": {guid(1): 4}, "T.d": {guid(1): 1}}
    found = exact(Case.of((1, 2), references=columns), "stale-reference")
    assert [finding.details["column"] for finding in found] == ["T.c", "T.a", "T.b", "T.d"]
