"""Python values of any driver become the cells that the contract promises, value by value."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.storage.cells import database_cells
from mergeguard.storage.source import GuidCells, Kind

some_guids = st.uuids() | st.just(uuid.UUID(int=0))
spelled = st.one_of(
    some_guids,
    some_guids.map(lambda guid: guid.bytes),
    some_guids.map(lambda guid: memoryview(guid.bytes)),
    some_guids.map(str),
    some_guids.map(lambda guid: f" {{{str(guid).upper()}}}"),
)
no_guid = st.one_of(
    st.none(),
    st.text(max_size=400),
    st.binary(max_size=200).filter(lambda raw: len(raw) != 16),
    st.integers(),
    st.floats(),
)


def shown(cells: GuidCells) -> list[object]:
    return [cells.bad.get(row, guids.to_uuid(cells.column, row)) for row in range(len(cells.column))]


@given(st.lists(spelled | no_guid, max_size=20))
def test_each_guid_is_read_and_each_other_value_is_shown(values: list[object]) -> None:
    cells = database_cells.guid_cells(values)
    assert not cells.column[list(cells.bad)].any()
    for value, found in zip(values, shown(cells), strict=True):
        guid = guids.parse(value)
        if guid is not None:
            assert found == guid
        elif value is None:
            assert found is None
        else:
            assert isinstance(found, str)
            assert len(found) <= database_cells.BAD_CHARACTERS


@given(st.lists(spelled, max_size=20))
def test_the_byte_order_of_sql_server_is_that_of_raw_bytes_alone(values: list[object]) -> None:
    found = shown(database_cells.guid_cells(values, "sqlserver"))
    raw = (bytes, memoryview)
    expected = [uuid.UUID(bytes_le=bytes(value)) if isinstance(value, raw) else guids.parse(value) for value in values]
    assert found == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"not a guid", "not a guid"),
        ("é".encode() * 100, "é" * 80),
        (b"\xff\x00", "0xff00"),
        (b"\x01", "0x01"),
        (b"", ""),
        (17, "17"),
        (0.5, "0.5"),
        ("x" * 300, "x" * 80),
        (None, None),
    ],
)
def test_a_value_that_is_no_guid_is_shown_as_found(value: object, text: str | None) -> None:
    assert database_cells.guid_cells([value]).bad == {0: text}


whole = st.integers(-(2**70), 2**70)


@given(
    st.lists(
        st.one_of(st.integers(-(2**63), 2**63 - 1), whole, st.none(), st.floats(), st.text(max_size=3)), max_size=9
    )
)
def test_integers_are_exact_or_minus_one(values: list[object]) -> None:
    found = database_cells.integers(values)
    assert found.dtype == np.int64
    for value, number in zip(values, found.tolist(), strict=True):
        if isinstance(value, int) and -(2**63) <= value < 2**63:
            assert number == value
        elif isinstance(value, str):
            assert number == -1 or number == int(value)
        else:
            assert number in {-1, value}


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9), st.lists(st.text(min_size=1), max_size=9))
def test_row_ids_are_numbers_where_all_are_and_texts_otherwise(numbers: list[int], texts: list[str]) -> None:
    exact: list[object] = [decimal.Decimal(number) for number in numbers]
    for values in (numbers, exact):
        found = database_cells.row_ids(values)
        assert isinstance(found, np.ndarray)
        assert found.tolist() == numbers
    if texts:
        assert database_cells.row_ids([*numbers, *texts]) == [*map(str, numbers), *texts]
    assert database_cells.row_ids([None, 2**64]) == ["", str(2**64)]


@given(st.lists(st.datetimes(timezones=st.none() | st.timezones()), max_size=9))
def test_times_are_utc_as_objects_and_as_texts(values: list[dt.datetime]) -> None:
    def utc(value: dt.datetime) -> dt.datetime | None:
        try:
            return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        except OverflowError:
            return None

    expected = [utc(value) for value in values]
    assert database_cells.times(values).tolist() == expected
    minutes = [value.utcoffset() is None or value.utcoffset().microseconds == 0 for value in values]  # type: ignore[union-attr]
    if all(minutes):
        assert database_cells.times([value.isoformat() for value in values]).tolist() == expected


def test_what_is_no_time_is_not_a_time() -> None:
    values: Sequence[object] = [
        None,
        "",
        "soon",
        17,
        0.5,
        b"\xff",
        "2024-13-01",
        dt.date(2024, 2, 29),
        b"2024-02-29",
        " 2024-02-29 ",
    ]
    day = dt.datetime(2024, 2, 29)  # noqa: DTZ001 - cells hold UTC without a zone
    assert database_cells.times(values).tolist() == [None] * 7 + [day] * 3


def test_texts_keep_their_length() -> None:
    values: Sequence[object] = ["x" * 300, None, b"\xff", uuid.UUID(int=0), 17, dt.date(2024, 2, 29)]
    expected = ["x" * 300, None, "0xff", str(uuid.UUID(int=0)), "17", "2024-02-29"]
    assert database_cells.cells(Kind.TEXT, values) == expected
