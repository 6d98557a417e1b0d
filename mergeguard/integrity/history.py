"""What a night leaves behind for the next one: record a scan and say what changed since the nights before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mergeguard.core.findings import ScanReport
from mergeguard.core.trend import Night, Trend
from mergeguard.storage.own_files.history import HistoryStore


def remember(report: ScanReport, path: Path) -> Trend:
    """Record a scan in the history at ``path`` and compare it with the nights before.

    Args:
        report: the answer of a scan, after its baseline was applied.
        path: the history file; made where it is missing.

    Raises:
        UsageError: this run is already recorded.
        CannotCheck: the file is damaged, locked, not ours or may not be written.
        WriteFailed: the disk is full or failing; nothing was recorded.
    """
    store = HistoryStore(path)
    store.record(report)
    return store.compare(report.target, report.run_id)


def trend(path: Path, target: str, run: str | None = None) -> Trend:
    """Compare a recorded run (the newest where ``run`` is ``None``) with the nights before it.

    Args:
        path: the history file.
        target: the target as reports print it, any password masked.
        run: a run id.

    Raises:
        TargetNotFound: no such file, target or run.
        CannotCheck: the file could not be read.
    """
    return HistoryStore(path).compare(target, run)


def nights(path: Path, target: str, limit: int | None = None) -> Sequence[Night]:
    """Return the newest recorded nights of a target with their counts, newest first.

    Raises:
        TargetNotFound: there is no history file.
        CannotCheck: the file could not be read.
    """
    return HistoryStore(path).nights(target, limit)


def targets(path: Path) -> Sequence[str]:
    """Return the targets that a history knows.

    Raises:
        TargetNotFound: there is no history file.
        CannotCheck: the file could not be read.
    """
    return HistoryStore(path).targets()


def prune(path: Path, target: str, keep: int) -> int:
    """Forget all but the newest ``keep`` runs of a target; return how many were forgotten.

    Raises:
        TargetNotFound: there is no history file.
        CannotCheck: the file could not be changed.
        WriteFailed: the disk is full or failing; nothing was forgotten.
    """
    return HistoryStore(path).prune(target, keep)
