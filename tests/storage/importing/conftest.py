"""One database a dialect and module; what a test does in ``trying`` is undone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import pytest
from import_places import ImportPlace

DIALECTS = ["sqlite", "postgresql", pytest.param("mssql", marks=pytest.mark.mssql)]


@pytest.fixture(scope="module", params=DIALECTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportPlace]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('importing') / 'reference.db'}"
    elif request.param == "mssql":
        url = os.environ["MERGEGUARD_TEST_MSSQL_URL"]
    else:
        url = request.getfixturevalue("postgres_url")
    with closing(ImportPlace(url)) as made:
        yield made


@pytest.fixture(scope="module")
def postgresql(postgres_url: str) -> Iterator[ImportPlace]:
    """For what only several sessions can show."""
    with closing(ImportPlace(postgres_url, lock_timeout=20)) as made:
        yield made
