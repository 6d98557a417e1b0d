"""Whole cases for a repair, and what each invariant of a repair has to say about them, by dictionaries and networkx.

A ``Sick`` table has rows with ids and times, what is known of its guids, and a policy. The functions named after the
invariants are what the tests hold a repair to, and what planted faults have to break.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import networkx as nx
from hypothesis import strategies as st
from merge_model import NUMBERED, Answer, Pair, answers, guid, rings

from mergeguard.core import guids
from mergeguard.core.facts import Declared, Facts
from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.repair import damage, decide, proof
from mergeguard.core.repair.component import Component
from mergeguard.core.repair.damage import Damage
from mergeguard.core.repair.evidence import Confidence, Evidence, Known, Policy, ReadFrom
from mergeguard.core.repair.proof import Proof
from mergeguard.core.table import MergeTable

Guid: TypeAlias = uuid.UUID
Row: TypeAlias = tuple[int, Guid, Guid]
"""(id, old, new)."""
Numbers: TypeAlias = st.SearchStrategy[list[tuple[int, int]]]
BEGIN = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
DECLARED = ReadFrom(
    live="vResource.Guid", types="vResource.Type", keys="ResourceKey.Guid", references=("Inv.Guid",),
    row_id="Merge.Id", time="Merge.Time", contact="Event.Source", owner="vResource.Owner", here="NS1",
)  # fmt: skip


@dataclass(frozen=True)
class Sick:
    """A merge table and what is known about it; ``known`` counts only where ``read_from`` says where it was read."""

    pairs: tuple[Pair, ...]
    row_ids: tuple[int, ...]
    times: tuple[dt.datetime | None, ...] | None = None
    live: frozenset[Guid] | None = None
    known: Mapping[Guid, Known] = field(default_factory=dict)
    read_from: ReadFrom = field(default_factory=ReadFrom)
    policy: Policy = field(default_factory=Policy)

    @classmethod
    def of(cls, *numbers: tuple[int, int], known: Mapping[int, Mapping[str, Any]] | None = None, **more: Any) -> Sick:
        """A table of small numbers, row ids from 1; ``live`` in small numbers too. Only ids are declared."""
        pairs = tuple((guid(old), guid(new)) for old, new in numbers)
        more.setdefault("read_from", ReadFrom(row_id="Merge.Id"))
        told = {guid(number): Known(guid(number), **facts) for number, facts in (known or {}).items()}
        if "live" in more:
            more["live"] = frozenset(map(guid, more["live"]))
        return cls(pairs, tuple(range(1, len(pairs) + 1)), known=told, **more)

    @cached_property
    def facts(self) -> Facts:
        table = MergeTable.from_pairs(self.pairs, row_ids=self.row_ids, times=self.times)
        live = None if self.live is None else guids.from_uuids(sorted(self.live))
        return Facts(table, Declared(live=live))

    @cached_property
    def rows(self) -> list[Row]:
        return [(number, old, new) for number, (old, new) in zip(self.row_ids, self.pairs, strict=True)]

    @property
    def evidence(self) -> dict[Guid, Known]:
        """What ``gather`` would bring: liveness for every guid, if declared."""
        everyone = {guid for pair in self.pairs for guid in pair} | set(self.known)
        told = {guid: self.known.get(guid, Known(guid)) for guid in everyone}
        if self.live is None:
            return told
        return {guid: replace(known, live=guid in self.live) for guid, known in told.items()}

    def shuffled(self, chance: random.Random) -> Sick:
        """The same rows, in another order; the evidence too."""
        order = chance.sample(range(len(self.pairs)), len(self.pairs))
        return replace(
            self,
            pairs=tuple(self.pairs[at] for at in order),
            row_ids=tuple(self.row_ids[at] for at in order),
            times=None if self.times is None else tuple(self.times[at] for at in order),
            known=dict(chance.sample(list(self.known.items()), len(self.known))),
        )


@dataclass(frozen=True)
class Run:
    """A repair, worked out."""

    sick: Sick
    damage: Damage
    components: tuple[Component, ...]
    proof: Proof

    @classmethod
    def of(cls, sick: Sick) -> Run:
        found = damage.find_damage(sick.facts)
        # As a reader would: only of those that the damage asks for.
        known = {guid: told for guid, told in sick.evidence.items() if guid in found.guids}
        components = decide.decide(sick.facts, found, known, sick.read_from, sick.policy)
        return cls(sick, found, components, proof.prove(sick.facts, components))

    @property
    def decided(self) -> list[Component]:
        return [component for component in self.components if component.refused is None]

    @property
    def refused(self) -> list[Component]:
        return [component for component in self.components if component.refused is not None]

    @cached_property
    def retired(self) -> list[Row]:
        """The retired rows, by the ids that the table gave them."""
        return [self.sick.rows[number] for component in self.components for number in component.retire]

    @cached_property
    def left(self) -> list[Row]:
        gone = {number for component in self.components for number in component.retire}
        return [row for number, row in enumerate(self.sick.rows) if number not in gone]

    @property
    def left_pairs(self) -> list[Pair]:
        return [(old, new) for _, old, new in self.left]

    @property
    def again(self) -> Run:
        """A second repair of what the first one left, with the same evidence."""
        times = None
        if self.sick.times is not None:
            stamps = dict(zip(self.sick.row_ids, self.sick.times, strict=True))
            times = tuple(stamps[number] for number, _, _ in self.left)
        ids = tuple(number for number, _, _ in self.left)
        return Run.of(replace(self.sick, pairs=tuple(self.left_pairs), row_ids=ids, times=times))

    def rows_of(self, component: Component) -> list[Row]:
        return [self.sick.rows[row.number] for row in component.rows]

    def kept(self, component: Component) -> list[Row]:
        return [self.sick.rows[row.number] for row in component.rows if row.number not in component.retire]


def told(component: Component) -> tuple[Any, ...]:
    """Everything a component says, but for the places of its rows in the table that was read."""
    retired = sorted(row.ref.row_id for row in component.rows if row.number in component.retire)  # type: ignore[type-var]
    rows = tuple(row.ref for row in component.rows)
    return (*(getattr(component, name) for name in _SAID), rows, retired)


_SAID = ("id", "kinds", "members", "candidates", "votes", "survivor", "confidence", "why", "refused", "notes")

# --- the invariants, by the names of R1 to R9 ---


def detects_all(run: Run) -> None:
    """R1: the units are the cycles, and the olds beside them that merge themselves, have several rows, or are live."""
    pairs, live = run.sick.pairs, run.sick.live or frozenset()
    ringed = set(rings(pairs))
    on_ring = {guid for ring in ringed for guid in ring}
    rows = Counter(old for old, _ in pairs)
    sick = {old for old, new in pairs if old == new or rows[old] > 1 or old in live}
    expected = ringed | {frozenset({old}) for old in sick - on_ring}
    assert {frozenset(unit.members) for unit in run.damage.units} == expected
    assert len(run.damage.units) == len(expected)
    for unit in run.damage.units:
        assert sorted(row.ref.row_id for row in unit.rows) == sorted(  # type: ignore[type-var]
            number for number, old, _ in run.sick.rows if old in unit.members
        )


def names_the_rules(run: Run) -> None:
    """A component bears the names of the rules that find it; several news are redundant or a split, as they end."""
    ringed = {guid for ring in rings(run.sick.pairs) for guid in ring}
    raw = answers(run.sick.pairs)
    for component in run.components:
        rows = [(old, new) for _, old, new in run.rows_of(component)]
        news = {new for old, new in rows if old != new}
        alone = len(component.members) == 1 and len(news) > 1
        kinds = set(component.kinds)
        assert ("cycle" in kinds) == bool(ringed & set(component.members))
        assert ("self-merge" in kinds) == any(old == new for old, new in rows)
        assert ("shadowed-live" in kinds) == any(old in (run.sick.live or ()) for old, new in rows if old != new)
        copies = len(set(rows)) < len(rows)
        assert bool(kinds & {"split", "redundant"}) == (copies or alone)
        assert "redundant" in kinds or not copies
        if alone and raw[component.members[0]][0] in ("ok", "deleted") and run.sick.live is None:
            assert "split" not in kinds


def comes_after_what_it_leads_to(run: Run) -> None:
    """A component leads to none that comes after it."""
    graph = nx.DiGraph(list(run.sick.pairs))
    places = {member: at for at, component in enumerate(run.components) for member in component.members}
    for member, at in places.items():
        assert all(places.get(below, -1) <= at for below in nx.descendants(graph, member))


def fixes(run: Run) -> None:
    """R2: what was decided has no cycle, no second row, no self-merge, and no live old but one with a note."""
    graph = nx.DiGraph(run.left_pairs)
    rows = Counter(old for old, _ in run.left_pairs)
    on_ring = {guid for ring in rings(run.left_pairs) for guid in ring}
    for component in run.decided:
        for member in component.members:
            assert member not in on_ring
            assert not graph.has_edge(member, member)
            assert rows[member] <= 1
            if run.sick.live is not None and member in run.sick.live and rows[member]:
                assert len(component.members) > 1
                assert any("must be completed" in note for note in component.notes)


def is_idempotent(run: Run) -> None:
    """R3: a second run decides nothing; it refuses what was refused, and the live members that a note told of."""
    again = run.again
    assert not again.decided
    before = {component.id for component in run.refused}
    after = {component.id: component for component in again.refused}
    assert before <= set(after)
    noted = {member for component in run.decided if component.notes for member in component.members}
    for name in set(after) - before:
        assert len(after[name].members) == 1
        assert after[name].members[0] in noted & (run.sick.live or frozenset())


def loses_nothing_decidable(run: Run) -> None:
    """R4: every old leads where it led, or, where that was open and is decided now, to the survivor."""
    before, after = (answers(pairs, run.sick.live) for pairs in (run.sick.pairs, run.left_pairs))
    raw = answers(run.left_pairs)
    survivors = {component.survivor for component in run.decided}
    for old, answer in before.items():
        if old not in after:
            assert old in survivors
        elif answer[0] in ("ok", "dangling", "deleted"):
            assert after[old][:2] == answer[:2]
    for component in run.decided:
        for member in set(component.members) & set(after):
            reached = {_end(after[member]), _end(raw[member])}
            # An old that never had but one new goes on to where that leads, decided or not.
            news = {new for _, old, new in run.rows_of(component) if old != new}
            # A survivor that is live and merged away itself leads on: the walk goes through it.
            if raw[member][0] in ("ok", "dangling", "deleted"):
                reached |= _through(member, run.left_pairs)
            assert component.survivor in reached or (len(component.members) == 1 and len(news) == 1)


def _through(old: Guid, pairs: Sequence[Pair]) -> set[Guid]:
    """Return the guids that the rows lead an old through; where it has several rows it stops."""
    news: dict[Guid, list[Guid]] = {}
    for one, new in pairs:
        news.setdefault(one, []).append(new)
    passed: list[Guid] = []
    while len(news.get(old, ())) == 1 and news[old][0] not in passed:
        old = news[old][0]
        passed.append(old)
    return set(passed)


def _end(answer: Answer) -> Guid | None:
    return TOMBSTONE if answer[0] == "deleted" else answer[1]


def is_minimal(run: Run) -> None:
    """R5: of a simple cycle the survivor's row goes, else every old but the survivor keeps exactly one."""
    for component in run.decided:
        rows = run.rows_of(component)
        retired = [run.sick.rows[number] for number in component.retire]
        if len(component.members) > 1 and len(rows) == len(component.members):
            assert [old for _, old, _ in retired] == [component.survivor]
        stays = {member for member in component.members if member != component.survivor}
        assert sorted(old for _, old, _ in run.kept(component)) == sorted(stays)


