"""Findings that somebody accepted: they leave the count of a scan, with a reason, and until a day if one is given."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mergeguard.core.findings import Outcome, Severity
from mergeguard.errors import UsageError

MAX_LISTED = 10
"""How many fingerprints a note names; all are counted."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One finding that somebody accepted, or, without a fingerprint, every finding of a rule."""

    rule: str
    reason: str
    fingerprint: str | None = None
    until: dt.date | None = None
    """The last day on which it holds."""
    by: str | None = None

    def expired(self, today: dt.date) -> bool:
        """Whether its last day is over."""
        return self.until is not None and today > self.until


@dataclass(frozen=True, slots=True)
class Baseline:
    """All accepted findings of one file."""

    accepted: tuple[Accepted, ...] = ()
    origin: str = "baseline"
    """The file's name, for notes."""


def grave(severity: Severity) -> bool:
    """Whether findings of that severity can be accepted one by one only."""
    return severity is Severity.ERROR


def check(baseline: Baseline, severities: Mapping[str, Severity]) -> None:
    """Refuse what no scan could honour; ``severities`` holds every rule there is.

    Raises:
        UsageError: an entry names an unknown rule, or accepts a grave rule as a whole.
    """
    for entry in baseline.accepted:
        if entry.rule not in severities:
            near = difflib.get_close_matches(entry.rule.upper(), severities, n=1, cutoff=0.0)
            raise UsageError(
                f"{baseline.origin}: there is no rule {entry.rule!r}",
                hint=f"did you mean {near[0]}?" if near else None,
            )
        if entry.fingerprint is None and grave(severities[entry.rule]):
            raise UsageError(
                f"{baseline.origin}: {entry.rule} is grave and cannot be accepted as a whole",
                hint="accept its findings one by one, each by its fingerprint; --write-baseline drafts the entries",
            )


def apply(outcomes: Sequence[Outcome], baseline: Baseline, today: dt.date) -> tuple[Outcome, ...]:
    """Move accepted findings out of the counts into ``suppressed``; expired entries accept nothing."""
    valid = [entry for entry in baseline.accepted if not entry.expired(today)]
    whole = {entry.rule for entry in valid if entry.fingerprint is None}
    exact = {(entry.rule, entry.fingerprint) for entry in valid}
    return tuple(_without_accepted(outcome, whole, exact) for outcome in outcomes)


def _without_accepted(outcome: Outcome, whole: set[str], exact: set[tuple[str, str | None]]) -> Outcome:
    if outcome.rule in whole and not grave(outcome.severity):
        names = {finding.fingerprint: None for finding in outcome.findings}
        return replace(
            outcome,
            count=0,
            findings=(),
            suppressed=outcome.suppressed + outcome.count,
            accepted=(*outcome.accepted, *names),
        )
    kept = tuple(finding for finding in outcome.findings if (outcome.rule, finding.fingerprint) not in exact)
    moved = len(outcome.findings) - len(kept)
    if not moved:
        return outcome
    names = {found.fingerprint: None for found in outcome.findings if (outcome.rule, found.fingerprint) in exact}
    return replace(
        outcome,
        count=outcome.count - moved,
        findings=kept,
        suppressed=outcome.suppressed + moved,
        accepted=(*outcome.accepted, *names),
    )


def notes(outcomes: Sequence[Outcome], baseline: Baseline, today: dt.date, *, complete: bool) -> tuple[str, ...]:
    """Say which entries have expired and which are stale: their finding is gone.

    ``outcomes`` are those before ``apply``. An entry is called stale only where its rule was checked, the scan was
    ``complete``, and every finding of the rule is held in full.
    """
    found = {(outcome.rule, finding.fingerprint) for outcome in outcomes for finding in outcome.findings}
    certain = {
        outcome.rule: outcome.count
        for outcome in outcomes
        if complete and outcome.not_checked is None and outcome.count <= len(outcome.findings)
    }
    expired = [entry for entry in baseline.accepted if entry.expired(today)]
    stale = [
        entry
        for entry in baseline.accepted
        if entry.rule in certain
        and ((entry.rule, entry.fingerprint) not in found if entry.fingerprint else not certain[entry.rule])
    ]
    said: list[str] = []
    if expired:
        said.append(f"{baseline.origin}: expired, so no longer accepted: {_listed(expired)}")
    if stale:
        said.append(f"{baseline.origin}: stale, as no such finding is left; the entries can go: {_listed(stale)}")
    return tuple(said)


def _listed(entries: Iterable[Accepted]) -> str:
    names = [f"{entry.fingerprint or 'all'} ({entry.rule})" for entry in entries]
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
