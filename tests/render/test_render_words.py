"""What a report says in words: nothing is called clean that was not checked."""

from __future__ import annotations

import uuid
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity
from mergeguard.render import words


def _with(report: ScanReport, *outcomes: Outcome, complete: bool = True) -> ScanReport:
    return replace(report, outcomes=outcomes, complete=complete, rows=445, guids=315)


CLEAN = Outcome("MG001", "cycle", Severity.ERROR)
LEFT_OUT = Outcome("MG006", "dangling", Severity.ERROR, not_checked="the profile declares no liveness")
FOUND = Outcome("MG001", "cycle", Severity.ERROR, 3)


def test_the_verdict_counts_severities_rows_and_rules(report: ScanReport) -> None:
    told = words.verdict(_with(report, FOUND, Outcome("MG005", "split", Severity.WARNING, 1)))
    assert told == words.Verdict(words.Level.ERROR, "3 errors, 1 warning in 445 rows (315 olds): 3 x cycle, 1 x split")


def test_clean_says_what_was_not_checked(report: ScanReport) -> None:
    told = words.verdict(_with(report, CLEAN, LEFT_OUT))
    assert told.level is words.Level.CLEAN
    assert told.sentence == "clean: nothing found in 445 rows (315 olds); 1 rule not checked"


def test_a_scan_that_checked_nothing_is_not_clean(report: ScanReport) -> None:
    for outcomes in ((LEFT_OUT,), ()):
        told = words.verdict(_with(report, *outcomes))
        assert told.level is words.Level.UNCHECKED
        assert told.sentence == "nothing was checked in 445 rows (315 olds)"


def test_an_incomplete_scan_is_not_clean_and_says_so_first(report: ScanReport) -> None:
    told = words.verdict(_with(report, CLEAN, complete=False))
    assert told.level is words.Level.INCOMPLETE
    assert told.sentence == "INCOMPLETE, not everything was read: nothing found so far in 445 rows (315 olds)"
    assert words.verdict(_with(report, FOUND, complete=False)).level is words.Level.ERROR


def test_info_alone_is_its_own_level(report: ScanReport) -> None:
    assert words.verdict(_with(report, Outcome("MG003", "chain", Severity.INFO, 1))).level is words.Level.INFO


@given(depths=st.lists(st.integers(0, 1000), max_size=60), data=st.data())
def test_the_bars_add_up_to_all_olds(report: ScanReport, depths: list[int], data: st.DataObject) -> None:
    deepest = data.draw(st.integers(max(len(depths) - 1, 0), 100))
    bars = words.bars(replace(report, depths=depths, max_depth=deepest))
    assert sum(olds for _, olds in bars) == sum(depths)
    assert len(bars) <= words.MAX_BARS
    assert not bars or (bars[0][1] and bars[-1][1])
    numbers = [int(depth.rstrip("+")) for depth, _ in bars]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else not sum(depths)


def test_the_last_bar_says_that_it_holds_deeper_ones(report: ScanReport) -> None:
    assert words.bars(replace(report, depths=[0, 5, 2], max_depth=2)) == [("1", 5), ("2", 2)]
    assert words.bars(replace(report, depths=[0, 5, 2], max_depth=9)) == [("1", 5), ("2+", 2)]
    assert words.bars(replace(report, depths=[0] * 15 + [1] * 5, max_depth=19)) == [("15+", 5)]


def test_a_common_fix_is_said_once() -> None:
    same, other = (
        Finding("MG001", Severity.ERROR, "m", "f", fix="undo it"),
        Finding("MG001", Severity.ERROR, "m", "f", fix="leave it"),
    )
    assert words.shared_fix(replace(FOUND, findings=(same, same))) == "undo it"
    assert words.shared_fix(replace(FOUND, findings=(same, other))) == ""


def test_long_details_are_cut_and_say_so() -> None:
    finding = Finding("MG003", Severity.INFO, "m", "f", details={"worst": list(range(12)), "n": {"a": 1}})
    assert words.details(finding, {}) == ["worst: 0; 1; 2; 3; 4; 5; 6; 7; 8; 9 and 2 more", "n: a = 1"]


def test_details_name_guids_by_their_labels_and_read_like_words() -> None:
    guid = uuid.UUID(int=7)
    told = {
        "row_count": 1200,
        "simple": True,
        "stored": None,
        "kind": "x\ny",
        "worst": [{"guid": str(guid), "rows": 3, "depth": 2}, {"guid": str(uuid.UUID(int=8))}, {}],
    }
    assert words.details(Finding("MG003", Severity.INFO, "m", "f", details=told), {guid: "Pacific/Yap"}) == [
        "row count 1,200, simple yes, stored none, kind x\\ny",
        "worst: Pacific/Yap (rows 3, depth 2); 00000000-0000-0000-0000-000000000008; {}",
    ]


def test_details_that_hold_nothing_are_not_told() -> None:
    told = {"rows": 2, "histogram": {}, "worst": [], "pairs": (), "kinds": {"a": 1}}
    assert words.details(Finding("MG003", Severity.INFO, "m", "f", details=told), {}) == ["rows 2", "kinds: a = 1"]
    assert words.details(Finding("MG003", Severity.INFO, "m", "f", details={"worst": []}), {}) == []
