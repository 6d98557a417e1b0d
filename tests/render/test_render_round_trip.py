"""What JSON tells can be read back into a report that tells the same: nothing else stands in it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import (
    Explanation,
    Finding,
    Outcome,
    Picture,
    PictureNode,
    Role,
    RowRef,
    ScanReport,
    Severity,
)
from mergeguard.render import render_explanation, render_scan

Json = Any


def guid(text: str | None) -> uuid.UUID | None:
    return None if text is None else uuid.UUID(text)


def time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def row(read: Json) -> RowRef:
    return RowRef(read["row_id"], uuid.UUID(read["old"]), uuid.UUID(read["new"]), time(read["time"]))


def finding(read: Json) -> Finding:
    return Finding(
        rule=read["rule"],
        severity=Severity(read["severity"]),
        message=read["message"],
        fingerprint=read["fingerprint"],
        subject=guid(read["subject"]),
        path=tuple(map(uuid.UUID, read["path"])),
        rows=tuple(map(row, read["rows"])),
        guids=read["guids"],
        references=read["references"],
        fix=read["fix"],
        details=read["details"],
    )


def outcome(read: Json, findings: list[Finding]) -> Outcome:
    return Outcome(
        rule=read["rule"],
        name=read["name"],
        severity=Severity(read["severity"]),
        count=read["count"],
        findings=tuple(findings),
        not_checked=read["not_checked"],
        suppressed=read["suppressed"],
    )


def labels_of(found: list[Json]) -> dict[uuid.UUID, str]:
    labels = {}
    for read in found:
        named = [*zip(read["path"], read["path_labels"], strict=True), (read["subject"], read["subject_label"])]
        labels.update({uuid.UUID(one): label for one, label in named if one is not None and label != one})
    return labels


def report_of(read: Json) -> ScanReport:
    """Read a report back; each rule takes as many of the findings, which stand in the rules' order, as it listed."""
    left = list(read["findings"])
    ranked = sorted(read["outcomes"], key=lambda one: (-Severity(one["severity"]).rank, one["rule"]))
    held = {}
    for one in ranked:
        held[one["rule"]] = [finding(each) for each in left[: one["listed"]]]
        left = left[one["listed"] :]
    assert left == []
    return ScanReport(
        run_id=read["run_id"],
        tool_version=read["tool_version"],
        target=read["target"],
        profile=read["profile"],
        started=dt.datetime.fromisoformat(read["started"]),
        finished=dt.datetime.fromisoformat(read["finished"]),
        rows=read["rows"],
        guids=read["olds"],
        isolation=read["isolation"],
        complete=read["complete"],
        outcomes=tuple(outcome(one, held[one["rule"]]) for one in read["outcomes"]),
        statuses=read["statuses"],
        depths=tuple(read["depths"]),
        max_depth=read["max_depth"],
        notes=tuple(read["notes"]),
        labels=labels_of(read["findings"]),
        schema_version=read["schema_version"],
    )


def explanation_of(read: Json) -> Explanation:
    drawn = read["picture"]
    nodes = tuple(PictureNode(uuid.UUID(n["guid"]), n["label"], Role(n["role"]), n["focus"]) for n in drawn["nodes"])
    edges = tuple((uuid.UUID(old), uuid.UUID(new)) for old, new in drawn["edges"])
    path = tuple(map(uuid.UUID, read["path"]))
    return Explanation(
        guid=uuid.UUID(read["guid"]),
        label=read["label"],
        status=read["status"],
        current=guid(read["current"]),
        depth=read["depth"],
        story=tuple(read["story"]),
        path=path,
        rows=tuple(map(row, read["rows"])),
        picture=Picture(nodes, edges, drawn["omitted"]),
        labels=dict(zip(path, read["path_labels"], strict=True)),
        target=read["target"],
    )


@given(st.data())
def test_a_report_read_back_tells_the_same(hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject) -> None:
    text = render_scan(data.draw(hostile_reports), "json")
    again = report_of(json.loads(text))
    assert render_scan(again, "json") == text
    # Lines hold what the document holds, so they come out the same, too.
    lines = [json.loads(line) for line in render_scan(again, "jsonl").splitlines()]
    merged = {**lines[0], **lines[-1], "findings": [{k: v for k, v in f.items() if k != "kind"} for f in lines[1:-1]]}
    assert {name: merged[name] for name in json.loads(text)} == json.loads(text)


@given(st.data())
def test_an_explanation_read_back_tells_the_same(
    hostile_explanations: st.SearchStrategy[Explanation], data: st.DataObject
) -> None:
    text = render_explanation(data.draw(hostile_explanations), "json")
    assert render_explanation(explanation_of(json.loads(text)), "json") == text


def test_the_full_report_survives_the_way_there_and_back(report: ScanReport) -> None:
    """Nothing but pictures and the fingerprints that a baseline accepted is lost on the way."""
    again = report_of(json.loads(render_scan(report, "json")))
    assert again.count() == report.count()
    assert [f.fingerprint for f in again.findings] == [f.fingerprint for f in report.findings]
    assert again.labels == {
        one: label for one, label in report.labels.items() if any(one in (*f.path, f.subject) for f in report.findings)
    }
    for lost, kept in zip(again.findings, report.findings, strict=True):
        assert lost.rows == kept.rows
        assert (lost.message, lost.fix, lost.guids, lost.references) == (
            kept.message,
            kept.fix,
            kept.guids,
            kept.references,
        )
    assert (again.started, again.finished, again.statuses) == (report.started, report.finished, report.statuses)
