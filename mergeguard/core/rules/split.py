"""One old with several news that end at different guids.

Nobody can say what the old is now; a lookup that takes the newest row, or the first, guesses. The lookup says ``split``
and gives no current guid, for the old and for everything that leads to it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np

from mergeguard.core import guids
from mergeguard.core.branches import Branch
from mergeguard.core.closure import Status
from mergeguard.core.facts import Facts
from mergeguard.core.findings import Finding, fingerprint
from mergeguard.core.pictures import neighbourhood
from mergeguard.core.rule import Rule, Verdict

MAX_CURRENTS = 10
MAX_PICTURES = 50
MAX_DRAWN = 40
"""Guids in a picture: the fork and what is near it; the rest of what hangs on it says nothing about the split."""
MAX_ABOVE = 10_000
"""How many conflicting olds above one are followed for its blast radius; beyond, the radius is a lower bound."""


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every old with two distinct news or more whose walks end at two guids or more."""
    leads = [lead for lead in facts.raw.branches if facts.raw.status[lead] == Status.SPLIT]
    return Verdict(len(leads), _findings(facts, rule, leads))


def _findings(facts: Facts, rule: Rule, leads: list[int]) -> Iterator[Finding]:
    branches, sources = facts.raw.branches, _sources(facts)
    ordered = facts.by_guid(np.array(leads, np.int32)).tolist()
    for number, lead in enumerate(sorted(ordered, key=lambda lead: -branches[lead].falls)):
        rows = list(facts.ways(lead))
        currents = _currents(facts, lead)
        above = [branches[at] for at in _above(sources, lead)]
        down, mass = sum(branch.falls for branch in above), sum(branch.mass for branch in above)
        old = facts.old(lead)
        news = sorted(facts.new(row) for row in rows)
        yield Finding(
            rule.id,
            rule.severity,
            f"one old, {len(rows)} news, at least {len(currents)} different currents",
            fingerprint(rule.id, old, *news),
            subject=old,
            path=(old, news[0]),
            rows=tuple(facts.row(row) for row in rows[:MAX_CURRENTS]),
            guids=down,
            references=None if facts.weights is None else mass,
            fix=rule.fix,
            details={"currents": [str(guid) for guid in currents], "news": len(news)},
            picture=neighbourhood(facts, [lead], limit=MAX_DRAWN) if number < MAX_PICTURES else None,
        )


def _sources(facts: Facts) -> dict[int, list[int]]:
    """Return for each conflicting old the conflicting olds with a walk straight to it."""
    sources: dict[int, list[int]] = {lead: [] for lead in facts.raw.branches}
    for lead, branch in facts.raw.branches.items():
        for way in branch.exits:
            if way.branch is not None:
                sources[way.branch].append(lead)
    return sources


def _above(sources: dict[int, list[int]], lead: int) -> set[int]:
    """Return the conflicting olds that lead to this one, itself included; at most ``MAX_ABOVE`` of them."""
    seen, todo = {lead}, [lead]
    while todo and len(seen) < MAX_ABOVE:
        for source in sources[todo.pop()]:
            if source not in seen:
                seen.add(source)
                todo.append(source)
    return seen


def _currents(facts: Facts, lead: int) -> list[uuid.UUID]:
    """Return up to ``MAX_CURRENTS`` of the guids that the old's walks end at, in text order."""
    branches = facts.raw.branches
    found: set[uuid.UUID] = set()
    seen, todo = {lead}, [lead]
    while todo:
        branch: Branch = branches[todo.pop()]
        for way in branch.exits:
            if way.terminal is not None:
                found.add(guids.to_uuid(facts.table.new, way.end))
            elif way.branch is not None and way.branch not in seen:
                seen.add(way.branch)
                todo.append(way.branch)
    return sorted(found)[:MAX_CURRENTS]
