"""A declared reference column that holds a guid which was merged away.

Importers that map only the incoming guids leave such values behind: the known limitation that foreign keys are not
remapped. One finding a column, with exact counts and the guids that most rows hold.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.columns import ReferenceCounts
from mergeguard.core.facts import Facts
from mergeguard.core.findings import Finding, fingerprint
from mergeguard.core.index import Rows
from mergeguard.core.rule import Rule, Verdict

MAX_SAMPLES = 10


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every reference column in which at least one row holds a merged-away guid."""
    merged = _merged_away(facts)
    found = []
    for counted, places in zip(facts.declared.references or (), facts.reference_places, strict=True):
        stale = np.flatnonzero((places >= 0) & merged[places]).astype(np.int32)
        if len(stale):
            found.append((counted, places, stale))
    return Verdict(len(found), _findings(facts, rule, found))


def _merged_away(facts: Facts) -> guids.Bools:
    """Flag the leads that lead anywhere but to themselves."""
    alone = np.zeros(len(facts.table) + 1, np.bool_)
    alone[:-1] = facts.self_merges
    if len(facts.join.repeated):
        # A lead whose own row is a self-merge is still merged away when another row of its old leads on.
        leading_on = facts.join.repeated[~facts.self_merges[facts.join.repeated]]
        alone[facts.join.lead[leading_on]] = False
    if facts.liveness is not None:
        alone[:-1] |= facts.liveness.old
    return ~alone


def _findings(facts: Facts, rule: Rule, found: list[tuple[ReferenceCounts, Rows, Rows]]) -> Iterator[Finding]:
    ranked = sorted(found, key=lambda item: (-int(item[0].counts[item[2]].sum()), item[0].reference))
    for counted, places, stale in ranked:
        rows = int(counted.counts[stale].sum())
        distinct = len(np.unique(places[stale]))
        yield Finding(
            rule.id,
            rule.severity,
            f"{rows} row{'s' if rows > 1 else ''} of {counted.reference} hold{'' if rows > 1 else 's'} "
            f"{distinct} merged-away guid{'s' if distinct > 1 else ''}",
            fingerprint(rule.id, counted.reference),
            guids=distinct,
            references=rows,
            fix=rule.fix,
            details={
                "column": counted.reference,
                "rows": rows,
                "guids": distinct,
                "samples": _samples(facts, counted, places, stale),
            },
        )


def _samples(facts: Facts, counted: ReferenceCounts, places: Rows, stale: Rows) -> list[dict[str, object]]:
    # A guid that the table spells in several ways stands in as many places.
    every, inverse = np.unique(places[stale], return_inverse=True)
    totals = np.bincount(inverse, counted.counts[stale], len(every)).astype(np.int64)
    ordered = facts.by_guid(every)
    rows = totals[np.searchsorted(every, ordered)]
    worst = np.argsort(-rows, kind="stable")[:MAX_SAMPLES]
    leads = ordered[worst]
    currents, has = facts.closure.current(facts.table, leads)
    return [
        {
            "guid": str(facts.old(int(lead))),
            "current": str(guids.to_uuid(currents, at)) if has[at] else None,
            "status": STATUS_TEXTS[facts.closure.status[lead]],
            "rows": int(rows[worst[at]]),
        }
        for at, lead in enumerate(leads)
    ]
