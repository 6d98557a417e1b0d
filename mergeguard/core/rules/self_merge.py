"""A row that says a guid is itself: a cycle of one.

The same procedure loops on it for ever. The row holds no information and can always be retired.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_WITNESS, Finding, fingerprint
from mergeguard.core.index import Rows
from mergeguard.core.rule import Rule, Verdict


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every guid with a row to itself, once a guid."""
    leads = np.unique(facts.join.lead[facts.self_merges])
    return Verdict(len(leads), _findings(facts, rule, leads))


def _findings(facts: Facts, rule: Rule, leads: Rows) -> Iterator[Finding]:
    for lead in facts.by_guid(leads).tolist():
        guid = facts.old(lead)
        rows = [row for row in facts.rows_of(lead) if facts.self_merges[row]]
        times = "" if len(rows) == 1 else f" in {len(rows)} rows"
        yield Finding(
            rule.id,
            rule.severity,
            f"the guid is merged into itself{times}",
            fingerprint(rule.id, guid),
            subject=guid,
            path=(guid, guid),
            rows=tuple(facts.row(row) for row in rows[:MAX_WITNESS]),
            guids=1,
            references=facts.references_at(np.array([lead])),
            fix=rule.fix,
        )
