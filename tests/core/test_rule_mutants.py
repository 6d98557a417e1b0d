"""Faults that somebody could well write, planted one at a time: a named property has to catch each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import hypothesis
import numpy as np
import pytest
import rule_model
from rule_model import Case

from mergeguard.core import closure, drift, pictures, walk
from mergeguard.core.facts import Facts
from mergeguard.core.rings import Ring
from mergeguard.core.rule import Verdict
from mergeguard.core.rules import chain, cycle, redundant, split, stale_reference, type_mismatch

Plant = Callable[[pytest.MonkeyPatch], None]
SEARCH = hypothesis.settings(
    max_examples=3000, phases=[hypothesis.Phase.generate], database=None, derandomize=True, deadline=None
)


@dataclass(frozen=True)
class Mutant:
    """A fault, the property that is to catch it, and what a case must declare for it to matter."""

    plant: Plant
    caught_by: Callable[[Case], None]
    needs: tuple[str, ...] = ()


def first_row_wins(patch: pytest.MonkeyPatch) -> None:
    """Only the first row of each old is followed."""
    patch.setattr(closure, "_conflict_rows", lambda *_: np.empty(0, np.int32))


def self_merge_is_a_cycle(patch: pytest.MonkeyPatch) -> None:
    """A ring of one counts as a ring."""
    find = closure.find_rings

    def found(step: Any, join: Any, arrival: Any, *rest: Any) -> list[Ring]:
        alone = [at for at in arrival.rings.tolist() if step[at] == at]
        ones = [Ring(np.array([at], np.int32), simple=True, down=1, mass=0) for at in alone]
        return [*find(step, join, arrival, *rest), *ones]

    patch.setattr(closure, "find_rings", found)


def chains_count_self_merges(patch: pytest.MonkeyPatch) -> None:
    """Every row whose new is an old is a chain row."""
    patch.setattr(chain, "chain_rows", lambda facts: int((facts.join.succ >= 0).sum()))


def liveness_ignored(patch: pytest.MonkeyPatch) -> None:
    """The lookup walks through live guids."""
    patch.setattr(Facts, "closure", property(lambda facts: facts.raw))


def trees_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Only the members of a cycle are counted as down."""
    find = closure.find_rings

    def found(*given: Any) -> list[Ring]:
        return [replace(ring, down=len(ring.members)) for ring in find(*given)]

    patch.setattr(closure, "find_rings", found)


def one_merge_too_many_to_a_live_guid(patch: pytest.MonkeyPatch) -> None:
    """The row that a live old stands for is counted as if it were walked."""
    settled = closure._settled

    def deeper(*given: Any) -> Any:
        status, end, depth = settled(*given)
        liveness = given[-1]
        if liveness is not None:
            depth[(depth >= 0) & liveness.old[end]] += 1
        return status, end, depth

    patch.setattr(closure, "_settled", deeper)


def agreeing_news_are_a_split(patch: pytest.MonkeyPatch) -> None:
    """Two news are a split, wherever they end."""

    def check(facts: Facts, rule: Any) -> Verdict:
        leads = [lead for lead, branch in facts.raw.branches.items() if not branch.loops]
        return Verdict(len(leads), split._findings(facts, rule, leads))

    rule = rule_model.rules.BY_NAME["split"]
    patch.setitem(rule_model.rules.BY_NAME, "split", replace(rule, check=check))


def depth_does_not_drift(patch: pytest.MonkeyPatch) -> None:
    """A stored row with the right current and status is right."""
    differs = drift._differs

    def blind(facts: Facts, stored: Any, leads: Any, places: Any) -> Any:
        depths = stored.depths.copy()
        depths[places] = facts.closure.depth[leads]
        return differs(facts, replace(stored, depths=depths), leads, places)

    patch.setattr(drift, "_differs", blind)


def hop_limit_is_the_detector(patch: pytest.MonkeyPatch) -> None:
    """What has not ended after five merges is taken for a cycle."""

    def arrive(step: Any) -> walk.Arrival:
        arrival = walk.arrive(step)
        hops = np.where(arrival.hops > 5, -1, arrival.hops)
        return replace(arrival, hops=hops, looping=np.flatnonzero(hops < 0).astype(np.int32))

    patch.setattr(closure, "arrive", arrive)


def any_cycle_is_a_witness(patch: pytest.MonkeyPatch) -> None:
    """The first way back that a walk along the first rows finds is taken for a shortest one."""

    def shortest_cycle(facts: Facts, ring: Ring) -> list[int]:
        inside, rows, at = set(ring.members.tolist()), [], int(ring.members[0])
        while at not in [int(facts.join.lead[row]) for row in rows]:
            onward = [row for row in facts.ways(at) if facts.join.succ[row] in inside - {at}]
            rows.append(onward[0])
            at = int(facts.join.succ[onward[0]])
        first = [int(facts.join.lead[row]) for row in rows].index(at)
        rows = rows[first:]
        smallest = min(range(len(rows)), key=lambda place: facts.old(rows[place]))
        return rows[smallest:] + rows[:smallest]

    patch.setattr(cycle, "shortest_cycle", shortest_cycle)


