"""What a scan by procedure says of a finding, and what Python says of the same: to be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rule_model import Case, component, run

from mergeguard.core.findings import Finding
from mergeguard.core.rules import RULES

ALONE = {"chain", "redundant", "empty-guid"}
"""Rules with one finding for all, or with some that are about no guid."""
SETS = {"cycle", "cycle-tree", "type-mismatch", "flip-flop"}
"""Rules whose findings are about several guids."""


def compare(case: Case, rows: Sequence[Mapping[str, Any]]) -> None:
    """Hold the rows of a scan to what Python finds in a case."""
    for rule in RULES:
        if rule.name == "lookup-drift" and case.stored is None:
            continue  # the scripts make a lookup
        outcome = run(case, rule.name)
        found = [row for row in rows if row["name"] == rule.name]
        assert {(row["rule"], row["severity"]) for row in found} <= {(rule.id, rule.severity.value)}
        assert len(found) == outcome.count, rule.name
        if rule.name not in ALONE:
            said = Counter(_said(rule.name, row) for row in found)
            assert said == Counter(_subject(case, rule.name, finding) for finding in outcome.findings), rule.name
        counts = Counter(number for finding in outcome.findings if (number := _count(rule.name, finding)) is not None)
        assert Counter(row["rows"] for row in found if counts) == counts, rule.name


def _subject(case: Case, name: str, finding: Finding) -> object:
    """What a finding is about, as the procedure names it."""
    if name in {"cycle", "cycle-tree"}:
        return " ".join(map(str, sorted(component(case, finding.subject))))
    if name in SETS:
        return " ".join(map(str, sorted(set(finding.path))))
    return finding.references if name == "stale-reference" else finding.subject


def _said(name: str, row: Mapping[str, Any]) -> object:
    return row["guids"] if name in SETS else row["rows"] if name == "stale-reference" else row["guid"]


def _count(name: str, finding: Finding) -> int | None:
    """How many rows or guids say so, where Python counts the same."""
    if name in {"dangling", "cycle-tree"}:
        return finding.guids
    if name == "chain":
        return int(finding.details["rows"])
    if name == "redundant":
        return int(finding.details["duplicate_rows"] + finding.details["agreeing_olds"])
    return None
