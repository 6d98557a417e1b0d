"""What each kind of evidence says, alone and beside others: one table a kind, and the policy that weighs them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from merge_model import guid
from repair_model import BEGIN, DECLARED, Run, Sick

from mergeguard.core.guids import EMPTY, TOMBSTONE
from mergeguard.core.repair.component import Component
from mergeguard.core.repair.conflicts import LARGE
from mergeguard.core.repair.evidence import Confidence, Evidence, Override, Policy, ReadFrom

MEDIUM = Policy(accept_medium=True)
ANYTHING = Policy(allow_arbitrary=True)
NOTHING = ReadFrom()
DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
HELD = {"references": {"Inv.Guid": 12}}
MUCH = {"references": {"Inv.Guid": 400}}
HEARD = {"last_contact": BEGIN}
ABROAD = {"owner": "NS2"}
PAIR = ((1, 2), (2, 1))
"""The newest row, by id, leads to 1."""
SMALLER, LARGER = sorted((1, 2), key=guid)


def only(sick: Sick) -> Component:
    (component,) = Run.of(sick).components
    return component


def ring(*, known: dict[int, dict[str, Any]] | None = None, **more: Any) -> Component:
    return only(Sick.of(*PAIR, known=known, **{"read_from": NOTHING, **more}))


def said(component: Component) -> dict[str, Any]:
    return {vote.evidence.value: vote.survivor for vote in component.votes}


@pytest.mark.parametrize(
    ("live", "survivor"), [({1}, 1), ({2}, 2), ({1, 2}, None), (set(), None)], ids=["one", "other", "both", "none"]
)
def test_e1_the_only_live_one_survives_for_certain(live: set[int], survivor: int | None) -> None:
    component = ring(live=live)
    assert component.survivor == (survivor and guid(survivor))
    assert component.confidence == (Confidence.CERTAIN if survivor else None)


def test_e1_is_silent_where_not_all_are_known() -> None:
    assert ring(known={1: {"live": True}}).refused
    assert ring(known={1: {"live": True}, 2: {"live": False}}).survivor == guid(1)


def test_e1_alone_suffices_against_everything_else() -> None:
    others = {2: {**MUCH, **ABROAD, "last_contact": BEGIN + DAY}}
    component = ring(live={1}, known=others, read_from=DECLARED, policy=MEDIUM)
    assert (component.survivor, component.confidence) == (guid(1), Confidence.CERTAIN)
    assert said(component) == {"E1": guid(1), "E3": guid(1), "E4": guid(2), "E5": guid(2), "E6": guid(2)}


@pytest.mark.parametrize(
    ("known", "survivor"),
    [
        ({2: {"keys": 1}}, 2),
        ({2: HELD}, 2),
        ({1: {"keys": 3}}, 1),
        ({1: {"keys": 1}, 2: {"keys": 1}}, None),
        ({1: HELD, 2: {"keys": 1}}, None),
        ({2: {"keys": 0, "references": {}}}, None),
        ({}, None),
    ],
)
def test_e2_the_live_one_that_still_holds_rows_survives(known: dict[int, dict[str, Any]], survivor: int | None) -> None:
    component = ring(live={1, 2}, known=known)
    assert component.survivor == (survivor and guid(survivor))
    assert component.confidence == (Confidence.STRONG if survivor else None)


@pytest.mark.parametrize(
    ("held", "words", "read_from"),
    [
        ({"keys": 1}, "1 key", "ResourceKey.Guid"),
        ({"keys": 3}, "3 keys", "ResourceKey.Guid"),
        ({"references": {"Inv.Guid": 1}}, "1 reference", "Inv.Guid"),
        ({"keys": 2, **HELD}, "2 keys and 12 references", "ResourceKey.Guid, Inv.Guid"),
    ],
)
def test_e2_says_what_is_held_and_where_it_was_read(held: dict[str, Any], words: str, read_from: str) -> None:
    component = ring(live={1, 2}, known={2: held}, read_from=replace(DECLARED, row_id=None, time=None))
    [vote] = [vote for vote in component.votes if vote.evidence is Evidence.UNFINISHED]
    assert vote.why == f"live and still holds {words}: its merge was never finished"
    assert vote.read_from == read_from


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (((1, 1),), "1 row that merge a guid into itself"),
        (((1, 1), (1, 1)), "2 rows that merge a guid into itself"),
        (((1, 2), (1, 2)), "1 copy of an older row"),
        (((1, 2), (1, 2), (1, 2), (1, 1)), "1 row that merge a guid into itself and 2 copies of an older row"),
    ],
)
def test_e0_says_what_is_taken_out(rows: tuple[tuple[int, int], ...], words: str) -> None:
    component = only(Sick.of(*rows))
    assert component.why == f"{words} (E0)"


def test_e2_is_no_evidence_of_a_dead_one() -> None:
    assert "E2" not in said(ring(live=set(), known={1: HELD}))
    assert "E2" not in said(ring(known={1: HELD}))


def test_e2_rules_out_who_holds_nothing_even_where_it_does_not_choose() -> None:
    rows, three = ((1, 2), (3, 1), (2, 3)), {1, 2, 3}
    held = {1: HELD, 2: HELD}
    component = only(Sick.of(*rows, live=three, known=held))
    assert component.refused is not None
    assert "contradiction" in component.refused  # the newest row leads to 3, which holds nothing
    again = only(Sick.of(*rows[1:], rows[0], live=three, known=held))
    assert again.survivor == guid(2)
    assert sorted(again.notes) == sorted(
        [
            f"the merge must be completed: 12 rows still hold {guid(1)}",
            f"the merge must be completed: {guid(3)} is still live",
        ]
    )


@pytest.mark.parametrize(
    ("ids", "after", "survivor"),
    [
        ("Merge.Id", None, 1),
        (None, None, None),
        (None, DAY, 1),
        (None, -DAY, 2),
        (None, MINUTE, None),
        (None, 5 * MINUTE, None),
        (None, 6 * MINUTE, 1),
        ("Merge.Id", DAY, 1),
        ("Merge.Id", -DAY, None),
        ("Merge.Id", -MINUTE, 1),
    ],
)
def test_e3_the_newest_row_by_declared_id_or_time(
    ids: str | None, after: dt.timedelta | None, survivor: int | None
) -> None:
    """``after``: how much later the second row, which leads to 1, is than the first."""
    times = None if after is None else (BEGIN, BEGIN + after)
    component = ring(times=times, read_from=ReadFrom(row_id=ids, time="Merge.Time" if times else None))
    assert component.survivor == (survivor and guid(survivor))
    assert component.confidence == (Confidence.STRONG if survivor else None)


def test_e3_times_that_are_not_declared_and_text_ids_are_no_order() -> None:
    assert ring(times=(BEGIN, BEGIN + DAY)).refused
    sick = Sick.of(*PAIR)
    assert only(replace(sick, row_ids=("a", "b"))).refused  # type: ignore[arg-type]


def test_e3_a_row_without_a_time_may_be_the_newest() -> None:
    assert ring(times=(BEGIN, None), read_from=ReadFrom(time="Merge.Time")).refused


def test_e3_ids_and_times_that_disagree_are_a_contradiction_unless_liveness_decides() -> None:
    late_first = {"times": (BEGIN + DAY, BEGIN), "read_from": DECLARED}
    for policy in (Policy(), ANYTHING):
        component = ring(**late_first, policy=policy)
        assert component.refused is not None
        assert "contradicts itself" in component.refused
    assert ring(**late_first, live={2}).survivor == guid(2)


def test_e3_copies_say_it_again() -> None:
    """There, back, and there again: the last word counts, and of the copies the oldest stays."""
    component = only(Sick.of((1, 2), (2, 1), (1, 2)))
    assert component.survivor == guid(2)
    assert component.retire == (1, 2)


def test_e3_in_a_knot_each_old_follows_its_newest_row() -> None:
    way_out_wins = only(Sick.of((2, 1), (2, 9), (1, 2)))
    assert way_out_wins.survivor == guid(9)
    assert way_out_wins.retire == (0,)
    way_back_wins = only(Sick.of((2, 9), (2, 1), (1, 2)))
    assert way_back_wins.survivor == guid(2)
    assert way_back_wins.retire == (0, 1)


def test_e3_newest_rows_that_lead_to_two_ends_decide_nothing() -> None:
    two_rings = ((1, 3), (3, 1), (1, 2), (2, 1), (3, 4), (4, 3))
    assert only(Sick.of(*two_rings)).refused
    assert only(Sick.of(*two_rings, live={4})).survivor == guid(4)


@pytest.mark.parametrize(
    ("known", "read_from", "speaks_for"),
    [
        ({1: ABROAD, 2: {"owner": "NS1"}}, DECLARED, 1),
        ({1: ABROAD}, DECLARED, 1),
        ({1: ABROAD, 2: {"owner": "NS3"}}, DECLARED, None),
        ({1: {"owner": "NS1"}, 2: {"owner": "NS1"}}, DECLARED, None),
        ({1: ABROAD}, replace(DECLARED, here=None), None),
        ({1: ABROAD}, replace(DECLARED, owner=None), None),
    ],
)
def test_e4_the_only_one_of_another_server(
    known: dict[int, dict[str, Any]], read_from: ReadFrom, speaks_for: int | None
) -> None:
    assert said(ring(known=known, read_from=replace(read_from, row_id=None))).get("E4") == (
        speaks_for and guid(speaks_for)
    )


@pytest.mark.parametrize(
    ("one", "two", "speaks_for"),
    [(95, 5, 1), (94, 6, None), (10, 0, 1), (9, 0, None), (0, 200, 2), (0, 0, None)],
)
def test_e5_nearly_all_references(one: int, two: int, speaks_for: int | None) -> None:
    known = {1: {"references": {"Inv.Guid": one // 2, "Fk.Guid": one - one // 2}}, 2: {"references": {"Fk.Guid": two}}}
    assert said(ring(known=known)).get("E5") == (speaks_for and guid(speaks_for))


@pytest.mark.parametrize(
    ("one", "two", "speaks_for"),
    [(BEGIN, None, 1), (BEGIN, BEGIN + DAY, 2), (BEGIN, BEGIN + 5 * MINUTE, None), (None, None, None)],
)
def test_e6_heard_of_last(one: dt.datetime | None, two: dt.datetime | None, speaks_for: int | None) -> None:
    known = {1: {"last_contact": one}, 2: {"last_contact": two}}
    assert said(ring(known=known)).get("E6") == (speaks_for and guid(speaks_for))


def test_e6_says_where_it_was_read() -> None:
    for contact, told in (("Inv.LastSeen", "Inv.LastSeen"), (None, "last contact")):
        [vote] = ring(known={1: HEARD}, read_from=ReadFrom(contact=contact)).votes
        assert (vote.evidence, vote.read_from) == (Evidence.CONTACT, told)


def test_e7_the_first_in_text_order_and_only_where_it_is_allowed() -> None:
    assert ring().refused
    component = ring(policy=ANYTHING)
    assert (component.survivor, component.confidence) == (guid(SMALLER), Confidence.ARBITRARY)
    assert [vote.evidence for vote in component.votes] == [Evidence.TOTAL_ORDER]


def test_e7_never_chooses_whom_the_evidence_rules_out() -> None:
    rows = ((1, 2), (2, 3), (3, 1))
    first = min((1, 2, 3), key=guid)
    others = {1, 2, 3} - {first}
    component = only(Sick.of(*rows, live=others, read_from=NOTHING, policy=ANYTHING))
    assert component.survivor == min(map(guid, others))
    empty = Sick((((guid(1), EMPTY)), (EMPTY, guid(1))), (1, 2), policy=ANYTHING)
    assert only(empty).survivor == guid(1)
    gone = Sick(((guid(1), guid(2)), (guid(1), TOMBSTONE)), (1, 2), policy=ANYTHING)
    assert only(gone).survivor == guid(2)


TWO = {1: {**HEARD, **ABROAD}}
ALL = {1: {**HEARD, **ABROAD, **MUCH}}


@pytest.mark.parametrize(
    ("known", "read_from", "policy", "survivor", "confidence"),
    [
        (TWO, replace(DECLARED, row_id=None), MEDIUM, 1, Confidence.MEDIUM),
        (TWO, replace(DECLARED, row_id=None), Policy(), None, None),
        ({1: HEARD}, replace(DECLARED, row_id=None), MEDIUM, None, None),
        ({1: HEARD, 2: ABROAD}, replace(DECLARED, row_id=None), MEDIUM, None, None),
        ({1: {**HEARD, **ABROAD}, 2: MUCH}, replace(DECLARED, row_id=None), MEDIUM, 1, Confidence.MEDIUM),
        (ALL, DECLARED, Policy(), 1, Confidence.STRONG),
        ({2: HEARD}, DECLARED, Policy(), 1, Confidence.STRONG),
        ({2: {**HEARD, **ABROAD}}, DECLARED, Policy(), None, None),
        ({2: {**HEARD, **MUCH}}, DECLARED, ANYTHING, None, None),
    ],
    ids=[
        "two mediums",
        "two mediums, not accepted",
        "one medium",
        "two that differ",
        "two against one",
        "strong, and all agree",
        "strong against one medium",
        "strong against two mediums",
        "a contradiction is not settled by chance",
    ],
)
def test_strong_and_medium_evidence_together(
    known: dict[int, dict[str, Any]],
    read_from: ReadFrom,
    policy: Policy,
    survivor: int | None,
    confidence: Confidence | None,
) -> None:
    component = ring(known=known, read_from=read_from, policy=policy)
    assert component.survivor == (survivor and guid(survivor))
    assert component.confidence is confidence


def test_of_two_strong_ones_that_agree_the_stronger_is_told() -> None:
    component = ring(live={1, 2}, known={1: HELD}, read_from=DECLARED)
    assert {evidence: said(component)[evidence] for evidence in ("E2", "E3")} == {"E2": guid(1), "E3": guid(1)}
    assert component.why.endswith("(E2)")


def test_a_split_is_followed_over_the_first_row_of_the_table() -> None:
    """R8: where a row stands in the table does not matter."""
    rows = ((9, 10), (1, 2), (1, 8), (2, 9))
    for some in (rows, rows[1:] + rows[:1]):
        assert {known.guid for known in only(Sick.of(*some)).candidates} == {guid(8), guid(10)}


def test_two_strong_ones_that_differ_are_a_contradiction() -> None:
    component = ring(live={1, 2}, known={2: HELD}, read_from=DECLARED)
    assert said(component) == {"E2": guid(2), "E3": guid(1), "E5": guid(2)}
    assert component.refused is not None
    assert component.refused.startswith("contradiction")


@pytest.mark.parametrize(
    ("known", "word"),
    [
        ({1: {"type": "Computer"}, 2: {"type": "User"}}, "mixed types: Computer, User"),
        ({1: {"live": False}, 2: {"live": False}}, "known to be dead"),
    ],
)
@pytest.mark.parametrize("policy", [Policy(), ANYTHING], ids=["usual", "arbitrary"])
def test_refused_whatever_the_newest_row_says(known: dict[int, dict[str, Any]], word: str, policy: Policy) -> None:
    component = ring(known=known, read_from=DECLARED, policy=policy)
    assert component.refused is not None
    assert word in component.refused


def test_one_type_for_all_is_no_doubt() -> None:
    assert ring(known={1: {"type": "Computer"}, 2: {"type": "Computer"}}, read_from=DECLARED).survivor == guid(1)


def test_the_dead_that_something_refers_to_are_decided() -> None:
    assert ring(live=set(), known={2: HELD}, read_from=DECLARED).survivor == guid(1)


def ordered(survivor: int, *numbers: tuple[int, int], **more: Any) -> Component:
    sick = Sick.of(*numbers, **more)
    (name,) = [component.id for component in Run.of(sick).components]
    override = Override(name, guid(survivor), "mira", "ticket 17")
    return only(replace(sick, policy=Policy(overrides={name: override})))


def test_a_person_decides_against_everything() -> None:
    component = ordered(2, *PAIR, live={1}, known={1: MUCH})
    assert (component.survivor, component.confidence) == (guid(2), Confidence.ORDERED)
    assert component.why == f"{guid(2)} survives: mira decided: ticket 17 (override)"
    assert component.notes == (f"the merge must be completed: 400 rows still hold {guid(1)}",)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"keys": 1}, f"1 row still holds {guid(1)}"),
        ({"keys": 2}, f"2 rows still hold {guid(1)}"),
        ({"keys": 2, "references": {"Inv.Guid": 1}}, f"1 row still holds {guid(1)}"),
        ({}, f"{guid(1)} is still live"),
    ],
)
def test_a_live_guid_that_stays_merged_away_is_noted(known: dict[str, Any], words: str) -> None:
    component = ordered(2, *PAIR, live={1, 2}, known={1: known, 2: HELD})
    assert component.notes == (f"the merge must be completed: {words}",)


def test_rows_that_nothing_orders_are_chosen_from_by_nobody() -> None:
    """R9."""
    rows = ((1, 2), (1, 3), (2, 9), (3, 9))
    component = only(Sick.of(*rows, read_from=NOTHING))
    assert component.refused == f"several rows of {guid(1)} lead to {guid(9)}, and nothing says which is the newest"
    assert component.retire == ()
    assert len(only(Sick.of(*rows, read_from=NOTHING, policy=ANYTHING)).retire) == 1


def test_a_person_chooses_the_end_and_needs_no_order_for_the_rows() -> None:
    component = ordered(9, (1, 2), (1, 3), (2, 9), (3, 9), read_from=NOTHING)
    assert component.confidence is Confidence.ORDERED
    assert len(component.retire) == 1


def test_an_order_to_keep_a_shadowed_row_leaves_nothing_to_retire() -> None:
    component = ordered(2, (1, 2), live={1, 2})
    assert component.refused is not None
    assert "to be completed" in component.refused
    assert ordered(1, (1, 2), live={1, 2}).retire == (0,)


def test_an_order_for_somebody_else_is_refused() -> None:
    component = ordered(3, *PAIR)
    assert component.refused is not None
    assert "no candidate" in component.refused


@pytest.mark.parametrize(
    ("live", "known", "survivor"),
    [
        ({1, 2}, {1: HELD}, 1),
        ({1}, {1: {"keys": 1}}, 1),
        ({1, 2}, {}, None),
        ({1}, {}, None),
        ({1, 2}, {1: HELD, 2: HELD}, None),
        ({1, 2}, {2: HELD}, None),
    ],
    ids=["holds", "holds, other dead", "holds nothing", "alone, nothing", "both hold", "the other holds"],
)
def test_a_live_guid_with_a_row_is_freed_only_if_it_alone_still_holds_rows(
    live: set[int], known: dict[int, dict[str, Any]], survivor: int | None
) -> None:
    component = only(Sick.of((1, 2), live=live, known=known, policy=ANYTHING))
    assert component.kinds == ("shadowed-live",)
    assert component.survivor == (survivor and guid(survivor))
    assert component.retire == ((0,) if survivor else ())


def test_a_split_with_deleted_is_a_split() -> None:
    rows = ((guid(1), TOMBSTONE), (guid(1), guid(2)))
    by_id = ReadFrom(row_id="Merge.Id")
    assert only(Sick(rows, (1, 2), read_from=by_id)).survivor == guid(2)
    assert only(Sick(rows, (2, 1), read_from=by_id)).survivor == TOMBSTONE
    assert only(Sick(rows, (2, 1), live=frozenset({guid(2)}), read_from=by_id)).survivor == guid(2)
    assert only(Sick(rows, (1, 2))).refused
    assert only(Sick(rows, (1, 2))).kinds == ("split",)


def test_what_leads_into_a_refused_component_is_refused_with_its_reason() -> None:
    run = Run.of(Sick.of(*PAIR, (3, 1), (3, 9), (4, 3), (4, 8), read_from=NOTHING))
    assert [component.members for component in run.components] == [
        tuple(sorted(map(guid, PAIR[0]))),
        (guid(3),),
        (guid(4),),
    ]
    first, *others = run.components
    assert {other.refused for other in others} == {
        f"it leads into component {first.id}, which is refused: {first.refused}"
    }


def test_a_live_guid_that_leads_into_a_refused_component_waits_for_it() -> None:
    """R9: however sure its own evidence is, what it is merged into is not decided."""
    run = Run.of(Sick.of((1, 2), (2, 3), (3, 2), live={1}, known={1: HELD}, read_from=NOTHING))
    ring_, shadowed = sorted(run.components, key=lambda component: -len(component.members))
    assert shadowed.kinds == ("shadowed-live",)
    assert shadowed.refused == f"it leads into component {ring_.id}, which is refused: {ring_.refused}"
    assert shadowed.retire == ()


def test_copies_go_even_where_they_lead_into_a_refused_component() -> None:
    run = Run.of(Sick.of(*PAIR, (3, 1), (3, 1), read_from=NOTHING))
    (decided,) = run.decided
    assert decided.confidence is Confidence.CERTAIN
    assert decided.retire == (3,)


def test_a_live_member_that_stays_behind_is_an_end_of_its_own() -> None:
    """As in the lookup, which never walks through a live guid: 3 is split between 1 and 2, though 2 leads to 1 now."""
    first, second = Run.of(Sick.of(*PAIR, (3, 1), (3, 2), live={1, 2})).components
    assert (first.survivor, second.survivor) == (guid(1), guid(2))
    assert second.kinds == ("split",)
    assert {known.guid for known in second.candidates} == {guid(1), guid(2)}


def test_a_component_too_large_to_look_for_detours_is_repaired_all_the_same() -> None:
    """Every guid merged into both its neighbours: each old has a choice, of which at most one leads to the survivor."""
    size = LARGE + 2
    onward = [(number, (number + 1) % size) for number in range(size)]
    both = (*((new, old) for old, new in onward), *onward)
    run = Run.of(Sick.of(*both))
    (component,) = run.decided
    assert component.survivor == guid(0)  # the newest rows lead around, and the newest of them to 0
    assert not run.proof.problems
    assert sorted(row[:2] for row in run.kept(component)) == [(size + 1 + at, guid(at)) for at in range(1, size)]
    assert Run.of(Sick.of(*both, read_from=NOTHING)).refused
    assert not Run.of(Sick.of(*both, read_from=NOTHING, policy=ANYTHING)).proof.problems
