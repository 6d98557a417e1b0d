"""JUnit XML: a test case a rule, well formed whatever the data hold."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import ScanReport, Severity
from mergeguard.render import render_scan
from mergeguard.render.text import visible


def _suite(report: ScanReport) -> ET.Element:
    root = ET.fromstring(render_scan(report, "junit").encode())  # noqa: S314 - our own output
    (suite,) = root
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": str(len(suite.findall("testcase"))),
        "failures": str(len(suite.findall("testcase/failure"))),
        "errors": str(len(suite.findall("testcase/error"))),
        "skipped": str(len(suite.findall("testcase/skipped"))),
    }
    return suite


@given(st.data())
def test_any_report_is_well_formed_and_counts_itself(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    suite = _suite(report)
    names = sorted(visible(f"{outcome.rule} {outcome.name}") for outcome in report.outcomes)
    cases = suite.findall("testcase[@classname='mergeguard.rules']")
    assert sorted(case.get("name", "") for case in cases) == names
    failing = [o for o in report.outcomes if o.count and o.severity is not Severity.INFO and o.not_checked is None]
    assert len(suite.findall("testcase/failure")) == len(failing)
    for outcome in failing:
        text = suite.find(f"testcase/failure[@message={_quoted_message(outcome.count, outcome)}]")
        assert text is not None or "'" in outcome.name or '"' in outcome.name


def _quoted_message(count: int, outcome: object) -> str:
    severity, name = outcome.severity.value, visible(outcome.name)  # type: ignore[attr-defined]
    return f"'{count:,} {severity}{'' if count == 1 else 's'} by {name}'" if "'" not in name else "''"


def test_findings_not_checked_and_info_are_told_apart(report: ScanReport) -> None:
    suite = _suite(report)
    kinds = {case.get("name"): [child.tag for child in case] for case in suite.findall("testcase")}
    assert kinds == {
        "MG001 cycle": ["failure"],
        "MG002 self-merge": [],
        "MG003 chain": ["system-out"],
        "MG006 dangling": ["failure"],
        "MG008 type-mismatch": ["skipped"],
        "scan-is-complete": [],
    }
    failure = suite.findtext("testcase[@name='MG001 cycle']/failure") or ""
    assert "Asia/Kuching -> Asia/Brunei -> Asia/Makassar -> Asia/Kuching" in failure
    assert "undo the merge of row 9" in failure
    assert (suite.findtext("testcase[@name='MG006 dangling']/failure") or "").endswith("... and 1,488 more")


def test_an_incomplete_scan_is_an_error(report: ScanReport) -> None:
    suite = _suite(replace(report, complete=False))
    assert suite.find("testcase[@name='scan-is-complete']/error") is not None
