"""The JSON forms against their published schemas, for any content."""

from __future__ import annotations

import datetime as dt
import json
from importlib import resources
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mergeguard.core.findings import Explanation, Finding, Role, ScanReport, Severity
from mergeguard.render import plain, render_explanation, render_scan


def _schema(name: str) -> Any:
    return json.loads(resources.files("mergeguard.schemas").joinpath(f"{name}.json").read_text("utf-8"))


REPORT, LINE, EXPLANATION, RESOLVE = (
    Draft202012Validator(_schema(name)) for name in ("report-1", "report-line-1", "explanation-1", "resolve-1")
)


def _strict(text: str) -> Any:
    """Parse as a strict reader does: no NaN, no lone surrogate."""
    text.encode("ascii")
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    json.dumps(read, ensure_ascii=False).encode("utf-8")
    return read


@pytest.mark.parametrize("schema", [REPORT, LINE, EXPLANATION, RESOLVE])
def test_each_schema_is_valid_and_every_object_is_closed_and_described(schema: Draft202012Validator) -> None:
    Draft202012Validator.check_schema(schema.schema)
    for part in _objects(schema.schema):
        if "properties" in part:
            assert part["additionalProperties"] is False
            assert sorted(part["required"]) == sorted(part["properties"])


def _objects(part: Any) -> Any:
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    for each in part if isinstance(part, list) else ():
        yield from _objects(each)


def test_the_line_schema_shares_its_parts_with_the_report_schema() -> None:
    report, line = REPORT.schema["$defs"], LINE.schema["$defs"]
    shared = set(report) & set(line)
    assert {"guid", "row", "outcome", "severity"} <= shared
    assert all(report[name] == line[name] for name in shared)
    finding = {name: each for name, each in line["finding_line"]["properties"].items() if name != "kind"}
    assert finding == report["finding"]["properties"]


def test_the_schemas_name_all_severities_and_roles() -> None:
    assert set(REPORT.schema["$defs"]["severity"]["enum"]) == {severity.value for severity in Severity}
    roles = EXPLANATION.schema["$defs"]["node"]["properties"]["role"]["enum"]
    assert set(roles) == {role.value for role in Role}


@given(st.data())
def test_any_report_satisfies_its_schema_and_keeps_its_counts(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    read = _strict(render_scan(report, "json"))
    REPORT.validate(read)
    assert sum(read["counts"].values()) == report.count()
    assert {s: read["counts"][s.value] for s in Severity} == {
        s: sum(o.count for o in report.outcomes if o.severity is s) for s in Severity
    }
    assert len(read["findings"]) == len(report.findings)
    for found, finding in zip(read["findings"], report.findings, strict=True):
        assert found["path"] == [str(guid) for guid in finding.path]
        assert len(found["path_labels"]) == len(finding.path)
        assert [row["old"] for row in found["rows"]] == [str(row.old) for row in finding.rows]


@given(st.data())
def test_any_report_as_lines_satisfies_the_line_schema(
    hostile_reports: st.SearchStrategy[ScanReport], data: st.DataObject
) -> None:
    report = data.draw(hostile_reports)
    whole = json.loads(render_scan(report, "json"))
    first, *found, last = [_strict(line) for line in render_scan(report, "jsonl").splitlines()]
    for line in (first, *found, last):
        LINE.validate(line)
    assert (first["kind"], last["kind"], last["listed"]) == ("scan", "summary", len(found))
    assert [{name: each for name, each in line.items() if name != "kind"} for line in found] == whole["findings"]
    assert {**first, **last, "findings": whole["findings"]} == {**whole, "kind": "summary", "listed": len(found)}


@given(st.data())
def test_any_explanation_satisfies_its_schema(
    hostile_explanations: st.SearchStrategy[Explanation], data: st.DataObject
) -> None:
    explanation = data.draw(hostile_explanations)
    read = _strict(render_explanation(explanation, "json"))
    EXPLANATION.validate(read)
    assert (read["depth"], len(read["story"])) == (explanation.depth, len(explanation.story))


def test_values_that_json_does_not_know_become_ones_that_it_does() -> None:
    value = {
        "numpy": np.int64(7),
        "ratio": np.float32(0.5),
        "nothing": float("nan"),
        "set": {"b", "a"},
        "when": dt.datetime(2024, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        "severity": Severity.ERROR,
        1: (b"raw", True, None),
    }
    assert plain.plain(value) == {
        "numpy": 7,
        "ratio": 0.5,
        "nothing": None,
        "set": ["a", "b"],
        "when": "2024-01-02T01:00:00Z",
        "severity": "error",
        "1": ["b'raw'", True, None],
    }


def test_a_time_without_a_zone_is_utc() -> None:
    assert plain.time(dt.datetime(2024, 1, 2, 3, 4, 5)) == "2024-01-02T03:04:05Z"  # noqa: DTZ001 - the point of the test


def test_a_finding_of_an_unlisted_rule_still_has_a_name(report: ScanReport) -> None:
    stray = Finding("MG999", Severity.INFO, "m", "f")
    assert plain.finding(stray, report, "MG999")["name"] == "MG999"
