"""The report for people: safe in any terminal, and complete about what it leaves out."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import Explanation, ScanReport
from mergeguard.render import render_explanation, render_scan
from mergeguard.render.table import aligned
from mergeguard.render.text import columns

_COLOUR = re.compile(r"\x1b\[\d+m")


@given(st.data(), st.integers(0, 200))
def test_nothing_in_the_data_reaches_the_terminal_as_a_command(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject, width: int
) -> None:
    report = data.draw(hostile_reports)
    text = render_scan(report, "table", width=width)
    assert all(char == "\n" or char.isprintable() for char in text)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    coloured = render_scan(report, "table", colour=True, width=width)
    assert _COLOUR.sub("", coloured) == text


@given(st.data())
def test_nothing_in_a_story_reaches_the_terminal_as_a_command(
    hostile_explanations: st.SearchStrategy[Explanation], data: st.DataObject
) -> None:
    text = render_explanation(data.draw(hostile_explanations), "table")
    assert all(char == "\n" or char.isprintable() for char in text)


def test_a_windows_console_can_show_what_we_draw(report: ScanReport) -> None:
    assert render_scan(report, "table", colour=True).encode("cp1252").isascii()


def test_the_lines_fit_into_the_terminal(report: ScanReport) -> None:
    text = render_scan(report, "table", width=70)
    assert max(columns(line) for line in text.splitlines()) <= 70


def test_incomplete_is_said_loudly_and_first(report: ScanReport) -> None:
    lines = render_scan(replace(report, complete=False), "table", width=400).splitlines()
    assert lines[1].startswith("INCOMPLETE")
    assert lines[2].startswith("!! INCOMPLETE")


def test_long_lists_say_how_many_more_there_are(report: ScanReport) -> None:
    text = render_scan(report, "table")
    assert "  10. leads to a guid that is not live (9)\n" in text
    assert "(10)" not in text
    assert "  ... and 1,490 more\n" in text


@given(st.lists(st.tuples(st.text("ab漢"), st.text("ab漢"), st.text("ab"))))
def test_aligned_columns_begin_where_their_heads_begin(rows: list[tuple[str, ...]]) -> None:
    heads = ("one", "two", "three")
    lines = aligned(rows, heads).splitlines()
    assert len(lines) == len(rows) + 2
    first, second = (columns(dashes) for dashes in lines[1].split("  ")[:2])
    for (one, two, _), line in zip(rows, lines[2:], strict=True):
        assert line.startswith((one + " " * (first - columns(one)) + "  " + two).rstrip())
        assert columns(two) <= second
