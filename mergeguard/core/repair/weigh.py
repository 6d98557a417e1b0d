"""Votes weighed: a survivor with a confidence, or the reason why there is none."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mergeguard.core.repair import votes as kinds
from mergeguard.core.repair.case import Case
from mergeguard.core.repair.evidence import Confidence, Evidence, Override, Vote


@dataclass(frozen=True, slots=True)
class Ruling:
    """Who survives, how sure that is, and why."""

    survivor: uuid.UUID
    confidence: Confidence
    why: str
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody may be chosen."""

    reason: str
    votes: tuple[Vote, ...] = ()


def weigh(case: Case) -> Ruling | Refusal:
    """Choose among the candidates of a case, or say why not."""
    ordered = by_override(case)
    if ordered is not None:
        return ordered
    live = kinds.by_liveness(case)
    unfinished = kinds.by_unfinished_merge(case)
    newest = kinds.by_order(case)
    mediums = [vote for kind in (kinds.by_owner, kinds.by_references, kinds.by_contact) if (vote := kind(case))]
    order = newest if isinstance(newest, Vote) else None
    strongs = [vote for vote in (unfinished, order) if vote]
    said = (*([live] if live else []), *strongs, *mediums)
    if live is not None:
        return _ruling(live, said)
    doubt = _doubt(case)
    if doubt or isinstance(newest, kinds.Disagreement):
        why = doubt or f"the evidence contradicts itself: {newest.why}"  # type: ignore[union-attr]
        return Refusal(why, said)
    return _by_strength(case, strongs, mediums, said)


def by_override(case: Case) -> Ruling | Refusal | None:
    """Decide as a person ordered; ``None`` where nobody did."""
    override = case.policy.overrides.get(case.unit.id)
    if override is None:
        return None
    if override.survivor not in case.guids:
        return Refusal(f"{override.who} orders {override.survivor} to survive, which is no candidate")
    vote = _ordered(override)
    return _ruling(vote, (vote,))


def _ordered(override: Override) -> Vote:
    why = f"{override.who} decided: {override.why}"
    return Vote(Evidence.OVERRIDE, Confidence.ORDERED, override.survivor, why, "the override file")


def _ruling(vote: Vote, said: Sequence[Vote], why: str | None = None) -> Ruling:
    words = f"{vote.survivor} survives: {why or vote.why} ({vote.evidence.value})"
    return Ruling(vote.survivor, vote.strength, words, tuple(said))


def _doubt(case: Case) -> str | None:
    """Name what keeps even strong evidence from deciding."""
    types = {known.type for known in case.candidates if known.type is not None}
    if len(types) > 1:
        return f"mixed types: {', '.join(sorted(types))}"
    known = case.candidates
    if all(each.live is False for each in known) and not any(each.mass for each in known):
        return "all are known to be dead and nothing refers to them: is the resource deleted?"
    return None


def _by_strength(case: Case, strongs: list[Vote], mediums: list[Vote], said: tuple[Vote, ...]) -> Ruling | Refusal:
    agreed = _agreed(mediums)
    accepted = agreed if case.policy.accept_medium else None
    if strongs:
        contradiction = _contradiction(case, strongs[0], [*strongs[1:], *([agreed] if agreed else [])])
        return Refusal(contradiction, said) if contradiction else _ruling(strongs[0], said)
    if accepted:
        contradiction = _contradiction(case, accepted, [])
        if contradiction:
            return Refusal(contradiction, said)
        words = [f"{vote.why} ({vote.evidence.value})" for vote in mediums if vote.survivor == accepted.survivor]
        why = f"{accepted.survivor} survives: {'; '.join(words)}"
        return Ruling(accepted.survivor, Confidence.MEDIUM, why, said)
    last = kinds.by_total_order(case)
    if last is not None:
        return _ruling(last, (*said, last))
    return Refusal(_open(case, mediums, agreed), said)


def _agreed(mediums: Sequence[Vote]) -> Vote | None:
    """Return the first vote for the guid that two or more mediums speak for."""
    groups: dict[uuid.UUID, list[Vote]] = defaultdict(list)
    for vote in mediums:
        groups[vote.survivor].append(vote)
    return next((votes[0] for votes in groups.values() if len(votes) > 1), None)


def _contradiction(case: Case, chosen: Vote, others: Sequence[Vote]) -> str | None:
    """Say what speaks against a choice, if anything does that may not be overruled."""
    for vote in others:
        if vote.survivor != chosen.survivor:
            return (
                f"contradiction: {chosen.evidence.value} says {chosen.survivor} ({chosen.why}), "
                f"{vote.evidence.value} says {vote.survivor} ({vote.why})"
            )
    if chosen.survivor not in case.left:
        out = "others are live and still hold rows" if case.owners else "others are live and it is not"
        return f"contradiction: {chosen.evidence.value} says {chosen.survivor} ({chosen.why}), but {out}"
    return None


def _open(case: Case, mediums: Sequence[Vote], agreed: Vote | None) -> str:
    """Say what is missing."""
    between = f"nothing decides between {len(case.candidates)} candidates"
    if agreed:
        named = " and ".join(vote.evidence.value for vote in mediums if vote.survivor == agreed.survivor)
        return f"{between} for certain: {named} speak for {agreed.survivor} (--accept-medium)"
    if len(case.live) > 1:
        return f"{between}: {len(case.live)} are live, and no order of rows is declared that tells the newest"
    return between
