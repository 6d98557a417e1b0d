"""A live guid with an outgoing merge.

The resource exists, yet the table says that it is another one: an unfinished merge, or a resource that came back. The
lookup never walks through a live guid; a procedure that does sends its data elsewhere. A self-merge has its own rule.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_WITNESS, Finding, fingerprint
from mergeguard.core.index import Rows
from mergeguard.core.rule import Rule, Verdict


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every live old with a row to another guid, the one that most olds lead to first."""
    if facts.liveness is None:
        return Verdict()
    leads = np.unique(facts.join.lead[facts.liveness.old & ~facts.self_merges])
    return Verdict(len(leads), _findings(facts, rule, leads))


def _findings(facts: Facts, rule: Rule, leads: Rows) -> Iterator[Finding]:
    ends = facts.closure.end[facts.leads]
    settled = facts.leads[(ends >= 0) & (facts.closure.depth[facts.leads] >= 0)]
    ended = facts.closure.end[settled]
    falls = np.bincount(ended, minlength=len(facts.table))
    weights = facts.weights
    mass = None if weights is None else np.bincount(ended, weights[settled], len(facts.table))
    ordered = facts.by_guid(leads)
    for lead in ordered[np.argsort(-falls[ordered], kind="stable")].tolist():
        rows = [row for row in facts.ways(lead) if not facts.self_merges[row]]
        guid = facts.old(lead)
        yield Finding(
            rule.id,
            rule.severity,
            "a live guid is merged away",
            fingerprint(rule.id, guid, *sorted(facts.new(row) for row in rows)),
            subject=guid,
            path=(guid, facts.new(rows[0])),
            rows=tuple(facts.row(row) for row in rows[:MAX_WITNESS]),
            guids=int(falls[lead]),
            references=None if mass is None else int(mass[lead]),
            fix=rule.fix,
        )
