"""Decide, unit by unit, which rows are wrong: from what lies downstream up, so that each finds its ends settled."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from mergeguard.core.facts import Facts
from mergeguard.core.repair.case import Case, Way, holds, make_case
from mergeguard.core.repair.component import Component
from mergeguard.core.repair.conflicts import keep
from mergeguard.core.repair.damage import Damage, Unit
from mergeguard.core.repair.evidence import Confidence, Evidence, Known, Policy, ReadFrom, Vote
from mergeguard.core.repair.plan import LEADS_INTO
from mergeguard.core.repair.votes import by_unfinished_merge
from mergeguard.core.repair.weigh import Refusal, Ruling, by_override, weigh


def decide(
    facts: Facts,  # noqa: ARG001 - what is decided about; all that a decision needs of it is in ``damage``
    damage: Damage,
    known: Mapping[uuid.UUID, Known],
    read_from: ReadFrom,
    policy: Policy,
) -> tuple[Component, ...]:
    """Decide or refuse every damaged unit; what a component leads to comes before it.

    Nothing of a refused component is touched. The outcome is the same for any order of the rows and of the evidence.
    """
    settled = _Settled(damage, known)
    components = []
    for unit in damage.units:
        below = settled.refused(unit)
        component = _decided(make_case(unit, settled.end, settled.known, read_from, policy), below)
        settled.note(unit, component, below)
        components.append(component)
    return tuple(components)


@dataclass(slots=True)
class _Settled:
    """Where the olds of the units decided so far lead, and which of these ends are open."""

    damage: Damage
    evidence: Mapping[uuid.UUID, Known]
    ends: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)
    open: dict[uuid.UUID, str] = field(default_factory=dict)
    """Members of refused components, each with the reason for what leads to it."""

    def end(self, new: uuid.UUID) -> uuid.UUID:
        """Return where a new gets to: a guid without rows, live or refused, or a member of the unit at hand."""
        end = (self.damage.ends or {}).get(new, new)
        return self.ends.get(end, end)

    def known(self, guid: uuid.UUID) -> Known:
        return self.evidence.get(guid, Known(guid))

    def refused(self, unit: Unit) -> str | None:
        """Return why a unit cannot be decided before another is, if it leads into one that was refused."""
        ends = {self.end(row.ref.new) for row in unit.rows}
        return min((self.open[end] for end in ends if end in self.open), default=None)

    def note(self, unit: Unit, component: Component, below: str | None) -> None:
        """Remember what became of a unit. A live member is where walks to it end, as in the lookup."""
        for member in unit.members:
            if component.survivor is not None:
                self.ends[member] = member if member in unit.live else component.survivor
            else:
                self.open[member] = below or f"{LEADS_INTO}{unit.id}, which is refused: {component.refused}"


def _decided(case: Case, below: str | None) -> Component:
    if case.unit.live and not case.unit.ring:
        return _shadowed(case, below)
    if not case.unit.ring and len(case.ways) < 2:
        return _trivial(case)
    if below:
        return _refused(case, Refusal(below))
    ruling = _only(case) or weigh(case)
    if isinstance(ruling, Refusal):
        return _refused(case, ruling)
    return _kept(case, ruling)


def _trivial(case: Case) -> Component:
    """Retire self-merges and copies: whatever else is open, they say nothing (E0)."""
    survivor = case.guids[0]
    selfish = [row for row in case.unit.rows if row.ref.old == row.ref.new]
    copies = len(case.unit.rows) - len(selfish) - len(case.ways)
    words = [f"{len(selfish)} row{'s' if len(selfish) > 1 else ''} that merge a guid into itself"] if selfish else []
    words += [f"{copies} cop{'ies' if copies > 1 else 'y'} of an older row"] if copies else []
    why = " and ".join(words)
    vote = Vote(Evidence.TRIVIAL, Confidence.CERTAIN, survivor, why, "the merge rows")
    ruling = Ruling(survivor, Confidence.CERTAIN, f"{why} (E0)", (vote,))
    return _kept(case, ruling)


def _only(case: Case) -> Ruling | Refusal | None:
    """Rule where all rows of an old get to one guid and only the row to keep is to be chosen."""
    if len(case.candidates) > 1 or case.unit.id in case.policy.overrides:
        return None
    survivor = case.guids[0]
    newest = case.order.newest({way.new: way.rows for way in case.ways})
    if newest.disagree:
        return Refusal(f"the evidence contradicts itself: {newest.disagree}")
    if newest.row is None:
        votes: tuple[Vote, ...] = ()
        why = f"all {len(case.ways)} news lead to {survivor}"
    else:
        words = f"row {newest.row.ref.row_id} is the newest of {len(case.ways)} that lead to it"
        votes = (Vote(Evidence.ORDER, Confidence.STRONG, survivor, words, newest.read_from),)
        why = f"all {len(case.ways)} news lead to {survivor}; row {newest.row.ref.row_id} is the newest (E3)"
    return Ruling(survivor, Confidence.CERTAIN, why, votes)


def _shadowed(case: Case, below: str | None) -> Component:
    """Retire the rows of a live old that still holds keys or references; else nobody knows what happened."""
    if below:
        return _refused(case, Refusal(below))
    ruling = by_override(case)
    if isinstance(ruling, Refusal):
        return _refused(case, ruling)
    if ruling is not None:
        return _kept(case, ruling)
    vote = by_unfinished_merge(case)
    if vote is None:
        several = len(case.owners) > 1
        why = "it is live and so is where it leads, and both hold rows" if several else "it is live and merged away"
        return _refused(case, Refusal(f"{why}: an unfinished merge, or a resource that came back; nobody knows which"))
    return _kept(case, Ruling(vote.survivor, vote.strength, f"{vote.survivor} survives: {vote.why} (E2)", (vote,)))


def _kept(case: Case, ruling: Ruling) -> Component:
    """Turn a ruling into the rows to retire."""
    kept = keep(case, ruling.survivor)
    ordered = ruling.confidence is Confidence.ORDERED
    if kept.unordered and not ordered and not case.policy.allow_arbitrary:
        why = f"several rows of {kept.unordered} lead to {ruling.survivor}, and nothing says which is the newest"
        return _refused(case, Refusal(why, ruling.votes))
    stay = {case.order.oldest(way.rows).number for way in kept.ways.values()}
    retire = tuple(sorted({row.number for row in case.unit.rows} - stay))
    if not retire:
        return _refused(case, Refusal("the row stands, as ordered: the merge is to be completed", ruling.votes))
    confidence = ruling.confidence if ordered else min(ruling.confidence, kept.confidence, key=lambda one: one.rank)
    return Component(
        case.unit.id,
        _kinds(case),
        case.unit.members,
        case.unit.rows,
        case.candidates,
        ruling.votes,
        survivor=ruling.survivor,
        confidence=confidence,
        retire=retire,
        why=ruling.why,
        notes=_notes(case, kept.ways),
    )


def _refused(case: Case, refusal: Refusal) -> Component:
    unit = case.unit
    kinds = _kinds(case)
    return Component(unit.id, kinds, unit.members, unit.rows, case.candidates, refusal.votes, refused=refusal.reason)


def _kinds(case: Case) -> tuple[str, ...]:
    """Name the rules that find the unit, in the rules' order.

    On a cycle no old counts as split: it has no current at all. Elsewhere the ends count as they are settled by now.
    """
    unit = case.unit
    said = [(row.ref.old, row.ref.new) for row in unit.rows]
    several = not unit.ring and len(case.ways) > 1
    ends = {way.head for way in case.ways}
    named = {
        "cycle": unit.ring,
        "self-merge": any(old == new for old, new in said),
        "split": several and len(ends) > 1,
        "shadowed-live": bool(unit.live),
        "redundant": len(set(said)) < len(said) or (several and len(ends) == 1),
    }
    return tuple(name for name, found in named.items() if found)


def _notes(case: Case, kept: Mapping[uuid.UUID, Way]) -> tuple[str, ...]:
    """Say which members are live and stay merged away, so that their merge is to be completed."""
    notes = []
    for known in case.candidates:
        if known.guid not in kept or not (known.live or known.guid in case.unit.live):
            continue
        if holds(known):
            rows = known.mass or known.keys or 0
            what = f"{rows} row{'s' if rows != 1 else ''} still hold{'s' if rows == 1 else ''} {known.guid}"
        else:
            what = f"{known.guid} is still live"
        notes.append(f"the merge must be completed: {what}")
    return tuple(notes)
