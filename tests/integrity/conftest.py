"""Fixtures of the use cases: a world in each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from apply_world import World


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A database of either kind, which the module has to itself."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('world') / 'world.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    made = World(url)
    yield made
    made.engine.dispose()