def touches_nothing_else(run: Run) -> None:
    """R6: every row that is no retired one stands in the repaired table with its id and time, in its place."""
    table = run.proof.after.table
    left = [(table.row_id(row), run.proof.after.old(row), run.proof.after.new(row)) for row in range(len(table))]
    assert left == run.left
    if run.sick.times is not None:
        stamps = dict(zip(run.sick.row_ids, run.sick.times, strict=True))
        assert [table.time(row) for row in range(len(table))] == [stamps[number] for number, _, _ in run.left]
    assert len(run.left) + len(run.retired) == len(run.sick.rows)
    members = {member for component in run.decided for member in component.members}
    assert {old for _, old, _ in run.retired} <= members


def is_deterministic(run: Run) -> None:
    """R8: the same words for any order of the rows and of the evidence."""
    for seed in range(2):
        other = Run.of(run.sick.shuffled(random.Random(seed)))
        assert [told(component) for component in other.components] == [told(component) for component in run.components]


def refuses_as_a_whole(run: Run) -> None:
    """R9: a component is decided with a confidence and a reason, or refused with a reason and left alone."""
    for component in run.components:
        refused = component.refused is not None
        assert refused == (component.survivor is None) == (component.confidence is None) == (not component.retire)
        assert component.refused if refused else component.why


