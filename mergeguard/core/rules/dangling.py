"""Merges that lead to a guid that is not live.

The rows end, but at a resource that is gone: whatever is re-pointed there points at nothing. The rows are the only
record of the mapping, so they are never deleted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import Status
from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_WITNESS, Finding, fingerprint
from mergeguard.core.index import Rows
from mergeguard.core.rule import Rule, Verdict
from mergeguard.core.witness import longest_walk


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every dead guid that olds lead to, once a guid, the one with most olds first."""
    leads = facts.leads[facts.closure.status[facts.leads] == Status.DANGLING]
    currents, _ = facts.closure.current(facts.table, leads)
    words = guids.keys(currents)
    ranked = np.lexsort((words[:, 1], words[:, 0]))
    first = np.ones(len(ranked), np.bool_)
    first[1:] = (words[ranked][1:] != words[ranked][:-1]).any(axis=1)
    groups = np.split(leads[ranked], np.flatnonzero(first)[1:]) if len(leads) else []
    return Verdict(len(groups), _findings(facts, rule, groups))


def _findings(facts: Facts, rule: Rule, groups: list[Rows]) -> Iterator[Finding]:
    dead = {at: guids.to_uuid(facts.closure.current(facts.table, group[:1])[0], 0) for at, group in enumerate(groups)}
    for at in sorted(dead, key=lambda at: (-len(groups[at]), dead[at].bytes)):
        group = groups[at]
        deepest = facts.by_guid(group[facts.closure.depth[group] == facts.closure.depth[group].max()])
        rows = longest_walk(facts, int(deepest[0]), MAX_WITNESS)
        count = len(group)
        yield Finding(
            rule.id,
            rule.severity,
            f"{count} old{'s lead' if count > 1 else ' leads'} to a guid that is not live",
            fingerprint(rule.id, dead[at]),
            subject=dead[at],
            path=(*(facts.old(row) for row in rows), facts.new(rows[-1])),
            rows=tuple(facts.row(row) for row in rows),
            guids=count,
            references=facts.references_at(group),
            fix=rule.fix,
        )
