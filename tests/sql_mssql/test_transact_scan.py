"""scan_merges of SQL Server's scripts, run on PostgreSQL, finds what the scan in Python finds, rule by rule."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from rule_model import Case, cases, component, run
from sql_world import plain
from transact_sql import Transact
from transact_world import ask, make

from mergeguard.core.findings import Finding
from mergeguard.core.rules import RULES

SCAN = ["30_closure.sql", "70_scan.sql"]
ALONE = {"chain", "redundant"}
SETS = {"cycle", "cycle-tree", "type-mismatch", "flip-flop"}


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain(postgres_url)) as opened:
        yield opened
        opened.rollback()


def subject(case: Case, name: str, finding: Finding) -> object:
    """What a finding is about, as the procedure names it."""
    if name in {"cycle", "cycle-tree"}:
        return " ".join(map(str, sorted(component(case, finding.subject))))
    if name in SETS:
        return " ".join(map(str, sorted(set(finding.path))))
    return finding.references if name == "stale-reference" else finding.subject


def told(name: str, row: Mapping[str, Any]) -> object:
    return row["guids"] if name in SETS else row["rows"] if name == "stale-reference" else row["guid"]


def count(name: str, finding: Finding) -> int | None:
    """How many rows or guids say so, where Python counts the same."""
    if name in {"dangling", "cycle-tree"}:
        return finding.guids
    if name == "chain":
        return int(finding.details["rows"])
    if name == "redundant":
        return int(finding.details["duplicate_rows"] + finding.details["agreeing_olds"])
    return None


@settings(max_examples=25)
@given(case=cases())
def test_each_rule_finds_what_it_finds_in_python(connection: psycopg.Connection, case: Case) -> None:
    make(connection, case)
    scripts = Transact(connection, SCAN)
    scripts.call("scan_merges")
    (rows,) = scripts.results
    for rule in RULES:
        if rule.name == "lookup-drift" and case.stored is None:
            continue  # the scripts make a lookup
        outcome = run(case, rule.name)
        found = [row for row in rows if row["name"] == rule.name]
        assert {(row["rule"], row["severity"]) for row in found} <= {(rule.id, rule.severity.value)}
        assert len(found) == outcome.count, rule.name
        if rule.name not in {*ALONE, "empty-guid"}:
            assert Counter(told(rule.name, row) for row in found) == Counter(
                subject(case, rule.name, finding) for finding in outcome.findings
            ), rule.name
        counts = Counter(number for finding in outcome.findings if (number := count(rule.name, finding)) is not None)
        assert Counter(row["rows"] for row in found if counts) == counts, rule.name
    assert [row["rule"] for row in rows] == sorted(row["rule"] for row in rows)


@settings(max_examples=25)
@given(case=cases())
def test_a_message_is_the_one_of_python(connection: psycopg.Connection, case: Case) -> None:
    make(connection, case)
    scripts = Transact(connection, SCAN)
    scripts.call("scan_merges")
    (rows,) = scripts.results
    for name in ("cycle", "self-merge", "split", "dangling", "shadowed-live", "cycle-tree", "chain", "redundant"):
        said = Counter(row["detail"] for row in rows if row["name"] == name)
        assert said == Counter(finding.message for finding in run(case, name).findings), name


def test_rows_without_guids_are_named(connection: psycopg.Connection) -> None:
    make(connection, Case.of((1, 2)))
    bad = [
        ("7", None, uuid.UUID(int=1), None, "x"),
        ("8", uuid.UUID(int=1), None, "x", "  "),
        ("9", None, None, "nobody", None),
    ]
    for row in bad:
        ask(connection, "INSERT INTO transact.merge_rows VALUES (%s, %s, %s, %s, %s)", row)
    scripts = Transact(connection, SCAN)
    scripts.call("scan_merges")
    (rows,) = scripts.results
    assert {(row["rule"], row["detail"]) for row in rows} >= {
        ("MG007", "row 9: old holds 'nobody', which is no guid"),
        ("MG008", "row 7: old is NULL"),
        ("MG008", "row 8: new is blank"),
    }
