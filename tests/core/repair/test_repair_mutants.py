"""Policies that tools of this field have, and slips of the pen, planted one at a time: an invariant catches each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis
import numpy as np
import pytest
import repair_model
from hypothesis import strategies as st
from repair_model import Run, Sick

from mergeguard.core.repair import case as cases
from mergeguard.core.repair import damage, decide, remaining, votes, weigh
from mergeguard.core.repair.case import Case
from mergeguard.core.repair.component import Component
from mergeguard.core.repair.conflicts import Kept, keep
from mergeguard.core.repair.evidence import Confidence, Policy
from mergeguard.core.repair.order import Newest, RowOrder
from mergeguard.core.repair.weigh import Refusal, Ruling

Plant = Callable[[pytest.MonkeyPatch], None]
SEARCH = hypothesis.settings(
    max_examples=3000, phases=[hypothesis.Phase.generate], database=None, derandomize=True, deadline=None
)


@dataclass(frozen=True)
class Mutant:
    """A fault, the invariant that is to catch it, and the tables to look for it in, where any would take long."""

    plant: Plant
    caught_by: Callable[[Run], None]
    aimed: st.SearchStrategy[Sick] = field(default_factory=repair_model.sick_tables)


def rule(change: Callable[[Case, Ruling | Refusal], Ruling | Refusal]) -> Plant:
    """Plant another way to choose the survivor."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(decide, "weigh", lambda case: change(case, weigh.weigh(case)))

    return plant


