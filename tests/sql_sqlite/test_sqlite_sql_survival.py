"""References move by SQL as they do by Python: what stays, what goes, what is cleared, the account; and back again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from hashed_world import WHOLE
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlite_sides import HASHED, KNOWN, MERGES, Rows, Side, starts

from mergeguard.integrity.lookup import verify_lookup
from mergeguard.storage.profile import Profile

UNDATED = replace(HASHED, hashes=HASHED.hashes and replace(HASHED.hashes, time=None, order=None))
SWAPPED = replace(HASHED, merge=replace(HASHED.merge, byte_order="sqlserver"))
SOME = ("Merges", "Alive", "Evt", "Inv_One", "Links", "Sums", "Whole", "Packed", "Keyed", "Managed", "LinkKinds")
"""Tables whose guids are bytes where those of merges are; in the others they are texts even so."""
Pair = tuple[Side, Side]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Pair]]:
    """Files to be merged in by Python and by SQL: usual ones, of another encoding, without a time of loads."""
    folder = tmp_path_factory.mktemp("survival")
    kinds: tuple[tuple[str, str, Profile, tuple[str, ...]], ...] = (
        ("usual", "UTF-8", HASHED, ()),
        ("wide", "UTF-16le", HASHED, ()),
        ("undated", "UTF-8", UNDATED, ()),
        ("packed", "UTF-8", HASHED, SOME),
        ("swapped", "UTF-16be", SWAPPED, (*SOME, "Inv_Many", "Pairs", "Banned", "Numbered", "Catalogue", "Kinds")),
    )
    with ExitStack() as opened:
        yield [
            (
                opened.enter_context(closing(Side(folder / f"{name} python.db", encoding, profile, packed))),
                opened.enter_context(closing(Side(folder / f"{name} sql.db", encoding, profile, packed))),
            )
            for name, encoding, profile, packed in kinds
        ]


@settings(max_examples=max(11, settings.default.max_examples // 8))
@given(rows=starts(), merges=MERGES, kind=st.sampled_from([0, 0, 1, 2, 3, 4]))
def test_references_survive_as_they_do_in_python_and_go_back(
    pairs: list[Pair], rows: Rows, merges: list[tuple[uuid.UUID, uuid.UUID]], kind: int
) -> None:
    by_python, by_sql = pairs[kind]
    for side in pairs[kind]:
        side.begin(rows)
    before = by_sql.rows()
    for number, pair in enumerate(merges):
        told = by_sql.sql(*pair, f"r{number}")
        event(told if isinstance(told, str) else "merged")
        assert told == by_python.python(*pair, f"r{number}")
    assert by_sql.journal() == by_python.journal()
    assert by_sql.rows() == by_python.rows()
    for one, other in zip(by_sql.runs(), by_python.runs(), strict=True):
        assert by_sql.sql_back(one) == by_python.python_back(other) == "back"
    assert by_sql.journal() == by_python.journal()
    assert by_sql.rows() == by_python.rows() == before


def test_rows_that_are_not_touched_after_all_leave_nothing_behind(pairs: list[Pair]) -> None:
    """The new root alone has rows that a merge reads, and the hash of a third guid is cleared."""
    _, side = pairs[0]
    old, new, third = map(str, KNOWN[:3])
    moved = {"Whole": [(third, old, "x")], "Sums": [(str(WHOLE), third, "h", None, None)]}
    side.begin({"Numbered": [(new, "x", None, None), (new, "y", None, None)], **moved})
    answer = side.sql(KNOWN[0], KNOWN[1], "r")
    assert answer["hashes_cleared"] == 1
    assert list(answer["columns"]) == ["Whole.Friend"]


@settings(max_examples=max(12, settings.default.max_examples // 8))
@given(
    st.lists(st.tuples(st.sampled_from(KNOWN), st.sampled_from(KNOWN)), max_size=3),
    st.lists(st.sampled_from(KNOWN), unique=True, min_size=2),
    st.text("cccp", min_size=5, max_size=5),
    st.lists(st.tuples(st.sampled_from(KNOWN), st.sampled_from(KNOWN)), max_size=1),
    MERGES,
    st.sampled_from([3, 4]),
)
def test_guids_of_bytes_are_refused_as_python_refuses_them(
    pairs: list[Pair],
    rows: list[tuple[uuid.UUID, uuid.UUID]],
    live: list[uuid.UUID],
    kinds: str,
    never: list[tuple[uuid.UUID, uuid.UUID]],
    merges: list[tuple[uuid.UUID, uuid.UUID]],
    kind: int,
) -> None:
    typed = [(str(each), said) for each, said in zip(KNOWN, kinds, strict=True)]
    found = [(str(old), str(new), None, None) for old, new in rows]
    for side in pairs[kind]:
        side.begin({"Alive": [(str(each),) for each in live], "Kinds": typed, "Merges": found})
        side.connection.execute("INSERT INTO mergeguard_rebuild_lookup DEFAULT VALUES")
        assert verify_lookup(side.source, side.profile).drift == 0
        for one, other in never:
            side.connection.execute("INSERT INTO mergeguard_never_pairs VALUES (?, ?, '', '')", [str(one), str(other)])
    by_python, by_sql = pairs[kind]
    for number, (old, new) in enumerate(merges):
        told = by_sql.sql(old, new, f"r{number}")
        event(told if isinstance(told, str) else "merged")
        assert told == by_python.python(old, new, f"r{number}")
    assert by_sql.rows() == by_python.rows()
    for side in pairs[kind]:
        side.connection.execute("DELETE FROM mergeguard_never_pairs")
        assert side.connection.execute("SELECT count(*) FROM mergeguard_never").fetchone() == (0,)


# What the tests of bytes are worth: each planted mistake makes the story come out other than Python's.

STORY = [(0, 1), (1, 2), (2, 0), (3, 0), (0, 4), (4, 0)]
MISTAKES: dict[str, tuple[str, str, str]] = {
    "rows of bytes are not walked": (
        "merge",
        "rows.old_text IN (\n                walk",
        "'' IN (\n                walk",
    ),
    "cells of bytes are not asked for": ("merge", "walk.cell)", "NULL)"),
    "roots are asked for as texts": ("ask", "FROM byte WHERE at = 33", "FROM byte WHERE at = 32"),
    "the order of the bytes is that of texts": ("ask", "(SELECT swapped FROM mergeguard_places)", "0"),
    "rows of the lookup are not found": (
        "merge",
        "said.old_cell IN (walked.guid,",
        "said.old_cell IN (NULL, walked.guid ||",
    ),
    "what is written is a text": ("merge", "typeof(like_this) = 'blob'", "0"),
    "the class stays behind": ("lookup_rows_update", "OLD.old_cell", "OLD.old_guid"),
}


@pytest.mark.parametrize("mistake", [None, *MISTAKES])
def test_a_planted_mistake_about_bytes_is_noticed(pairs: list[Pair], mistake: str | None) -> None:
    by_python, by_sql = pairs[4]
    name, found, planted = MISTAKES.get(mistake or "", ("merge", "", ""))
    asked = "SELECT sql FROM sqlite_master WHERE name IN (?, ?)"
    trigger = (f"mergeguard_{name}_insert", f"mergeguard_{name}")
    ((right,),) = by_sql.connection.execute(f"{asked} AND type = 'trigger'", trigger).fetchall()
    assert found in right
    drop = f"DROP TRIGGER {right.split()[2]}"
    for side in pairs[4]:
        side.begin({"Evt": [(str(KNOWN[0]), "x")]})
    for text in (drop, right.replace(found, planted) if found else right):
        by_sql.connection.execute(text)
    try:
        story = [(KNOWN[old], KNOWN[new], f"r{number}") for number, (old, new) in enumerate(STORY)]
        same = all(by_sql.sql(*one) == by_python.python(*one) for one in story)
    finally:
        for text in (drop, right):
            by_sql.connection.execute(text)
    same = same and by_sql.rows() == by_python.rows()
    assert same == (mistake is None)
