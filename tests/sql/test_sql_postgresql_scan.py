"""The scan in SQL finds what the scan in Python finds, rule by rule, on drawn tables."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping

import psycopg
import pytest
import sqlalchemy as sa
from case_targets import profile_of, write_database
from hypothesis import given, settings
from rule_model import Case, cases, component, run
from sql_world import drop, install, plain

from mergeguard.core.findings import Finding
from mergeguard.core.rules import RULES

Subjects = Counter[object]
ALONE = {"chain", "redundant"}
"""Rules with one finding for all."""


def by_sql(url: str) -> tuple[dict[str, list[tuple[uuid.UUID | None, str, int]]], dict[str, bool]]:
    with psycopg.connect(plain(url)) as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        found: dict[str, list[tuple[uuid.UUID | None, str, int]]] = {}
        for name, subject, members, rows in connection.execute("SELECT name, guid, guids, rows FROM mergeguard.scan()"):
            found.setdefault(name, []).append((subject, members, rows))
        checked = dict(connection.execute("SELECT name, checked FROM mergeguard.rules_checked()").fetchall())
    return found, checked


def subjects(case: Case, name: str, findings: tuple[Finding, ...]) -> Subjects:
    """What the findings are about, as the SQL scan names it."""
    if name in {"cycle", "cycle-tree"}:  # the SQL scan names the first of the members, and all of them
        return Counter(" ".join(map(str, sorted(component(case, finding.subject)))) for finding in findings)
    if name in {"type-mismatch", "flip-flop"}:
        return Counter(" ".join(map(str, sorted(set(finding.path)))) for finding in findings)
    if name == "stale-reference":
        return Counter(finding.references for finding in findings)
    return Counter(finding.subject for finding in findings)


def told(name: str, rows: list[tuple[uuid.UUID | None, str, int]]) -> Subjects:
    if name in {"cycle", "cycle-tree", "type-mismatch", "flip-flop"}:
        return Counter(members for _, members, _ in rows)
    if name == "stale-reference":
        return Counter(count for *_, count in rows)
    return Counter(subject for subject, *_ in rows)


def counts(case: Case, name: str, findings: tuple[Finding, ...]) -> Mapping[object, int] | None:
    """How many rows or guids stand behind each finding, for the rules that count the same."""
    if name == "dangling":
        return {finding.subject: finding.guids for finding in findings}
    if name == "cycle-tree":
        return {min(component(case, finding.subject)): finding.guids for finding in findings}
    if name == "chain":
        return dict.fromkeys([None] * len(findings), sum(finding.details["rows"] for finding in findings))
    if name == "redundant":
        said = (finding.details["duplicate_rows"] + finding.details["agreeing_olds"] for finding in findings)
        return dict.fromkeys([None] * len(findings), sum(said))
    return None


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    yield postgres_url
    drop(postgres_url)


@settings(max_examples=40)
@given(case=cases())
def test_each_rule_finds_what_it_finds_in_python(url: str, case: Case) -> None:
    drop(url)
    write_database(case, url, sa.Uuid(), lambda guid: guid)
    install(url, profile_of(case))
    found, checked = by_sql(url)

    for rule in RULES:
        outcome = run(case, rule.name)
        if rule.name == "lookup-drift" and not case.stored:
            continue  # the scripts have made a lookup, or filled the empty one, and it is right
        assert checked[rule.name] == (outcome.not_checked is None), rule.name
        rows = found.get(rule.name, [])
        assert len(rows) == outcome.count, rule.name
        if rule.name not in {*ALONE, "empty-guid"}:
            assert told(rule.name, rows) == subjects(case, rule.name, outcome.findings), rule.name
        wanted = counts(case, rule.name, outcome.findings)
        if wanted is not None:
            assert {subject: count for subject, _, count in rows} == wanted, rule.name
    if not case.stored:
        assert "lookup-drift" not in found