def live_guids_are_stale(patch: pytest.MonkeyPatch) -> None:
    """Every old in a reference column is stale, live or not."""

    def merged_away(facts: Facts) -> Any:
        return np.append(~facts.self_merges, True)

    patch.setattr(stale_reference, "_merged_away", merged_away)


def first_type_wins(patch: pytest.MonkeyPatch) -> None:
    """Of two types the one that is read first counts."""

    def codes(types: Any, known: Any, column: Any) -> Any:
        places = known.find(column)
        return np.where(places >= 0, types.codes[places], -1) if len(types.codes) else places

    patch.setattr(type_mismatch, "_codes", codes)


def names_follow_the_rows(patch: pytest.MonkeyPatch) -> None:
    """A cycle is named by its members as they stand in the table."""

    def members(facts: Facts, ring: Ring) -> list[str]:
        return [str(facts.old(lead)) for lead in ring.members.tolist()]

    patch.setattr(cycle, "members", members)


def rows_seen_once_an_old(patch: pytest.MonkeyPatch) -> None:
    """Rules see one row an old."""
    patch.setattr(Facts, "ways", lambda _facts, lead: iter((lead,)))


def copies_count_news(patch: pytest.MonkeyPatch) -> None:
    """Every further row of an old is taken for a copy."""
    patch.setattr(redundant, "_copies", lambda facts: len(facts.join.repeated))


def the_dead_are_fine(patch: pytest.MonkeyPatch) -> None:
    """A terminal that is not live is not looked at."""
    closed = closure._settled

    def settled(*given: Any) -> Any:
        status, end, depth = closed(*given)
        return np.where(status == closure.Status.DANGLING, np.uint8(closure.Status.OK), status), end, depth

    patch.setattr(closure, "_settled", settled)


def deleted_is_a_guid(patch: pytest.MonkeyPatch) -> None:
    """The tombstone is taken for a guid to be merged into."""
    patch.setattr(closure, "tombstones", lambda _table: np.empty(0, np.int32))


def pictures_drop_what_they_cannot_place(patch: pytest.MonkeyPatch) -> None:
    """A picture shows no edge to a terminal."""
    drawn = pictures.neighbourhood

    def neighbourhood(*given: Any, **named: Any) -> Any:
        picture = drawn(*given, **named)
        olds = {old for old, _ in picture.edges}
        return replace(picture, edges=tuple(pair for pair in picture.edges if pair[1] in olds))

    patch.setattr(split, "neighbourhood", neighbourhood)


def one_order(case: Case) -> None:
    rule_model.says_the_same_in_any_order(case, rule_model.random.Random(len(case.pairs)))


MUTANTS = [
    Mutant(first_row_wins, rule_model.finds_every_cycle),
    Mutant(first_row_wins, rule_model.finds_every_split),
    Mutant(self_merge_is_a_cycle, rule_model.finds_every_cycle),
    Mutant(chains_count_self_merges, rule_model.measures_chains),
    Mutant(liveness_ignored, rule_model.finds_every_shadowed_live_guid, ("live",)),
    Mutant(liveness_ignored, rule_model.finds_what_leads_to_the_dead, ("live",)),
    Mutant(trees_forgotten, rule_model.finds_every_cycle),
    Mutant(trees_forgotten, rule_model.finds_what_hangs_on_cycles),
    Mutant(one_merge_too_many_to_a_live_guid, rule_model.measures_chains, ("live",)),
    Mutant(agreeing_news_are_a_split, rule_model.finds_every_split),
    Mutant(depth_does_not_drift, rule_model.finds_every_drift, ("stored",)),
    Mutant(hop_limit_is_the_detector, rule_model.measures_chains),
    Mutant(any_cycle_is_a_witness, rule_model.proves_cycles_by_a_shortest_walk_around),
    Mutant(live_guids_are_stale, rule_model.finds_every_stale_reference, ("references", "live")),
    Mutant(first_type_wins, rule_model.finds_every_type_mismatch, ("types",)),
    Mutant(names_follow_the_rows, one_order),
    Mutant(rows_seen_once_an_old, rule_model.finds_every_flip_flop, ("times",)),
    Mutant(copies_count_news, rule_model.counts_redundant_rows),
    Mutant(the_dead_are_fine, rule_model.finds_what_leads_to_the_dead, ("live",)),
    Mutant(deleted_is_a_guid, rule_model.measures_chains),
    Mutant(pictures_drop_what_they_cannot_place, rule_model.proves_what_it_says),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.plant.__name__}-{mutant.caught_by.__name__}")
def test_a_planted_fault_is_caught(mutant: Mutant) -> None:
    def caught(case: Case) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            mutant.plant(patch)
            return fails(mutant.caught_by, case)

    case = hypothesis.find(rule_model.cases(*mutant.needs), caught, settings=SEARCH)
    mutant.caught_by(case)  # it is the fault that fails, not the property


def fails(holds: Callable[[Case], None], case: Case) -> bool:
    try:
        holds(case)
    except AssertionError:
        return True
    return False


def test_the_search_does_not_find_what_is_not_there() -> None:
    few = hypothesis.settings(SEARCH, max_examples=30)
    with pytest.raises(hypothesis.errors.NoSuchExample):
        hypothesis.find(rule_model.cases(), lambda case: fails(rule_model.finds_every_cycle, case), settings=few)
