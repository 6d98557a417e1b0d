"""Lists travel to PostgreSQL as what they are."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mergeguard.storage.importing import postgresql_arrays as arrays
from mergeguard.storage.importing.postgresql_arrays import array, taught

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from('"\\{},'))


@pytest.fixture(scope="module")
def driver(postgres_url: str) -> Any:
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        yield taught(connection)
    engine.dispose()


@pytest.fixture(scope="module")
def asked(driver: Any) -> Any:
    return lambda kind, values: driver.execute(f"SELECT CAST(%s AS {kind}[])", [array(values)]).fetchone()


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


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.uuids(), max_size=3), max_size=3),
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 3)), max_size=3),
    st.lists(st.lists(TEXTS, max_size=3), max_size=3),
)
def test_an_array_of_parts_comes_whole(
    driver: Any, guids: list[list[uuid.UUID]], numbers: list[tuple[int, int]], texts: list[list[str]]
) -> None:
    sent = (
        arrays.of_guids([arrays.guid_elements(part) for part in guids]),
        arrays.of_numbers([arrays.number_elements(number, count) for number, count in numbers]),
        arrays.of_texts([arrays.text_elements(part) for part in texts]),
    )
    found = driver.execute("SELECT CAST(%s AS uuid[]), CAST(%s AS bigint[]), CAST(%s AS text[])", sent).fetchone()
    assert found == (
        [guid for part in guids for guid in part],
        [number for number, count in numbers for _ in range(count)],
        [text for part in texts for text in part],
    )
