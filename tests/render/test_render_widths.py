"""What is set for a terminal keeps to its width, for any letters that there are."""

from __future__ import annotations

import itertools
import re
import unicodedata

from hypothesis import assume, given
from hypothesis import strategies as st
from rich.cells import cell_len

from mergeguard.core.findings import Explanation, ScanReport
from mergeguard.render import render_explanation, render_scan
from mergeguard.render.paper import NARROWEST, Paper
from mergeguard.render.table import aligned
from mergeguard.render.text import columns, cut, fold, visible

COLOUR = re.compile(r"\x1b\[\d+m")
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"])
WORDS = st.text(LETTERS, min_size=1, max_size=12)
MIXED = st.text(st.sampled_from("ab漢字ｱÅe\u0301\u0308ﬀ한😀 "), max_size=30)


@given(st.text(LETTERS))
def test_columns_add_up_and_are_never_more_than_two_a_letter(text: str) -> None:
    assert columns(text) == sum(map(columns, text))
    assert 0 <= columns(text) <= 2 * len(text)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_ascii_takes_a_column_a_letter(text: str) -> None:
    assert columns(text) == len(text)


@given(st.characters(codec="utf-8"))
def test_columns_are_those_that_rich_counts_where_unicode_is_clear(char: str) -> None:
    """Where neither a combining mark nor an emoji's own rules are involved, both read the same table of Unicode's."""
    wide = unicodedata.east_asian_width(char)
    assume(char.isprintable() and unicodedata.category(char)[0] in "LNPS" and wide in ("Na", "H", "W", "F"))
    assume(unicodedata.category(char) != "Sk")
    assume(ord(char) < 0x1F000)
    assume(cell_len(char) > 0)  # the second half of a Korean syllable is drawn into the first
    assert columns(char) == cell_len(char)


@given(st.lists(WORDS, max_size=12), st.integers(1, 60), st.sampled_from(["", "  ", "        "]))
def test_a_folded_line_is_wider_than_the_page_only_where_one_word_is(words: list[str], width: int, indent: str) -> None:
    lines = fold(words, width, indent)
    assert [word for line in lines for word in line[len(indent) :].split(" ")] == words
    for line in lines:
        assert line.startswith(indent)
        assert columns(line) <= width or " " not in line[len(indent) :]
    # No line could have taken the first word of the next one.
    for line, following in itertools.pairwise(lines):
        first = following[len(indent) :].split(" ")[0]
        assert columns(line) + 1 + columns(first) > width


@given(st.lists(WORDS, min_size=1, max_size=8), st.integers(1, 60))
def test_a_folded_walk_reads_the_same_when_its_lines_are_joined(words: list[str], width: int) -> None:
    assume(not any("->" in word for word in words))
    lines = Paper(colour=False, width=width).walk(" -> ".join(words), "")
    assert " ".join(lines).split(" -> ") == words
    assert all(line.endswith(" ->") for line in lines[:-1])
    assert all(columns(line) <= width or " " not in line.removesuffix(" ->") for line in lines)


@given(MIXED, st.integers(10, 80), st.sampled_from(["  1. ", "- ", ""]))
def test_an_item_hangs_behind_its_mark(text: str, width: int, mark: str) -> None:
    first, *more = Paper(colour=False, width=width).item(mark, text)
    assert first.startswith(mark.rstrip())
    assert all(line.startswith(" " * len(mark)) for line in more)
    told = [first[len(mark) :], *(line[len(mark) :] for line in more)]
    assert "".join("".join(told).split(" ")) == "".join(text.split(" "))


@given(MIXED, st.sampled_from(["bold", "dim", "red", "yellow", "green"]), st.booleans())
def test_paint_changes_nothing_but_the_colour(text: str, style: str, colour: bool) -> None:
    painted = Paper(colour=colour, width=80).paint(text, "bold", style)
    assert COLOUR.sub("", painted) == text
    assert (painted != text) == (colour and bool(text))


@given(MIXED, st.integers(0, 40))
def test_cut_keeps_short_texts_and_never_exceeds_its_limit(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert (short == text) == (len(text) <= limit)
    assert len(short) <= max(limit, 3)


@given(st.lists(st.tuples(MIXED, MIXED, MIXED), max_size=6))
def test_aligned_cells_stand_below_each_other(rows: list[tuple[str, ...]]) -> None:
    heads = ("first", "second", "third")
    lines = aligned(rows, heads).split("\n")
    assert lines.pop() == ""
    places = [match.start() for match in re.finditer("-+", lines[1])]
    widths = [len(dashes) for dashes in lines[1].split("  ")]
    assert widths == [max(columns(each[at]) for each in [heads, *rows]) for at in range(3)]
    for row, line in zip([heads, *rows], [lines[0], *lines[2:]], strict=True):
        for place, cell in zip(places, row, strict=True):
            assert at_column(line, place).startswith(cell.rstrip()) or not cell.strip()
    assert all(line == line.rstrip() for line in lines)


def at_column(line: str, column: int) -> str:
    """What stands in a line from a column of the terminal on."""
    taken = 0
    for at, char in enumerate(line):
        if taken >= column:
            return line[at:]
        taken += columns(char)
    return ""


@given(st.data(), st.integers(0, 250))
def test_no_line_of_a_scan_is_wider_than_the_terminal_unless_a_word_is(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject, width: int
) -> None:
    report = data.draw(hostile_reports)
    fits = max(width, NARROWEST)
    names = {visible(label) for label in report.labels.values()}
    for line in render_scan(report, "table", width=width).split("\n"):
        if columns(line) > fits:
            # A text id is one word of a walk, blanks and all.
            assert unbreakable(line) or line.strip().removesuffix(" ->") in names, line


def unbreakable(line: str) -> bool:
    """Whether a line is one word behind its mark, or the heading of a rule, whose name nobody can foresee."""
    mark = re.match(r"\s*(\d+\. )?", line)
    assert mark is not None
    rest = line[mark.end() :]
    heading = re.search(r": (error|warning|info), [\d,]+ findings?( \(.*\))?$", line)
    return " " not in rest.rstrip().removesuffix(" ->") or bool(heading)


@given(st.data())
def test_a_story_is_set_in_a_hundred_columns(
    hostile_explanations: st.SearchStrategy[Explanation], data: st.DataObject
) -> None:
    explanation = data.draw(hostile_explanations)
    text = render_explanation(explanation, "table")
    told = text.split("\n\n")[0].split("\n")
    for line in told:
        assert columns(line) <= 100 or " " not in line.strip() or visible(explanation.label, 80) in line
