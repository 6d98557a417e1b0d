"""A split is an old with two news or more whose walks end at two guids or more."""

from __future__ import annotations

import pytest
import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run

from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.rules import split


@given(rule_model.cases())
def test_every_split_is_found_with_its_currents_and_blast_radius(case: Case) -> None:
    rule_model.finds_every_split(case)


def test_one_fork_is_one_finding_however_many_lead_to_it() -> None:
    (finding,) = exact(Case.of((1, 2), (1, 3), (4, 1), (5, 4)), "split")
    assert (finding.subject, finding.guids) == (guid(1), 3)


def test_a_fork_above_a_fork_is_two_findings() -> None:
    found = exact(Case.of((1, 2), (1, 3), (3, 4), (3, 5)), "split")
    assert {finding.subject: finding.guids for finding in found} == {guid(1): 1, guid(3): 2}


def test_conflicts_within_a_cycle_belong_to_the_cycle() -> None:
    case = Case.of((1, 2), (1, 3), (2, 1))
    assert run(case, "split").count == 0
    assert run(case, "cycle").count == 1


def test_deleted_here_and_merged_there_is_a_split() -> None:
    pairs = ((guid(1), TOMBSTONE), (guid(1), guid(2)))
    (finding,) = exact(Case(pairs, (1, 2)), "split")
    assert finding.details["currents"] == sorted(map(str, (TOMBSTONE, guid(2))))


@pytest.mark.parametrize("ends", [split.MAX_CURRENTS - 1, split.MAX_CURRENTS + 5])
def test_at_most_ten_currents_are_named(ends: int) -> None:
    (finding,) = exact(Case.of(*((0, at) for at in range(1, ends + 1))), "split")
    named = min(ends, split.MAX_CURRENTS)
    assert finding.message == f"one old, {ends} news, at least {named} different currents"
    assert len(finding.details["currents"]) == len(finding.rows) == named
    assert finding.details["news"] == ends


def test_the_picture_shows_what_is_near_the_fork_and_counts_the_rest() -> None:
    hanging = 100
    (finding,) = exact(Case.of((0, 1), (0, 2), *((10 + at, 0) for at in range(hanging))), "split")
    assert finding.guids == hanging + 1
    assert finding.picture is not None
    assert len(finding.picture.nodes) == split.MAX_DRAWN
    assert finding.picture.omitted == hanging + 3 - split.MAX_DRAWN


def test_a_ladder_of_forks_is_climbed_once_and_not_on_each_of_its_ways() -> None:
    """Sixty rungs, each leading to both guids of the next one: 2**60 ways, at the end of which stand two guids."""
    rungs = [(2 * at + side, 2 * at + 2 + other) for at in range(60) for side in (0, 1) for other in (0, 1)]
    found = exact(Case.of(*rungs), "split")
    assert len(found) == 120
    assert all(set(finding.details["currents"]) == {str(guid(120)), str(guid(121))} for finding in found)
