"""A guid is the same guid in every usual spelling, and nothing else is one."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core import guids

UUIDS = st.uuids()
SPELLINGS = {
    "lower": str,
    "upper": lambda value: str(value).upper(),
    "braces": lambda value: "{" + str(value) + "}",
    "parentheses": lambda value: f"({str(value).upper()})",
    "digits": lambda value: value.hex,
    "digits in braces": lambda value: "{" + value.hex + "}",
    "urn": lambda value: value.urn,
    "blanks": lambda value: f"  {value}\t\n",
    "bytes": lambda value: value.bytes,
    "text as bytes": lambda value: str(value).encode(),
    "object": lambda value: value,
    "memoryview": lambda value: memoryview(value.bytes),
}
SPELT = st.tuples(UUIDS, st.sampled_from(sorted(SPELLINGS)))


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
@given(value=UUIDS)
def test_one_guid_in_any_spelling(spelling: str, value: uuid.UUID) -> None:
    assert guids.parse(SPELLINGS[spelling](value)) == value


@given(st.lists(SPELT | st.sampled_from([None, "", "x", "{", 7, b"short", "0" * 31, "g" * 32, "x" * 300])))
def test_a_column_is_read_as_its_values_are(cells: list[object]) -> None:
    values = [SPELLINGS[cell[1]](cell[0]) if isinstance(cell, tuple) else cell for cell in cells]
    column, good = guids.parse_column(values)
    for row, value in enumerate(values):
        expected = guids.parse(value)
        assert bool(good[row]) == (expected is not None)
        assert guids.to_uuid(column, row) == (expected or uuid.UUID(int=0))


@pytest.mark.parametrize("spelling", ["lower", "upper", "bytes"])
@given(values=st.lists(UUIDS))
def test_uniform_columns(spelling: str, values: list[uuid.UUID]) -> None:
    column, good = guids.parse_column([SPELLINGS[spelling](value) for value in values])
    assert guids.to_uuids(column) == values
    assert good.all()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{00000000-0000-0000-0000-000000000000",
        "00000000-0000-0000-0000-000000000000}",
        "(00000000-0000-0000-0000-000000000000}",
        "00000000-00000000-0000-0000-00000000",
        "0000000000000000-0000-0000-000000000000",
        "00000000_0000_0000_0000_000000000000",
        "00000000-0000-0000-0000-00000000000g",
        "\u0660" * 32,
        "malware--6a21e3a4-5ffe-4581-af9a-6a54c7536f44",
        "0" * 300,
    ],
)
def test_what_is_no_guid(text: str) -> None:
    assert guids.parse(text) is None
    assert not guids.parse_column([text])[1].any()
    assert not guids.parse_column([text, str(uuid.UUID(int=1))])[1][0]


@given(st.lists(UUIDS))
def test_texts_and_back(values: list[uuid.UUID]) -> None:
    column = guids.from_uuids(values)
    assert [text.decode() for text in guids.to_texts(column)] == [str(value) for value in values]
    assert guids.to_uuids(column) == values


@given(st.lists(UUIDS))
def test_the_order_is_that_of_the_texts(values: list[uuid.UUID]) -> None:
    column = guids.from_uuids(values)
    assert [str(values[row]) for row in guids.order(column)] == sorted(map(str, values))


@given(st.lists(UUIDS))
def test_sql_server_order_is_dot_net_order_and_its_own_inverse(values: list[uuid.UUID]) -> None:
    column = guids.from_uuids(values)
    swapped = guids.swap_sql_server(column)
    assert [row.tobytes() for row in swapped] == [value.bytes_le for value in values]
    assert (guids.swap_sql_server(swapped) == column).all()


def test_text_ids_are_stable_names() -> None:
    assert guids.text_id("America/Denver") == uuid.uuid5(guids.NAMESPACE, "America/Denver")
    assert guids.text_id("a") != guids.text_id("A")


@given(st.text(max_size=30) | st.sampled_from(["deleted", "tombstone", "tombstone.mergeguard"]))
def test_no_text_id_is_the_tombstone(text: str) -> None:
    assert guids.text_id(text) != guids.TOMBSTONE
