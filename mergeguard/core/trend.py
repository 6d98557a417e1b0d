"""What changed between nights: new, recurring, returned and fixed findings, and how long repairs took.

A night proves that a finding is gone only where its rule was checked, the run was complete and every finding has a
fingerprint. Everything else a night does not show stays as it was last known.
"""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mergeguard.core.findings import Outcome, ScanReport, Severity


@dataclass(frozen=True, slots=True)
class Mark:
    """What is kept of one finding: no text of the scanned database, only its fingerprint and its subject's guid."""

    rule: str
    fingerprint: str
    subject: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What one rule counted on one night."""

    rule: str
    severity: Severity
    count: int = 0
    """Exact, without the accepted ones."""
    unnamed: int = 0
    """How many of ``count`` were not held in full and so have no fingerprint."""
    suppressed: int = 0
    """Accepted by a baseline."""
    checked: bool = True


@dataclass(frozen=True, slots=True)
class Night:
    """One recorded run."""

    run_id: str
    started: dt.datetime
    finished: dt.datetime
    complete: bool
    rows: int
    guids: int
    """Distinct olds."""
    profile: str
    tool_version: str
    rules: Mapping[str, RuleCount]
    """By rule id."""
    marks: Mapping[str, Sequence[Mark]] = field(default_factory=dict)
    """By rule id: what was found and held in full; empty where only the counts were asked for."""
    accepted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By rule id: fingerprints that were found, and accepted by a baseline."""

    def count(self, at_least: Severity = Severity.INFO) -> int:
        """Return the exact number of findings at or above a severity."""
        return sum(rule.count for rule in self.rules.values() if rule.severity.rank >= at_least.rank)


class State(enum.Enum):
    """How a finding stands against the nights before."""

    NEW = "new"
    """Never seen before."""
    RECURRING = "recurring"
    """Seen when its rule last looked."""
    RETURNED = "returned"
    """Seen once, proven gone, and back."""
    FIXED = "fixed"
    """Seen when its rule last looked, proven gone now."""
    UNCONFIRMED = "unconfirmed"
    """Seen when its rule last looked; this run does not show it and cannot prove that it is gone."""


@dataclass(frozen=True, slots=True)
class Change:
    """One finding and how it stands."""

    state: State
    mark: Mark
    severity: Severity
    first_seen: dt.datetime
    """Start of the run that found it first."""


@dataclass(frozen=True, slots=True)
class RuleTrend:
    """One rule's counts against the last run that checked it, and how long its repairs took so far."""

    rule: str
    severity: Severity
    checked: bool
    count: int
    before: int | None
    """The count of the last complete run that checked this rule; ``None`` where there was none."""
    unnamed: int
    repairs: int
    """How many times a finding of this rule was seen and later proven gone."""
    mean_time_to_repair: dt.timedelta | None
    """From the start of the run that first saw a finding to the start of the run that proved it gone."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What changed in one run against all recorded runs of its target before it."""

    target: str
    night: Night
    nights: int
    """How many runs were compared, this one included."""
    changes: tuple[Change, ...]
    """Worst severity first, then by rule and fingerprint."""
    rules: tuple[RuleTrend, ...]
    notes: tuple[str, ...] = ()

    def of(self, state: State) -> tuple[Change, ...]:
        """Return the findings in one state."""
        return tuple(change for change in self.changes if change.state is state)

    @property
    def new(self) -> tuple[Change, ...]:
        """Findings never seen before for this target."""
        return self.of(State.NEW)

    @property
    def recurring(self) -> tuple[Change, ...]:
        """Findings that were there when their rule last looked."""
        return self.of(State.RECURRING)

    @property
    def returned(self) -> tuple[Change, ...]:
        """Findings that were fixed once and are back."""
        return self.of(State.RETURNED)

    @property
    def fixed(self) -> tuple[Change, ...]:
        """Findings that this run proves gone."""
        return self.of(State.FIXED)

    @property
    def unconfirmed(self) -> tuple[Change, ...]:
        """Findings that this run does not show, without proof that they are gone."""
        return self.of(State.UNCONFIRMED)

    def states(self) -> Mapping[str, State]:
        """Return the state of each finding by fingerprint, e.g. for SARIF's ``baselineState``."""
        return {change.mark.fingerprint: change.state for change in self.changes}


def night_of(report: ScanReport) -> Night:
    """Reduce a report to what is worth keeping of a night."""
    return Night(
        run_id=report.run_id,
        started=report.started,
        finished=report.finished,
        complete=report.complete,
        rows=report.rows,
        guids=report.guids,
        profile=report.profile,
        tool_version=report.tool_version,
        rules={outcome.rule: _rule_count(outcome) for outcome in report.outcomes},
        marks={outcome.rule: _marks(outcome) for outcome in report.outcomes if outcome.findings},
        accepted={outcome.rule: frozenset(outcome.accepted) for outcome in report.outcomes if outcome.accepted},
    )


def _rule_count(outcome: Outcome) -> RuleCount:
    named = len(outcome.findings)
    unnamed = max(0, outcome.count - named) + max(0, outcome.suppressed - len(outcome.accepted))
    return RuleCount(
        outcome.rule, outcome.severity, outcome.count, unnamed, outcome.suppressed, outcome.not_checked is None
    )


def _marks(outcome: Outcome) -> tuple[Mark, ...]:
    unique = {found.fingerprint: Mark(outcome.rule, found.fingerprint, found.subject) for found in outcome.findings}
    return tuple(unique.values())


