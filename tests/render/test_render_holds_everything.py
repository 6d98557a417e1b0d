"""Every format holds every finding of a report, or says how many it leaves out; no report is too strange to write."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
import render_model
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.core.findings import Explanation, Finding, Outcome, ScanReport, Severity
from mergeguard.render import junit, markdown, page, render_scan, table


@pytest.mark.parametrize("holds", render_model.OF_REPORTS, ids=lambda holds: holds.__name__)
@given(data=st.data())
def test_any_report_is_held(
    holds: Callable[[ScanReport], None], hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    holds(data.draw(hostile_reports))


@pytest.mark.parametrize("holds", render_model.OF_REPORTS, ids=lambda holds: holds.__name__)
def test_the_full_report_is_held(holds: Callable[[ScanReport], None], report: ScanReport) -> None:
    holds(report)


@given(data=st.data())
def test_any_story_is_told(hostile_explanations: st.SearchStrategy[Explanation], data: st.DataObject) -> None:
    render_model.story_is_told(data.draw(hostile_explanations))


@settings(max_examples=40)
@given(st.integers(0, 120), st.integers(0, 4000), st.sampled_from(Severity))
def test_long_lists_are_cut_in_what_people_read_and_in_nothing_else(found: int, more: int, severity: Severity) -> None:
    findings = tuple(Finding("MG001", severity, f"number {n} of them", f"{n:016x}") for n in range(found))
    now = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    outcomes = (Outcome("MG001", "cycle", severity, found + more, findings),)
    report = ScanReport("r", "0", "t", "p", now, now, 9, 9, "i", complete=True, outcomes=outcomes)
    for form, most in (("table", table.MAX_PRINTED), ("markdown", markdown.MAX_PRINTED), ("html", page.MAX_PRINTED)):
        text = render_scan(report, form)
        assert spelt_out(text) == [*range(min(found, most))]
        left = found + more - min(found, most)
        assert (f"and {left:,} more" in text) == (left > 0)
    assert spelt_out(render_scan(report, "junit")) == [*range(min(found, junit.MAX_SPELT))]
    for form in ("json", "jsonl", "sarif"):
        assert spelt_out(render_scan(report, form)) == [*range(found)]


def spelt_out(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"number (\d+) of them", text)]
