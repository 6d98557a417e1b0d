"""The story of a guid: status, current and depth are the lookup's, the path is a walk of the rows, the words fit."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import pytest
import rule_model
from case_targets import profile_of, write_csv
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid
from rule_model import DAY, Case

import mergeguard
from mergeguard.core import guids
from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_PICTURE, MAX_WITNESS, Explanation, Role
from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.table import MergeTable
from mergeguard.errors import GuidNotFound, UsageError
from mergeguard.integrity.explain import as_guid, explain
from mergeguard.storage.profile import Merge, Profile


def told(*numbers: tuple[int, int], about: int = 1, live: set[int] | None = None) -> Explanation:
    declared = None if live is None else frozenset(guid(number) for number in live)
    return explain(Case.of(*numbers, live=declared).facts(), guid(about))


@given(rule_model.cases().filter(lambda case: case.pairs), st.data())
def test_every_guid_is_explained_as_the_lookup_answers_it(case: Case, data: st.DataObject) -> None:
    facts = case.facts()
    asked = data.draw(st.sampled_from(sorted({node for pair in case.pairs for node in pair})))
    said = explain(facts, asked)
    assert (said.status, said.current, said.depth) == answer(case, asked)
    assert all(sentence.endswith(".") for sentence in said.story)
    assert [node.guid for node in said.picture.nodes if node.focus] == [asked]
    assert {(row.old, row.new) for row in said.rows} <= set(case.pairs)
    if asked in case.olds:
        assert said.path[0] == asked
        assert list(zip(said.path, said.path[1:], strict=False)) == [(row.old, row.new) for row in said.rows]
        assert said.current is None or said.path[-1] == said.current
    if asked in case.olds and said.status == "cycle":
        assert said.path[-1] in said.path[:-1]
        assert case.live is None or not case.live.intersection(said.path)


def answer(case: Case, asked: uuid.UUID) -> tuple[str, uuid.UUID | None, int | None]:
    if asked in case.olds:
        return case.answers[asked]
    if asked == TOMBSTONE:
        return "deleted", None, None
    return "ok" if case.live is None or asked in case.live else "dangling", asked, 0


def test_a_merged_guid_is_now_another_one() -> None:
    said = told((1, 2), (2, 3))
    assert said.story == (
        f"{guid(1)}: row 1 merges it into {guid(2)}.",
        f"It is now {guid(3)}, 2 merges away.",
    )
    assert told((1, 2)).story[1] == f"It is now {guid(2)}, 1 merge away."


def test_rows_are_told_with_their_times_and_many_are_cut_short() -> None:
    times = tuple(DAY + dt.timedelta(minutes=at) for at in range(7))
    case = Case.of(*((1, 2 + at) for at in range(7)), times=times)
    first = explain(case.facts(), guid(1)).story[0]
    assert first.startswith(f"{guid(1)}: row 1 merges it into {guid(2)} (2024-05-06 07:08); row 2 merges")
    assert first.endswith("(2024-05-06 07:12), and 2 more rows.")


def test_a_member_of_a_cycle_is_told_the_way_around_and_what_hangs_on_it() -> None:
    said = told((1, 2), (2, 1), (3, 1))
    around = " -> ".join(map(str, (*sorted((guid(1), guid(2))), min(guid(1), guid(2)))))
    assert said.story[1:] == (
        f"It lies on a cycle of 2 guids: {around}. Whoever follows it never arrives. 1 more guid leads into it.",
    )
    assert said.path == (guid(1), guid(2), guid(1))


def test_a_long_cycle_is_named_in_part() -> None:
    last = told(*((at, (at + 1) % 20) for at in range(20))).story[-1]
    first = str(min(guid(at) for at in range(20)))
    assert f" -> 14 more -> {first}. Whoever" in last
    assert last.count(" -> ") == 7


def test_in_a_component_of_many_cycles_the_one_shown_is_called_the_shortest() -> None:
    assert (
        "It is one of 4 guids on cycles, the shortest of them: "
        in told((1, 2), (2, 3), (3, 4), (4, 1), (2, 1)).story[-1]
    )


def test_a_guid_that_leads_into_a_cycle_is_told_so() -> None:
    said = told((1, 2), (2, 3), (3, 2))
    assert said.story[-1].startswith("From there the rows lead into a cycle")
    assert said.path == (guid(1), guid(2), guid(3), guid(2))


def test_a_guid_merged_into_itself_is_told_so() -> None:
    assert told((1, 1)).story[-1].startswith("One of its rows merges it into itself")


def test_the_walk_into_a_cycle_never_passes_a_live_guid() -> None:
    """1 leads to 2, which is live and on a cycle of its own, and to 3, whose cycle nothing ends."""
    for live in (2, 3):
        dead = 5 - live
        said = told((1, 2), (1, 3), (2, 4), (4, 2), (3, 5), (5, 3), live={live})
        assert said.path[:2] == (guid(1), guid(dead))
        assert said.status == "cycle"


def test_a_split_is_told_so() -> None:
    said = told((1, 2), (1, 3))
    assert said.story[-1] == "The rows lead to two guids or more, so nobody can say which one it is now."


def test_a_live_guid_with_a_merge_is_told_both() -> None:
    said = told((1, 2), (2, 1), live={1})
    assert (said.status, said.current, said.depth, said.path) == ("ok", guid(1), 0, (guid(1),))
    assert (
        said.story[1]
        == f"But {guid(1)} is live, so it is its own current guid: the merge is unfinished, or it came back."
    )
    assert said.story[2].startswith("It lies on a cycle of 2 guids")


def test_a_dead_end_is_told_from_both_sides() -> None:
    assert told((1, 2), live={9}).story[-1] == f"It leads to {guid(2)}, which is not live."
    said = told((1, 2), (3, 2), about=2, live={9})
    assert said.story == (
        f"No row merges {guid(2)} away: it is its own current guid.",
        "But it is not live: whatever leads to it is dangling.",
        "2 rows merge other guids into it.",
    )


def test_deleted_is_told_from_both_sides() -> None:
    facts = Facts(MergeTable.from_pairs([(guid(1), TOMBSTONE)]))
    assert explain(facts, guid(1)).story[-1] == "It was deleted and has no successor."
    said = explain(facts, TOMBSTONE)
    assert said.story[0] == "This is the tombstone: what the profile calls deleted."
    assert (said.label, said.status, said.current) == ("deleted", "deleted", None)


def test_a_current_that_thousands_are_merged_into_is_drawn_with_some_of_them() -> None:
    many = 2000
    said = told(*((10 + at, 1) for at in range(many)))
    assert said.picture.nodes[-1].guid == guid(1)
    assert (len(said.picture.nodes), said.picture.omitted) == (MAX_PICTURE, many + 1 - MAX_PICTURE)
    assert len(said.rows) == MAX_WITNESS
    assert said.picture.nodes[-1].role is Role.CURRENT


def test_a_chain_of_thousands_is_shown_in_part() -> None:
    said = told(*((at, at + 1) for at in range(3000)), about=0)
    assert (said.depth, len(said.rows)) == (3000, MAX_WITNESS)
    assert said.picture.omitted == 3001 - MAX_PICTURE


def test_a_guid_in_no_row_is_not_found(tmp_path: Path) -> None:
    case = Case.of((1, 2))
    with pytest.raises(GuidNotFound) as caught:
        mergeguard.explain(write_csv(case, tmp_path), guid(3), profile_of(case))
    assert str(guid(3)) in caught.value.message
    assert caught.value.hint is not None


@pytest.mark.parametrize("asked", ["", "  ", "abc", "zz" * 16])
def test_what_is_no_guid_is_a_mistake(asked: str) -> None:
    with pytest.raises(UsageError, match="is no guid"):
        as_guid(asked, Profile())


def test_text_ids_are_asked_for_by_their_text(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("OldGuid,NewGuid\nEurope/Kiev,Europe/Kyiv\n")
    said = mergeguard.explain(tmp_path / "m.csv", " Europe/Kiev ", Profile(merge=Merge(ids="text")))
    assert said.label == "Europe/Kiev"
    assert said.story[-1] == "It is now Europe/Kyiv, 1 merge away."
    assert said.labels == {guids.text_id(name): name for name in ("Europe/Kiev", "Europe/Kyiv")}
    assert as_guid(str(guid(1)).upper(), Profile(merge=Merge(ids="text"))) == guid(1)
