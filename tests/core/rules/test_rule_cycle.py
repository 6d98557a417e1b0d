"""Cycles are strong components over all rows, each proven by a shortest walk around."""

from __future__ import annotations

import pytest
import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import Case, exact, run

from mergeguard.core.findings import MAX_WITNESS
from mergeguard.core.rules import cycle


@given(rule_model.cases())
def test_every_component_of_two_or_more_is_one_finding_with_its_blast_radius(case: Case) -> None:
    rule_model.finds_every_cycle(case)


@given(rule_model.cases())
def test_the_witness_is_a_shortest_cycle(case: Case) -> None:
    rule_model.proves_cycles_by_a_shortest_walk_around(case)


def test_a_cycle_with_a_conflict_is_one_finding_and_says_so() -> None:
    (finding,) = exact(Case.of((1, 2), (2, 1), (2, 3), (3, 1), (9, 3)), "cycle")
    assert finding.message == "3 guids lead in circles, with conflicts; 1 more leads into it"
    assert len(finding.path) == 3


def test_two_cycles_that_share_no_guid_are_ranked_by_what_they_take_down() -> None:
    small, large = [(1, 2), (2, 1)], [(11, 12), (12, 11), (13, 11)]
    assert [finding.guids for finding in exact(Case.of(*small, *large), "cycle")] == [3, 2]


def test_a_live_member_changes_nothing() -> None:
    case = Case.of((1, 2), (2, 1), live=frozenset({guid(1)}))
    assert case.answers[guid(2)] == ("ok", guid(1), 1)
    assert run(case, "cycle").count == 1


@pytest.mark.parametrize("length", [MAX_WITNESS - 1, MAX_WITNESS, 300])
def test_a_witness_has_at_most_fifty_steps_and_the_picture_200_guids(length: int) -> None:
    (finding,) = exact(Case.of(*((at, (at + 1) % length) for at in range(length))), "cycle")
    assert finding.details["witness_length"] == finding.guids == length
    assert len(finding.rows) == min(length, MAX_WITNESS)
    assert (finding.path[0] == finding.path[-1]) == (length < MAX_WITNESS)
    assert finding.subject == finding.path[0] == min(guid(at) for at in range(length))
    assert finding.picture is not None
    assert len(finding.picture.nodes) == min(length, 200)
    assert finding.picture.omitted == max(0, length - 200)


def test_only_the_first_cycles_are_drawn() -> None:
    many = cycle.MAX_PICTURES + 3
    pairs = [edge for at in range(many) for edge in ((2 * at, 2 * at + 1), (2 * at + 1, 2 * at))]
    drawn = [finding.picture is not None for finding in exact(Case.of(*pairs), "cycle")]
    assert drawn == [True] * cycle.MAX_PICTURES + [False] * 3


def test_simple_cycles_are_never_enumerated() -> None:
    """Among 60 guids that all lead to each other there are more of them than atoms in the universe."""
    (finding,) = exact(Case.of(*((old, new) for old in range(60) for new in range(60) if old != new)), "cycle")
    assert (finding.details["members"], finding.details["witness_length"]) == (60, 2)


def test_the_witness_is_a_shortest_one_among_any_number_of_conflicts() -> None:
    """Only the last two of 90 conflicting olds lead to each other."""
    olds = sorted(map(guid, range(90)))
    pairs = [(olds[at], olds[(at + far) % 90]) for at in range(90) for far in (1, 2)] + [(olds[-1], olds[-2])]
    (finding,) = exact(Case(tuple(pairs), tuple(range(1, len(pairs) + 1))), "cycle")
    assert finding.path == (olds[-2], olds[-1], olds[-2])
