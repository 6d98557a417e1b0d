"""What a database keeps unique is read from its own catalogue."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from mergeguard.core.repair.references import Unique
from mergeguard.errors import UnknownSchema
from mergeguard.storage.database.table_indexes import STATEMENTS, Index, indexes, is_indexed, unique_keys
from mergeguard.storage.profile import Profile
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.targets import open_target

TABLE = (
    'CREATE TABLE "Odd ""name 5%" '
    '("Id" integer PRIMARY KEY, "A" varchar(9), "B" varchar(9), "C" varchar(9), UNIQUE ("C"))'
)
INDEXES = (
    'CREATE UNIQUE INDEX both_ways ON "Odd ""name 5%" ("B", "A")',
    'CREATE UNIQUE INDEX some_rows ON "Odd ""name 5%" ("A") WHERE "B" IS NULL',
    'CREATE UNIQUE INDEX of_an_expression ON "Odd ""name 5%" (lower("A"), "B")',
    'CREATE INDEX plain ON "Odd ""name 5%" ("A", "C")',
)
NAME = 'Odd "name 5%'


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'x.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    run(found, 'DROP TABLE IF EXISTS "Odd ""name 5%"', TABLE, *INDEXES)
    return str(found)


def run(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.execution_options(no_parameters=True).begin() as connection:  # a % is a %
        for statement in statements:
            connection.exec_driver_sql(statement)


@contextmanager
def rows(url: str) -> Iterator[DatabaseRows]:
    with closing(open_target(url, Profile())) as source, source.snapshot() as snapshot:
        yield source.rows(snapshot)


def test_keys_and_unique_indexes_of_whole_rows_are_found(url: str) -> None:
    with rows(url) as found:
        unique = {key.columns for key in unique_keys(found, NAME)}
    # The row id of SQLite is no index; nothing is ever re-pointed there.
    assert unique - {("Id",)} == {("B", "A"), ("C",)}


def test_an_index_that_is_not_unique_is_an_index_all_the_same(url: str) -> None:
    with rows(url) as found:
        assert Index(("A", "C"), unique=False, nulls_equal=False) in indexes(found, NAME)
        assert [is_indexed(found, NAME, column) for column in ("A", "B", "C")] == [True, True, True]


def test_the_second_column_of_an_index_is_not_indexed(url: str) -> None:
    run(url, "DROP INDEX plain")
    with rows(url) as found:
        assert not is_indexed(found, NAME, "A")


def test_nulls_are_equal_where_the_index_says_so(url: str) -> None:
    if url.startswith("sqlite"):
        equal = False
    else:
        run(url, 'CREATE UNIQUE INDEX nulls ON "Odd ""name 5%" ("A") NULLS NOT DISTINCT')
        equal = True
    with rows(url) as found:
        assert (Unique(("A",), nulls_equal=True) in unique_keys(found, NAME)) is equal


def test_a_table_or_column_that_is_not_there_is_named(url: str) -> None:
    with rows(url) as found:
        with pytest.raises(UnknownSchema, match="Even"):
            indexes(found, "Even")
        with pytest.raises(UnknownSchema, match="Z"):
            is_indexed(found, NAME, "Z")


def test_what_sql_server_gets_parses() -> None:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2012"]
    sql = STATEMENTS["mssql"].replace("?", "@table")
    parsed = subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60)
    assert parsed.returncode == 0, parsed.stderr
