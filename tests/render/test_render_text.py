"""Text from a database is shown, never obeyed."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.render.text import columns, cut, fold, sound, visible

ANY_TEXT = st.text(st.characters(codec=None))


@given(ANY_TEXT)
def test_visible_text_is_one_printable_line_that_encodes(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert shown.encode("utf-8")[:3] != b"\xef\xbb\xbf"
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs"} for char in shown)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
    assert sound(text) == text


def test_what_does_not_print_is_spelt_out() -> None:
    assert visible("a\x1b[31m\n\u202e\ud800") == "a\\x1b[31m\\n\\u202e\\ud800"
    assert visible(None) == "None"


@given(ANY_TEXT)
def test_sound_text_encodes_and_loses_surrogates_only(text: str) -> None:
    kept = sound(text)
    assert kept.encode("utf-8").decode("utf-8") == kept
    if not any(unicodedata.category(char) == "Cs" for char in text):
        assert kept == text


@given(ANY_TEXT, st.integers(3, 40))
def test_cut_text_fits_and_says_that_it_was_cut(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short) <= limit
    assert short == text or (short.endswith("...") and text.startswith(short[:-3]))


def test_wide_letters_take_two_columns_and_marks_none() -> None:
    assert [columns("abc"), columns("漢字"), columns("e\u0301")] == [3, 4, 1]


@given(st.lists(st.text("abcdef", min_size=1, max_size=12)), st.integers(10, 40), st.sampled_from(["", "  "]))
def test_folded_lines_hold_every_word_in_order_and_fit(words: list[str], width: int, indent: str) -> None:
    lines = fold(words, width, indent)
    assert " ".join(line[len(indent) :] for line in lines).split() == words
    assert all(line.startswith(indent) for line in lines)
    for line in lines:
        assert len(line) <= width or len(line.split()) == 1


def test_a_walk_keeps_its_arrow_at_the_end_of_a_line() -> None:
    assert fold(["aaaa", "bbbb", "cccc"], 15, "", gap=" -> ") == ["aaaa -> bbbb ->", "cccc"]
    assert fold(["aaaa", "bbbb", "cccc"], 14, "", gap=" -> ") == ["aaaa ->", "bbbb -> cccc"]
