"""Scan: read the merges in one snapshot, check every rule, answer with a report. Writes nothing."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from mergeguard.core import baseline as known
from mergeguard.core import rules
from mergeguard.core.baseline import Baseline
from mergeguard.core.budget import Spent, unlimited
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.facts import Facts
from mergeguard.core.findings import MAX_FINDINGS, Finding, Outcome, ScanReport
from mergeguard.core.rule import Need, Rule
from mergeguard.core.table import MergeTable
from mergeguard.errors import UsageError
from mergeguard.integrity.reading import OutOfTime, Reading, read_facts
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Progress, Snapshot, Source, silent
from mergeguard.version import __version__

MAX_DEPTH_BINS = 51
Now: TypeAlias = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """Return the time of day, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What to check, and how long it may take."""

    only: Sequence[str] = ()
    """Rule ids or names; empty for all."""
    skip: Sequence[str] = ()
    max_findings: int = MAX_FINDINGS
    """How many findings a rule keeps in full; counts are always exact."""
    max_duration: float | None = None
    """Seconds; what is not done by then is reported as not checked, and the report as incomplete."""
    baseline: Baseline | None = None


def rule_ids(asked: Sequence[str]) -> frozenset[str]:
    """Turn rule ids and names in any case into ids.

    Raises:
        UsageError: there is no such rule; the hint names the nearest.
    """
    return frozenset(find_rule(name).id for name in asked)


def find_rule(asked: str) -> Rule:
    """Return the rule with this id or name.

    Raises:
        UsageError: there is none.
    """
    found = rules.BY_ID.get(asked.upper()) or rules.BY_NAME.get(asked.lower())
    if found is None:
        import difflib  # noqa: PLC0415 - only a mistake needs it

        near = difflib.get_close_matches(asked.lower(), [*rules.BY_NAME, *(name.lower() for name in rules.BY_ID)], 1)
        hint = f"did you mean {near[0].upper() if near[0][:2] == 'mg' else near[0]}?" if near else None
        raise UsageError(f"there is no rule {asked!r}", hint=hint or "'mergeguard scan --list-rules' shows them all")
    return found


def scan_source(
    source: Source,
    profile: Profile,
    options: ScanOptions | None = None,
    *,
    progress: Progress = silent,
    now: Now = utc_now,
) -> ScanReport:
    """Scan an open target.

    Raises:
        UsageError: an unknown rule, asked for or in the baseline, or a grave rule accepted as a whole.
        CannotCheck: the target could not be read.
    """
    options = options or ScanOptions()
    if options.baseline is not None:
        known.check(options.baseline, {rule.id: rule.severity for rule in rules.RULES})
    asked = rules.asked(only=rule_ids(options.only), skip=rule_ids(options.skip))
    started = now()
    checked = _check(source, profile, options, asked, progress)
    checked = _without_accepted(checked, options.baseline, started.date())
    facts = checked.facts
    statuses, depths, max_depth = _summary(facts) if checked.settled else ({}, (), 0)
    return ScanReport(
        run_id=uuid.uuid4().hex,
        tool_version=__version__,
        target=source.info.target,
        profile=profile.name,
        started=started,
        finished=now(),
        rows=len(facts.table) + len(facts.table.rejected),
        guids=len(facts.leads),
        isolation=checked.isolation,
        complete=checked.complete,
        outcomes=checked.outcomes,
        statuses=statuses,
        depths=depths,
        max_depth=max_depth,
        notes=checked.notes,
        labels=_labels(facts, checked.outcomes),
    )


@dataclass(frozen=True, slots=True)
class _Checked:
    """What came of reading and checking."""

    facts: Facts
    outcomes: tuple[Outcome, ...]
    isolation: str
    notes: tuple[str, ...]
    settled: bool
    """Whether all was read that decides where the olds lead: the merges and the live guids."""

    @property
    def complete(self) -> bool:
        return all(outcome.not_checked != rules.OUT_OF_TIME for outcome in self.outcomes)


def _check(
    source: Source, profile: Profile, options: ScanOptions, asked: Sequence[Rule], progress: Progress
) -> _Checked:
    spent = _budget(options.max_duration)
    with source.snapshot() as snapshot:
        reading = _read(snapshot, profile, progress, asked, spent)
    progress("checking rules", 0, None)
    outcomes = tuple(
        rules.not_checked(rule, rules.OUT_OF_TIME)
        if reading is None or rule.needs & reading.cut or spent()
        else rule.run(reading.facts, options.max_findings)
        for rule in asked
    )
    facts = Facts(MergeTable.from_pairs([])) if reading is None else reading.facts
    # A snapshot may learn how consistent its read was only when it closes, so it is asked afterwards.
    settled = reading is not None and Need.LIVENESS not in reading.cut
    return _Checked(facts, outcomes, snapshot.isolation, tuple(snapshot.notes), settled)


def _without_accepted(checked: _Checked, baseline: Baseline | None, today: dt.date) -> _Checked:
    if baseline is None:
        return checked
    notes = known.notes(checked.outcomes, baseline, today, complete=checked.complete)
    outcomes = known.apply(checked.outcomes, baseline, today)
    return replace(checked, outcomes=outcomes, notes=checked.notes + notes)


def _budget(seconds: float | None) -> Spent:
    if seconds is None:
        return unlimited
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _read(
    snapshot: Snapshot, profile: Profile, progress: Progress, asked: Sequence[Rule], spent: Spent
) -> Reading | None:
    """Read what the rules need; ``None`` where the budget ended before the merges were read."""
    # Reference counts make the blast radius of every rule, so they are read whichever are asked for.
    needs = frozenset[Need]().union(*(rule.needs for rule in asked), {Need.REFERENCES})
    try:
        return read_facts(snapshot, profile, progress, needs=needs, spent=spent)
    except OutOfTime:
        return None


def _summary(facts: Facts) -> tuple[dict[str, int], tuple[int, ...], int]:
    """Count the olds by status and by depth; also return the greatest depth."""
    closure = facts.closure
    every = slice(None) if len(facts.leads) == len(facts.table) else facts.leads
    depth = closure.depth[every]
    counts = np.bincount(closure.status[every], minlength=len(STATUS_TEXTS)).tolist()
    bins = np.bincount(np.minimum(depth[depth >= 0], MAX_DEPTH_BINS - 1)).tolist()
    return dict(zip(STATUS_TEXTS, counts, strict=True)), tuple(bins), max(0, int(depth.max(initial=0)))


def _labels(facts: Facts, outcomes: Sequence[Outcome]) -> dict[uuid.UUID, str]:
    """Return the original texts of the ids that stand in the findings."""
    if not facts.table.labels:
        return {}
    named = {guid for outcome in outcomes for finding in outcome.findings for guid in _guids(finding)}
    return {guid: facts.table.labels[guid] for guid in named if guid in facts.table.labels}


def _guids(finding: Finding) -> set[uuid.UUID]:
    guids = {finding.subject, *finding.path} - {None}
    guids |= {guid for row in finding.rows for guid in (row.old, row.new)}
    texts = [sample.get("guid") for key in ("samples", "worst") for sample in finding.details.get(key, ())]
    texts += [sample.get("current") for sample in finding.details.get("samples", ())]
    texts += list(finding.details.get("currents", ()))
    return {guid for guid in guids if guid is not None} | {uuid.UUID(text) for text in texts if text}
