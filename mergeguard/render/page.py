"""One self-contained HTML page: verdict, findings, pictures and histogram, without a script or a single request.

Everything is built from ``markup`` elements; the page forbids itself everything but its own style sheet.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

from mergeguard.core.findings import Finding, Outcome, ScanReport
from mergeguard.render import svg, words
from mergeguard.render.gallery import MAX_PICTURES, frame
from mergeguard.render.markup import Markup, element, joined
from mergeguard.render.plain import time
from mergeguard.render.text import visible

MAX_PRINTED = 50
"""Findings of one rule that stand on the page; the machine formats carry all that the report holds."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render_scan(report: ScanReport) -> str:
    """Write a report as one HTML page."""
    told = words.verdict(report)
    title = f"MergeGuard: {told.level.value}, {report.target}"
    style = Markup(resources.files("mergeguard.render").joinpath("page.css").read_text("utf-8"))
    page_head = element(
        "head",
        None,
        # These elements are void in HTML: they must not be closed.
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        element("title", None, title),
        element("style", None, style, svg.STYLE),
    )
    body = element("body", None, _banner(report), element("main", None, *_sections(report)), _footer(report))
    return f"<!DOCTYPE html>\n{element('html', {'lang': 'en'}, page_head, body)}\n"


def _banner(report: ScanReport) -> Markup:
    told = words.verdict(report)
    loud = "Incomplete: the scan ended before everything was read. What is not listed may still be there."
    return element(
        "header",
        {"class": f"banner {told.level.value}"},
        element("p", {"class": "brand"}, "MergeGuard scan report"),
        element("h1", None, element("span", {"class": "word"}, told.level.value), " ", told.sentence),
        *([] if report.complete else [element("p", {"class": "loud"}, loud)]),
        _facts(_overview(report)),
    )


def _overview(report: ScanReport) -> list[tuple[str, str]]:
    return [
        ("Target", report.target),
        ("Scanned", f"{str(time(report.started))[:19].replace('T', ' ')} UTC"),
        ("Rows", f"{report.rows:,}"),
        ("Olds", f"{report.guids:,}"),
        ("Deepest", words.counted(report.max_depth, "merge")),
        ("Read with", report.isolation),
    ]


def _facts(facts: Iterable[tuple[str, str]]) -> Markup:
    pairs = (joined(element("dt", None, name), element("dd", None, value)) for name, value in facts if value)
    return element("dl", None, *(element("div", None, pair) for pair in pairs))


def _sections(report: ScanReport) -> list[Markup]:
    budget = MAX_PICTURES
    sections = [_summary(report)]
    for outcome in words.ranked(report):
        if outcome.count:
            sections.append(_rule(outcome, report, budget))
            budget -= sum(finding.picture is not None for finding in outcome.findings[:MAX_PRINTED])
    return [*sections, _unchecked(report), _depths(report), _notes(report)]


def _section(title: str, *children: Markup, **attributes: str) -> Markup:
    return element("section", attributes, element("h2", None, title), *children)


def _summary(report: ScanReport) -> Markup:
    heads = ("Rule", "Name", "Severity", "Findings", "Accepted")
    head = element("tr", None, *(element("th", {"scope": "col"}, name) for name in heads))
    rows = [_summary_row(outcome) for outcome in [*words.ranked(report), *words.unchecked(report)]]
    table = element("table", None, element("thead", None, head), element("tbody", None, *rows))
    return _section("Rules", element("div", {"class": "wide"}, table))


def _summary_row(outcome: Outcome) -> Markup:
    rule: str = visible(outcome.rule)
    if outcome.count:
        rule = element("a", {"href": f"#{_anchor(outcome)}"}, rule)
    count = f"{outcome.count:,}" if outcome.not_checked is None else "not checked"
    return element(
        "tr",
        {"class": "quiet" if not outcome.count else None},
        element("th", {"scope": "row"}, rule),
        element("td", None, outcome.name),
        element("td", None, _badge(outcome)),
        element("td", {"class": "number"}, count),
        element("td", {"class": "number"}, f"{outcome.suppressed:,}"),
    )


def _badge(outcome: Outcome) -> Markup:
    return element("span", {"class": f"badge {outcome.severity.value}"}, outcome.severity.value)


def _anchor(outcome: Outcome) -> str:
    return "rule-" + "".join(char if char.isascii() and char.isalnum() else "-" for char in outcome.rule)