def proves_itself(run: Run) -> None:
    """What was decided ends clean."""
    assert run.proof.problems == ()


def keeps_the_oldest_copy(run: Run) -> None:
    """Of rows that say the same the one with the smallest declared id stays."""
    if run.sick.read_from.row_id is None:
        return
    for component in run.decided:
        for number, old, new in run.kept(component):
            assert number == min(other for other, *pair in run.rows_of(component) if pair == [old, new])


def keeps_the_newest_way(run: Run) -> None:
    """Of several news with one current the one with the largest declared id stays."""
    if run.sick.read_from.row_id is None or run.sick.times is not None:
        return
    for component in run.decided:
        if "redundant" in component.kinds and len(component.members) == 1 and run.kept(component):
            rows = [row for row in run.rows_of(component) if row[1] != row[2]]
            ((_, _, new),) = run.kept(component)
            if "split" not in component.kinds:
                assert new == max(rows)[2]


def follows_the_evidence(run: Run) -> None:
    """Of a simple cycle the only live member survives, else, where ids alone speak, the target of the newest row."""
    for component in run.decided:
        if len(component.members) < 2 or len({*run.rows_of(component)}) != len(component.members):
            continue
        if run.sick.policy.overrides:
            continue
        live = [member for member in component.members if run.sick.live is not None and member in run.sick.live]
        if len(live) == 1:
            assert component.survivor == live[0]
            assert component.confidence is Confidence.CERTAIN
        elif component.confidence is Confidence.STRONG and {vote.evidence for vote in component.votes} == {
            Evidence.ORDER
        }:
            assert run.sick.times is not None or component.survivor == max(run.rows_of(component))[2]
        else:
            assert component.votes


