"""The nightly run: scan, remember, publish, and if asked repair what is certain and scan again. One exit code.

What fails on the way is kept and told at the end, so that a full disk below the reports does not cost the history its
night; only a first scan that could not be done ends the run at once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from mergeguard.core.findings import ScanReport
from mergeguard.core.trend import Change, State, Trend
from mergeguard.errors import ExitCode, MergeGuardError, TargetNotFound, UsageError
from mergeguard.integrity import history
from mergeguard.integrity.scan import Now, ScanOptions, scan_source, utc_now
from mergeguard.integrity.verdict import gravest, verdict
from mergeguard.storage.own_files import process_lock
from mergeguard.storage.own_files.report_folder import ReportFolder
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Progress, Source, silent

DEFAULT_FORMATS: Final = ("html", "json")
_FOR_EVER: Final = 36_500
"""Days; a moment much longer ago than that has no date."""


@dataclass(frozen=True, slots=True)
class NightlyOptions:
    """What a night is to do besides its scan, and what it leaves behind."""

    scan: ScanOptions = field(default_factory=ScanOptions)
    fail_on: str = "error"
    """Lowest severity that makes the exit code 1; ``none``; ``new`` for what the history did not hold."""
    history: Path | None = None
    keep_nights: int = 400
    """Runs of this target that stay in the history."""
    reports: Path | None = None
    """Folder of the reports; made where it is missing."""
    formats: Sequence[str] = DEFAULT_FORMATS
    keep_days: int = 90
    """Reports of runs older than this are removed."""
    metrics_file: Path | None = None
    repair: Literal["off", "safe"] = "off"
    """``safe`` applies the steps of a plan that are certain."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a night's repair did."""

    plan_file: Path | None = None
    """``None`` where there was nothing to plan."""
    run_id: str | None = None
    """What ``undo`` takes; ``None`` where nothing can have been applied."""
    applied: int = 0
    """Steps."""
    refused: int = 0
    """Components that the evidence does not decide."""
    failure: MergeGuardError | None = None


@dataclass(frozen=True, slots=True)
class Nightly:
    """How a night went: its scans, its repair, what it wrote, and the one exit code."""

    report: ScanReport
    """The scan that decides: the second one where something was repaired."""
    before: ScanReport | None
    """The scan before the repair; ``None`` where nothing was repaired."""
    trend: Trend | None
    """Against the nights before; ``None`` where no history is kept."""
    repaired: Repaired | None
    files: tuple[Path, ...]
    """Reports, plan and metrics file that were written."""
    removed: tuple[Path, ...]
    forgotten: int
    """Runs that went out of the history."""
    failures: tuple[MergeGuardError, ...]
    code: ExitCode


Publish: TypeAlias = Callable[[ScanReport], Sequence[Path]]
"""Write the report files of one scan; return them."""
Repair: TypeAlias = Callable[[Source, Profile, ScanReport, ReportFolder, Progress], Repaired]
"""Plan, keep the plan in the folder, apply what is certain. Its failure is a value, so that what it did is told."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a night asks of others."""

    publish: Publish
    measure: Publish
    """Write the metrics file; once, at the end."""
    repair: Repair | None = None


def nightly_source(
    source: Source,
    profile: Profile,
    options: NightlyOptions,
    ports: Ports,
    *,
    progress: Progress = silent,
    now: Now = utc_now,
) -> Nightly:
    """Run one night over an open target.

    Raises:
        UsageError: options that do not go together, an unknown rule.
        Locked: another night of this target is under way.
        CannotCheck: the target could not be read; nothing was written.
    """
    _check(options)
    with _alone(source, options):
        return _Night(source, profile, options, ports, progress, now).run()


def _check(options: NightlyOptions) -> None:
    if options.repair == "safe" and options.reports is None:
        raise UsageError("a repair keeps its plan beside the reports", hint="give --reports DIR")
    if options.fail_on == "new" and options.history is None:
        raise UsageError("--fail-on new needs a history", hint='give --history FILE, or take history = "none" out')
    if options.reports is not None:
        ReportFolder(options.reports).prepare()


