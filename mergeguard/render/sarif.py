"""SARIF 2.1.0, for code scanning dashboards: OASIS, Static Analysis Results Interchange Format Version 2.1.0.

Fingerprints are our own (``mergeguard/v1``): the dashboards' way, hashing the lines around a place in a source file,
has nothing to hash in a table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

from mergeguard.core.findings import Finding, Outcome, RowRef, ScanReport, Severity
from mergeguard.render import plain, words
from mergeguard.render.plain import Json
from mergeguard.render.text import sound, visible

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HELP_BASE = "docs/reference/rules/"
"""Where the page of a rule stands, ``MG001.md`` and so on."""
FINGERPRINT = "mergeguard/v1"
BASELINE_STATE = "baseline_state"
"""A finding's detail of this name, ``new`` or ``unchanged`` for example, becomes the result's baseline state."""
MAX_ROWS = 50
"""Rows of one finding that are named as places."""

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_STATES = frozenset({"new", "unchanged", "updated", "absent"})


def render_scan(report: ScanReport) -> str:
    """Write a report as a SARIF log of one run."""
    rules = sorted(report.outcomes, key=lambda outcome: outcome.rule)
    indices = {outcome.rule: index for index, outcome in enumerate(rules)}
    run = {
        "tool": {"driver": _driver(report, rules)},
        "invocations": [_invocation(report, rules)],
        "automationDetails": {"id": f"mergeguard/scan/{sound(report.run_id)}"},
        "artifacts": [{"location": {"uri": artifact_uri(report.target)}, "roles": ["analysisTarget"]}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, report, indices) for finding in report.findings],
        "properties": {**plain.results(report), "profile": sound(report.profile), "isolation": sound(report.isolation)},
    }
    return json.dumps({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}, allow_nan=False) + "\n"


def artifact_uri(target: str) -> str:
    """Spell a target, which is a path or a masked URL, as a valid URI reference."""
    if re.match(r"[A-Za-z]:[\\/]", target):
        return "file:///" + _quoted(target.replace("\\", "/"), "/:")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", target):
        scheme, rest = target.split("://", 1)
        return f"{scheme}://{_quoted(rest, '/:@?&=;,+*%')}"
    # A colon in a relative path would read as a scheme, so it is quoted there.
    return ("file://" if target.startswith("/") else "") + _quoted(target, "/")


def _quoted(text: str, safe: str) -> str:
    # A percent sign that begins no escape makes a URI invalid.
    return re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", quote(text, safe=safe, errors="replace"))


def _driver(report: ScanReport, rules: list[Outcome]) -> Json:
    return {
        "name": "MergeGuard",
        "version": sound(report.tool_version),
        "rules": [
            {
                "id": sound(rule.rule),
                "name": sound(rule.name),
                "shortDescription": {"text": _message(rule.name)},
                "helpUri": f"{HELP_BASE}{_quoted(rule.rule, '')}.md",
                "defaultConfiguration": {"level": _LEVELS[rule.severity]},
            }
            for rule in rules
        ],
    }


def _invocation(report: ScanReport, rules: list[Outcome]) -> Json:
    left_out = [
        {
            "level": "note",
            "message": {"text": _message(f"{rule.rule} {rule.name} was not checked: {rule.not_checked}")},
            "associatedRule": {"id": sound(rule.rule), "index": index},
        }
        for index, rule in enumerate(rules)
        if rule.not_checked is not None
    ]
    return {
        "executionSuccessful": report.complete,
        "startTimeUtc": plain.time(report.started),
        "endTimeUtc": plain.time(report.finished),
        "toolExecutionNotifications": list(_execution(report)),
        "toolConfigurationNotifications": left_out,
    }


def _execution(report: ScanReport) -> Iterator[Json]:
    if not report.complete:
        text = "incomplete: the scan ended before everything was read"
        yield {"level": "error", "message": {"text": text}}
    for note in report.notes:
        yield {"level": "note", "message": {"text": _message(note)}}


def _result(finding: Finding, report: ScanReport, indices: dict[str, int]) -> Json:
    walk = words.walk(finding, report) if finding.path else ""
    result = {
        "ruleId": sound(finding.rule),
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(finding.message) + (f" [{walk}]".translate(_SPECIAL) if walk else "")},
        "locations": [_location(finding, report)],
        "partialFingerprints": {FINGERPRINT: sound(finding.fingerprint)},
        "properties": _properties(finding, report),
    }
    if finding.rule in indices:
        result["ruleIndex"] = indices[finding.rule]
    state = finding.details.get(BASELINE_STATE)
    return {**result, "baselineState": state} if state in _STATES else result


def _location(finding: Finding, report: ScanReport) -> Json:
    return {
        # A table has no lines; dashboards refuse a result without one.
        "physicalLocation": {
            "artifactLocation": {"uri": artifact_uri(report.target), "index": 0},
            "region": {"startLine": 1},
        },
        "logicalLocations": _rows(finding, report) or [_subject(finding, report)],
    }


def _rows(finding: Finding, report: ScanReport) -> list[Json]:
    # SARIF forbids a location twice, and a table without ids may hold exact copies of a row.
    places = (_row(row, report) for row in finding.rows[:MAX_ROWS])
    return list({place["fullyQualifiedName"]: place for place in places}.values())


def _row(row: RowRef, report: ScanReport) -> Json:
    name = visible(f"row {row.row_id}")
    old, new = words.names((row.old, row.new), report.labels)
    return {"name": name, "fullyQualifiedName": f"{name}: {old} -> {new}", "kind": "row"}


def _subject(finding: Finding, report: ScanReport) -> Json:
    if finding.subject is None:
        return {"name": visible(report.profile) or "merges", "kind": "table"}
    return {"name": words.names((finding.subject,), report.labels)[0], "kind": "guid"}


def _properties(finding: Finding, report: ScanReport) -> Json:
    shown = plain.finding(finding, report, finding.rule)
    return {name: shown[name] for name in ("subject", "path", "rows", "guids", "references", "fix", "details")}


# SARIF 3.11: brackets make links and braces placeholders, unless they are escaped.
_SPECIAL = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})


def _message(text: object) -> str:
    return visible(text).translate(_SPECIAL) or "-"
