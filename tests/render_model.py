"""What every format has to hold of any report: each property reads the text back and compares.

The readers are strict and small, and know of the formats only what their standards say.
"""

from __future__ import annotations

import copy
import json
import math
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias
from xml.etree import ElementTree as ET

from markdown_it import MarkdownIt

from mergeguard.core.findings import Explanation, Finding, Picture, ScanReport, Severity
from mergeguard.render import junit, markdown, page, render_explanation, render_scan, table, words
from mergeguard.render.gallery import drawn
from mergeguard.render.roles import role_word
from mergeguard.render.text import sound, visible

Told: TypeAlias = tuple[int, int]
"""How many findings of a rule are spelt out, and how many more are said to be there."""
Place: TypeAlias = tuple[float, float]
Edges: TypeAlias = Counter[tuple[int, int]]
"""Edges by the places of their nodes in a picture."""
SVG = "{http://www.w3.org/2000/svg}"
_MARKDOWN = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
_SEVERITIES = {severity.value for severity in Severity}


def told_by_rule(report: ScanReport, most: int) -> list[Told]:
    """What a format for people is to tell of each rule that found something, in its order."""
    found = [outcome for outcome in words.ranked(report) if outcome.count]
    return [(min(len(o.findings), most), o.count - min(len(o.findings), most)) for o in found]


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text.encode())  # noqa: S314 - our own output


def body_of(report: ScanReport) -> ET.Element:
    """The body of the page; its head has void elements, which are no XML."""
    return parsed("<body" + render_scan(report, "html").split("<body", 1)[1].removesuffix("</html>\n"))


# Findings.


def json_holds_every_finding(report: ScanReport) -> None:
    expected = [(sound(f.rule), f.severity.value, sound(f.fingerprint), sound(f.message)) for f in report.findings]
    document = json.loads(render_scan(report, "json"))
    _, *lines, _ = map(json.loads, render_scan(report, "jsonl").splitlines())
    for found in (document["findings"], lines):
        assert [(f["rule"], f["severity"], f["fingerprint"], f["message"]) for f in found] == expected
        assert [f["path"] for f in found] == [[str(step) for step in f.path] for f in report.findings]
        assert [f["guids"] for f in found] == [f.guids for f in report.findings]
        assert [f["references"] for f in found] == [f.references for f in report.findings]
        assert [[r["old"] for r in f["rows"]] for f in found] == [[str(r.old) for r in f.rows] for f in report.findings]


def json_holds_every_rule(report: ScanReport) -> None:
    read = json.loads(render_scan(report, "json"))
    assert [(o["rule"], o["name"], o["count"], o["suppressed"], o["not_checked"]) for o in read["outcomes"]] == [
        (sound(o.rule), sound(o.name), o.count, o.suppressed, None if o.not_checked is None else sound(o.not_checked))
        for o in report.outcomes
    ]
    assert read["complete"] is report.complete
    assert read["counts"] == {s.value: sum(o.count for o in report.outcomes if o.severity is s) for s in Severity}


