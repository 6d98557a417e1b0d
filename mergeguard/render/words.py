"""Says in words what a report holds, the same words in every format that people read."""

from __future__ import annotations

import enum
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mergeguard.core.findings import Finding, Outcome, RowRef, ScanReport, Severity
from mergeguard.render.text import visible

MAX_BARS = 16
"""Bars in a histogram of depths; what lies deeper is added up in the last one."""
MAX_DETAILS = 10
"""Entries of one detail that are spelt out for people; the machine formats have them all."""
_DETAIL_LIMIT = 120
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Level(enum.Enum):
    """What a scan came to, the word first that a person must not overlook."""

    ERROR = "error"
    WARNING = "warning"
    INCOMPLETE = "incomplete"
    UNCHECKED = "unchecked"
    INFO = "info"
    CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line that sums up a scan."""

    level: Level
    sentence: str


def verdict(report: ScanReport) -> Verdict:
    """Sum a report up; a scan that is incomplete or left rules out is never called clean without saying so."""
    found = ", ".join(counted(count, severity.value) for severity, count in counts(report).items() if count)
    seen = f"{counted(report.rows, 'row')} ({counted(report.guids, 'old')})"
    kinds = ", ".join(f"{outcome.count:,} x {visible(outcome.name)}" for outcome in ranked(report) if outcome.count)
    sentence = f"{found} in {seen}: {kinds}" if found else f"{_nothing(report)} in {seen}"
    skipped = len(unchecked(report))
    if skipped and skipped < len(report.outcomes):
        sentence += f"; {counted(skipped, 'rule')} not checked"
    if not report.complete:
        sentence = f"INCOMPLETE, not everything was read: {sentence}"
    return Verdict(_level(report), sentence)


def _nothing(report: ScanReport) -> str:
    if len(unchecked(report)) == len(report.outcomes):
        return "nothing was checked"
    return "nothing found so far" if not report.complete else "clean: nothing found"


def _level(report: ScanReport) -> Level:
    found = counts(report)
    if found[Severity.ERROR] or found[Severity.WARNING]:
        return Level.ERROR if found[Severity.ERROR] else Level.WARNING
    if not report.complete:
        return Level.INCOMPLETE
    if len(unchecked(report)) == len(report.outcomes):
        return Level.UNCHECKED
    return Level.INFO if found[Severity.INFO] else Level.CLEAN


def counts(report: ScanReport) -> dict[Severity, int]:
    """Return the exact number of findings of each severity, the worst first."""
    found = dict.fromkeys((Severity.ERROR, Severity.WARNING, Severity.INFO), 0)
    for outcome in report.outcomes:
        found[outcome.severity] += outcome.count
    return found


def ranked(report: ScanReport) -> list[Outcome]:
    """Return the outcomes of the rules that ran, worst severity first, then in rule order."""
    ran = (outcome for outcome in report.outcomes if outcome.not_checked is None)
    return sorted(ran, key=lambda outcome: (-outcome.severity.rank, outcome.rule))


def unchecked(report: ScanReport) -> list[Outcome]:
    """Return the outcomes of the rules that did not run, in rule order."""
    return sorted((o for o in report.outcomes if o.not_checked is not None), key=lambda outcome: outcome.rule)


def suppressed(report: ScanReport) -> int:
    """Return how many findings a baseline accepts."""
    return sum(outcome.suppressed for outcome in report.outcomes)


def counted(number: int, noun: str) -> str:
    """Return ``1 row`` or ``1,234 rows``."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def seconds(report: ScanReport) -> float:
    """Return how long the scan took, in seconds; never negative, even if the clock was set back."""
    return max((report.finished - report.started).total_seconds(), 0.0)


def bars(report: ScanReport) -> list[tuple[str, int]]:
    """Return the histogram of depths as (depth, olds), from the first bar that is not empty to the last."""
    depths = list(report.depths)
    while depths and not depths[-1]:
        depths.pop()
    # The report's own last bin may hold deeper ones already; beyond MAX_BARS the tail is added up here.
    shown = [(str(depth), olds) for depth, olds in enumerate(depths[:MAX_BARS])]
    if len(depths) > MAX_BARS:
        shown[-1] = (f"{MAX_BARS - 1}+", sum(depths[MAX_BARS - 1 :]))
    elif shown and report.max_depth >= len(report.depths):
        shown[-1] = (f"{shown[-1][0]}+", shown[-1][1])
    while shown and not shown[0][1]:
        shown.pop(0)
    return shown


def names(guids: Sequence[uuid.UUID], labels: Mapping[uuid.UUID, str]) -> list[str]:
    """Return what people call these guids, fit to show."""
    return [visible(labels.get(guid, guid), 80) for guid in guids]


def walk(finding: Finding, report: ScanReport) -> str:
    """Return a finding's witness as ``A -> B -> A``, its subject where it has no path, or nothing."""
    return " -> ".join(names(steps(finding), report.labels))


def steps(finding: Finding) -> tuple[uuid.UUID, ...]:
    """Return a finding's path, or its subject where it has none."""
    return finding.path or ((finding.subject,) if finding.subject is not None else ())


def shared_fix(outcome: Outcome) -> str:
    """Return the fix that all findings of a rule have in common, to be said once; nothing where they differ."""
    fixes = {finding.fix for finding in outcome.findings}
    return visible(fixes.pop()) if len(fixes) == 1 else ""


def row_ids(rows: Sequence[RowRef], limit: int = 20) -> str:
    """Return the ids of rows as ``1, 2, 3 and 4 more``."""
    shown = ", ".join(visible(row.row_id, 80) for row in rows[:limit])
    return f"{shown} and {len(rows) - limit:,} more" if len(rows) > limit else shown


def behind(finding: Finding) -> str:
    """Return the blast radius in words, or nothing where there is none."""
    parts = [counted(finding.guids, "guid")] if finding.guids else []
    if finding.references is not None:
        parts.append(counted(finding.references, "reference"))
    return ", ".join(parts)


def details(finding: Finding, labels: Mapping[uuid.UUID, str]) -> list[str]:
    """Return a finding's details for people: single values on one line, then each list and mapping that holds any."""
    single: list[str] = []
    lines: list[str] = []
    for name, value in finding.details.items():
        title = visible(name, 40).replace("_", " ")
        if not isinstance(value, Mapping | list | tuple):
            single.append(f"{title} {_value(value, labels)}")
        elif isinstance(value, Mapping) and value:
            parts = [f"{_value(key, labels)} = {_value(each, labels)}" for key, each in value.items()]
            lines.append(f"{title}: {_listed(parts)}")
        elif value:
            lines.append(f"{title}: {_listed([_entry(each, labels) for each in value])}")
    return [", ".join(single), *lines] if single else lines


def _listed(parts: list[str]) -> str:
    more = len(parts) - MAX_DETAILS
    return "; ".join(parts[:MAX_DETAILS]) + (f" and {more:,} more" if more > 0 else "")


def _entry(value: object, labels: Mapping[uuid.UUID, str]) -> str:
    """Write one entry of a list; of a mapping the first value is what it is about."""
    if not isinstance(value, Mapping) or not value:
        return _value(value, labels)
    (_, about), *rest = value.items()
    facts = ", ".join(f"{visible(name, 40).replace('_', ' ')} {_value(each, labels)}" for name, each in rest)
    return f"{_value(about, labels)} ({facts})" if facts else _value(about, labels)


def _value(value: object, labels: Mapping[uuid.UUID, str]) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str) and _GUID.fullmatch(value):
        return names((uuid.UUID(value),), labels)[0]
    return visible(value, _DETAIL_LIMIT)