def never_joins(run: Run) -> None:
    """Guids that led to different ends still do: no row is ever made, and no split is settled by joining its ends."""
    assert set(run.left) <= set(run.sick.rows)
    ends = {new for _, new in run.sick.pairs} - {old for old, _ in run.sick.pairs}
    assert not ends & {old for old, _ in run.left_pairs}


INVARIANTS = [
    detects_all,
    names_the_rules,
    comes_after_what_it_leads_to,
    fixes,
    is_idempotent,
    loses_nothing_decidable,
    is_minimal,
    touches_nothing_else,
    is_deterministic,
    refuses_as_a_whole,
    proves_itself,
    keeps_the_oldest_copy,
    keeps_the_newest_way,
    follows_the_evidence,
    never_joins,
]

# --- the cases ---


@st.composite
def _knot(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Several olds merged into each other in both directions, as curators do, and perhaps a way out."""
    start, size = draw(st.integers(0, 12)), draw(st.integers(2, 5))
    inner = [(start + one, start + two) for one in range(size) for two in range(size) if one != two]
    chosen = draw(st.lists(st.sampled_from(inner), min_size=2, max_size=8))
    out = draw(st.lists(st.tuples(st.integers(start, start + size - 1), st.integers(30, 33)), max_size=2))
    return [*chosen, *out]


_PARTS = st.lists(_knot(), max_size=3).map(lambda parts: [pair for part in parts for pair in part])
_MOMENTS = st.one_of(
    st.integers(0, 20).map(lambda days: BEGIN + dt.timedelta(days=days)),
    st.integers(0, 4).map(lambda minutes: BEGIN + dt.timedelta(minutes=2 * minutes)),
)
_POLICIES = st.builds(Policy, accept_medium=st.booleans(), allow_arbitrary=st.booleans())


@st.composite
def _known(draw: st.DrawFn, who: Guid) -> Known:
    return Known(
        who,
        type=draw(st.sampled_from([None, "Computer", "Computer", "Computer", "User"])),
        keys=draw(st.sampled_from([0, 0, 1])),
        references=draw(st.sampled_from([{}, {}, {"Inv.Guid": 1}, {"Inv.Guid": 40}])),
        last_contact=draw(st.none() | _MOMENTS),
        owner=draw(st.sampled_from([None, "NS1", "NS2"])),
    )


_MIXED = st.one_of(NUMBERED, _PARTS, st.tuples(NUMBERED, _PARTS).map(lambda both: both[0] + both[1]))
RINGS: Numbers = st.integers(2, 3).flatmap(lambda size: st.permutations([(at, (at + 1) % size) for at in range(size)]))
"""One simple cycle."""
FORKS: Numbers = st.permutations([(1, 2), (1, 3), (1, 4), (2, 4), (3, 4)])
"""One old with three news and one current."""


@st.composite
def sick_tables(draw: st.DrawFn, *, numbers: Numbers = _MIXED, policies: st.SearchStrategy[Policy] = _POLICIES) -> Sick:
    """Draw a table with rings, knots, forks and chains, or such as asked for, and any evidence about it."""
    pairs = [(guid(old), guid(new)) for old, new in draw(numbers)]
    if pairs and draw(st.booleans()):
        pairs[draw(st.integers(0, len(pairs) - 1))] = (pairs[0][0], TOMBSTONE)
    everyone = sorted({each for pair in pairs for each in pair} - {TOMBSTONE})
    live = draw(st.none() | st.frozensets(st.sampled_from(everyone))) if everyone else None
    asked = draw(st.booleans())
    timed = draw(st.booleans())
    times = tuple(draw(st.lists(_MOMENTS, min_size=len(pairs), max_size=len(pairs)))) if timed else None
    return Sick(
        tuple(pairs),
        tuple(draw(st.permutations(range(1, len(pairs) + 1)))),
        times,
        live,
        {who: draw(_known(who)) for who in everyone} if asked else {},
        replace(
            DECLARED,
            live=DECLARED.live if live is not None else None,
            row_id=draw(st.sampled_from([None, DECLARED.row_id])),
            time=DECLARED.time if timed else None,
        ),
        draw(policies),
    )
