"""The stored lookup differs from what the rows say.

Somebody merged without maintaining it, or changed it by hand: rows are missing, are too many, or give another current
guid, depth or status than the closure.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.columns import StoredLookup
from mergeguard.core.drift import Drift, compare
from mergeguard.core.facts import Facts
from mergeguard.core.findings import Finding, fingerprint
from mergeguard.core.rule import Rule, Verdict


def check(facts: Facts, rule: Rule) -> Verdict:
    """Find every old whose stored row is missing, superfluous or different."""
    stored = facts.declared.stored
    if stored is None:
        return Verdict()
    drift = compare(facts, stored)
    return Verdict(len(drift), _findings(facts, rule, stored, drift))


def _findings(facts: Facts, rule: Rule, stored: StoredLookup, drift: Drift) -> Iterator[Finding]:
    for lead, place in zip(drift.leads.tolist(), drift.places.tolist(), strict=True):
        yield _finding(facts, rule, lead, _stored(stored, place))
    for lead in facts.by_guid(drift.missing).tolist():
        yield _finding(facts, rule, lead, None)
    for place in drift.extra.tolist():
        guid = guids.to_uuid(stored.olds, place)
        yield Finding(
            rule.id,
            rule.severity,
            "the lookup holds a row for a guid that no row merges away",
            fingerprint(rule.id, guid),
            subject=guid,
            guids=1,
            fix=rule.fix,
            details={"kind": "extra", "stored": _stored(stored, place)},
        )


def _finding(facts: Facts, rule: Rule, lead: int, found: dict[str, object] | None) -> Finding:
    guid = facts.old(lead)
    return Finding(
        rule.id,
        rule.severity,
        "the lookup has no row for this old" if found is None else "the lookup gives another answer than the rows",
        fingerprint(rule.id, guid),
        subject=guid,
        rows=(facts.row(lead),),
        guids=1,
        references=facts.references_at(np.array([lead])),
        fix=rule.fix,
        details={
            "kind": "missing" if found is None else "different",
            "expected": _closed(facts, lead),
            "stored": found,
        },
    )


def _closed(facts: Facts, lead: int) -> dict[str, object]:
    column, has = facts.closure.current(facts.table, np.array([lead], np.int32))
    depth = int(facts.closure.depth[lead])
    return {
        "current": str(guids.to_uuid(column, 0)) if has[0] else None,
        "depth": depth if depth >= 0 else None,
        "status": STATUS_TEXTS[facts.closure.status[lead]],
    }


def _stored(stored: StoredLookup, place: int) -> dict[str, object]:
    current: uuid.UUID | None = guids.to_uuid(stored.currents, place) if stored.has_current[place] else None
    depth = int(stored.depths[place])
    return {
        "current": None if current is None else str(current),
        "depth": depth if depth >= 0 else None,
        "status": stored.status_names[stored.statuses[place]],
    }
