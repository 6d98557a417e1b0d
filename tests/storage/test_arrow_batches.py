"""A record batch gives the cells of its columns, and a schema that would not is told apart beforehand."""

from __future__ import annotations

import datetime as dt
import uuid

import pyarrow as pa
import pytest

from mergeguard.core import guids
from mergeguard.storage.cells import arrow, database_cells
from mergeguard.storage.source import GuidCells, Kind

ONE, TWO = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), uuid.UUID(int=7)


def test_each_column_is_read_as_its_kind() -> None:
    noon = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
    batch = pa.record_batch(
        {
            "old": pa.array([ONE.bytes, TWO.bytes]),
            "new": pa.array([str(TWO), "nonsense"]),
            "id": pa.array([1, 2]),
            "depth": pa.array([5, None]),
            "name": pa.array(["a", None]),
            "since": pa.array([noon, None]),
        }
    )
    kinds = [Kind.GUID, Kind.GUID, Kind.ROW_ID, Kind.INTEGER, Kind.TEXT, Kind.TIME]
    assert arrow.fits(batch.schema, kinds)
    old, new, ids, depths, names, times = arrow.cells(batch, kinds, "sqlserver")
    assert isinstance(old, GuidCells)
    assert isinstance(new, GuidCells)
    assert guids.to_uuids(old.column) == [uuid.UUID(bytes_le=ONE.bytes), uuid.UUID(bytes_le=TWO.bytes)]
    assert (guids.to_uuid(new.column, 0), new.bad) == (TWO, {1: "nonsense"})
    assert [*map(list, (ids, depths, names))] == [[1, 2], [5, -1], ["a", None]]  # type: ignore[arg-type]
    assert times.tolist() == database_cells.times([noon, None]).tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "fitting", "others"),
    [
        (Kind.GUID, [pa.string(), pa.binary(), pa.binary(16), pa.uuid()], [pa.int64(), pa.binary(15), pa.null()]),
        (Kind.ROW_ID, [pa.int64(), pa.string()], [pa.float64(), pa.binary(), pa.decimal128(20)]),
        (Kind.INTEGER, [pa.int32(), pa.int64()], [pa.string(), pa.uint64(), pa.float64()]),
        (Kind.TEXT, [pa.string(), pa.large_string()], [pa.int64(), pa.binary()]),
        (
            Kind.TIME,
            [pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.date32(), pa.string()],
            [pa.int64(), pa.time64("us")],
        ),
    ],
)
def test_a_schema_fits_where_every_type_is_sure_to(
    kind: Kind, fitting: list[pa.DataType], others: list[pa.DataType]
) -> None:
    for kind_of_array in fitting:
        assert arrow.fits(pa.schema({"a": kind_of_array, "b": pa.string()}), [kind, Kind.TEXT])
    for kind_of_array in others:
        assert not arrow.fits(pa.schema({"a": pa.string(), "b": kind_of_array}), [Kind.TEXT, kind])
    assert not arrow.fits(pa.schema({"a": fitting[0]}), [kind, kind])
