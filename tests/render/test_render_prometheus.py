"""Prometheus' text format, read back by a small strict parser."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import ScanReport
from mergeguard.render import render_scan
from mergeguard.render.prometheus import METRICS
from mergeguard.render.text import visible

_SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+)')
_LABEL = re.compile(r'([a-z]+)="((?:[^"\\\n]|\\["\\n])*)"')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Samples = dict[str, dict[tuple[str, ...], float]]


def _read(text: str) -> Samples:
    """Read samples by metric and label values, holding each line to the format."""
    assert text.endswith("\n")
    samples: Samples = defaultdict(dict)
    family = ""
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in samples
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {family} gauge"
        else:
            match = _SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match[1] == family
            values = tuple(
                re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], value) for _, value in _LABEL.findall(match[2])
            )
            samples[family][values] = float(match[3])
    return samples


@given(st.data())
def test_any_report_is_read_back(hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject) -> None:
    report = data.draw(hostile_reports)
    samples = _read(render_scan(report, "prometheus"))
    target = visible(report.target)
    assert samples["mergeguard_scan_rows"] == {(target,): report.rows}
    assert samples["mergeguard_scan_complete"] == {(target,): report.complete}
    expected = {
        (target, visible(o.rule), visible(o.name), o.severity.value): o.count
        for o in report.outcomes
        if o.not_checked is None
    }
    assert samples["mergeguard_findings"] == expected
    assert ("mergeguard_last_success_timestamp_seconds" in samples) is report.complete
    assert samples["mergeguard_last_run_timestamp_seconds"] == {(target,): report.finished.timestamp()}


def test_every_metric_is_in_the_table_and_written(report: ScanReport) -> None:
    text = render_scan(report, "prometheus")
    assert list(_read(text)) == [metric.name for metric in METRICS]
    for metric in METRICS:
        assert f"# HELP {metric.name} {metric.help}\n" in text


def test_an_incomplete_scan_is_no_success(report: ScanReport) -> None:
    samples = _read(render_scan(replace(report, complete=False), "prometheus"))
    assert not samples["mergeguard_last_success_timestamp_seconds"]
    assert list(samples["mergeguard_scan_complete"].values()) == [0]


def test_a_rule_that_was_not_checked_has_no_count(report: ScanReport) -> None:
    samples = _read(render_scan(report, "prometheus"))
    checked = {labels[1]: value for labels, value in samples["mergeguard_rule_checked"].items()}
    assert checked == {"MG001": 1, "MG002": 1, "MG003": 1, "MG006": 1, "MG008": 0}
    assert {labels[1] for labels in samples["mergeguard_findings"]} == {"MG001", "MG002", "MG003", "MG006"}
