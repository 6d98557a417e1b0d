"""One case, one report: whatever database or file holds it, and however it spells its guids."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rule_model
import sqlalchemy as sa
from case_targets import as_files, drop_cases, in_any_spelling, profile_of, write_csv, write_database, write_parquet
from hypothesis import given, settings
from rule_model import Case

import mergeguard
from mergeguard.core import rules
from mergeguard.core.findings import ScanReport
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options

Write = Callable[[Case, Path], Path]
FEW = settings(max_examples=25)
FEWER = settings(FEW, max_examples=12)
SLOW_DRIVERS = Options(fast=False)


def says_what_the_core_says(case: Case, report: ScanReport) -> None:
    assert report.complete
    assert [rule_model.plain(outcome) for outcome in report.outcomes] == [
        rule_model.plain(outcome) for outcome in rules.run(case.facts())
    ]
    assert (report.rows, report.guids) == (len(case.pairs), len(case.olds))
    statuses = [status for status, _, _ in case.answers.values()]
    assert report.statuses == {status: statuses.count(status) for status in report.statuses}
    assert sum(report.statuses.values()) == len(statuses)
    depths = [depth for _, _, depth in case.answers.values() if depth is not None]
    assert list(report.depths) == [depths.count(depth) for depth in range(len(report.depths))]
    assert report.max_depth == max(depths, default=0)


def scan(target: Path | str, profile: Profile, options: Options = Options()) -> ScanReport:  # noqa: B008 - a frozen value
    return mergeguard.scan(target, profile, options=options)


@pytest.mark.parametrize(
    ("write", "suffix"),
    [
        (write_csv, ".csv"),
        (lambda case, folder: write_csv(case, folder, in_any_spelling), ".csv"),
        (write_parquet, ".parquet"),
        (lambda case, folder: write_parquet(case, folder, in_any_spelling), ".parquet"),
    ],
    ids=["csv", "csv in any spelling", "parquet of bytes", "parquet of texts"],
)
@FEW
@given(case=rule_model.cases())
def test_files(write: Write, suffix: str, case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = write(case, Path(folder))
        says_what_the_core_says(as_files(case, suffix), scan(target, profile_of(case, suffix)))


@pytest.mark.parametrize(
    ("guid_type", "spell", "byte_order"),
    [
        (sa.LargeBinary(), lambda guid: guid.bytes, "text"),
        (sa.LargeBinary(), lambda guid: guid.bytes_le, "sqlserver"),
        (sa.Text(), str, "text"),
        (sa.Text(), in_any_spelling, "text"),
    ],
    ids=["blob", "blob in SQL Server's order", "text", "text in any spelling"],
)
@FEW
@given(case=rule_model.cases())
def test_sqlite(
    guid_type: sa.types.TypeEngine[bytes],
    spell: Callable[[uuid.UUID], object],
    byte_order: str,
    case: Case,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "case.db"
        write_database(case, f"sqlite:///{target}", guid_type, spell)
        says_what_the_core_says(case, scan(target, in_order(profile_of(case), byte_order)))


def in_order(profile: Profile, byte_order: str) -> Profile:
    return rule_model.replace(profile, merge=rule_model.replace(profile.merge, byte_order=byte_order))


@pytest.mark.parametrize("options", [Options(), SLOW_DRIVERS], ids=["fast", "plain"])
@FEWER
@given(case=rule_model.cases())
def test_postgresql(postgres_url: str, options: Options, case: Case) -> None:
    write_database(case, postgres_url, sa.Uuid(), lambda guid: guid)
    says_what_the_core_says(case, scan(postgres_url, profile_of(case), options))


@pytest.fixture(scope="module")
def mssql_url() -> Iterator[str]:
    """A database that other tests find empty."""
    url = os.environ["MERGEGUARD_TEST_MSSQL_URL"]
    yield url
    drop_cases(sa.create_engine(url, poolclass=sa.pool.NullPool))


@pytest.mark.mssql
@FEWER
@given(case=rule_model.cases())
def test_sql_server(mssql_url: str, case: Case) -> None:
    write_database(case, mssql_url, sa.Uuid(), lambda guid: guid)
    says_what_the_core_says(case, scan(mssql_url, profile_of(case)))