def kept(change: Callable[[Case, Any, Kept], Kept]) -> Plant:
    """Plant another choice of the rows that stay."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(decide, "keep", lambda case, survivor: change(case, survivor, keep(case, survivor)))

    return plant


def whole_cycle_deleted(patch: pytest.MonkeyPatch) -> None:
    """All rows of a cycle go."""
    kept(lambda case, _, right: replace(right, ways={}) if case.unit.ring else right)(patch)


def one_more_row_deleted(patch: pytest.MonkeyPatch) -> None:
    """The row to the survivor goes, too."""

    def change(_: Case, survivor: Any, right: Kept) -> Kept:
        return replace(right, ways={old: way for old, way in right.ways.items() if way.head != survivor})

    kept(change)(patch)


def last_row_deleted(patch: pytest.MonkeyPatch) -> None:
    """The row that closes the circle as read goes, whoever survives."""

    def change(case: Case, _: Any, right: Kept) -> Kept:
        last = max(case.unit.rows, key=lambda row: row.number).ref.old
        return replace(right, ways={way.old: way for way in case.ways if way.old != last})

    kept(change)(patch)


def smallest_guid_survives(patch: pytest.MonkeyPatch) -> None:
    """MIN(guid)."""

    def change(case: Case, right: Ruling | Refusal) -> Ruling | Refusal:
        return right if isinstance(right, Refusal) else replace(right, survivor=min(case.guids))

    rule(change)(patch)


def oldest_row_states_the_intent(patch: pytest.MonkeyPatch) -> None:
    """The target of the oldest row survives."""
    newest = RowOrder.newest

    def turned(order: RowOrder, groups: Any) -> Newest:
        found = newest(order, groups)
        rows = [(order._age(row), key, row) for key, some in groups.items() for row in some]
        _, key, row = min(rows)
        return found if found.row is None else replace(found, key=key, row=row)

    patch.setattr(RowOrder, "newest", turned)


def newest_copy_stays(patch: pytest.MonkeyPatch) -> None:
    """Of exact copies the newest row stays."""
    patch.setattr(RowOrder, "oldest", lambda order, rows: max(rows, key=order._age))


def oldest_way_stays(patch: pytest.MonkeyPatch) -> None:
    """Of several news with one current the oldest row stays."""

    def change(case: Case, _: Any, right: Kept) -> Kept:
        if case.unit.ring:
            return right
        ends = {way.head for way in right.ways.values()}
        first = {
            old: min((way for way in ways if way.head in ends), key=lambda way: case.order._age(way.rows[0]))
            for old, ways in case.onward.items()
            if old in right.ways
        }
        return replace(right, ways=first)

    kept(change)(patch)


def file_order_is_an_order(patch: pytest.MonkeyPatch) -> None:
    """The last row read is the newest."""

    def last(_: RowOrder, groups: Any) -> Newest:
        number, key, row = max((row.number, key, row) for key, rows in groups.items() for row in rows)
        return Newest(key, row, f"place {number}")

    patch.setattr(RowOrder, "newest", last)


def any_copy_stays(patch: pytest.MonkeyPatch) -> None:
    """Of exact copies the first row read stays."""
    patch.setattr(RowOrder, "oldest", lambda _, rows: min(rows, key=lambda row: row.number))


def members_in_table_order(patch: pytest.MonkeyPatch) -> None:
    """A component is named by its olds as they stand in the table."""
    units = damage._units

    def found(facts: Any, made: Any) -> Any:
        place = {row.ref.old: row.number for row in made}
        return [
            replace(unit, members=tuple(sorted(unit.members, key=place.__getitem__))) for unit in units(facts, made)
        ]

    patch.setattr(damage, "_units", found)


def rows_in_table_order(patch: pytest.MonkeyPatch) -> None:
    """The rows of a component are told as they were read."""
    patch.setattr(damage, "_place", lambda row: row.number)


def conflicts_overlooked(patch: pytest.MonkeyPatch) -> None:
    """Olds with several rows are no damage."""
    damaged = damage._damaged

    def found(facts: Any) -> Any:
        flags = damaged(facts)
        flags[facts.join.lead[facts.join.repeated]] = False
        for ring in facts.raw.rings:
            flags[ring.members] = True
        return flags

    patch.setattr(damage, "_damaged", found)


def the_living_overlooked(patch: pytest.MonkeyPatch) -> None:
    """A live old with a row is no damage."""
    damaged = damage._damaged
    patch.setattr(damage, "_damaged", lambda facts: damaged(type(facts)(facts.table)))


def upstream_first(patch: pytest.MonkeyPatch) -> None:
    """What leads to a component is decided before it."""
    patch.setattr(damage, "_downstream_first", lambda units, ends: tuple(downstream(units, ends)[::-1]))


downstream = damage._downstream_first


def refusals_do_not_spread(patch: pytest.MonkeyPatch) -> None:
    """An old that leads into a refused component is decided all the same."""
    patch.setattr(decide._Settled, "refused", lambda _self, _unit: None)


def copies_of_the_refused_go(patch: pytest.MonkeyPatch) -> None:
    """In a refused component the copies are retired nevertheless."""

    def refused(case: Case, refusal: Refusal) -> Component:
        copies = [row.number for way in case.ways for row in way.rows if row != case.order.oldest(way.rows)]
        return replace(right(case, refusal), retire=tuple(sorted(copies)))

    right = decide._refused
    patch.setattr(decide, "_refused", refused)


def split_settled_by_the_first(patch: pytest.MonkeyPatch) -> None:
    """Whatever nothing decides goes to the first candidate, and strongly so."""

    def change(case: Case, right: Ruling | Refusal) -> Ruling | Refusal:
        return right if isinstance(right, Ruling) else Ruling(case.guids[0], Confidence.STRONG, "first", ())

    rule(change)(patch)


def the_living_do_not_count(patch: pytest.MonkeyPatch) -> None:
    """E1 is not asked."""
    patch.setattr(votes, "by_liveness", lambda _: None)


def any_owner_will_do(patch: pytest.MonkeyPatch) -> None:
    """Who is live and holds rows is not looked at when others have decided."""
    patch.setattr(cases.Case, "left", property(lambda case: case.guids))


def every_live_row_is_unfinished(patch: pytest.MonkeyPatch) -> None:
    """A live old that holds rows is freed, whatever its current holds; also one that a repair has left behind."""

    def by_unfinished(case: Case) -> votes.Vote | None:
        members = tuple(known for known in case.candidates if known.guid in case.members)
        alone = replace(case, candidates=members)
        if not alone.owners:
            return None
        return votes.Vote(votes.Evidence.UNFINISHED, Confidence.STRONG, alone.owners[0], "live", "keys")

    patch.setattr(decide, "by_unfinished_merge", by_unfinished)


def circles_left_behind(patch: pytest.MonkeyPatch) -> None:
    """Each old of a knot keeps its newest way, even if these lead round."""

    def change(case: Case, survivor: Any, right: Kept) -> Kept:
        newest = {
            old: next((way for way in ways if way.new == case.order.newest(cases.by_new(ways)).key), right.ways[old])
            for old, ways in case.onward.items()
            if old != survivor
        }
        return replace(right, ways=newest)

    kept(change)(patch)


def notes_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Nobody is told that a merge is to be completed."""
    patch.setattr(decide, "_notes", lambda _case, _kept: ())


