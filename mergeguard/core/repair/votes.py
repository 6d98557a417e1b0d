"""One small function for each kind of evidence: for whom it speaks, how strongly, and why; ``None`` where it is silent.

Each looks at a ``Case`` alone, whatever the others say; ``weigh`` puts them together.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.repair.case import Case, Way, by_new
from mergeguard.core.repair.evidence import Confidence, Evidence, Vote

SHARE = 0.95
"""The part of all references that one candidate must hold to be spoken for by them."""
ENOUGH = 10
"""The references that it must hold at least."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Evidence that contradicts itself."""

    why: str


def by_liveness(case: Case) -> Vote | None:
    """E1: exactly one candidate is live and all others are known not to be. Certain."""
    if len(case.live) != 1 or any(known.live is None for known in case.candidates):
        return None
    why = f"the only live one of {len(case.candidates)}"
    return Vote(Evidence.LIVENESS, Confidence.CERTAIN, case.live[0], why, case.read_from.live or "liveness")


def by_unfinished_merge(case: Case) -> Vote | None:
    """E2: the row of a live old that still holds keys or references was announced and never carried out. Strong.

    It speaks where exactly one candidate is live and holds any. Where two do, both rows are unfinished, and it only
    rules the others out (``Case.left``).
    """
    if len(case.owners) != 1 or case.owners[0] not in case.members or len(case.candidates) < 2:
        return None
    known = next(known for known in case.candidates if known.guid == case.owners[0])
    keys = [f"{known.keys} key{'s' if known.keys != 1 else ''}"] if known.keys else []
    rows = [f"{known.mass} reference{'s' if known.mass != 1 else ''}"] if known.mass else []
    why = f"live and still holds {' and '.join(keys + rows)}: its merge was never finished"
    sources = (case.read_from.keys if keys else None, *(case.read_from.references if rows else ()))
    read_from = ", ".join(source for source in sources if source)
    return Vote(Evidence.UNFINISHED, Confidence.STRONG, known.guid, why, read_from or "keys and references")


def by_order(case: Case) -> Vote | Disagreement | None:
    """E3: the newest row states the last intent. Strong.

    Each old follows its newest row. Where all of them then get to one end outside, that end is meant; where they get to
    one cycle, the target of the newest row on it. Copies of a row count too: to say a thing again is to mean it.
    """
    picks: dict[uuid.UUID, Way] = {}
    for old, ways in case.onward.items():
        newest = case.order.newest(by_new(ways)) if len(ways) > 1 else None
        if newest is not None and newest.disagree:
            return Disagreement(newest.disagree)
        if newest is not None and newest.key is None:
            return None
        picks[old] = ways[0] if newest is None else next(way for way in ways if way.new == newest.key)
    ends = set(_ends(picks))
    if len(ends) != 1:
        return None
    (end,) = ends
    turn = _turn(end, picks) if end in picks else case.onward[_fork(case, end, picks)]
    newest = case.order.newest({way.new: way.rows for way in turn})
    if newest.disagree:
        return Disagreement(newest.disagree)
    if newest.row is None or newest.key is None:
        return None
    survivor = newest.key if end in picks else end
    words = f"row {newest.row.ref.row_id} is the newest and leads to it"
    return Vote(Evidence.ORDER, Confidence.STRONG, survivor, words, newest.read_from)


def _ends(picks: dict[uuid.UUID, Way]) -> Iterator[uuid.UUID]:
    """Yield where each walk along the picks gets to: a guid outside, or the smallest guid of the cycle it runs into."""
    done: dict[uuid.UUID, uuid.UUID] = {}
    for start in picks:
        path: list[uuid.UUID] = []
        at, on_path = start, set[uuid.UUID]()
        while at in picks and at not in done and at not in on_path:
            path.append(at)
            on_path.add(at)
            at = picks[at].head
        end = done[at] if at in done else min(path[path.index(at) :]) if at in on_path else at
        done.update(dict.fromkeys(path, end))
        yield end


def _fork(case: Case, end: uuid.UUID, picks: dict[uuid.UUID, Way]) -> uuid.UUID:
    """Return the old at which a walk turned to an end outside; else the first that had a choice."""
    forks = [old for old, ways in case.onward.items() if len(ways) > 1]
    return next((old for old in forks if picks[old].head == end), (forks or list(picks))[0])


def _turn(start: uuid.UUID, picks: dict[uuid.UUID, Way]) -> list[Way]:
    """Return the ways once around a cycle."""
    turn = [picks[start]]
    while turn[-1].head != start:
        turn.append(picks[turn[-1].head])
    return turn


def by_owner(case: Case) -> Vote | None:
    """E4: the one candidate that another server owns. Medium.

    In a hierarchy the source server wins, the documentation says; that this means the resource which another server
    than this one owns is our reading, a guess, and so it never decides alone.
    """
    here = case.read_from.here
    if here is None or case.read_from.owner is None:
        return None
    others = [known for known in case.candidates if known.owner is not None and known.owner != here]
    if len(others) != 1:
        return None
    why = f"the only one that another server ({others[0].owner}) owns"
    return Vote(Evidence.OWNER, Confidence.MEDIUM, others[0].guid, why, case.read_from.owner)


def by_references(case: Case) -> Vote | None:
    """E5: nearly all references hold one candidate. Medium."""
    total = sum(known.mass for known in case.candidates)
    for known in case.candidates:
        if known.mass >= ENOUGH and known.mass >= SHARE * total and len(case.candidates) > 1:
            why = f"{known.mass} of {total} references hold it"
            read_from = ", ".join(case.read_from.references) or "references"
            return Vote(Evidence.REFERENCES, Confidence.MEDIUM, known.guid, why, read_from)
    return None


def by_contact(case: Case) -> Vote | None:
    """E6: the one that was heard of last, by more than the clocks may differ. Medium.

    One that has no contact on record was never heard of.
    """
    heard = sorted(
        ((known.last_contact, known.guid) for known in case.candidates if known.last_contact is not None), reverse=True
    )
    if not heard or len(case.candidates) < 2:
        return None
    if len(heard) > 1 and heard[0][0] - heard[1][0] <= case.policy.clock_skew:
        return None
    why = f"heard of last, at {heard[0][0]:%Y-%m-%d %H:%M}"
    return Vote(Evidence.CONTACT, Confidence.MEDIUM, heard[0][1], why, case.read_from.contact or "last contact")


def by_total_order(case: Case) -> Vote | None:
    """E7: the first in text order of those that nothing rules out; only where the policy allows it. Arbitrary."""
    if not case.policy.allow_arbitrary:
        return None
    chosen = [guid for guid in case.left if guid != TOMBSTONE] or list(case.left)
    return Vote(Evidence.TOTAL_ORDER, Confidence.ARBITRARY, chosen[0], "the first in text order", "the guids")
