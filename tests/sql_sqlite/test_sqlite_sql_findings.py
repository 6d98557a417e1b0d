"""The scan by SQL finds what the scan in Python finds, rule by rule, on drawn tables, and changes nothing else."""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from case_targets import profile_of, write_database
from hypothesis import given, settings
from rule_model import Case, cases, component, run

from mergeguard.core.findings import Finding
from mergeguard.core.rules import RULES
from mergeguard.integrity.sql_scripts import install_sql
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

Found = dict[str, list[tuple[str | None, str | None, int]]]
ALONE = {"chain", "redundant"}
"""Rules with one finding for all."""
SEVERAL = {"cycle", "cycle-tree", "type-mismatch", "flip-flop"}
"""Rules whose findings are known by all their guids."""


def by_sql(path: Path) -> tuple[Found, dict[str, bool]]:
    with closing(sqlite3.connect(path)) as connection:
        before = theirs(connection)
        connection.execute("INSERT INTO mergeguard_scan DEFAULT VALUES")
        connection.commit()
        assert theirs(connection) == before
        assert len(connection.execute("SELECT scanned FROM mergeguard_scan").fetchall()) == 1
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        found: Found = {}
        asked = connection.execute("SELECT name, guid, guids, rows FROM mergeguard_findings")
        for name, subject, members, rows in asked:
            found.setdefault(name, []).append((subject, members, rows))
        said = connection.execute("SELECT name, checked FROM mergeguard_rules_checked")
        return found, {name: bool(is_checked) for name, is_checked in said}


def theirs(connection: sqlite3.Connection) -> list[object]:
    """The contents of all tables but those that a scan works in; those but the one of the findings are empty."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    own = [name for name in names if name.startswith("mergeguard_scan_") and name != "mergeguard_scan_found"]
    assert len(own) > 5
    assert [connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in own] == [(0,)] * len(own)
    rest = sorted(name for name in names if not name.startswith("mergeguard_scan_"))
    return [(name, connection.execute(f'SELECT * FROM "{name}"').fetchall()) for name in rest]


def installed(case: Case, path: Path) -> None:
    write_database(case, f"sqlite:///{path}", sa.Text(), str)
    source = open_target(str(path), profile_of(case), Options())
    install_sql(source, profile_of(case))
    source.close()


def subjects(case: Case, name: str, findings: tuple[Finding, ...]) -> Counter[object]:
    """What the findings are about, as the view names it."""
    if name in {"cycle", "cycle-tree"}:
        return Counter(" ".join(map(str, sorted(component(case, finding.subject)))) for finding in findings)
    if name in SEVERAL:
        return Counter(" ".join(map(str, sorted(set(finding.path)))) for finding in findings)
    if name == "stale-reference":
        return Counter(finding.references for finding in findings)
    return Counter(None if finding.subject is None else str(finding.subject) for finding in findings)


def told(name: str, rows: list[tuple[str | None, str | None, int]]) -> Counter[object]:
    if name in SEVERAL:
        return Counter(members for _, members, _ in rows)
    if name == "stale-reference":
        return Counter(count for *_, count in rows)
    return Counter(subject for subject, *_ in rows)


def counts(case: Case, name: str, findings: tuple[Finding, ...]) -> Mapping[object, int] | None:
    """How many rows or guids stand behind each finding, for the rules that count the same."""
    if name == "dangling":
        return {str(finding.subject): finding.guids for finding in findings}
    if name == "cycle-tree":
        return {str(min(component(case, finding.subject))): finding.guids for finding in findings}
    if name == "chain":
        return dict.fromkeys([None] * len(findings), sum(finding.details["rows"] for finding in findings))
    if name == "redundant":
        said = (finding.details["duplicate_rows"] + finding.details["agreeing_olds"] for finding in findings)
        return dict.fromkeys([None] * len(findings), sum(said))
    return None


def hold(case: Case, path: Path) -> None:
    installed(case, path)
    found, checked = by_sql(path)
    for rule in RULES:
        outcome = run(case, rule.name)
        if rule.name == "lookup-drift" and not case.stored:
            assert rule.name not in found  # the scripts have made or filled a lookup, and it is right
            continue
        assert checked[rule.name] == (outcome.not_checked is None), rule.name
        rows = found.get(rule.name, [])
        assert len(rows) == outcome.count, rule.name
        if rule.name not in {*ALONE, "empty-guid"}:
            assert told(rule.name, rows) == subjects(case, rule.name, outcome.findings), rule.name
        wanted = counts(case, rule.name, outcome.findings)
        if wanted is not None:
            assert {subject: count for subject, _, count in rows} == wanted, rule.name


@settings(max_examples=max(10, settings.default.max_examples // 4))
@given(case=cases())
def test_each_rule_finds_what_it_finds_in_python(case: Case) -> None:
    with TemporaryDirectory() as folder:
        hold(case, Path(folder) / "case.db")


@pytest.mark.parametrize(
    "pairs",
    [
        [
            (1, 2),
            (2, 3),
            (3, 1),
            (1, 4),
            (4, 3),
            (5, 1),
            (6, 5),
        ],  # two circles with an arc in common, and what leads in
        [(1, 2), (2, 1), (2, 3), (3, 4), (4, 3)],  # a circle that leads into a circle
        [(1, 2), (2, 3), (3, 4), (4, 2), (9, 1), (8, 9)],
        [(1, 2), (2, 1), (1, 1), (3, 3)],
        [(1, 2), (1, 3), (2, 4), (3, 4), (4, 1), (4, 5)],
    ],
    ids=str,
)
def test_circles_are_told_apart(pairs: list[tuple[int, int]], tmp_path: Path) -> None:
    hold(Case.of(*pairs), tmp_path / "case.db")


def test_a_circle_at_the_end_of_a_long_chain_is_found_in_one_go(tmp_path: Path) -> None:
    path = tmp_path / "long.db"
    installed(Case.of((1, 2)), path)
    chain = [str(uuid.UUID(int=number)) for number in range(1000, 21_000)]
    with closing(sqlite3.connect(path)) as connection:
        rows = [*pairwise(chain), (chain[-1], chain[10_000])]
        connection.executemany('INSERT INTO "Merges" ("OldGuid", "NewGuid") VALUES (?, ?)', rows)
        connection.execute("INSERT INTO mergeguard_rebuild_lookup DEFAULT VALUES")
        connection.commit()
    found, _ = by_sql(path)
    assert [(subject, rows) for subject, _, rows in found["cycle"]] == [(chain[10_000], 10_000)]
    assert [rows for *_, rows in found["cycle-tree"]] == [10_000]
    assert "lookup-drift" not in found
