"""Each format of one report, as files that can be opened and looked at; `pytest --snapshot-update` renews them."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from mergeguard.core.findings import Explanation, Outcome, ScanReport, Severity
from mergeguard.render import (
    EXPLANATION_FORMATS,
    FORMATS,
    RESOLVED_FORMATS,
    render_explanation,
    render_resolved,
    render_scan,
)

_ENDINGS = {"table": "txt", "junit": "xml", "markdown": "md", "prometheus": "prom"}


def _as_file(snapshot: SnapshotAssertion, form: str) -> SnapshotAssertion:
    class Extension(SingleFileSnapshotExtension):
        _write_mode = WriteMode.TEXT
        file_extension = _ENDINGS.get(form, form)

    return snapshot.use_extension(Extension)


@pytest.mark.parametrize("form", FORMATS)
def test_scan(report: ScanReport, form: str, snapshot: SnapshotAssertion) -> None:
    assert render_scan(report, form) == _as_file(snapshot, form)


def test_scan_in_colour_and_narrow(report: ScanReport, snapshot: SnapshotAssertion) -> None:
    assert render_scan(report, "table", colour=True, width=60) == _as_file(snapshot, "table")


@pytest.mark.parametrize("form", ["table", "junit", "sarif"])
def test_incomplete_and_clean_scan(report: ScanReport, form: str, snapshot: SnapshotAssertion) -> None:
    clean = (Outcome("MG001", "cycle", Severity.ERROR),)
    assert render_scan(replace(report, complete=False, outcomes=clean), form) == _as_file(snapshot, form)


@pytest.mark.parametrize("form", EXPLANATION_FORMATS)
def test_explanation(explanation: Explanation, form: str, snapshot: SnapshotAssertion) -> None:
    assert render_explanation(explanation, form) == _as_file(snapshot, form)


@pytest.mark.parametrize("form", RESOLVED_FORMATS)
def test_resolved(form: str, snapshot: SnapshotAssertion) -> None:
    old, current = uuid.UUID(int=1), uuid.UUID(int=2)
    rows = [
        ("{00000000000000000000000000000001}", old, current, 3, "ok"),
        ('a, "quoted"\tid', current, None, None, "cycle"),
        ("nonsense", None, None, None, "not a guid"),
    ]
    assert render_resolved(rows, form) == _as_file(snapshot, form)
