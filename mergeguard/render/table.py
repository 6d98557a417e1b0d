"""The report for people at a terminal: the verdict first, then what is wrong and what to do, rule by rule.

Only ASCII is drawn, so that a Windows console of any code page shows it; colour is added only where asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity
from mergeguard.render import words
from mergeguard.render.paper import NARROWEST, Paper
from mergeguard.render.text import columns, visible

MAX_PRINTED = 10
"""Findings of one rule that are printed; the machine formats carry all that the report holds."""
_BAR = 40

_SEVERITY = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "bold"}
_LEVEL = {
    words.Level.ERROR: "red",
    words.Level.WARNING: "yellow",
    words.Level.INCOMPLETE: "red",
    words.Level.UNCHECKED: "yellow",
    words.Level.INFO: "green",
    words.Level.CLEAN: "green",
}


def render_scan(report: ScanReport, *, colour: bool = False, width: int = 100) -> str:
    """Write a report for a terminal of ``width`` columns."""
    page = Paper(colour, max(width, NARROWEST))
    sections = [_head(report, page)]
    sections += [_rule(outcome, report, page) for outcome in words.ranked(report) if outcome.count]
    sections += [_unchecked(report, page), _depths(report, page), _foot(report, page)]
    return "\n".join("\n".join(section) + "\n" for section in sections if section)


def _head(report: ScanReport, page: Paper) -> list[str]:
    told = words.verdict(report)
    lines = page.prose(f"MergeGuard {visible(report.tool_version)}, scan of {visible(report.target)}", "")
    lines += [page.paint(line, "bold", _LEVEL[told.level]) for line in page.prose(told.sentence, "")]
    if not report.complete:
        loud = "!! INCOMPLETE: the scan ended before everything was read; what is not listed may still be there."
        lines += [page.paint(line, "bold", "red") for line in page.prose(loud, "")]
    return lines


def _rule(outcome: Outcome, report: ScanReport, page: Paper) -> list[str]:
    kind = page.paint(outcome.severity.value, "bold", _SEVERITY[outcome.severity])
    accepted = f" ({outcome.suppressed:,} more accepted by the baseline)" if outcome.suppressed else ""
    head = f"{page.paint(visible(outcome.rule), 'bold')} {visible(outcome.name)}"
    lines = [f"{head}: {kind}, {words.counted(outcome.count, 'finding')}{accepted}"]
    fix = words.shared_fix(outcome)
    lines += page.prose(f"fix: {fix}", "  ") if fix else []
    for number, finding in enumerate(outcome.findings[:MAX_PRINTED], 1):
        lines += _finding(number, finding, outcome, report, page)
    left = outcome.count - min(len(outcome.findings), MAX_PRINTED)
    if left > 0:
        lines.append(f"  ... and {left:,} more")
    return lines


def _finding(number: int, finding: Finding, outcome: Outcome, report: ScanReport, page: Paper) -> Iterator[str]:
    mark = f"  {number}. "
    indent = " " * len(mark)
    body = page.prose(visible(finding.message), indent)
    yield mark + body[0].lstrip() if body else mark.rstrip()
    yield from body[1:]
    yield from (page.paint(line, "bold") for line in page.walk(words.walk(finding, report), indent))
    for name, value in _facts(finding, outcome):
        yield from page.prose(f"{name}: {value}", indent)
    for line in words.details(finding, report.labels):
        yield from (page.paint(folded, "dim") for folded in page.prose(line, indent))


def _facts(finding: Finding, outcome: Outcome) -> Iterable[tuple[str, str]]:
    fix = "" if words.shared_fix(outcome) else visible(finding.fix)
    facts = (("rows", words.row_ids(finding.rows)), ("behind it", words.behind(finding)), ("fix", fix))
    return ((name, value) for name, value in facts if value)


def _unchecked(report: ScanReport, page: Paper) -> list[str]:
    lines = [
        line
        for outcome in words.unchecked(report)
        for line in page.prose(f"{visible(outcome.rule)} {visible(outcome.name)}: {visible(outcome.not_checked)}", "  ")
    ]
    return [page.paint("Not checked", "bold"), *lines] if lines else []


def _depths(report: ScanReport, page: Paper) -> list[str]:
    bars = words.bars(report)
    if not bars and not report.statuses:
        return []
    title = f"Olds by depth (merges to the current guid; deepest {report.max_depth:,})"
    lines = [page.paint(line, "bold") for line in page.prose(title, "")]
    most = max((olds for _, olds in bars), default=1)
    # Beside a bar stand its depth and its number, each with a gap.
    longest = min(_BAR, page.width - 10 - len(f"{most:,}"))
    for depth, olds in bars:
        # One '#' at least, so that a single old beside a million is still seen.
        bar = "#" * max(olds * longest // most, 1 if olds else 0)
        lines.append(f"  {depth:>4}  {bar:<{longest}}  {olds:,}")
    statuses = ", ".join(f"{visible(status)} {olds:,}" for status, olds in report.statuses.items())
    return lines + (page.prose(f"status: {statuses}", "  ") if statuses else [])


def _foot(report: ScanReport, page: Paper) -> list[str]:
    lines = [page.paint("About this scan", "bold")]
    accepted = words.suppressed(report)
    if accepted:
        lines += page.prose(f"{words.counted(accepted, 'finding')} accepted by the baseline", "  ")
    for note in report.notes:
        lines += page.prose(f"note: {visible(note)}", "  ")
    lines += page.prose(f"read with: {visible(report.isolation)}", "  ")
    lines += page.prose(
        f"profile {visible(report.profile)}, run {visible(report.run_id)}, {words.seconds(report):.2f} s", "  "
    )
    return lines


def aligned(rows: Sequence[tuple[str, ...]], heads: tuple[str, ...]) -> str:
    """Set rows of visible text in columns below their heads; the last column is left ragged."""
    widths = [max(columns(row[at]) for row in [heads, *rows]) for at in range(len(heads))]
    return "".join(_padded(row, widths) for row in [heads, tuple("-" * width for width in widths), *rows])


def _padded(row: tuple[str, ...], widths: list[int]) -> str:
    cells = (cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True))
    return "  ".join(cells).rstrip() + "\n"
