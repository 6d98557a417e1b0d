"""Whoever may not read all that a merge reads is told so, whichever table it is, and nothing is half written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import login
from merge_model import guid
from merging_world import COLUMNS, DAY, ONE, OURS, PROFILE, World

import mergeguard
from mergeguard.errors import PermissionDenied

A, B, C, D, E = (guid(number) for number in range(5))
TABLES = [*COLUMNS, *OURS]


@pytest.fixture(scope="module")
def world(postgres_url: str) -> Iterator[World]:
    made = World(postgres_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def allowed(world: World, postgres_server: Any, postgres_url: str) -> Iterator[str]:
    """A login that may do all that a merge of the world needs, and nothing more."""
    world.reset([A, B, C, D, E])
    world.insert("Evt", [(A, "x"), (B, "y")])
    world.insert("Links", [(ONE, B, D, DAY), (ONE, C, E, DAY)])
    mergeguard.merge(world.url, A, B, PROFILE)
    with contextmanager(login)(postgres_server, postgres_url) as url:
        name = sa.make_url(url).username
        run(world, f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{name}"')
        run(world, f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{name}"')
        yield url
        run(world, f'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM "{name}"')
        run(world, f'REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM "{name}"')


def run(world: World, sql: str) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def test_with_each_right_a_merge_is_made(world: World, allowed: str) -> None:
    assert mergeguard.merge(allowed, B, C, PROFILE, preview=True).refused is None
    mergeguard.merge(allowed, B, C, PROFILE, request_id="once")
    assert world.model().root(A) == C


def test_what_may_not_be_read_is_named_and_nothing_is_merged(world: World, allowed: str) -> None:
    name, before = sa.make_url(allowed).username, world.model()
    unread = set()
    for table in TABLES:
        run(world, f'REVOKE SELECT ON "{table}" FROM "{name}"')
        try:
            mergeguard.merge(allowed, B, C, PROFILE, preview=True)
        except PermissionDenied:
            unread.add(table)
            with pytest.raises(PermissionDenied, match=table):
                mergeguard.merge(allowed, B, C, PROFILE)
        run(world, f'GRANT SELECT ON "{table}" TO "{name}"')
    assert world.model() == before
    assert unread >= {"Merges", "Alive", "Kinds", "Evt", "Links", "mergeguard_lookup", "mergeguard_never"}
