"""Markdown for tickets and wikis. Data stand in code spans or escaped, so that none of it becomes markup or a link."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mergeguard.core.findings import Finding, Outcome, ScanReport
from mergeguard.render import words
from mergeguard.render.text import visible

MAX_PRINTED = 25
"""Findings of one rule that are spelt out."""
_BAR = 30


def render_scan(report: ScanReport) -> str:
    """Write a report as GitHub-flavoured Markdown."""
    told = words.verdict(report)
    lines = [
        f"# MergeGuard: {told.level.value}",
        "",
        f"**{prose(told.sentence)}**",
        "",
        f"Target: {code(report.target)}",
    ]
    if not report.complete:
        lines += ["", "> **INCOMPLETE**: the scan ended before everything was read; more may be wrong."]
    lines += ["", *_summary(report)]
    for outcome in words.ranked(report):
        if outcome.count:
            lines += ["", *_rule(outcome, report)]
    lines += [*_unchecked(report), *_depths(report), "", "## About this scan", "", *_about(report)]
    return "\n".join(lines) + "\n"


def _summary(report: ScanReport) -> Iterator[str]:
    yield "| rule | name | severity | findings | accepted |"
    yield "|---|---|---|---:|---:|"
    for outcome in [*words.ranked(report), *words.unchecked(report)]:
        count = f"{outcome.count:,}" if outcome.not_checked is None else "not checked"
        cells = (prose(outcome.rule), prose(outcome.name), outcome.severity.value, count, f"{outcome.suppressed:,}")
        yield f"| {' | '.join(cells)} |"


def _rule(outcome: Outcome, report: ScanReport) -> Iterator[str]:
    severity = outcome.severity.value
    yield f"## {prose(outcome.rule)} {prose(outcome.name)}: {severity}, {words.counted(outcome.count, 'finding')}"
    yield ""
    fix = words.shared_fix(outcome)
    if fix:
        yield from (f"Fix: {prose(fix)}", "")
    for finding in outcome.findings[:MAX_PRINTED]:
        yield from _finding(finding, report, "" if fix else finding.fix)
    left = outcome.count - min(len(outcome.findings), MAX_PRINTED)
    if left > 0:
        yield f"- and {left:,} more"


def _finding(finding: Finding, report: ScanReport, fix: str) -> Iterator[str]:
    yield f"- **{finding.severity.value}** {prose(finding.message)}"
    walk = words.steps(finding)
    if walk:
        yield f"  - path: {' → '.join(code(name) for name in words.names(walk, report.labels))}"
    facts = (("rows", words.row_ids(finding.rows)), ("behind it", words.behind(finding)), ("fix", fix))
    for name, value in facts:
        if value:
            yield f"  - {name}: {prose(value)}"
    for line in words.details(finding, report.labels):
        yield f"  - detail {prose(line)}"


def _unchecked(report: ScanReport) -> Iterator[str]:
    left_out = words.unchecked(report)
    if left_out:
        yield from ("", "## Not checked", "")
    for outcome in left_out:
        yield f"- rule {prose(outcome.rule)} {prose(outcome.name)}: {prose(outcome.not_checked)}"


def _depths(report: ScanReport) -> Iterator[str]:
    bars = words.bars(report)
    if not bars:
        return
    yield from ("", "## Olds by depth", "", "| merges to the current guid | olds | |", "|---:|---:|---|")
    most = max(olds for _, olds in bars)
    for depth, olds in bars:
        yield f"| {depth} | {olds:,} | {'█' * max(olds * _BAR // max(most, 1), 1 if olds else 0)} |"


def _about(report: ScanReport) -> Iterator[str]:
    if report.statuses:
        statuses = ", ".join(f"{status} {olds:,}" for status, olds in report.statuses.items())
        yield f"- status of the olds: {prose(statuses)}"
    for note in report.notes:
        yield f"- note: {prose(note)}"
    yield f"- read with: {prose(report.isolation)}"
    yield f"- profile {code(report.profile)}, run {code(report.run_id)}, {words.seconds(report):.2f} s"
    yield f"- MergeGuard {prose(report.tool_version)}"


# A hyphen inside a word (every guid, every rule name) is harmless, and a page of "\-" is not read.
_SPECIAL = re.compile(r"[*_\[\]~]")
_ENTITIES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "$": "&#36;",
    "@": "&#64;",
    "\\": "&#92;",
    "`": "&#96;",
    "|": "&#124;",
}
# GitHub links bare addresses; an entity in the middle keeps them text.
_ADDRESS = re.compile(r"(?i)(:(?=//)|(?<=www)\.|:(?=[^\s]*&#64;))")

# What begins a heading, a list, a code block or an underline at the beginning of a line.
_OPENING = re.compile(r"^(\d*)([-+#=.) ])")


def prose(data: object) -> str:
    """Escape data for running text, at the beginning of a line too."""
    text = "".join(_ENTITIES.get(char, char) for char in visible(data))
    text = _ADDRESS.sub(lambda match: f"&#{ord(match[0])};", text)
    text = re.sub(r"&#?\w+;|.", lambda match: _escaped(match[0]), text)
    return _OPENING.sub(lambda match: f"{match[1]}&#{ord(match[2])};", text)


def _escaped(piece: str) -> str:
    return f"\\{piece}" if _SPECIAL.fullmatch(piece) else piece


def code(data: object) -> str:
    """Show data as a code span, fenced by more backticks than it holds; not for a table, where ``|`` would cut it."""
    text = visible(data)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    # Blanks next to the fence are stripped in pairs; a span of blanks alone is kept as it is.
    pad = " " if text != text.strip("` ") or not text else ""
    return f"{fence}{pad}{text}{pad}{fence}"
