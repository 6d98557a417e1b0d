"""A was merged into B and later B into A.

Two agents that share a key, or two servers that each think they own the resource, take turns. The times say how often
and which came last.
"""

from __future__ import annotations

from collections.abc import Iterator

from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_WITNESS, Finding, fingerprint
from mergeguard.core.rule import Rule, Verdict


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every pair of guids with rows in both directions."""
    pairs = sorted(_pairs(facts), key=lambda pair: (facts.old(pair[0]).bytes, facts.old(pair[1]).bytes))
    return Verdict(len(pairs), _findings(facts, rule, pairs))


def _pairs(facts: Facts) -> set[tuple[int, int]]:
    """Return the leads of each pair, the smaller guid first. Only rows within cycles can be among them."""
    inner = {
        (lead, int(facts.join.succ[row]))
        for ring in facts.raw.rings
        for lead in ring.members.tolist()
        for row in facts.ways(lead)
    }
    return {(one, two) for one, two in inner if (two, one) in inner and facts.old(one).bytes < facts.old(two).bytes}


def _findings(facts: Facts, rule: Rule, pairs: list[tuple[int, int]]) -> Iterator[Finding]:
    for one, two in pairs:
        rows = [row for row in facts.rows_of(one) if int(facts.join.succ[row]) == two]
        rows += [row for row in facts.rows_of(two) if int(facts.join.succ[row]) == one]
        refs = [facts.row(row) for row in rows]
        refs.sort(key=lambda ref: (ref.time is not None, ref.time.timestamp() if ref.time else 0.0, str(ref.old)))
        a, b = facts.old(one), facts.old(two)
        last = refs[-1]
        when = f"; the last row is of {last.time:%Y-%m-%d %H:%M}" if last.time else ""
        yield Finding(
            rule.id,
            rule.severity,
            f"merged in both directions, {len(refs)} rows{when}",
            fingerprint(rule.id, a, b),
            subject=a,
            path=(a, b, a),
            rows=tuple(refs[:MAX_WITNESS]),
            guids=2,
            references=facts.references_at(facts.join.lead[[one, two]]),
            fix=rule.fix,
            details={"rows": len(refs), "last_old": str(last.old), "last_new": str(last.new)},
        )
