"""One database a dialect and module; what a test does in ``trying`` is undone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa
from import_places import ImportPlace

from mergeguard.storage.schema import migrations

SCHEMA = {
    table for migration in migrations("mssql") for table in re.findall(r"TABLE \[dbo\]\.\[(\w+)\]", migration.text)
}
SCHEMA |= {"Inv_Every_thing", "Evt_Log_on", "Inv_Foreign"}
DIALECTS = ["sqlite", "postgresql", pytest.param("mssql", marks=pytest.mark.mssql)]


@pytest.fixture(scope="module", params=DIALECTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportPlace]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('importing') / 'reference.db'}"
    elif request.param == "mssql":
        url = os.environ["MERGEGUARD_TEST_MSSQL_URL"]
        drop_tables(url)
    else:
        url = request.getfixturevalue("postgres_url")
    with closing(ImportPlace(url)) as made:
        yield made
    if request.param == "mssql":
        drop_tables(url)


def drop_tables(url: str) -> None:
    """Empty the database of SQL Server: the schema's tables, the queue's and those that merges lock."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection, only=lambda name, _: name.startswith("mergeguard_") or name in SCHEMA)
        metadata.drop_all(connection)


@pytest.fixture(scope="module")
def postgresql(postgres_url: str) -> Iterator[ImportPlace]:
    """For what only several sessions can show."""
    with closing(ImportPlace(postgres_url, lock_timeout=20)) as made:
        yield made
