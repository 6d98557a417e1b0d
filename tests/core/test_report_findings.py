"""What a report says of all its rules together."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity

NOW = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
OUTCOMES = st.lists(
    st.tuples(st.integers(1, 20), st.sampled_from(Severity), st.integers(0, 3), st.integers(0, 2)),
    unique_by=lambda each: each[0],
)


def report(found: list[tuple[int, Severity, int, int]]) -> ScanReport:
    outcomes = []
    for number, severity, whole, more in found:
        rule = f"MG{number:03}"
        findings = tuple(Finding(rule, severity, str(at), f"{rule} {at}") for at in range(whole))
        outcomes.append(Outcome(rule, rule, severity, whole + more, findings))
    return ScanReport("run", "1", "", "", NOW, NOW, 0, 0, "", complete=True, outcomes=tuple(outcomes))


@given(OUTCOMES)
def test_findings_come_worst_first_then_by_rule_then_as_found(found: list[Any]) -> None:
    wanted = [
        f"MG{number:03} {at}"
        for worst in (Severity.ERROR, Severity.WARNING, Severity.INFO)
        for number, severity, whole, _ in sorted(found, key=lambda each: each[0])
        for at in range(whole)
        if severity is worst
    ]
    assert [finding.fingerprint for finding in report(found).findings] == wanted


@given(OUTCOMES, st.sampled_from(Severity))
def test_a_count_has_those_that_are_not_held_in_full_too(found: list[Any], least: Severity) -> None:
    wanted = sum(whole + more for _, severity, whole, more in found if severity.rank >= least.rank)
    assert report(found).count(least) == wanted
    assert report(found).count() == sum(whole + more for _, _, whole, more in found)
