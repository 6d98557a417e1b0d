"""Rows that lead back to where they began.

A procedure that follows the rows of a cycle never ends. A finding is a whole strongly connected component of two guids
or more over all rows, those that lose a conflict included, with one shortest cycle as its witness. Its blast radius
counts every old that leads into it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mergeguard.core import guids
from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_WITNESS, Finding, fingerprint
from mergeguard.core.pictures import neighbourhood
from mergeguard.core.rings import Ring
from mergeguard.core.rule import Rule, Verdict
from mergeguard.core.witness import shortest_cycle

MAX_PICTURES = 50
"""How many cycles are drawn; a picture of more of them is not looked at."""


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every cycle of two guids or more, those that take most guids down first."""
    return Verdict(len(facts.raw.rings), _findings(facts, rule))


def ranked(facts: Facts) -> list[Ring]:
    """Sort the cycles by how many olds they take down, then by their smallest guid."""
    rings = facts.raw.rings
    if not rings:
        return []
    firsts = facts.by_guid(np.concatenate([ring.members for ring in rings]))
    place = {int(lead): at for at, lead in enumerate(firsts)}
    return sorted(rings, key=lambda ring: (-ring.down, min(place[int(lead)] for lead in ring.members)))


def members(facts: Facts, ring: Ring) -> list[str]:
    """Return the texts of a cycle's guids in order: what the cycle *is*."""
    texts = guids.to_texts(np.ascontiguousarray(facts.table.old[ring.members]))
    return [text.decode() for text in np.sort(texts).tolist()]


def _findings(facts: Facts, rule: Rule) -> Iterator[Finding]:
    for number, ring in enumerate(ranked(facts)):
        rows = shortest_cycle(facts, ring)
        path = [facts.old(row) for row in rows[:MAX_WITNESS]]
        if len(rows) < MAX_WITNESS:
            path.append(path[0])
        size = len(ring.members)
        words = f"{size} guids lead in a circle" if ring.simple else f"{size} guids lead in circles, with conflicts"
        more = ring.down - size
        yield Finding(
            rule.id,
            rule.severity,
            f"{words}; {more} more lead{'' if more > 1 else 's'} into it" if more else words,
            fingerprint(rule.id, *members(facts, ring)),
            subject=path[0],
            path=tuple(path),
            rows=tuple(facts.row(row) for row in rows[:MAX_WITNESS]),
            guids=ring.down,
            references=None if facts.weights is None else ring.mass,
            fix=rule.fix,
            details={"members": size, "simple": ring.simple, "witness_length": len(rows), "hanging": more},
            picture=neighbourhood(facts, facts.by_guid(ring.members).tolist()) if number < MAX_PICTURES else None,
        )
