"""Guids that lie on no cycle but lead into one.

They have no current guid either: a cycle of three can take thousands of mappings down with it. One finding a cycle that
has any, with the count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mergeguard.core.facts import Facts
from mergeguard.core.findings import Finding, fingerprint
from mergeguard.core.rings import Ring
from mergeguard.core.rule import Rule, Verdict
from mergeguard.core.rules import cycle


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every cycle with trees hanging off it, the one with most guids first."""
    rings = [ring for ring in cycle.ranked(facts) if ring.down > len(ring.members)]
    return Verdict(len(rings), _findings(facts, rule, rings))


def _findings(facts: Facts, rule: Rule, rings: list[Ring]) -> Iterator[Finding]:
    for ring in rings:
        texts = cycle.members(facts, ring)
        hanging = ring.down - len(ring.members)
        on_ring = facts.by_guid(ring.members)
        entry = _entry(facts, on_ring.tolist())
        inside = facts.references_at(on_ring)
        yield Finding(
            rule.id,
            rule.severity,
            f"{hanging} guid{'s' if hanging > 1 else ''} lead{'' if hanging > 1 else 's'} into a cycle of "
            f"{len(ring.members)}",
            fingerprint(rule.id, *texts),
            subject=facts.old(int(on_ring[0])),
            path=(facts.old(entry[0]), facts.old(entry[1])),
            guids=hanging,
            references=None if inside is None else ring.mass - inside,
            fix=rule.fix,
            details={"members": len(ring.members), "hanging": hanging},
        )


def _entry(facts: Facts, on_ring: list[int]) -> tuple[int, int]:
    """Return who has a row to the cycle, and where it leads: the first place with any, in text order its first."""
    inside = set(on_ring)
    for member in on_ring:
        outside = [lead for lead in facts.behind.sources(member) if lead not in inside]
        if outside:
            return int(facts.by_guid(np.array(outside, np.int32))[0]), member
    return on_ring[0], on_ring[0]
