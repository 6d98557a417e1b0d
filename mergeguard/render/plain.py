"""Turns a report's values into plain JSON values: strings that encode, numbers that parse, lists and objects.

The shapes are the ones of ``mergeguard/schemas``; a test holds the two together.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import numbers
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from mergeguard.core.findings import Finding, Outcome, RowRef, ScanReport
from mergeguard.render import words
from mergeguard.render.text import sound

Json: TypeAlias = Any
"""What ``json.dumps`` takes without help."""


def plain(value: object) -> Json:
    """Turn any value into a JSON value; what JSON does not know becomes its text, NaN and infinities null."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {sound(name): plain(each) for name, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(each) for each in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [plain(each) for each in value]
    return _scalar(value)


def _scalar(value: object) -> Json:
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, numbers.Number):
        return _number(value)
    return time(value) if isinstance(value, dt.datetime) else sound(value)


def _number(value: numbers.Number) -> Json:
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        real = float(value)
        return real if math.isfinite(real) else None
    return sound(value)


def time(value: dt.datetime | None) -> str | None:
    """Write a time in ISO 8601 and UTC; one without a zone is taken as UTC."""
    if value is None:
        return None
    zoned = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    return zoned.isoformat().replace("+00:00", "Z")


def guid(value: uuid.UUID | None) -> str | None:
    """Write a guid as its 36-character lower-case text."""
    return None if value is None else str(value)


def row(reference: RowRef) -> Json:
    """Return a row of the merge table as a report names it."""
    number = reference.row_id
    return {
        "row_id": sound(number) if isinstance(number, str) else int(number),
        "old": str(reference.old),
        "new": str(reference.new),
        "time": time(reference.time),
    }


def finding(found: Finding, report: ScanReport, name: str) -> Json:
    """Return one finding; ``name`` is its rule's name."""
    subject = found.subject
    return {
        "rule": sound(found.rule),
        "name": sound(name),
        "severity": found.severity.value,
        "subject": guid(subject),
        "subject_label": None if subject is None else sound(report.label(subject)),
        "message": sound(found.message),
        "path": [str(step) for step in found.path],
        "path_labels": [sound(report.label(step)) for step in found.path],
        "rows": [row(reference) for reference in found.rows],
        "guids": int(found.guids),
        "references": None if found.references is None else int(found.references),
        "fix": sound(found.fix),
        "fingerprint": sound(found.fingerprint),
        "details": plain(found.details),
    }


def findings(report: ScanReport) -> list[Json]:
    """Return all findings that the report holds in full, worst severity first."""
    rule_names = {outcome.rule: outcome.name for outcome in report.outcomes}
    return [finding(found, report, rule_names.get(found.rule, found.rule)) for found in report.findings]


def outcome(result: Outcome) -> Json:
    """Return what one rule came to."""
    return {
        "rule": sound(result.rule),
        "name": sound(result.name),
        "severity": result.severity.value,
        "count": int(result.count),
        "listed": len(result.findings),
        "suppressed": int(result.suppressed),
        "not_checked": None if result.not_checked is None else sound(result.not_checked),
    }


def head(report: ScanReport) -> dict[str, Json]:
    """Return which scan this was: what stands before the results."""
    return {
        "schema_version": report.schema_version,
        "run_id": sound(report.run_id),
        "tool_version": sound(report.tool_version),
        "target": sound(report.target),
        "profile": sound(report.profile),
        "started": time(report.started),
        "finished": time(report.finished),
        "isolation": sound(report.isolation),
    }


def results(report: ScanReport) -> dict[str, Json]:
    """Return the exact numbers of a scan, those behind findings that are not listed included."""
    return {
        "complete": report.complete,
        "verdict": sound(words.verdict(report).sentence),
        "rows": int(report.rows),
        "olds": int(report.guids),
        "counts": {severity.value: int(count) for severity, count in words.counts(report).items()},
        "suppressed": words.suppressed(report),
        "statuses": {sound(status): int(olds) for status, olds in report.statuses.items()},
        "depths": [int(olds) for olds in report.depths],
        "max_depth": int(report.max_depth),
        "outcomes": [outcome(result) for result in report.outcomes],
        "notes": [sound(note) for note in report.notes],
    }
