"""What a scan's answer means for whoever started it: one exit code."""

from __future__ import annotations

from collections.abc import Iterable

from mergeguard.core.findings import ScanReport, Severity
from mergeguard.core.trend import Trend
from mergeguard.errors import ExitCode

_GRAVEST_FIRST = (
    ExitCode.ROLLED_BACK,
    ExitCode.PLAN_REFUSED,
    ExitCode.FINDINGS,
    ExitCode.USAGE,
    ExitCode.UNCHECKED,
    ExitCode.INCOMPLETE,
    ExitCode.CLEAN,
)


def verdict(report: ScanReport, fail_on: str, trend: Trend | None) -> ExitCode:
    """Decide the exit code of a scan: findings beat incompleteness, incompleteness beats clean.

    Args:
        report: the answer of the scan.
        fail_on: ``error``, ``warning``, ``info``, ``none``, or ``new`` for what the nights before did not show.
        trend: how the scan compares with the nights before; needed for ``new``.
    """
    if fail_on == "new":
        found = trend is not None and bool(trend.new or trend.returned)
    else:
        found = fail_on != "none" and report.count(Severity(fail_on)) > 0
    if found:
        return ExitCode.FINDINGS
    return ExitCode.CLEAN if report.complete else ExitCode.INCOMPLETE


def gravest(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the one code for several parts of one run.

    A repair that was rolled back or refused comes before findings, findings before everything that could not be done,
    and that before clean. A code from outside this order (a bug, a signal) is no part's verdict and comes first of all.
    """
    return min(codes, key=lambda code: _GRAVEST_FIRST.index(code) if code in _GRAVEST_FIRST else -1)
