"""A pair of guids with rows in both directions is one finding, its rows in the order of their times."""

from __future__ import annotations

import datetime as dt

import rule_model
from hypothesis import given
from merge_model import guid
from rule_model import DAY, Case, exact, run


@given(rule_model.cases("times"))
def test_every_pair_merged_there_and_back_is_found(case: Case) -> None:
    rule_model.finds_every_flip_flop(case)


def test_the_message_says_how_often_and_when_last() -> None:
    times = tuple(DAY + dt.timedelta(days=days) for days in (2, 0, 1))
    (finding,) = exact(Case.of((1, 2), (2, 1), (1, 2), times=times), "flip-flop")
    assert finding.message == "merged in both directions, 3 rows; the last row is of 2024-05-08 07:08"
    assert [row.row_id for row in finding.rows] == [2, 3, 1]
    assert (finding.guids, finding.details["rows"]) == (2, 3)
    assert (finding.details["last_old"], finding.details["last_new"]) == (str(guid(1)), str(guid(2)))


def test_a_longer_cycle_is_no_flip_flop() -> None:
    assert run(Case.of((1, 2), (2, 3), (3, 1), times=(DAY,) * 3), "flip-flop").count == 0
