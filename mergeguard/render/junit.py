"""JUnit XML: a test case a rule, so that a CI server shows a scan as it shows tests.

Errors and warnings are failures, informative findings are output of a passing case, a rule that was not checked is
skipped, and an incomplete scan is an error of its own.
"""

from __future__ import annotations

from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity
from mergeguard.render import words
from mergeguard.render.markup import DECLARATION, Markup, element, joined
from mergeguard.render.plain import time

MAX_SPELT = 100
"""Findings of one rule that stand in the file in words."""
_COMPLETE = "scan-is-complete"


def render_scan(report: ScanReport) -> str:
    """Write a report as one JUnit test suite."""
    told = words.verdict(report).sentence
    cases = [_case(outcome, report) for outcome in sorted(report.outcomes, key=lambda outcome: outcome.rule)]
    numbers = {
        "tests": len(cases) + 1,
        "failures": sum(_fails(outcome) for outcome in report.outcomes),
        "errors": 0 if report.complete else 1,
        "skipped": len(words.unchecked(report)),
        "time": f"{words.seconds(report):.3f}",
    }
    suite = {"name": f"mergeguard {report.target}", "timestamp": time(report.started), **numbers}
    parts = [_properties(report), *cases, _completeness(report), element("system-out", None, told)]
    body = element("testsuites", {"name": "mergeguard", **numbers}, _lines(element("testsuite", suite, _lines(*parts))))
    return f"{DECLARATION}{body}\n"


def _lines(*parts: Markup) -> Markup:
    return joined(Markup(""), *parts, Markup(""), gap="\n")


def _fails(outcome: Outcome) -> bool:
    return outcome.count > 0 and outcome.severity is not Severity.INFO and outcome.not_checked is None


def _properties(report: ScanReport) -> Markup:
    values = {
        "run_id": report.run_id,
        "tool_version": report.tool_version,
        "profile": report.profile,
        "isolation": report.isolation,
        "rows": report.rows,
        "olds": report.guids,
    }
    each = (element("property", {"name": name, "value": value}) for name, value in values.items())
    return element("properties", None, _lines(*each))


def _case(outcome: Outcome, report: ScanReport) -> Markup:
    attributes = {"classname": "mergeguard.rules", "name": f"{outcome.rule} {outcome.name}", "time": "0"}
    if outcome.not_checked is not None:
        return element("testcase", attributes, element("skipped", {"message": f"not checked: {outcome.not_checked}"}))
    if not outcome.count:
        return element("testcase", attributes)
    spelt = joined(*(_spelt(finding, report) for finding in outcome.findings[:MAX_SPELT]), _more(outcome))
    if not _fails(outcome):
        return element("testcase", attributes, element("system-out", None, spelt))
    message = f"{words.counted(outcome.count, outcome.severity.value)} by {outcome.name}"
    return element(
        "testcase", attributes, element("failure", {"type": outcome.severity.value, "message": message}, spelt)
    )


def _spelt(finding: Finding, report: ScanReport) -> Markup:
    facts = (
        ("path", words.walk(finding, report)),
        ("rows", words.row_ids(finding.rows)),
        ("behind it", words.behind(finding)),
        ("fix", finding.fix),
        ("fingerprint", finding.fingerprint),
    )
    lines = [finding.message, *(f"  {name}: {value}" for name, value in facts if value)]
    # The line breaks are markup: one in the data is spelt out, and cannot fake a line of ours.
    return joined(*lines, Markup(""), gap="\n")


def _more(outcome: Outcome) -> str:
    left = outcome.count - min(len(outcome.findings), MAX_SPELT)
    return f"... and {left:,} more" if left > 0 else ""


def _completeness(report: ScanReport) -> Markup:
    attributes = {"classname": "mergeguard.scan", "name": _COMPLETE, "time": "0"}
    if report.complete:
        return element("testcase", attributes)
    message = "incomplete: the scan ended before everything was read"
    return element("testcase", attributes, element("error", {"type": "incomplete", "message": message}))
