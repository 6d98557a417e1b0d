"""The plan applied in memory, and the rules run again: what does not end clean is a bug and is not written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import Status
from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_WITNESS
from mergeguard.core.guids import Bools
from mergeguard.core.index import Places, Rows
from mergeguard.core.repair.component import Component
from mergeguard.core.repair.downstream import downstream
from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.remaining import remaining

_Member: TypeAlias = tuple[uuid.UUID, Component]
_NOWHERE: Rows = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Proof:
    """The table as the repair leaves it."""

    after: Facts
    problems: tuple[str, ...]
    """What is wrong with it, in words; empty unless there is a bug."""


def prove(facts: Facts, components: Sequence[Component]) -> Proof:
    """Take the retired rows out, close the table again, and hold it to what a repair promises.

    The olds of decided components lie on no cycle and have one row at most, and those that lead on lead to their
    survivor; every other row is there; every old that had an answer has the same one.
    """
    decided = [component for component in components if component.refused is None]
    problems = list(_retired(facts, components))
    retire = np.array(sorted({row for each in decided for row in each.retire}), np.intp)
    stay = np.ones(len(facts.table), np.bool_)
    stay[retire[(retire >= 0) & (retire < len(stay))]] = False
    after = remaining(facts, stay)
    members = [(member, component) for component in decided for member in component.members]
    places = after.join.olds.find(guids.from_uuids([member for member, _ in members])) if members else _NOWHERE
    # By the rows alone they get where these lead them; only what is asked of all olds asks for all rows.
    part = after if after.liveness is None else downstream(after, places[places >= 0])
    problems += _damage_left(part, decided)
    problems += _members(after, part, members, places)
    told = (each for each in decided if each.confidence is Confidence.ORDERED)
    ordered = frozenset(member for each in told for member in each.members)
    problems += _answers(facts, after, stay, ordered)
    return Proof(after, tuple(problems))


def _retired(facts: Facts, components: Sequence[Component]) -> Iterator[str]:
    """Check that each component retires only rows of its own, and a refused one none."""
    for component in components:
        own = {row.number: row.ref for row in component.rows}
        members = set(component.members)
        for number in component.retire:
            if component.refused is not None:
                yield f"component {component.id} was refused, but row {number} is to be retired"
            elif number not in own or own[number].old not in members or facts.old(number) != own[number].old:
                yield f"component {component.id} retires row {number}, which is not its own"


def _damage_left(part: Facts, decided: Sequence[Component]) -> Iterator[str]:
    """Check that no decided old lies on a cycle or has two rows."""
    home = {member: component.id for component in decided for member in component.members}
    again = np.unique(part.join.lead[part.join.repeated])
    selfish = np.unique(part.join.lead[np.flatnonzero(part.self_merges)])
    rings = [ring.members for ring in part.raw.rings]
    ringed = np.concatenate(rings) if rings else np.empty(0, np.int32)
    for leads, what in ((ringed, "lies on a cycle"), (again, "has several rows"), (selfish, "is merged into itself")):
        for old in guids.to_uuids(np.ascontiguousarray(part.table.old[leads])):
            if old in home:
                yield f"{old} of component {home[old]} {what} after the repair"


def _members(after: Facts, part: Facts, members: Sequence[_Member], places: Rows) -> Iterator[str]:
    """Check where the olds of decided components lead; ``places`` has their rows, and ``part`` is ``downstream``."""
    there = np.flatnonzero(places >= 0)
    rows = places[there]
    inside = rows if part is after else part.join.olds.find(np.ascontiguousarray(after.table.old[rows]))
    walked = (_currents(part, inside, raw=True), _currents(after, rows, raw=False)) if len(there) else ((), ())
    live = None if after.liveness is None else after.liveness.old
    at = dict(zip(there.tolist(), zip(rows.tolist(), inside.tolist(), *walked, strict=True), strict=True))
    for number, (old, component) in enumerate(members):
        if number not in at:
            if old != component.survivor:
                yield f"{old} of component {component.id} has no row any more"
            continue
        row, lead, *ends = at[number]
        if old == component.survivor:
            yield f"{old} of component {component.id} survives, but a row of it is left"
        if live is not None and live[row] and not component.notes:
            yield f"{old} of component {component.id} is live and still merged away"
        if component.survivor in ends or _had_no_choice(component):
            continue
        if not _passes(part, lead, component.survivor):
            yield f"{old} of component {component.id} does not lead to {component.survivor} after the repair"


def _passes(part: Facts, lead: int, survivor: uuid.UUID | None) -> bool:
    """Say whether the rows lead through a guid and on to an end: one that is live and merged away leads on from there.

    By the lookup the walk may end before it, at another live guid, and by the rows alone it ends behind it.
    """
    is_open = part.raw.status[lead] not in (Status.OK, Status.DANGLING, Status.DELETED)
    return not is_open and any(guid == survivor for guid in _walk(part, lead))


def _walk(after: Facts, lead: int) -> Iterator[uuid.UUID]:
    """Yield the guids that the rows lead to from an old, one after the other."""
    seen: set[int] = set()
    while lead >= 0 and lead not in seen:
        seen.add(lead)
        yield after.new(lead)
        lead = int(after.join.succ[lead])


def _had_no_choice(component: Component) -> bool:
    """Say whether there was but one new: the row that is left leads where it did, be that open or not."""
    return len(component.members) == 1 and len({row.ref.new for row in component.rows} - {*component.members}) == 1


def _currents(facts: Facts, rows: Rows | Places, *, raw: bool) -> list[uuid.UUID | None]:
    """Return where some rows lead, by the rows alone or by the lookup; the tombstone for what is deleted."""
    closure = facts.raw if raw else facts.closure
    ended = np.isin(closure.status[rows], (Status.OK, Status.DANGLING, Status.DELETED))
    ends = closure.end[rows].astype(np.intp)
    column = facts.table.new[ends]
    if closure.live is not None:
        own = closure.live[ends]
        column[own] = facts.table.old[ends[own]]
    return [guid if has else None for guid, has in zip(guids.to_uuids(column), ended.tolist(), strict=True)]


def _answers(facts: Facts, after: Facts, stay: Bools, ordered: frozenset[uuid.UUID]) -> Iterator[str]:
    """Check that every old that had a current guid, or was deleted, has the same answer as before.

    What leads to the members that a person has ordered to survive, live or not, leads where that person said.
    """
    moved = np.cumsum(stay, dtype=np.int32) - 1
    leads = facts.leads
    now = np.where(stay[leads], moved[leads], -1)
    gone = np.flatnonzero(now < 0)
    if len(gone):
        now[gone] = after.join.olds.find(np.ascontiguousarray(facts.table.old[leads[gone]]))
    status = facts.closure.status[leads]
    kept = np.flatnonzero((now >= 0) & ((status == Status.OK) | (status >= Status.DANGLING)))
    before, rows = leads[kept], now[kept]
    same = after.closure.status[rows] == facts.closure.status[before]
    ends, were = after.closure.end[rows], facts.closure.end[before]
    doubt = np.flatnonzero(~same | (ends != moved[were]) | ~stay[were])
    if ordered:
        doubt = doubt[[_is_free(after, lead, ordered) for lead in rows[doubt].tolist()]]
    yield from _differ(facts, after, before[doubt], rows[doubt])


def _is_free(after: Facts, lead: int, ordered: frozenset[uuid.UUID]) -> bool:
    """Say whether an old keeps clear of what a person has ordered."""
    return ordered.isdisjoint((after.old(lead), *_walk(after, lead)))


def _differ(facts: Facts, after: Facts, before: Rows | Places, rows: Rows | Places) -> Iterator[str]:
    """Compare answers guid by guid, where they do not stand in the same row."""
    if not len(rows):
        return
    told = zip(
        guids.to_uuids(np.ascontiguousarray(facts.table.old[before])),
        zip(facts.closure.status[before].tolist(), _currents(facts, before, raw=False), strict=True),
        zip(after.closure.status[rows].tolist(), _currents(after, rows, raw=False), strict=True),
        strict=True,
    )
    wrong = [f"{old} led to {was[1]}, and to {now[1]} after the repair" for old, was, now in told if was != now]
    yield from wrong[:MAX_WITNESS]
