"""What a night leaves behind: report files under two names each, the metrics file, and a few lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mergeguard.core.findings import ScanReport
from mergeguard.core.trend import State, Trend
from mergeguard.errors import UsageError
from mergeguard.render import FORMATS, render_scan, words, write_output
from mergeguard.render.nights import summary
from mergeguard.render.text import visible
from mergeguard.storage.own_files.report_folder import ReportFolder

if TYPE_CHECKING:  # they pull in NumPy, which a help page does without
    from mergeguard.integrity.nightly import Nightly, NightlyOptions, Ports, Repaired

SUFFIXES: Final = {
    "table": "txt",
    "json": "json",
    "jsonl": "jsonl",
    "sarif": "sarif",
    "junit": "xml",
    "markdown": "md",
    "html": "html",
    "dot": "dot",
    "svg": "svg",
    "prometheus": "prom",
}
"""How the file of each format ends."""
_NAMED: Final = 20
"""Findings of one state that are named; all are counted."""


def ports_of(options: NightlyOptions) -> Ports:
    """Return what writes a night's files to the places that its options name.

    Raises:
        UsageError: there is no such format.
    """
    from mergeguard.integrity.nightly import Ports  # noqa: PLC0415 - imports NumPy
    from mergeguard.integrity.nightly_repair import repair_safely  # noqa: PLC0415 - as above

    def publish(report: ScanReport) -> tuple[Path, ...]:
        return () if options.reports is None else write_reports(report, ReportFolder(options.reports), options.formats)

    def measure(report: ScanReport) -> tuple[Path, ...]:
        return () if options.metrics_file is None else write_metrics(report, options.metrics_file)

    if options.reports is not None:
        require_formats(options.formats)
    return Ports(publish, measure, repair_safely)


def require_formats(formats: Sequence[str]) -> None:
    """Refuse a format that does not exist, before a long scan rather than after it.

    Raises:
        UsageError: there is no such format, or there is none at all.
    """
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"unknown format {name!r}", hint=f"the formats here are {', '.join(FORMATS)}")
    if not formats:
        raise UsageError("reports in no format?", hint="name one with --format, or take reports out")


def write_reports(report: ScanReport, folder: ReportFolder, formats: Sequence[str]) -> tuple[Path, ...]:
    """Write a report in each format, under the name of its run and under the one that never changes.

    Each file appears at once: whoever reads it meanwhile sees the old one or the new one, never half.

    Raises:
        PermissionDenied: the operating system forbids it.
        WriteFailed: anything else, a full disk above all; what was written before stands.
    """
    written = []
    for name in dict.fromkeys(formats):
        text = render_scan(report, name)
        for path in (folder.dated(report.started, report.run_id, SUFFIXES[name]), folder.latest(SUFFIXES[name])):
            write_output(text, path)
            written.append(path)
    return tuple(written)


def write_metrics(report: ScanReport, path: Path) -> tuple[Path, ...]:
    """Write the metrics of a report to the file that a collector reads.

    Raises:
        UsageError: its folder does not exist.
        PermissionDenied: the operating system forbids it.
        WriteFailed: anything else, a full disk above all; the old file stands.
    """
    write_output(render_scan(report, "prometheus"), path)
    return (path,)


def nightly_text(night: Nightly) -> str:
    """Tell in a few lines how a night went: what was found, what is new, what was repaired, where the files are."""
    return "".join(f"{visible(line)}\n" for line in _lines(night))


def _lines(night: Nightly) -> Iterator[str]:
    yield night.report.target
    if night.before is not None:
        yield f"before the repair: {words.verdict(night.before).sentence}"
    yield words.verdict(night.report).sentence
    if night.trend is not None:
        yield from _history(night.trend)
    if night.repaired is not None:
        yield from _repair(night.repaired)
    yield from (f"written: {path}" for path in night.files)
    if night.removed:
        yield f"removed: {len(night.removed)} report files of nights long ago"
    if night.forgotten:
        yield f"history: {night.forgotten} of the oldest runs were forgotten"


def _history(trend: Trend) -> Iterator[str]:
    yield summary(trend)
    if trend.nights == 1:  # the first night knows nothing: all is new, and the reports show it
        return
    for state in (State.NEW, State.RETURNED):
        changes = trend.of(state)
        for change in changes[:_NAMED]:
            yield f"  {state.value}: {change.mark.rule} {change.mark.subject or ''}".rstrip()
        if len(changes) > _NAMED:
            yield f"  {state.value}: and {len(changes) - _NAMED} more"


def _repair(repaired: Repaired) -> Iterator[str]:
    if repaired.run_id is not None:
        steps = words.counted(repaired.applied, "certain step")
        yield f"repair: {steps} applied; 'mergeguard undo' takes back run {repaired.run_id}"
    else:
        yield "repair: nothing was certain" if repaired.failure is None else "repair: not done"
    if repaired.refused:
        left = words.counted(repaired.refused, "component")
        yield f"repair: {left} left for a person, and what is less than certain; 'mergeguard plan' shows it all"
