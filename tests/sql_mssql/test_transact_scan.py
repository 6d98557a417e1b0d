"""scan_merges of SQL Server's scripts, run on PostgreSQL, finds what the scan in Python finds, rule by rule."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings
from rule_model import Case, cases, run
from sql_findings import compare
from sql_world import plain
from transact_sql import Transact
from transact_world import ask, make

SCAN = ["30_closure.sql", "70_scan.sql"]


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain(postgres_url)) as opened:
        yield opened
        opened.rollback()


@settings(max_examples=25)
@given(case=cases())
def test_each_rule_finds_what_it_finds_in_python(connection: psycopg.Connection, case: Case) -> None:
    make(connection, case)
    scripts = Transact(connection, SCAN)
    scripts.call("scan_merges")
    (rows,) = scripts.results
    compare(case, rows)
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