def sarif_holds_every_finding(report: ScanReport) -> None:
    (run,) = json.loads(render_scan(report, "sarif"))["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    levels = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    assert sorted(rules) == sorted(sound(outcome.rule) for outcome in report.outcomes)
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert result["partialFingerprints"] == {"mergeguard/v1": sound(finding.fingerprint)}
        assert rules[result["ruleIndex"]] == result["ruleId"] == sound(finding.rule)
        assert result["level"] == levels[finding.severity]
        unescaped = re.sub(r"\\(.)|(\{\{|\}\})", lambda m: m[1] or m[2][0], result["message"]["text"])
        assert unescaped.startswith(visible(finding.message) or "-")
        assert result["properties"]["guids"] == finding.guids


def junit_spells_findings_out(report: ScanReport) -> None:
    cases = {case.get("name"): case for case in parsed(render_scan(report, "junit")).iter("testcase")}
    for outcome in report.outcomes:
        case = cases[visible(f"{outcome.rule} {outcome.name}")]
        spelt = "".join(case.itertext())
        prints = Counter(f"  fingerprint: {visible(f.fingerprint)}" for f in outcome.findings if f.fingerprint)
        fails = outcome.count > 0 and outcome.severity is not Severity.INFO
        if outcome.not_checked is not None:
            assert [child.tag for child in case] == ["skipped"]
        else:
            assert [child.tag for child in case] == ["failure" if fails else "system-out"] * bool(outcome.count)
            assert Counter(line for line in spelt.split("\n") if line.startswith("  fingerprint: ")) == prints
            left = outcome.count - min(len(outcome.findings), junit.MAX_SPELT)
            assert spelt.endswith(f"... and {left:,} more") == (left > 0)
    assert [case.tag for case in cases["scan-is-complete"]] == ([] if report.complete else ["error"])


def table_numbers_findings(report: ScanReport) -> None:
    sections = render_scan(report, "table", width=200).split("\n\n")
    found = told_by_rule(report, table.MAX_PRINTED)
    for section, (shown, left) in zip(sections[1:], found, strict=False):
        lines = section.split("\n")
        assert [number for line in lines[1:] if (number := _number(line))][:shown] == [*range(1, shown + 1)]
        assert lines[-1].startswith(f"  ... and {left:,} more") == (left > 0)
    assert len(sections) > len(found)


def _number(line: str) -> int:
    match = re.match(r"  (\d+)\.( |$)", line)
    return int(match[1]) if match else 0


def table_is_plain_text(report: ScanReport) -> None:
    text = render_scan(report, "table", width=80)
    assert all(char == "\n" or char.isprintable() for char in text)
    assert re.sub(r"\x1b\[\d+m", "", render_scan(report, "table", colour=True, width=80)) == text
    assert ("\nINCOMPLETE" in text) == (not report.complete)


def markdown_lists_findings(report: ScanReport) -> None:
    text = render_scan(report, "markdown")
    lists: list[Told] = []
    for section in re.split(r"(?m)^## ", text)[1:]:
        items = [line for line in section.split("\n") if line.startswith("- ")]
        shown = sum(any(line.startswith(f"- **{one}** ") for one in _SEVERITIES) for line in items)
        left = next((int(line[6:-5].replace(",", "")) for line in items if re.fullmatch(r"- and [\d,]+ more", line)), 0)
        if shown or left:
            lists.append((shown, left))
    assert lists == told_by_rule(report, markdown.MAX_PRINTED)


def markdown_shows_data_as_text(report: ScanReport) -> None:
    tokens = _MARKDOWN.parse(render_scan(report, "markdown"))
    inline = [child for token in tokens for child in token.children or ()]
    assert {token.type for token in inline} <= {"text", "code_inline", "strong_open", "strong_close", "softbreak"}
    told = "\n".join("".join(c.content for c in t.children or ()) for t in tokens if t.type == "inline")
    printed = [f for o in words.ranked(report) if o.count for f in o.findings[: markdown.MAX_PRINTED]]
    assert all(visible(finding.message).strip() in told for finding in printed)
    assert all(visible(note).strip() in told for note in report.notes)


def page_has_an_article_a_finding(report: ScanReport) -> None:
    sections = [part for part in body_of(report).iter("section") if (part.get("id") or "").startswith("rule-")]
    assert [_counted(section) for section in sections] == told_by_rule(report, page.MAX_PRINTED)
    articles = [article for section in sections for article in section.iter("article")]
    printed = [f for o in words.ranked(report) if o.count for f in o.findings[: page.MAX_PRINTED]]
    for article, finding in zip(articles, printed, strict=True):
        assert article.get("class") == finding.severity.value
        assert [mark.text or "" for mark in article.findall("code")] == [visible(finding.fingerprint)]
        assert article.findtext("h3") == visible(finding.message)
        assert all(len(entries) for entries in article.iter("ul"))
        _has_its_walk(article, finding, report)


def _has_its_walk(article: ET.Element, finding: Finding, report: ScanReport) -> None:
    steps = [step.text or "" for step in article.findall("p[@class='walk']/code")]
    expected = finding.path or (() if finding.subject is None else (finding.subject,))
    assert steps == [visible(report.labels.get(guid, guid), 80) for guid in expected]


def _counted(section: ET.Element) -> Told:
    more = section.find("p[@class='more']")
    left = 0 if more is None else int(str(more.text)[4:-5].replace(",", ""))
    return len(section.findall("article")), left


def page_sums_every_rule_up(report: ScanReport) -> None:
    rows = [["".join(cell.itertext()) for cell in row] for row in body_of(report).iter("tr")][1:]
    assert Counter((r[0], r[1], r[2], r[3], r[4]) for r in rows) == Counter(
        (
            visible(o.rule),
            visible(o.name),
            o.severity.value,
            f"{o.count:,}" if o.not_checked is None else "not checked",
            f"{o.suppressed:,}",
        )
        for o in report.outcomes
    )


# Metrics.


def samples_of(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Read Prometheus' text format: a sample a line, by its name and the values of its labels."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = re.fullmatch(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\} (\S+)', line)
            assert match is not None, line
            labels = re.findall(r'[a-z]+="((?:[^"\\]|\\.)*)"', match[2])
            found[match[1], tuple(re.sub(r"\\(.)", r"\1", label) for label in labels)] = float(match[3])
    return found


def metrics_count_every_rule(report: ScanReport) -> None:
    samples = samples_of(render_scan(report, "prometheus"))
    target = visible(report.target)
    counted = {labels: value for (name, labels), value in samples.items() if name == "mergeguard_findings"}
    assert counted == {
        (target, visible(o.rule), visible(o.name), o.severity.value): o.count
        for o in report.outcomes
        if o.not_checked is None
    }
    assert samples["mergeguard_scan_complete", (target,)] == report.complete
    success = ("mergeguard_last_success_timestamp_seconds", (target,)) in samples
    assert success is report.complete


# Pictures.


def picture_edges(picture: Picture) -> Edges:
    """The edges of a picture whose ends are both drawn, by the places of their nodes."""
    at = {node.guid: place for place, node in enumerate(picture.nodes)}
    return Counter((at[old], at[new]) for old, new in picture.edges if old in at and new in at)


def dot_draws_every_edge(report: ScanReport) -> None:
    edges: dict[int, Edges] = {}
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', render_scan(report, "dot"))  # no text is taken for a statement
    for one, source, other, target in re.findall(r"\bp(\d+)n(\d+) -> p(\d+)n(\d+);", text):
        assert one == other
        edges.setdefault(int(one), Counter())[int(source), int(target)] += 1
    frames, _ = drawn(report)
    assert [edges.get(number, Counter()) for number in range(len(frames))] == [
        picture_edges(frame.picture) for frame in frames
    ]
    assert len(edges) <= len(frames)


def dot_names_every_node(report: ScanReport) -> None:
    text = render_scan(report, "dot")
    frames, _ = drawn(report)
    for number, frame in enumerate(frames):
        for place, node in enumerate(frame.picture.nodes):
            (label,) = re.findall(rf'(?m)^ *p{number}n{place} \[label="((?:[^"\\]|\\.)*)"', text)
            assert label.endswith(f"\\n{role_word(node)}")


def svg_draws_every_edge(report: ScanReport) -> None:
    """Whatever an arrow's way, its line begins at the border of one node and its head touches that of the other."""
    frames, _ = drawn(report)
    groups = _drawings(parsed(render_scan(report, "svg")))
    for frame, group in zip(frames, groups, strict=True):
        places, size = _nodes(group)
        assert len(places) == len(frame.picture.nodes)
        lines = [_points(path) for path in group.iter(f"{SVG}path") if _classes(path) & {"mg-edge"}]
        heads = [_points(path) for path in group.iter(f"{SVG}path") if _classes(path) & {"mg-head"}]
        assert all(math.dist(line[-1], tip[0]) < 0.2 for line, tip in zip(lines, heads, strict=True))
        found = Counter((_at(places, size, line[0]), _at(places, size, line[-1])) for line in lines)
        assert found == picture_edges(frame.picture)


def svg_lies_within_its_frame(report: ScanReport) -> None:
    root = parsed(render_scan(report, "svg"))
    width, height = float(str(root.get("width"))), float(str(root.get("height")))
    for x, y in _corners(root):
        assert -0.5 <= x <= width + 0.5
        assert -0.5 <= y <= height + 0.5


def _classes(element: ET.Element) -> set[str]:
    return set((element.get("class") or "").split())


def _drawings(root: ET.Element) -> list[ET.Element]:
    """The groups that each hold one picture: those whose first child is the picture's summary."""
    return [group for group in root.iter(f"{SVG}g") if [child.tag for child in group][:1] == [f"{SVG}title"]
            and not any(_classes(child) & {"mg-name"} for child in group)]  # fmt: skip


def _nodes(group: ET.Element) -> tuple[list[Place], Place]:
    """Where the nodes stand, and half of their size."""
    nodes = [child for child in group if any(_classes(each) & {"mg-name"} for each in child)]
    outlines = [[p for shape in node if _classes(shape) & {"mg-node"} for p in _outline(shape)] for node in nodes]
    right = max((x for outline in outlines for x, _ in outline), default=0.0)
    bottom = max((y for outline in outlines for _, y in outline), default=0.0)
    return [_moved(node) for node in nodes], (right, bottom)


def _moved(group: ET.Element) -> Place:
    match = re.fullmatch(r"translate\((\S+) (\S+)\)", str(group.get("transform")))
    return (float(match[1]), float(match[2])) if match else (0.0, 0.0)


def _points(path: ET.Element) -> list[Place]:
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", str(path.get("d")))]
    return list(zip(numbers[0::2], numbers[1::2], strict=True))


def _outline(shape: ET.Element) -> list[Place]:
    if shape.tag == f"{SVG}path":
        return _points(shape)
    x, y, width, height = (float(str(shape.get(name))) for name in ("x", "y", "width", "height"))
    return [(x, y), (x + width, y + height)]


def _at(places: list[Place], half: Place, point: Place) -> int:
    """The one node on whose border a point lies."""

    def off(place: Place) -> float:
        across, down = abs(point[0] - place[0]) - half[0], abs(point[1] - place[1]) - half[1]
        return abs(max(across, down))

    nearest = sorted(range(len(places)), key=lambda at: off(places[at]))
    assert off(places[nearest[0]]) < 0.3
    assert len(nearest) == 1 or off(places[nearest[1]]) > 0.3
    return nearest[0]


def _corners(element: ET.Element, left: float = 0.0, top: float = 0.0) -> Iterator[Place]:
    x, y = _moved(element)
    left, top = left + x, top + y
    drawn_here = element.tag == f"{SVG}path" or (element.tag == f"{SVG}rect" and element.get("x") is not None)
    if drawn_here:
        yield from ((left + px, top + py) for px, py in _outline(element))
    for child in element:
        yield from _corners(child, left, top)


# Stories.


def story_is_told(explanation: Explanation) -> None:
    text = render_explanation(explanation, "table")
    assert all(char == "\n" or char.isprintable() for char in text)
    squeezed = "".join(text.split())
    assert all("".join(visible(sentence).split()) in squeezed for sentence in explanation.story)
    for row in explanation.rows:
        assert visible(row.row_id, 80).strip() in text
    read: Any = json.loads(render_explanation(explanation, "json"))
    assert [uuid.UUID(step) for step in read["path"]] == [*explanation.path]
    assert read["story"] == [sound(sentence) for sentence in explanation.story]


def same_twice(report: ScanReport) -> None:
    """Writing is pure: the same text each time, from a report that stays as it was."""
    before = copy.deepcopy(report)
    for form in ("table", "json", "sarif", "html", "svg", "dot", "markdown", "junit", "prometheus", "jsonl"):
        text = render_scan(report, form)
        assert render_scan(report, form) == text
        assert text.endswith("\n")
        assert text.encode("utf-8").decode("utf-8") == text
        assert not {"\r", "\0"} & set(text)
    assert report == before or before != copy.deepcopy(before)  # a report with NaN equals nothing, not even itself


OF_REPORTS: tuple[Callable[[ScanReport], None], ...] = (
    json_holds_every_finding,
    json_holds_every_rule,
    sarif_holds_every_finding,
    junit_spells_findings_out,
    table_numbers_findings,
    table_is_plain_text,
    markdown_lists_findings,
    markdown_shows_data_as_text,
    page_has_an_article_a_finding,
    page_sums_every_rule_up,
    metrics_count_every_rule,
    dot_draws_every_edge,
    dot_names_every_node,
    svg_draws_every_edge,
    svg_lies_within_its_frame,
    same_twice,
)
