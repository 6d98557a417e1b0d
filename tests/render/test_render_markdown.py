"""Markdown, read back by a CommonMark parser: data never become markup, links or lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mergeguard.core.findings import Explanation, ScanReport
from mergeguard.render import render_explanation, render_scan
from mergeguard.render.markdown import code, prose
from mergeguard.render.text import visible

READER = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
_OURS = {"text", "code_inline", "strong_open", "strong_close", "softbreak"}


def _inline(tokens: list[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or ()]


def _text(tokens: list[Token]) -> str:
    return "".join(token.content for token in _inline(tokens))


@given(st.data())
def test_no_text_of_a_report_becomes_markup(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    tokens = READER.parse(render_scan(report, "markdown"))
    assert {token.type for token in _inline(tokens)} <= _OURS
    assert not {"html_block", "fence", "code_block", "hr", "ordered_list_open"} & {token.type for token in tokens}
    headings = sum(token.type == "heading_open" for token in tokens)
    found = sum(outcome.count > 0 and outcome.not_checked is None for outcome in report.outcomes)
    left_out = any(outcome.not_checked is not None for outcome in report.outcomes)
    assert headings == 2 + found + left_out + any(report.depths)
    rows = sum(token.type == "tr_open" for token in tokens)
    assert rows >= 1 + len(report.outcomes)


@given(st.data())
def test_no_text_of_a_story_becomes_markup(
    hostile_explanations: st.SearchStrategy[Explanation], data: st.DataObject
) -> None:
    explanation = data.draw(hostile_explanations)
    tokens = READER.parse(render_explanation(explanation, "markdown"))
    assert {token.type for token in _inline(tokens)} <= _OURS
    assert sum(token.type == "heading_open" for token in tokens) == 1
    assert not {"html_block", "fence", "code_block", "hr", "ordered_list_open"} & {token.type for token in tokens}


@given(st.text(st.characters(codec=None)))
def test_prose_shows_the_text_itself(text: str) -> None:
    tokens = READER.parse(prose(text))
    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}
    assert {token.type for token in _inline(tokens)} <= {"text"}
    assert _text(tokens).strip() == visible(text).strip()


@pytest.mark.parametrize(
    "text",
    ["# a", "#", "- a", "+ a", "* a", "1. a", "12) a", "===", "---", "    a", "> a", "~~~", "```", "[a]: b", "|a|"],
)
def test_prose_begins_no_block(text: str) -> None:
    for source in (prose(text), f"word\n{prose(text)}"):
        assert [token.type for token in READER.parse(source)] == ["paragraph_open", "inline", "paragraph_close"]


@given(st.text(st.sampled_from("|\\`*_ a"), max_size=12))
def test_prose_stays_in_its_cell(text: str) -> None:
    tokens = READER.parse(f"| a | b |\n|---|---|\n| {prose(text)} | x |")
    assert sum(token.type == "td_open" for token in tokens) == 2
    cells = [token.content for token in tokens if token.type == "inline"]
    assert cells[-1] == "x"
    assert _text(tokens).replace(" ", "") == f"ab{text}x".replace(" ", "")


@given(st.text(st.characters(codec=None), min_size=1))
def test_code_shows_the_text_itself(text: str) -> None:
    (span,) = _inline(READER.parse(f"label {code(text)}"))[1:]
    assert span.type == "code_inline"
    assert span.content.strip() == visible(text).strip()
    assert "\n" not in code(text)


def test_a_bare_address_is_not_linked() -> None:
    assert "://" not in prose("see https://example.org and http://example.org")
    assert "www." not in prose("see www.example.org")
    assert "@" not in prose("ask somebody@example.org")
