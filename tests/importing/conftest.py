"""Worlds of tests/importing: one database a module, put back to the beginning for each case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from importing.import_world import World, world_of

from mergeguard.testing.postgresql import PostgresqlWatcher

QUICK = "-cdeadlock_timeout=2ms -csynchronous_commit=off -cjit=off"


def quick(url: str) -> str:
    """The URL of a database whose sessions find deadlocks at once."""
    return sa.make_url(url).update_query_dict({"options": QUICK}).render_as_string(hide_password=False)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("imports")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'imports.db'}"
    else:
        url = quick(request.getfixturevalue("postgres_url"))
    with world_of(url, folder) as made:
        yield made


@pytest.fixture(scope="module")
def race_world(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world on PostgreSQL whose statements are steps of a schedule."""
    with world_of(quick(postgres_url), tmp_path_factory.mktemp("races"), steps=True) as made:
        yield made


@pytest.fixture(scope="module")
def watcher(postgres_url: str) -> Iterator[PostgresqlWatcher]:
    plain = sa.make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        yield PostgresqlWatcher(connection)


@pytest.fixture(scope="module")
def race_free_world(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world on PostgreSQL alone."""
    with world_of(quick(postgres_url), tmp_path_factory.mktemp("alone")) as made:
        yield made
