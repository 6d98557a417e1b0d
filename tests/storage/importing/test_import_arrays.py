"""Lists travel to PostgreSQL as what they are."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mergeguard.storage.importing.postgresql_arrays import array, taught

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from('"\\{},'))


@pytest.fixture(scope="module")
def asked(postgres_url: str) -> Any:
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        driver = taught(connection)
        yield lambda kind, values: driver.execute(f"SELECT CAST(%s AS {kind}[])", [array(values)]).fetchone()
    engine.dispose()


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(TEXTS, max_size=4),
    numbers=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=4),
    guids=st.lists(st.uuids(), max_size=4),
)
@example(['"', "\\", "NULL", "", " a ", "{x,y}"], [1, None], [uuid.UUID(int=0)])
def test_an_array_comes_as_it_was_sent(
    asked: Any, texts: list[str], numbers: list[int | None], guids: list[uuid.UUID]
) -> None:
    assert asked("text", texts) == (texts,)
    assert asked("bigint", numbers) == (numbers,)
    assert asked("uuid", guids) == (guids,)


def test_every_connection_is_taught_once(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, pool_size=2)
    with engine.connect() as one, engine.connect() as other:
        for driver in (taught(one), taught(other), taught(one)):
            assert driver.execute("SELECT %s", [array([uuid.UUID(int=1)])]).fetchone() == ([uuid.UUID(int=1)],)
    engine.dispose()
