"""Metrics of the last scan as a text file for a collector's folder (node_exporter and windows_exporter read one).

``METRICS`` is the contract: the reference page is made from it. Every sample carries the target, because a collector
that finds one series in two files drops both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mergeguard.core.findings import ScanReport
from mergeguard.render import words
from mergeguard.render.text import visible

Sample: TypeAlias = tuple[tuple[str, ...], float]
"""Values of the metric's labels in their order, and the number."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, its labels besides ``target``, and what it tells. All are gauges."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


METRICS: tuple[Metric, ...] = (
    Metric("mergeguard_scan_rows", "Rows of the merge table that were read."),
    Metric("mergeguard_scan_olds", "Distinct old guids among them."),
    Metric(
        "mergeguard_findings",
        "Findings by rule, those accepted by a baseline left out; no sample for a rule that was not checked.",
        ("rule", "name", "severity"),
    ),
    Metric("mergeguard_rule_checked", "1 if the rule was checked, 0 if it could not be.", ("rule",)),
    Metric("mergeguard_lookup_status", "Old guids by status of the lookup.", ("status",)),
    Metric("mergeguard_max_depth", "Most merges between an old guid and its current one."),
    Metric("mergeguard_scan_complete", "1 if everything was read, 0 if the scan ended early."),
    Metric("mergeguard_scan_duration_seconds", "How long the scan took."),
    Metric("mergeguard_last_run_timestamp_seconds", "When the scan ended, in Unix time."),
    Metric(
        "mergeguard_last_success_timestamp_seconds",
        "When the scan ended, in Unix time; only written by a scan that was complete.",
    ),
)


def render_scan(report: ScanReport) -> str:
    """Write the metrics of a report in Prometheus' text format, version 0.0.4."""
    samples = _samples(report)
    return "".join(_family(metric, samples[metric.name], report.target) for metric in METRICS)


def _samples(report: ScanReport) -> dict[str, list[Sample]]:
    ended = _unix(report.finished)
    return {
        "mergeguard_scan_rows": [((), report.rows)],
        "mergeguard_scan_olds": [((), report.guids)],
        "mergeguard_findings": [
            ((outcome.rule, outcome.name, outcome.severity.value), outcome.count) for outcome in words.ranked(report)
        ],
        "mergeguard_rule_checked": [((outcome.rule,), int(outcome.not_checked is None)) for outcome in report.outcomes],
        "mergeguard_lookup_status": [((status,), olds) for status, olds in report.statuses.items()],
        "mergeguard_max_depth": [((), report.max_depth)],
        "mergeguard_scan_complete": [((), int(report.complete))],
        "mergeguard_scan_duration_seconds": [((), words.seconds(report))],
        "mergeguard_last_run_timestamp_seconds": [((), ended)],
        "mergeguard_last_success_timestamp_seconds": [((), ended)] if report.complete else [],
    }


def _unix(when: dt.datetime) -> float:
    return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()


def _family(metric: Metric, samples: list[Sample], target: str) -> str:
    lines = [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} gauge"]
    return "\n".join([*lines, *_lines(metric, samples, target)]) + "\n"


def _lines(metric: Metric, samples: list[Sample], target: str) -> Iterator[str]:
    names = ("target", *metric.labels)
    for values, number in samples:
        labels = ",".join(f'{name}="{_label(value)}"' for name, value in zip(names, (target, *values), strict=True))
        yield f"{metric.name}{{{labels}}} {number:.15g}"


def _label(value: str) -> str:
    return visible(value).replace("\\", "\\\\").replace('"', '\\"')
