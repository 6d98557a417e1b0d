"""Names without a joint are cut into known words: as a search through all cuts says, and however long they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.integrity import naming

PIECES = st.sampled_from(
    ["row", "id", "rowid", "uid", "guid", "merge", "merged", "no", "on", "into", "to", "x", "d", "er"]
)


def cuts(word: str) -> list[str] | None:
    """The cut with the longest word first, of those that explain all, by trying every one."""
    for end in range(len(word), 1, -1):
        rest = [] if end == len(word) else cuts(word[end:])
        if word[:end] in naming._VOCABULARY and rest is not None:
            return [word[:end], *rest]
    return None


@given(st.lists(PIECES, min_size=1, max_size=5).map("".join))
def test_a_glued_name_is_cut_as_a_search_through_all_cuts_says(word: str) -> None:
    assert naming.words(word) == tuple(cuts(word) or [word])


@given(
    st.sampled_from(["rowid", "id", "guid", "mergeid", "x"]), st.sampled_from(["", "x", "zz"]), st.integers(26, 1500)
)
def test_a_name_of_any_length_is_cut(piece: str, tail: str, times: int) -> None:
    """A search through all cuts of 26 times ``rowid`` and an ``x`` has 2**26 ways to fail."""
    name = piece * times + tail
    assert "".join(naming.words(name)) == name
    if piece != "x":
        words = 1 if tail else times * (2 if piece == "mergeid" else 1)
        assert len(naming.words(name)) == words


def test_a_table_that_is_named_by_thousands_of_letters_is_scored() -> None:
    assert naming.merge_table("merge" * 5000) == 1.0
    assert naming.identity_column("id" * 5000, "merge" * 5000)
