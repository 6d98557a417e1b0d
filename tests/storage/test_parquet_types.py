"""A Parquet column of any type gives the cells that its values give one by one."""

from __future__ import annotations

import datetime as dt
import io
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.errors import UnreadableFile
from mergeguard.storage import assemble
from mergeguard.storage.cells import arrow_cells, database_cells
from mergeguard.storage.files.source import FileSource
from mergeguard.storage.profile import ByteOrder, Merge, Profile
from mergeguard.storage.source import Cells, GuidCells, Kind, Options

GUIDS = [uuid.UUID(int=0), uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), uuid.UUID(int=(1 << 128) - 1)]
raw = st.none() | st.sampled_from([guid.bytes for guid in GUIDS])
odd_raw = st.one_of(raw, st.sampled_from([b"", b"\xff\x00", GUIDS[1].hex.encode(), str(GUIDS[1]).encode()]))
texts = st.one_of(
    st.none(),
    st.sampled_from([str(GUIDS[1]), str(GUIDS[1]).upper(), GUIDS[1].hex, str(GUIDS[2]), "", "é" * 18, "x" * 36, "no"]),
)
BINARY = {"fixed": pa.binary(16), "binary": pa.binary(), "large": pa.large_binary(), "view": pa.binary_view()}
TEXTS = {"string": pa.string(), "large": pa.large_string(), "view": pa.string_view()}


def through_parquet(array: pa.Array) -> pa.Array:
    out = io.BytesIO()
    pq.write_table(pa.table({"a": array}), out, row_group_size=5)
    return pq.read_table(out).column("a").combine_chunks()


def as_dictionary(array: pa.Array) -> pa.Array:
    chunk = array.dictionary_encode()
    return chunk.combine_chunks() if isinstance(chunk, pa.ChunkedArray) else chunk


def variants(array: pa.Array) -> list[pa.Array]:
    """The array, a slice of a longer one, through a file, and as a dictionary."""
    longer = pa.concat_arrays([array.slice(0, min(3, len(array))), array, array])
    found = [array, longer.slice(min(3, len(array)), len(array)), through_parquet(array)]
    return found if "view" in str(array.type) else [*found, as_dictionary(array)]


def shown(cells: Cells) -> Any:
    if isinstance(cells, GuidCells):
        rows = [cells.column[row].tobytes() for row in range(len(cells.column))]
        return rows, dict(cells.bad)
    return cells.astype(np.int64).tolist() if isinstance(cells, np.ndarray) else list(cells)


@given(st.lists(odd_raw, max_size=12), st.sampled_from(sorted(BINARY)), st.sampled_from(["text", "sqlserver"]))
def test_sixteen_byte_values(values: list[bytes | None], name: str, order: ByteOrder) -> None:
    if name == "fixed":
        values = [value for value in values if value is None or len(value) == 16]
    expected = shown(database_cells.guid_cells(values, order))
    for array in variants(pa.array(values, BINARY[name])):
        assert shown(arrow_cells.cells(Kind.GUID, array, order)) == expected


@given(st.lists(texts, max_size=12), st.sampled_from(sorted(TEXTS)))
def test_texts(values: list[str | None], name: str) -> None:
    guid_cells = shown(database_cells.guid_cells(values))
    for array in variants(pa.array(values, TEXTS[name])):
        assert shown(arrow_cells.cells(Kind.GUID, array, "sqlserver")) == guid_cells
        assert shown(arrow_cells.cells(Kind.TEXT, array)) == values


@given(st.lists(raw, max_size=12))
def test_the_uuid_type_is_in_text_order_whatever_the_profile_says(values: list[bytes | None]) -> None:
    array = pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16)))
    expected = shown(database_cells.guid_cells(values))
    for found in (array, through_parquet(array)):
        assert shown(arrow_cells.cells(Kind.GUID, found, "sqlserver")) == expected
        as_texts = [value and str(uuid.UUID(bytes=value)) for value in values]
        assert shown(arrow_cells.cells(Kind.TEXT, found, "sqlserver")) == as_texts


