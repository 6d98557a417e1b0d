"""Every format holds every finding of a report, or says how many it leaves out; no report is too strange to write."""

from __future__ import annotations

import copy
import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity
from mergeguard.render import FORMATS, junit, markdown, page, render_scan, table, words
from mergeguard.render.text import sound, visible

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
Told = tuple[int, int]
"""How many findings of a rule are spelt out, and how many more are said to be there."""


def told_by_outcome(report: ScanReport, most: int) -> list[Told]:
    """What a format for people is to tell of each rule that found something, in its order."""
    found = [outcome for outcome in words.ranked(report) if outcome.count]
    return [(min(len(o.findings), most), o.count - min(len(o.findings), most)) for o in found]


def one_text(report: ScanReport, form: str, **more: object) -> str:
    """The text of a report, which is the same each time and leaves the report as it was."""
    before = copy.deepcopy(report)
    text = render_scan(report, form, **more)  # type: ignore[arg-type]
    assert render_scan(report, form, **more) == text  # type: ignore[arg-type]
    assert report == before
    return text


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
def test_any_report_is_written_in_any_format(
    form: str, hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    text = one_text(data.draw(hostile_reports.filter(comparable)), form)
    assert text.endswith("\n")
    assert text.encode("utf-8").decode("utf-8") == text
    assert "\r" not in text
    assert "\0" not in text


def comparable(report: ScanReport) -> bool:
    """Leave out NaN, which no report equals its own copy with."""
    return report == copy.deepcopy(report)


def of_json(text: str) -> list[tuple[str, str, str]]:
    return [(f["rule"], f["fingerprint"], f["message"]) for f in json.loads(text)["findings"]]


def of_jsonl(text: str) -> list[tuple[str, str, str]]:
    _, *found, _ = map(json.loads, text.splitlines())
    return [(f["rule"], f["fingerprint"], f["message"]) for f in found]


@pytest.mark.parametrize(("form", "read"), [("json", of_json), ("jsonl", of_jsonl)])
@given(data=st.data())
def test_json_holds_every_finding_as_it_is(
    form: str,
    read: Callable[[str], list[tuple[str, str, str]]],
    hostile_reports: st.SearchStrategy[ScanReport],
    data: st.DataObject,
) -> None:
    report = data.draw(hostile_reports)
    expected = [(sound(f.rule), sound(f.fingerprint), sound(f.message)) for f in report.findings]
    assert read(render_scan(report, form)) == expected


@given(data=st.data())
def test_sarif_holds_every_finding_as_a_result_of_its_rule(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    (run,) = json.loads(render_scan(report, "sarif"))["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert sorted(rules) == sorted(sound(outcome.rule) for outcome in report.outcomes)
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert result["partialFingerprints"] == {"mergeguard/v1": sound(finding.fingerprint)}
        assert rules[result["ruleIndex"]] == result["ruleId"] == sound(finding.rule)
        unescaped = re.sub(r"\\(.)|(\{\{|\}\})", lambda m: m[1] or m[2][0], result["message"]["text"])
        assert unescaped.startswith(visible(finding.message) or "-")
        assert result["properties"]["guids"] == finding.guids


@given(data=st.data())
def test_junit_spells_findings_out_and_counts_the_rest(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    root = ET.fromstring(render_scan(report, "junit").encode())  # noqa: S314 - our own output
    cases = {case.get("name"): case for case in root.iter("testcase")}
    for outcome in report.outcomes:
        case = cases[visible(f"{outcome.rule} {outcome.name}")]
        spelt = "".join(case.itertext())
        prints = Counter(f"  fingerprint: {visible(f.fingerprint)}" for f in outcome.findings if f.fingerprint)
        if outcome.not_checked is not None:
            assert [child.tag for child in case] == ["skipped"]
        elif outcome.count:
            assert Counter(line for line in spelt.split("\n") if line.startswith("  fingerprint: ")) == prints
            left = outcome.count - min(len(outcome.findings), junit.MAX_SPELT)
            assert spelt.endswith(f"... and {left:,} more") == (left > 0)


@given(data=st.data(), width=st.integers(20, 300))
def test_the_table_numbers_findings_and_counts_the_rest(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject, width: int
) -> None:
    report = data.draw(hostile_reports)
    sections = one_text(report, "table", width=width).split("\n\n")
    found = told_by_outcome(report, table.MAX_PRINTED)
    for section, (shown, left) in zip(sections[1:], found, strict=False):
        lines = section.split("\n")
        assert [number for line in lines[1:] if (number := numbered(line))][:shown] == [*range(1, shown + 1)]
        assert lines[-1].startswith(f"  ... and {left:,} more") == (left > 0)


def numbered(line: str) -> int:
    match = re.match(r"  (\d+)\.( |$)", line)
    return int(match[1]) if match else 0


@given(data=st.data())
def test_markdown_lists_findings_and_counts_the_rest(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    text = render_scan(report, "markdown")
    severities = {severity.value for severity in Severity}
    lists: list[Told] = []
    for section in re.split(r"(?m)^## ", text)[1:]:
        items = [line for line in section.split("\n") if line.startswith("- ")]
        shown = sum(any(line.startswith(f"- **{one}** ") for one in severities) for line in items)
        left = next((int(line[6:-5].replace(",", "")) for line in items if re.fullmatch(r"- and [\d,]+ more", line)), 0)
        if shown or left:
            lists.append((shown, left))
    assert lists == told_by_outcome(report, markdown.MAX_PRINTED)
    shown_messages = {visible(f.message).strip() for o in words.ranked(report) for f in o.findings}
    assert all(message in plain_of(text) for message in shown_messages)


def plain_of(text: str) -> str:
    return "\n".join(
        "".join(child.content for child in token.children or ())
        for token in MARKDOWN.parse(text)
        if token.type == "inline"
    )


@given(data=st.data())
def test_the_page_has_an_article_a_finding_and_counts_the_rest(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    body = ET.fromstring("<body" + render_scan(report, "html").split("<body", 1)[1].removesuffix("</html>\n"))  # noqa: S314 - our own output
    sections = [section for section in body.iter("section") if (section.get("id") or "").startswith("rule-")]
    assert [counted(section) for section in sections] == told_by_outcome(report, page.MAX_PRINTED)
    shown = [article for section in sections for article in section.iter("article")]
    printed = [f for o in words.ranked(report) if o.count for f in o.findings[: page.MAX_PRINTED]]
    for article, finding in zip(shown, printed, strict=True):
        assert article.get("class") == finding.severity.value
        assert [mark.text or "" for mark in article.findall("code")] == [visible(finding.fingerprint)]
        assert article.findtext("h3") == visible(finding.message)
        assert all(len(entries) for entries in article.iter("ul"))


def counted(section: ET.Element) -> Told:
    more = section.find("p[@class='more']")
    left = 0 if more is None else int(str(more.text)[4:-5].replace(",", ""))
    return len(section.findall("article")), left


@settings(max_examples=40)
@given(st.integers(0, 120), st.integers(0, 4000), st.sampled_from(Severity))
def test_long_lists_are_cut_in_what_people_read_and_in_nothing_else(found: int, more: int, severity: Severity) -> None:
    findings = tuple(Finding("MG001", severity, f"number {n} of them", f"{n:016x}") for n in range(found))
    report = minimal(Outcome("MG001", "cycle", severity, found + more, findings))
    for form, most in (("table", table.MAX_PRINTED), ("markdown", markdown.MAX_PRINTED), ("html", page.MAX_PRINTED)):
        text = render_scan(report, form)
        assert spelt_out(text) == [*range(min(found, most))]
        left = found + more - min(found, most)
        assert (f"and {left:,} more" in text) == (left > 0)
    assert spelt_out(render_scan(report, "junit")) == [*range(min(found, junit.MAX_SPELT))]
    for form in ("json", "jsonl", "sarif"):
        assert spelt_out(render_scan(report, form)) == [*range(found)]


def spelt_out(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"number (\d+) of them", text)]


def minimal(*outcomes: Outcome) -> ScanReport:
    now = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    return ScanReport("r", "0", "t", "p", now, now, 9, 9, "i", complete=True, outcomes=outcomes)


def rule_lines(report: ScanReport) -> Iterator[tuple[str, str, int]]:
    for outcome in report.outcomes:
        if outcome.not_checked is None:
            yield visible(outcome.rule), visible(outcome.name), outcome.count


@given(data=st.data())
def test_every_rule_and_its_count_stand_in_every_summary(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    expected = Counter(rule_lines(report))
    body = ET.fromstring("<body" + render_scan(report, "html").split("<body", 1)[1].removesuffix("</html>\n"))  # noqa: S314 - our own output
    rows = [["".join(cell.itertext()) for cell in row] for row in body.iter("tr")][1:]
    assert Counter((r[0], r[1], int(r[3].replace(",", ""))) for r in rows if r[3] != "not checked") == expected
    assert len(rows) == len(report.outcomes)
    read = json.loads(render_scan(report, "json"))["outcomes"]
    assert [(o["rule"], o["name"], o["count"], o["suppressed"]) for o in read] == [
        (sound(o.rule), sound(o.name), o.count, o.suppressed) for o in report.outcomes
    ]