def _alone(source: Source, options: NightlyOptions) -> AbstractContextManager[None]:
    """Keep a second night of this target out; nights of others may run."""
    beside = options.history or (options.reports and options.reports / "mergeguard")
    if beside is None:
        return nullcontext()
    target = source.info.target
    name = hashlib.sha256(target.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return process_lock.held(beside.with_name(f"{beside.name}.{name}.lock"), f"a nightly run of {target}")


@dataclass(slots=True)
class _Night:
    """One night under way."""

    source: Source
    profile: Profile
    options: NightlyOptions
    ports: Ports
    progress: Progress
    now: Now
    files: list[Path] = field(default_factory=list)
    removed: tuple[Path, ...] = ()
    forgotten: int = 0
    failures: list[MergeGuardError] = field(default_factory=list)

    def run(self) -> Nightly:
        first, trend = self._scan()
        repaired = self._repair(first)
        second = None
        if repaired is not None and repaired.run_id is not None:
            with self._kept():
                second, after = self._scan()
                trend = _since_the_night_before(trend, after)
        report = second or first
        with self._kept():
            self.files += self.ports.measure(report)
        self._tidy(report)
        unsure = repaired is not None and repaired.run_id is not None and second is None
        codes = [] if unsure else [verdict(report, self.options.fail_on, trend)]
        return Nightly(
            report=report,
            before=first if second else None,
            trend=trend,
            repaired=repaired,
            files=tuple(dict.fromkeys(self.files)),
            removed=self.removed,
            forgotten=self.forgotten,
            failures=tuple(self.failures),
            code=gravest([*codes, *(failure.exit_code for failure in self.failures)]),
        )

    def _scan(self) -> tuple[ScanReport, Trend | None]:
        """Scan, and keep what was found before anything else can go wrong."""
        report = scan_source(self.source, self.profile, self.options.scan, progress=self.progress, now=self.now)
        trend = None
        if self.options.history is not None:
            with self._kept():
                trend = history.remember(report, self.options.history)
        with self._kept():
            self.files += self.ports.publish(report)
        return report, trend

    def _repair(self, report: ScanReport) -> Repaired | None:
        if self.options.repair == "off" or self.options.reports is None or self.ports.repair is None:
            return None
        folder = ReportFolder(self.options.reports)
        repaired = self.ports.repair(self.source, self.profile, report, folder, self.progress)
        if repaired.plan_file is not None:
            self.files.append(repaired.plan_file)
        if repaired.failure is not None:
            self.failures.append(repaired.failure)
        return repaired

    def _tidy(self, report: ScanReport) -> None:
        if self.options.history is not None:
            # Where recording failed there may be no history at all, and that has been told.
            with self._kept(), suppress(TargetNotFound):
                self.forgotten = history.prune(self.options.history, report.target, self.options.keep_nights)
        if self.options.reports is not None:
            before = self.now() - dt.timedelta(days=min(self.options.keep_days, _FOR_EVER))
            with self._kept():
                self.removed = ReportFolder(self.options.reports).prune(before)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Keep a failure for the end of the night."""
        try:
            yield
        except MergeGuardError as failure:
            self.failures.append(failure)


def _since_the_night_before(first: Trend | None, second: Trend | None) -> Trend | None:
    """Tell the second scan of a night against the nights before: what the first saw first is still new."""
    if first is None or second is None:
        return second
    states = {(change.mark.rule, change.mark.fingerprint): change.state for change in (*first.new, *first.returned)}

    def told(change: Change) -> Change:
        state = states.get((change.mark.rule, change.mark.fingerprint))
        still = state is not None and change.state in {State.RECURRING, State.UNCONFIRMED}
        return replace(change, state=state) if still and state is not None else change

    return replace(second, changes=tuple(map(told, second.changes)))
