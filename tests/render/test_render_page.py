"""The HTML page and the SVG drawings: self-contained, well formed, and deaf to what the data say."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import Explanation, Finding, Outcome, Picture, ScanReport, Severity
from mergeguard.render import render_explanation, render_scan
from mergeguard.render.gallery import MAX_PICTURES, drawn
from mergeguard.render.roles import LOOKS, role_word, short_name
from mergeguard.render.text import visible

SVG = "{http://www.w3.org/2000/svg}"
_VOID = {"meta"}
_TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section",
    "article", "p", "h1", "h2", "h3", "span", "strong", "code", "dl", "div",
    "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "a", "ul",
    "li", "svg", "g", "path", "rect", "text", "desc",
}  # fmt: skip


class _Page(HTMLParser):
    """Reads a page strictly: every element closed where it must be, none that we do not write."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")


def _xml(text: str) -> ET.Element:
    return ET.fromstring(text.encode())  # noqa: S314 - our own output


@given(st.data())
def test_any_report_is_a_well_formed_page(hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject) -> None:
    report = data.draw(hostile_reports)
    text = render_scan(report, "html")
    page = _Page(text)
    _xml("<body" + text.split("<body", 1)[1].removesuffix("</html>\n"))
    names = {name for _, name, _ in page.attributes}
    assert not any(name.startswith("on") for name in names)
    assert not {"src", "srcset", "action", "data", "xlink:href"} & names
    links = [value for _, name, value in page.attributes if name == "href"]
    assert all(re.fullmatch(r"#rule-[A-Za-z0-9-]*", link or "") for link in links)
    for outcome in report.outcomes:
        for finding in outcome.findings:
            assert visible(finding.message) in page.texts or not finding.message


@given(st.data())
def test_any_report_is_a_well_formed_drawing(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    root = _xml(render_scan(report, "svg"))
    assert root.tag == f"{SVG}svg"
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg", "style", "title", "desc", "g", "path", "rect", "text",
    }  # fmt: skip
    frames, _ = drawn(report)
    nodes = [node for frame in frames for node in frame.picture.nodes]
    assert [each.text or "" for each in root.iter(f"{SVG}text") if each.get("class") == "mg-name"] == [
        short_name(node, 22) for node in nodes
    ]
    assert [each.text for each in root.iter(f"{SVG}text") if each.get("class") == "mg-role"] == [
        role_word(node) for node in nodes
    ]


@given(st.data())
def test_any_explanation_is_a_well_formed_drawing(
    hostile_explanations: st.SearchStrategy[Explanation], data: st.DataObject
) -> None:
    explanation = data.draw(hostile_explanations)
    root = _xml(render_explanation(explanation, "svg"))
    heads = [each for each in root.iter(f"{SVG}path") if "mg-head" in (each.get("class") or "")]
    here = {node.guid for node in explanation.picture.nodes}
    assert len(heads) == sum(old in here and new in here for old, new in explanation.picture.edges)
    assert (root.findtext(f"{SVG}title"), root.get("role")) != (None, None)


def test_the_page_asks_nothing_of_anybody(report: ScanReport) -> None:
    text = render_scan(report, "html")
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert re.findall(r"https?://[^\s\"<]*", text) == ["http://www.w3.org/2000/svg"] * text.count("<svg")


def test_the_page_is_for_light_and_dark_and_paper(report: ScanReport) -> None:
    text = render_scan(report, "html")
    assert "prefers-color-scheme" in text
    assert "@media print" in text
    assert '<html lang="en">' in text


def test_incomplete_and_not_checked_are_on_the_page(report: ScanReport) -> None:
    texts = _Page(render_scan(replace(report, complete=False), "html")).texts
    assert any(text.startswith("Incomplete:") for text in texts)
    assert ": the profile names no types" in texts
    assert "not checked" in texts


def test_only_so_many_pictures_are_drawn(report: ScanReport, picture: Picture) -> None:
    many = tuple(Finding("MG001", Severity.ERROR, f"{n}", f"{n}", picture=picture) for n in range(MAX_PICTURES + 3))
    rules = tuple(Outcome(rule, "cycle", Severity.ERROR, len(many), many) for rule in ("MG001", "MG002"))
    wide = replace(report, outcomes=rules, depths=())
    assert render_scan(wide, "html").count("<svg") == MAX_PICTURES
    left = f"{MAX_PICTURES + 6} more pictures not drawn"
    assert left in render_scan(wide, "svg")
    assert left in render_scan(wide, "dot")


def test_a_scan_without_pictures_says_so(report: ScanReport) -> None:
    assert "No finding has a picture." in render_scan(replace(report, outcomes=()), "svg")


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_on_every_role_can_be_read_and_every_line_seen() -> None:
    for look in LOOKS.values():
        assert _contrast("#15191e", look.light[0]) >= 7
        assert _contrast("#e8ecf1", look.dark[0]) >= 7
        assert _contrast("#ffffff", look.light[1]) >= 3
        assert _contrast("#14181d", look.dark[1]) >= 3


def test_no_two_roles_share_word_and_shape() -> None:
    assert len({look.word for look in LOOKS.values()}) == len(LOOKS)
    assert len({(look.dot_shape, look.dot_style) for look in LOOKS.values()}) == len(LOOKS)