@given(
    st.lists(st.none() | st.integers(0, 100), max_size=9),
    st.sampled_from([pa.int8(), pa.int32(), pa.int64(), pa.uint64(), pa.float64(), pa.string()]),
    st.sampled_from([Kind.INTEGER, Kind.ROW_ID, Kind.TEXT]),
)
def test_numbers(values: list[int | None], kind: pa.DataType, wanted: Kind) -> None:
    plain = [value if value is None or kind != pa.string() else str(value) for value in values]
    array = pa.array(plain, kind)
    expected = shown(database_cells.cells(wanted, array.to_pylist()))
    for found in variants(array):
        assert shown(arrow_cells.cells(wanted, found)) == expected


@given(
    st.lists(st.none() | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)), max_size=9),  # noqa: DTZ001 - naive ones are UTC by contract
    st.sampled_from(["us", "ns", "ms", "s"]),
    st.sampled_from([None, "UTC", "America/New_York"]),
)
def test_times(values: list[dt.datetime | None], unit: str, zone: str | None) -> None:
    rounded = {"s": 1_000_000, "ms": 1000}.get(unit, 1)
    values = [value and value.replace(microsecond=value.microsecond // rounded * rounded) for value in values]
    array = pa.array([value and value.replace(tzinfo=dt.UTC) for value in values], pa.timestamp(unit, zone))
    found = arrow_cells.times(array)
    assert found.dtype == np.dtype("datetime64[us]")
    assert found.tolist() == values
    days = arrow_cells.times(pa.array([value and value.date() for value in values], pa.date32()))
    assert days.tolist() == [value and dt.datetime.combine(value, dt.time()) for value in values]
    written = arrow_cells.times(pa.array([value and value.isoformat() for value in values], pa.string()))
    assert written.tolist() == values


def test_a_time_that_no_calendar_holds_is_none() -> None:
    array = pa.array([2**62, -(2**62), 0, None], pa.timestamp("us"))
    assert arrow_cells.times(array).tolist() == [None, None, dt.datetime(1970, 1, 1), None]  # noqa: DTZ001 - as above


def rewritten(values: Sequence[uuid.UUID], name: str) -> pa.Array:
    if name == "uuid":
        return pa.ExtensionArray.from_storage(pa.uuid(), pa.array([value.bytes for value in values], pa.binary(16)))
    if name == "sqlserver":
        return pa.array([value.bytes_le for value in values], pa.binary(16))
    return pa.array([str(value) for value in values]).dictionary_encode()


@given(st.lists(st.tuples(st.sampled_from(GUIDS), st.sampled_from(GUIDS)), min_size=1, max_size=9), st.integers(1, 4))
def test_a_table_is_the_same_in_every_type(rows: list[tuple[uuid.UUID, uuid.UUID]], batch_rows: int) -> None:
    for name in ("uuid", "sqlserver", "dictionary"):
        old, new = (rewritten(column, name) for column in zip(*rows, strict=True))
        profile = Profile(merge=Merge(byte_order="sqlserver" if name == "sqlserver" else "text"))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m.parquet"
            pq.write_table(pa.table({"NewGuid": new, "OldGuid": old}), path, row_group_size=3)
            told: list[tuple[str, int, int | None]] = []
            with FileSource(path, profile, Options(batch_rows=batch_rows)).snapshot() as snapshot:
                table = assemble.merge_table(snapshot, profile, lambda *what: told.append(what))  # noqa: B023 - called before the loop goes on
        assert list(zip(guids.to_uuids(table.old), guids.to_uuids(table.new), strict=True)) == rows
        assert told[-1] == ("reading merges", len(rows), len(rows))


def test_a_page_that_rotted_is_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    column = pa.array([uuid.uuid5(GUIDS[0], str(row)).bytes for row in range(5000)], pa.binary(16))
    pq.write_table(pa.table({"OldGuid": column, "NewGuid": column}), path, compression="gzip", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[200:4000] = b"\xaa" * 3800
    path.write_bytes(content)
    with FileSource(path, Profile(), Options()).snapshot() as snapshot, pytest.raises(UnreadableFile):
        assemble.merge_table(snapshot, Profile())