def ids_numbered_anew(patch: pytest.MonkeyPatch) -> None:
    """The rows of the repaired table lose their ids."""

    def without(table: Any, stay: Any) -> Any:
        left = right(table, stay)
        return replace(left, row_ids=np.arange(1, len(left) + 1))

    right = remaining._without
    patch.setattr(remaining, "_without", without)


RINGS = repair_model.sick_tables(numbers=repair_model.RINGS)
FORKS = repair_model.sick_tables(numbers=repair_model.FORKS)
MUTANTS = [
    Mutant(whole_cycle_deleted, repair_model.loses_nothing_decidable),
    Mutant(whole_cycle_deleted, repair_model.is_minimal),
    Mutant(whole_cycle_deleted, repair_model.proves_itself),
    Mutant(one_more_row_deleted, repair_model.loses_nothing_decidable),
    Mutant(one_more_row_deleted, repair_model.is_minimal),
    Mutant(last_row_deleted, repair_model.is_minimal),
    Mutant(last_row_deleted, repair_model.proves_itself),
    Mutant(smallest_guid_survives, repair_model.follows_the_evidence),
    Mutant(oldest_row_states_the_intent, repair_model.follows_the_evidence, RINGS),
    Mutant(oldest_row_states_the_intent, repair_model.keeps_the_newest_way, FORKS),
    Mutant(newest_copy_stays, repair_model.keeps_the_oldest_copy),
    Mutant(oldest_way_stays, repair_model.keeps_the_newest_way, FORKS),
    Mutant(file_order_is_an_order, repair_model.is_deterministic),
    Mutant(file_order_is_an_order, repair_model.follows_the_evidence, RINGS),
    Mutant(any_copy_stays, repair_model.is_deterministic),
    Mutant(any_copy_stays, repair_model.keeps_the_oldest_copy),
    Mutant(members_in_table_order, repair_model.is_deterministic),
    Mutant(rows_in_table_order, repair_model.is_deterministic),
    Mutant(conflicts_overlooked, repair_model.detects_all),
    Mutant(the_living_overlooked, repair_model.detects_all),
    Mutant(upstream_first, repair_model.comes_after_what_it_leads_to),
    Mutant(upstream_first, repair_model.is_idempotent),
    Mutant(refusals_do_not_spread, repair_model.loses_nothing_decidable),
    Mutant(copies_of_the_refused_go, repair_model.refuses_as_a_whole),
    Mutant(copies_of_the_refused_go, repair_model.touches_nothing_else),
    Mutant(copies_of_the_refused_go, repair_model.proves_itself),
    Mutant(split_settled_by_the_first, repair_model.follows_the_evidence),
    Mutant(the_living_do_not_count, repair_model.follows_the_evidence, RINGS),
    Mutant(any_owner_will_do, repair_model.is_idempotent),
    Mutant(every_live_row_is_unfinished, repair_model.is_idempotent, RINGS),
    Mutant(circles_left_behind, repair_model.fixes),
    Mutant(circles_left_behind, repair_model.proves_itself),
    Mutant(notes_forgotten, repair_model.fixes),
    Mutant(ids_numbered_anew, repair_model.touches_nothing_else),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.plant.__name__}-{mutant.caught_by.__name__}")
def test_a_planted_fault_is_caught(mutant: Mutant) -> None:
    def caught(sick: Sick) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            mutant.plant(patch)
            return fails(mutant.caught_by, sick)

    sick = hypothesis.find(mutant.aimed, caught, settings=SEARCH)
    mutant.caught_by(Run.of(sick))  # it is the fault that fails, not the invariant


def fails(holds: Callable[[Run], None], sick: Sick) -> bool:
    try:
        holds(Run.of(sick))
    except AssertionError:
        return True
    return False


def test_the_search_does_not_find_what_is_not_there() -> None:
    few = hypothesis.settings(SEARCH, max_examples=30)
    tables = repair_model.sick_tables(policies=st.just(Policy()))
    with pytest.raises(hypothesis.errors.NoSuchExample):
        hypothesis.find(tables, lambda sick: fails(repair_model.is_minimal, sick), settings=few)