def _rule(outcome: Outcome, report: ScanReport, budget: int) -> Markup:
    fix = words.shared_fix(outcome)
    cards = [element("p", {"class": "fix"}, element("strong", None, "Fix: "), fix)] if fix else []
    first = len(cards)
    for finding in outcome.findings[:MAX_PRINTED]:
        cards.append(_card(finding, outcome, report, with_picture=budget > 0))
        budget -= finding.picture is not None
    left = outcome.count - len(cards) + first
    if left > 0:
        cards.append(element("p", {"class": "more"}, f"and {left:,} more"))
    title = joined(
        visible(outcome.rule), " ", outcome.name, " ", _badge(outcome), f" {words.counted(outcome.count, 'finding')}"
    )
    return element("section", {"id": _anchor(outcome)}, element("h2", None, title), *cards)


def _card(finding: Finding, outcome: Outcome, report: ScanReport, *, with_picture: bool) -> Markup:
    mark = element("code", {"class": "print", "title": "fingerprint"}, finding.fingerprint)
    parts = [mark, element("h3", None, finding.message)]
    steps = [element("code", None, name) for name in words.names(words.steps(finding), report.labels)]
    if steps:
        parts.append(element("p", {"class": "walk"}, joined(*steps, gap=" \u2192 ")))
    facts = [
        ("Rows", words.row_ids(finding.rows)),
        ("Behind it", words.behind(finding)),
        ("Fix", "" if words.shared_fix(outcome) else finding.fix),
    ]
    parts.append(_facts(facts))
    lines = [element("li", None, line) for line in words.details(finding, report.labels)]
    if lines:
        parts.append(element("ul", {"class": "details"}, *lines))
    framed = frame(finding, outcome.name) if with_picture else None
    if framed is not None:
        # A picture wider than the page scrolls, with the keyboard too.
        label = f"Picture: {framed.caption}"
        box = {"class": "wide picture", "tabindex": "0", "role": "region", "aria-label": label}
        parts.append(element("div", box, svg.inline(framed)))
    return element("article", {"class": outcome.severity.value}, *parts)


def _unchecked(report: ScanReport) -> Markup:
    left_out = words.unchecked(report)
    if not left_out:
        return Markup("")
    lines = (
        element("li", None, element("strong", None, f"{outcome.rule} {outcome.name}"), f": {outcome.not_checked}")
        for outcome in left_out
    )
    return _section("Not checked", element("ul", None, *lines))


def _depths(report: ScanReport) -> Markup:
    parts = []
    bars = words.bars(report)
    if bars:
        parts.append(element("div", {"class": "wide"}, _histogram(bars)))
    if report.statuses:
        parts.append(_facts((status, f"{olds:,}") for status, olds in report.statuses.items()))
    return _section("Olds by depth", *parts) if parts else Markup("")


def _histogram(bars: list[tuple[str, int]]) -> Markup:
    most = max([1, *(olds for _, olds in bars)])
    lines = []
    for number, (depth, olds) in enumerate(bars):
        middle = number * 26 + 17
        length = max(round(420 * olds / most, 1), 2 if olds else 0)
        texts = ({"class": "tick", "x": 44, "y": middle, "text-anchor": "end"}, {"class": "count", "y": middle})
        lines += [
            element("text", texts[0], depth),
            element("rect", {"class": "bar", "x": 54, "y": middle - 13, "width": length, "height": 18, "rx": 2}),
            element("text", {**texts[1], "x": 62 + length}, f"{olds:,}"),
        ]
    told = ", ".join(f"{olds:,} at depth {depth}" for depth, olds in bars)
    size = {"width": 580, "height": len(bars) * 26 + 6, "viewBox": f"0 0 580 {len(bars) * 26 + 6}"}
    named = {"class": "histogram", "role": "img", "aria-label": f"Olds by merges to their current guid: {told}"}
    title = element("title", None, "Olds by merges to their current guid")
    return element("svg", {"xmlns": "http://www.w3.org/2000/svg", **named, **size}, title, *lines)


def _notes(report: ScanReport) -> Markup:
    if not report.notes:
        return Markup("")
    return _section("Notes", element("ul", None, *(element("li", None, note) for note in report.notes)))


def _footer(report: ScanReport) -> Markup:
    told = (
        f"MergeGuard {report.tool_version}, profile {report.profile}, run {report.run_id}, "
        f"finished {time(report.finished)} after {words.seconds(report):.2f} s"
    )
    return element("footer", None, told)
