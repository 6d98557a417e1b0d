"""What a rule is: a name in the catalogue, a check over the facts, a verdict with an exact count."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_FINDINGS, Finding, Outcome, Severity


class Need(enum.Enum):
    """What a rule cannot do without; the value is the reason it gives when that is missing."""

    LIVENESS = "the profile declares no liveness ([live])"
    TYPES = "the profile declares no types ([types])"
    REFERENCES = "the profile declares no reference columns ([[references]])"
    LOOKUP = "there is no stored lookup (in a database 'mergeguard lookup build' makes one)"
    TIME = "the profile names no time column (merge.time)"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An exact count, and the findings themselves, worst first; only as many as wanted are ever made."""

    count: int = 0
    findings: Iterable[Finding] = ()


Check: TypeAlias = "Callable[[Facts, Rule], Verdict]"


@dataclass(frozen=True, slots=True)
class Rule:
    """An entry of the catalogue."""

    id: str
    name: str
    severity: Severity
    title: str
    fix: str
    """What to do about it, in one sentence."""
    check: Check
    needs: frozenset[Need] = field(default_factory=frozenset)

    def missing(self, facts: Facts) -> Need | None:
        """Return the first need that the facts do not meet."""
        met = {
            Need.LIVENESS: facts.declared.live is not None,
            Need.TYPES: facts.declared.types is not None,
            Need.REFERENCES: facts.declared.references is not None,
            Need.LOOKUP: facts.declared.stored is not None,
            Need.TIME: facts.table.times is not None,
        }
        return next((need for need in Need if need in self.needs and not met[need]), None)

    def run(self, facts: Facts, limit: int = MAX_FINDINGS) -> Outcome:
        """Check, keeping at most ``limit`` findings in full."""
        missing = self.missing(facts)
        if missing is not None:
            return Outcome(self.id, self.name, self.severity, not_checked=missing.value)
        verdict = self.check(facts, self)
        found = tuple(islice(verdict.findings, limit))
        return Outcome(self.id, self.name, self.severity, verdict.count, found)
