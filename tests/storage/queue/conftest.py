"""One place a store and module: every test finds it empty."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import pytest
from queue_places import PLACES, Place, PostgresqlPlace


@pytest.fixture(
    scope="module", params=[pytest.param(one, marks=pytest.mark.mssql if one == "mssql" else ()) for one in PLACES]
)
def standing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The store of the module, with its tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('queue') / 'queue.db'}"
    elif request.param == "mssql":
        url = os.environ["MERGEGUARD_TEST_MSSQL_URL"]
    else:
        url = request.getfixturevalue(f"{request.param.removesuffix('ql')}_url")
    with closing(PLACES[request.param](url)) as made:
        yield made


@pytest.fixture
def place(standing: Place) -> Place:
    """An empty queue."""
    standing.clear()
    return standing


@pytest.fixture(scope="module")
def standing_postgresql(postgres_url: str) -> Iterator[PostgresqlPlace]:
    with closing(PostgresqlPlace(postgres_url)) as made:
        yield made


@pytest.fixture
def postgresql(standing_postgresql: PostgresqlPlace) -> PostgresqlPlace:
    """An empty queue in PostgreSQL, for what only several sessions can show."""
    standing_postgresql.clear()
    return standing_postgresql
