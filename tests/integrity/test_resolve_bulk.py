"""Resolving answers every guid in the order asked, in any spelling, known or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import rule_model
from case_targets import in_any_spelling, profile_of, write_csv
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid
from rule_model import Case

import mergeguard
from mergeguard.core.guids import TOMBSTONE, text_id
from mergeguard.core.table import MergeTable
from mergeguard.integrity.resolve import resolve
from mergeguard.storage.profile import Merge, Profile

NONSENSE = ["", "abc", "{" + "0" * 32, "not-a-guid", "ß" * 32]


@given(rule_model.cases(), st.data())
def test_every_guid_is_answered_as_the_model_answers_it(case: Case, data: st.DataObject) -> None:
    known = sorted({node for pair in case.pairs for node in pair} | {guid(99), guid(98), TOMBSTONE})
    asked = data.draw(st.lists(st.sampled_from(known), max_size=20))
    found = resolve(case.facts(), map(in_any_spelling, asked))
    assert [answer.guid for answer in found] == asked
    for answer in found:
        assert answer.guid is not None
        assert (answer.status, answer.current, answer.depth) == expected(case, answer.guid)
        assert answer.settled == (answer.status in {"ok", "deleted"})


def expected(case: Case, asked: object) -> tuple[object, ...]:
    if asked in case.olds:
        return case.answers[asked]  # type: ignore[index]
    if asked == TOMBSTONE:
        return "deleted", None, None
    return ("ok" if case.live is None or asked in case.live else "dangling"), asked, 0


@given(st.lists(st.sampled_from([*NONSENSE, str(guid(1)), str(guid(2))]), max_size=9))
def test_what_is_no_guid_is_answered_in_its_place(asked: list[str]) -> None:
    found = resolve(Case.of((1, 2)).facts(), asked)
    assert [answer.asked for answer in found] == asked
    for answer in found:
        assert (answer.status == "malformed") == (answer.asked in NONSENSE) == (answer.guid is None)
        assert answer.settled == (answer.asked not in NONSENSE)
        assert answer.current == (None if answer.asked in NONSENSE else guid(2))


def test_dead_deleted_and_looping_guids_have_their_own_answers() -> None:
    pairs = ((guid(1), guid(2)), (guid(3), TOMBSTONE), (guid(4), guid(4)), (guid(5), guid(6)), (guid(5), guid(7)))
    case = Case(pairs, (1, 2, 3, 4, 5), live=frozenset({guid(8)}))
    found = resolve(case.facts(), [str(guid(at)) for at in (1, 2, 3, 4, 5, 8)])
    assert [(answer.status, answer.current, answer.depth) for answer in found] == [
        ("dangling", guid(2), 1),
        ("dangling", guid(2), 0),
        ("deleted", None, None),
        ("cycle", None, None),
        ("split", None, None),
        ("ok", guid(8), 0),
    ]


def test_an_empty_table_leaves_every_guid_as_it_is() -> None:
    (answer,) = resolve(rule_model.Facts(MergeTable.from_pairs([])), [str(guid(1))])
    assert (answer.current, answer.depth, answer.status) == (guid(1), 0, "ok")
    assert resolve(Case.of((1, 2)).facts(), []) == []


def test_through_a_target_with_objects_and_texts(tmp_path: Path) -> None:
    case = Case.of((1, 2), (2, 3))
    found = mergeguard.resolve(write_csv(case, tmp_path), [guid(1), str(guid(2)), "x"], profile_of(case))
    assert [(answer.current, answer.status) for answer in found] == [
        (guid(3), "ok"),
        (guid(3), "ok"),
        (None, "malformed"),
    ]


@pytest.mark.parametrize("asked", ["a", " a "])
def test_text_ids_are_resolved_by_their_text(asked: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("OldGuid,NewGuid\na,b\n")
    text = Profile(merge=Merge(ids="text"))
    (answer, blank) = mergeguard.resolve(tmp_path / "m.csv", [asked, " "], text)
    assert (answer.asked, answer.guid, answer.current) == (asked, text_id("a"), text_id("b"))
    assert blank.status == "malformed"