def compare(target: str, nights: Iterable[Night]) -> Trend:
    """Compare the newest of ``nights`` with all before it.

    Nights come oldest first; each is looked at once, so that a long history needs no more memory than its findings.

    Raises:
        ValueError: there is no night at all.
    """
    ledger = _Ledger()
    before: Night | None = None
    night: Night | None = None
    number = 0
    for following in nights:
        number += 1
        if night is not None:
            ledger.close(night)
        before, night = night, following
    if night is None:
        raise ValueError("no nights to compare")
    changes = ledger.changes(night)
    ledger.close(night)
    return Trend(target, night, number, changes, ledger.rules(night), _notes(night, before))


@dataclass(slots=True)
class _Known:
    """What is known of one rule after some nights."""

    marks: dict[str, tuple[Mark, dt.datetime]] = field(default_factory=dict)
    """Every fingerprint ever seen, and when first."""
    present: dict[str, dt.datetime] = field(default_factory=dict)
    """Fingerprints last known to be there, and since when."""
    repairs: list[dt.timedelta] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    """Counts of the last two runs that checked the rule, oldest first."""
    severity: Severity = Severity.INFO


class _Ledger:
    """What is known of each rule, night by night."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def close(self, night: Night) -> None:
        """Take a night into what is known."""
        for rule, counted in night.rules.items():
            known = self._known.setdefault(rule, _Known())
            known.severity = counted.severity
            if not counted.checked:
                continue
            if night.complete:
                known.counts = [*known.counts[-1:], counted.count]
            there = _there(night, rule)
            for fingerprint, mark in there.items():
                known.marks.setdefault(fingerprint, (mark, night.started))
                known.present.setdefault(fingerprint, night.started)
            if _conclusive(night, counted):
                for fingerprint in known.present.keys() - there.keys():
                    known.repairs.append(night.started - known.present.pop(fingerprint))

    def changes(self, night: Night) -> tuple[Change, ...]:
        """Say how each finding of a night stands against what is known so far."""
        found: list[Change] = []
        for rule in night.rules.keys() | self._known.keys():
            found.extend(self._rule_changes(night, rule))
        return tuple(
            sorted(found, key=lambda change: (-change.severity.rank, change.mark.rule, change.mark.fingerprint))
        )

    def _rule_changes(self, night: Night, rule: str) -> Iterable[Change]:
        known = self._known.get(rule, _Known())
        counted = night.rules.get(rule)
        severity = known.severity if counted is None else counted.severity
        there = _there(night, rule) if counted is not None and counted.checked else {}
        accepted = night.accepted.get(rule, frozenset())
        for fingerprint, mark in there.items():
            if fingerprint in accepted:
                continue
            first = known.marks.get(fingerprint)
            state = State.NEW
            if first is not None:
                state = State.RECURRING if fingerprint in known.present else State.RETURNED
            yield Change(state, mark, severity, night.started if first is None else first[1])
        gone = State.FIXED if counted is not None and _conclusive(night, counted) else State.UNCONFIRMED
        for fingerprint in known.present.keys() - there.keys():
            yield Change(gone, known.marks[fingerprint][0], severity, known.marks[fingerprint][1])

    def rules(self, night: Night) -> tuple[RuleTrend, ...]:
        """Return the counts and repair times of each rule, the night itself already taken in."""
        return tuple(self._rule_trend(night, rule) for rule in sorted(self._known))

    def _rule_trend(self, night: Night, rule: str) -> RuleTrend:
        known = self._known[rule]
        counted = night.rules.get(rule, RuleCount(rule, known.severity, checked=False))
        own = 1 if counted.checked and night.complete else 0
        earlier = known.counts[: len(known.counts) - own]
        mean = sum(known.repairs, dt.timedelta()) / len(known.repairs) if known.repairs else None
        return RuleTrend(
            rule=rule,
            severity=counted.severity,
            checked=counted.checked,
            count=counted.count,
            before=earlier[-1] if earlier else None,
            unnamed=counted.unnamed,
            repairs=len(known.repairs),
            mean_time_to_repair=mean,
        )


def _there(night: Night, rule: str) -> dict[str, Mark]:
    """Return what a rule found on a night by fingerprint, accepted or not."""
    there = {fingerprint: Mark(rule, fingerprint) for fingerprint in night.accepted.get(rule, ())}
    there.update({mark.fingerprint: mark for mark in night.marks.get(rule, ())})
    return there


def _conclusive(night: Night, counted: RuleCount) -> bool:
    """Whether what the rule does not show on that night is proven to be gone."""
    return night.complete and counted.checked and counted.unnamed == 0


def _notes(night: Night, before: Night | None) -> tuple[str, ...]:
    """Say what the comparison cannot know."""
    notes: list[str] = []
    if before is None:
        notes.append("this is the first recorded run of this target: every finding is new")
    elif before.profile != night.profile:
        notes.append(
            f"the run before used the profile {before.profile!r}, this one {night.profile!r}: "
            "findings may come and go for that reason alone"
        )
    if not night.complete:
        notes.append("this run is incomplete: what it does not show is not counted as fixed")
    notes.extend(
        f"{counted.rule}: {counted.unnamed:,} findings were counted without a fingerprint, so none of this rule is "
        "counted as fixed; raise --max-findings to follow them all"
        for counted in night.rules.values()
        if counted.unnamed
    )
    unchecked = sorted(counted.rule for counted in night.rules.values() if not counted.checked)
    if unchecked:
        notes.append(f"not checked in this run, so not counted as fixed: {', '.join(unchecked)}")
    return tuple(notes)
