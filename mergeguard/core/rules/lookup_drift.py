"""The stored lookup differs from what the rows say.

Somebody merged without maintaining it, or changed it by hand: rows are missing, are too many, or give another current
guid, depth or status than the closure.
"""

from __future__ import annotations

import uuid
from collections import Counter
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
    return Verdict(len(drift) + (stored.skipped > 0), _findings(facts, rule, stored, drift))


def _findings(facts: Facts, rule: Rule, stored: StoredLookup, drift: Drift) -> Iterator[Finding]:
    for lead, place in zip(drift.leads.tolist(), drift.places.tolist(), strict=True):
        yield _finding(facts, rule, lead, _stored(stored, place))
    for lead in facts.by_guid(drift.missing).tolist():
        yield _finding(facts, rule, lead, None)
    olds = np.ascontiguousarray(stored.olds[drift.extra])
    leads = facts.join.olds.find(olds)
    seen: Counter[uuid.UUID] = Counter()
    for guid, lead, place in zip(guids.to_uuids(olds), leads.tolist(), drift.extra.tolist(), strict=True):
        seen[guid] += 1
        yield _extra(rule, guid, seen[guid], known=lead >= 0, found=_stored(stored, place))
    if stored.skipped:
        yield _nameless(rule, stored.skipped)


def _extra(rule: Rule, guid: uuid.UUID, number: int, *, known: bool, found: dict[str, object]) -> Finding:
    return Finding(
        rule.id,
        rule.severity,
        "the lookup holds another row for an old that has one"
        if known
        else "the lookup holds a row for a guid that no row merges away",
        fingerprint(rule.id, guid, f"extra {number}"),
        subject=guid,
        guids=1,
        fix=rule.fix,
        details={"kind": "extra", "stored": found},
    )


def _nameless(rule: Rule, rows: int) -> Finding:
    return Finding(
        rule.id,
        rule.severity,
        f"{rows} row{'s' if rows > 1 else ''} of the lookup {'have' if rows > 1 else 'has'} no guid as old",
        fingerprint(rule.id, "no guid"),
        fix=rule.fix,
        details={"kind": "malformed", "rows": rows},
    )


def _finding(facts: Facts, rule: Rule, lead: int, found: dict[str, object] | None) -> Finding:
    guid = facts.old(lead)
    return Finding(
        rule.id,
        rule.severity,
        "the lookup has no row for this old" if found is None else "the lookup gives another answer than the rows",
        fingerprint(rule.id, guid),
        subject=guid,
        rows=(facts.row(next(facts.ways(lead))),),
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
