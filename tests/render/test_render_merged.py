"""What a merge says of itself: every number of its account, once, and nothing of what did not happen."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.render.merged import merged_text, preview_text
from mergeguard.render.text import visible
from mergeguard.resources.merged import WOULD_CIRCLE, ColumnMoves, Merged, Refusal

Texts = st.SearchStrategy[str]
OLD, NEW = guid(1), guid(2)
counts = st.integers(0, 3) | st.integers(1000, 10**7)
KINDS = ("re-pointed", "dropped as links to themselves", "dropped as older or equal", "most that are allowed")


@st.composite
def column_moves(draw: st.DrawFn) -> ColumnMoves:
    four = draw(st.tuples(counts, counts, counts, counts).filter(any))
    return ColumnMoves(sum(four), *four, replaced=draw(counts))


def numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


@given(moves=column_moves())
def test_of_a_column_every_row_is_accounted_for(moves: ColumnMoves) -> None:
    line = preview_text(Merged(OLD, NEW, OLD, NEW, columns={"Inv.Guid": moves})).splitlines()[1]
    four = (moves.changed, moves.dropped, moves.collapsed, moves.outnumbered)
    told = [count for count in four if count]
    assert line.startswith("Inv.Guid: ")
    assert numbers(line) == [moves.rows, *told, *([moves.replaced] if moves.replaced else [])]
    assert sum(told) == moves.rows
    assert [kind in line for kind in KINDS] == [count > 0 for count in four]
    assert ("of the other gave way" in line) == (moves.replaced > 0)


@given(lookup=counts, live=counts, hashes=counts, data=st.data())
def test_only_what_happened_is_told_and_each_thing_once(
    hostile_texts: Texts, lookup: int, live: int, hashes: int, data: st.DataObject
) -> None:
    notes = data.draw(st.lists(hostile_texts, max_size=3))
    done = Merged(
        OLD, NEW, OLD, NEW, run_id="r1", lookup_rows=lookup, live_rows=live, hashes_cleared=hashes, notes=tuple(notes)
    )
    effects = preview_text(done).splitlines()[1:-1]
    assert merged_text(done, "x.db").splitlines()[1:-1] == effects
    told = [
        (lookup, "of the lookup"),
        (live, "taken out of the live guids"),
        (hashes, "cleared"),
    ]
    happened = [(count, words) for count, words in told if count]
    for line, (count, words) in zip(effects, happened, strict=False):
        assert line.endswith(words)
        assert numbers(line) == [count]
    assert effects[len(happened) :] == [visible(note) for note in notes]


def test_a_merge_tells_its_roots_and_the_way_back_and_a_preview_writes_nothing() -> None:
    done = Merged(guid(7), guid(8), OLD, NEW, run_id="r1")
    assert merged_text(done, "x.db").splitlines() == [
        f"{OLD} is merged into {NEW}",
        "the way back: mergeguard undo x.db r1",
    ]
    again = Merged(guid(7), guid(8), OLD, NEW, run_id="r1", repeated=True)
    assert merged_text(again, "x.db").startswith(f"{OLD} is merged into {NEW} (this request was answered before)\n")
    assert preview_text(done).splitlines() == [f"no circle: {OLD} would be merged into {NEW}", "nothing was written"]


@pytest.mark.parametrize("reason", [*sorted(WOULD_CIRCLE), "split"])
@pytest.mark.parametrize("hint", [None, "mend\x1b it"])
def test_a_preview_that_is_refused_says_only_why(reason: str, hint: str | None) -> None:
    lines = preview_text(Merged(OLD, NEW, OLD, NEW, refused=Refusal(reason, "no\x1b", hint))).splitlines()
    circle = "close a circle" if reason in WOULD_CIRCLE else "be refused"
    assert lines == [f"it would {circle} ({reason}): no\\x1b", *([] if hint is None else ["  hint: mend\\x1b it"])]


def test_two_that_are_one_already_are_left_as_they_are() -> None:
    same = f"nothing to do: both are {NEW} already\n"
    assert merged_text(Merged(OLD, NEW, NEW, NEW, already=True), "x.db") == same
    assert preview_text(Merged(OLD, NEW, NEW, NEW, already=True)) == same
