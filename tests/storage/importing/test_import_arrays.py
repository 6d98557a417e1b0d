"""Lists travel to PostgreSQL as what they are."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mergeguard.storage.importing.postgresql import array

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from('"\\{},'))


@pytest.fixture(scope="module")
def asked(postgres_url: str) -> Any:
    plain = sa.make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        yield lambda kind, values: connection.execute(f"SELECT CAST(%s AS {kind}[])", [array(values)]).fetchone()


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
