"""Rows that say again what another row says: exact copies, and several news of one old that end at one guid.

The current guid is the same whichever row is followed. One finding with a histogram of rows an old and the ten worst.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_WITNESS, Finding, fingerprint
from mergeguard.core.rule import Rule, Verdict

WORST = 10


def check(facts: Facts, rule: Rule) -> Verdict:
    """Report all redundant rows as one finding, if there is any."""
    agreeing = [lead for lead, branch in facts.raw.branches.items() if branch.current]
    copies = _copies(facts)
    return Verdict(1, _finding(facts, rule, agreeing, copies)) if agreeing or copies else Verdict()


def _copies(facts: Facts) -> int:
    """Count the rows that repeat both guids of an earlier row."""
    repeated = facts.join.repeated
    distinct = sum(len(branch.exits) - 1 for branch in facts.raw.branches.values())
    return len(repeated) - distinct


def _finding(facts: Facts, rule: Rule, agreeing: list[int], copies: int) -> Iterator[Finding]:
    leads = facts.join.lead[facts.join.repeated]
    rows = Counter(leads.tolist())
    concerned = {lead for lead in rows if lead not in facts.raw.branches or facts.raw.branches[lead].current}
    for lead in set(rows) - concerned:
        # An old that is split or on a cycle counts only for exact copies among its rows.
        if rows[lead] + 1 > len(facts.raw.branches[lead].exits):
            concerned.add(lead)
    ordered = facts.by_guid(np.array(sorted(concerned), np.int32)).tolist()
    worst = sorted(ordered, key=lambda lead: -rows[lead])[:WORST]
    shown = facts.rows_of(worst[0])[:MAX_WITNESS]
    words = [f"{copies} exact cop{'ies' if copies > 1 else 'y'}"] if copies else []
    words += [f"{len(agreeing)} old{'s' if len(agreeing) > 1 else ''} with several news and one current"] * bool(
        agreeing
    )
    yield Finding(
        rule.id,
        rule.severity,
        " and ".join(words),
        fingerprint(rule.id),
        subject=facts.old(worst[0]),
        path=(facts.old(worst[0]), facts.new(next(facts.ways(worst[0])))),
        rows=tuple(facts.row(row) for row in shown),
        guids=len(concerned),
        references=facts.references_at(np.array(sorted(concerned))),
        fix=rule.fix,
        details={
            "duplicate_rows": copies,
            "agreeing_olds": len(agreeing),
            "histogram": {
                str(count + 1): olds for count, olds in sorted(Counter(rows[lead] for lead in concerned).items())
            },
            "worst": [{"guid": str(facts.old(lead)), "rows": rows[lead] + 1} for lead in worst],
        },
    )
