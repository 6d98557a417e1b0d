"""Chains are one finding with a histogram of depths and the ten deepest."""

from __future__ import annotations

import pytest
import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run

from mergeguard.core.findings import MAX_WITNESS
from mergeguard.core.rules.chain import MAX_BINS


@given(rule_model.cases())
def test_rows_depths_and_the_deepest_olds_are_the_models(case: Case) -> None:
    rule_model.measures_chains(case)


def test_one_merge_is_no_chain_and_a_self_merge_makes_none() -> None:
    assert run(Case.of((1, 2), (3, 3)), "chain").count == 0


def test_depth_stops_at_a_live_guid_and_the_rows_do_not() -> None:
    (finding,) = exact(Case.of((1, 2), (2, 3), (3, 4), live=frozenset({guid(3), guid(4)})), "chain")
    assert finding.details["rows"] == 2
    assert finding.details["histogram"] == {"0": 1, "1": 1, "2": 1}
    assert finding.path == (guid(1), guid(2), guid(3))


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (((1, 2), (2, 3)), "1 row leads to a guid that was itself merged away; 1 old lies two"),
        (((1, 3), (2, 3), (3, 4)), "2 rows lead to a guid that was itself merged away; 2 olds lie two"),
        (((1, 2), (2, 2)), "1 row leads to a guid that was itself merged away; 0 olds lie two"),
    ],
)
def test_the_message_counts_rows_and_olds_in_the_number_they_have(
    pairs: tuple[tuple[int, int], ...], told: str
) -> None:
    (finding,) = exact(Case.of(*pairs), "chain")
    assert finding.message.startswith(told)
    assert finding.subject == (finding.path[0] if finding.path else None)


def test_a_deep_chain_is_shown_in_part_and_counted_whole() -> None:
    length = MAX_BINS + 10
    (finding,) = exact(Case.of(*((at, at + 1) for at in range(length))), "chain")
    assert len(finding.rows) == MAX_WITNESS
    assert len(finding.path) == MAX_WITNESS + 1
    assert finding.details["histogram"] == {str(depth): 1 for depth in range(1, MAX_BINS)} | {f"{MAX_BINS}+": 11}
    assert [worst["depth"] for worst in finding.details["worst"]] == list(range(length, length - 10, -1))


def test_among_many_equals_the_smallest_guids_are_the_worst() -> None:
    stars = [(at, at + 100) for at in range(40)] + [(at + 100, 500) for at in range(40)]
    (finding,) = exact(Case.of(*stars), "chain")
    smallest = sorted(guid(at) for at in range(40))[:10]
    assert finding.details["worst"] == [{"guid": str(each), "depth": 2} for each in smallest]
