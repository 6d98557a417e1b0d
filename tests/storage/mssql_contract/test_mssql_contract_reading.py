"""Reading: every type, every spelling, every way gives the same cells."""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mergeguard import errors
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Column, Kind, Options, Selection

pytestmark = pytest.mark.mssql
SLOW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLAIN = {"id": "int", "old": "uniqueidentifier", "new": "uniqueidentifier"}


def by_first(columns: list[list[object]]) -> list[tuple[object, ...]]:
    return sorted(zip(*columns, strict=True), key=lambda row: row[0])  # type: ignore[arg-type, return-value]


NUMBERED = {"id": "bigint NOT NULL PRIMARY KEY"}
GUID_TYPES = [
    "uniqueidentifier",
    "binary(16)",
    "varbinary(16)",
    "char(36)",
    "nvarchar(50)",
    "varchar(max)",
    "nvarchar(max)",
]


@pytest.mark.parametrize("kind", GUID_TYPES)
@pytest.mark.parametrize("order", ["text", "sqlserver"])
def test_guids_come_back_however_they_are_stored(place: Any, fast: bool, kind: str, order: str) -> None:
    values = [uuid.uuid4() for _ in range(5)] + [uuid.UUID(int=0), uuid.UUID(int=1 << 127), None]

    def stored(value: uuid.UUID | None) -> object:
        if value is None or "binary" not in kind:
            return value
        return value.bytes_le if order == "sqlserver" else value.bytes

    table = place.fill("kinds", NUMBERED | {"old": kind}, [(row, stored(value)) for row, value in enumerate(values)])
    profile = Profile(merge=Merge(table, "old", "old", byte_order=order))  # type: ignore[arg-type]
    with closing(mssql.MssqlSource(place.url, profile, Options(fast=fast, batch_rows=3))) as source:
        columns = place.read(source, Selection((Column("id", Kind.ROW_ID), Column("old", Kind.GUID)), table))
    assert by_first(columns) == list(enumerate(values))


ROWS = st.tuples(st.none() | st.uuids(), st.none() | st.uuids(), st.none() | st.integers(-(2**63), 2**63 - 1))


@SLOW
@given(rows=st.lists(ROWS, max_size=20))
def test_any_rows_come_back(place: Any, fast: bool, rows: list[tuple[Any, Any, int | None]]) -> None:
    numbered = [(row, *values) for row, values in enumerate(rows)]
    table = place.fill(
        "any", NUMBERED | {"old": "uniqueidentifier", "new": "uniqueidentifier", "n": "bigint"}, numbered
    )
    asked = Selection(
        (Column("id", Kind.ROW_ID), Column("OLD", Kind.GUID), Column("new", Kind.GUID), Column("n", Kind.INTEGER)),
        table,
    )
    with closing(place.source(fast=fast, batch_rows=7)) as source:
        columns = place.read(source, asked)
    assert by_first(columns) == [(row, old, new, -1 if n is None else n) for row, old, new, n in numbered]


def test_guids_in_any_spelling_and_values_that_are_none(place: Any, fast: bool) -> None:
    guid = uuid.uuid4()
    good = [str(guid), str(guid).upper(), f"{{{guid}}}", guid.hex, f"  {guid} ", f"urn:uuid:{guid}"]
    bad = ["", "no guid", "ü\N{GRINNING FACE}", "x" * 300, str(guid) + "0", "Entry Withdrawn"]
    rows = [(row, value) for row, value in enumerate([*good, *bad, None])]
    table = place.fill("spelled", NUMBERED | {"old": "nvarchar(400)"}, rows)
    with closing(place.source(fast=fast)) as source:
        columns = place.read(source, Selection((Column("id", Kind.ROW_ID), Column("old", Kind.GUID)), table))
    assert [value for _, value in by_first(columns)] == [guid] * len(good) + [value[:80] for value in bad] + [None]


def test_bytes_that_are_no_guid(place: Any, fast: bool) -> None:
    table = place.fill(
        "bytes", NUMBERED | {"old": "varbinary(400)"}, [(0, b"\0\xff"), (1, b"x" * 300), (2, b""), (3, None)]
    )
    with closing(place.source(fast=fast)) as source:
        columns = place.read(source, Selection((Column("id", Kind.ROW_ID), Column("old", Kind.GUID)), table))
    assert [value for _, value in by_first(columns)] == ["0x00ff", "x" * 80, "", None]


def test_half_a_surrogate_pair_in_a_vendors_table(place: Any, fast: bool) -> None:
    table = place.fill("half", {"id": "int", "old": "nvarchar(10)"}, [])
    place.run(f"INSERT INTO {place.name('half')} VALUES (1, NCHAR(55357))")
    with closing(place.source(fast=fast)) as source:
        columns = place.read(source, Selection((Column("old", Kind.GUID), Column("old", Kind.TEXT)), table))
    assert columns == [["\N{REPLACEMENT CHARACTER}"], ["\N{REPLACEMENT CHARACTER}"]]


TIMES = {
    "datetime2(7)": [("1969-12-31T23:59:59.9999999", "1969-12-31T23:59:59.999999"), ("0001-01-01T00:00:00", None),
                     ("9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59.999999"), ("2020-02-29T12:34:56.12", None)],
    "datetime2(0)": [("2020-02-29T12:34:56", None)],
    "datetime": [("1753-01-01T00:00:00", None), ("2020-02-29T23:59:59.997", None), ("1970-01-01T00:00:00.003", None),
                 ("1969-12-31T23:59:59.007", None)],
    "smalldatetime": [("1900-01-01T00:00:00", None), ("2020-02-29T12:34:00", None)],
    "date": [("0001-01-01", None), ("1969-12-31", None), ("9999-12-31", None)],
    "datetimeoffset(7)": [("2020-02-29T23:30:00.1234567+05:30", "2020-02-29T18:00:00.123456"),
                          ("1970-01-01T00:00:00-14:00", "1970-01-01T14:00:00")],
    "varchar(40)": [("2020-02-29T12:34:56.123456", None), ("yesterday", "NaT")],
}  # fmt: skip


@pytest.mark.parametrize("kind", TIMES)
def test_times_are_exact_to_the_microsecond(place: Any, fast: bool, kind: str) -> None:
    rows = [(row, written) for row, (written, _) in enumerate([*TIMES[kind], (None, None)])]
    table = place.fill("times", NUMBERED | {"at": kind}, rows)
    with closing(place.source(fast=fast)) as source, source.snapshot() as snapshot:
        ((ids, times),) = snapshot.read(Selection((Column("id", Kind.ROW_ID), Column("at", Kind.TIME)), table))
    expected = np.array([read_as or written for written, read_as in TIMES[kind]] + ["NaT"], "datetime64[us]")
    assert isinstance(times, np.ndarray)
    assert np.array_equal(times[np.argsort(ids)], expected, equal_nan=True)  # type: ignore[arg-type]


TYPES = {
    "g": "uniqueidentifier", "b": "binary(16)", "v": "varbinary(max)", "i": "image", "c": "char(5)", "t": "text",
    "n": "nvarchar(max)", "nt": "ntext", "d": "decimal(18,0)", "f": "decimal(10,2)", "r": "real", "m": "money",
    "bit": "bit", "dt": "datetime", "d2": "datetime2", "dto": "datetimeoffset", "day": "date", "tod": "time",
    "sv": "sql_variant", "ti": "tinyint", "rv": "rowversion",
}  # fmt: skip


@pytest.mark.parametrize("kind", Kind)
def test_every_type_can_be_asked_for_as_every_kind(place: Any, fast: bool, kind: Kind) -> None:
    table = place.fill("types", TYPES, [])
    place.run(f"INSERT INTO {place.name('types')} DEFAULT VALUES")
    with closing(place.source(fast=fast)) as source:
        whole = place.read(source, Selection(tuple(Column(name, kind) for name in TYPES), table))
        assert [len(values) for values in whole] == [1] * len(TYPES)
        for name in TYPES:
            assert place.read(source, Selection((Column(name, kind),), table, counted=True))[-1] == [1], name


def test_texts_and_row_ids(place: Any, fast: bool) -> None:
    guid, odd = uuid.uuid4(), "ünï 'quoted' \N{GRINNING FACE}"
    rows = [(2, odd, guid, "a"), (2**62, None, None, None)]
    table = place.fill(
        "texts", NUMBERED | {"name": "nvarchar(100)", "type": "uniqueidentifier", "code": "char(3)"}, rows
    )
    kinds = (
        Column("id", Kind.ROW_ID),
        Column("name", Kind.TEXT),
        Column("type", Kind.TEXT),
        Column("code", Kind.ROW_ID),
    )
    with closing(place.source(fast=fast)) as source:
        assert by_first(place.read(source, Selection(kinds, table))) == [
            (2, odd, str(guid), "a  "),
            (2**62, None, None, ""),
        ]
        for column, value in {"name": odd, "type": str(guid).upper(), "id": "2", "code": "a"}.items():
            assert place.read(source, Selection((kinds[0],), table, where=((column, value),))) == [[2]]
        assert place.read(source, Selection((kinds[0],), table, where=(("name", odd), ("id", "3")))) == [[]]


def test_counted_values(place: Any, fast: bool) -> None:
    one, two = sorted([uuid.uuid4(), uuid.uuid4()])
    rows = [(row, guid, "a") for row, guid in enumerate([one, two, one, None, None, one])]
    table = place.fill("counted", NUMBERED | {"old": "uniqueidentifier", "t": "ntext"}, rows)
    with closing(place.source(fast=fast)) as source:
        found = place.read(source, Selection((Column("old", Kind.GUID), Column("t", Kind.TEXT)), table, counted=True))
    assert {(row[0], row[2]) for row in zip(*found, strict=True)} == {(one, 3), (two, 1), (None, 2)}


def test_queries(place: Any, fast: bool) -> None:
    guid = uuid.uuid4()
    place.fill("asked", {"old": "uniqueidentifier"}, [(guid,), (None,)])
    query = f"WITH q AS (SELECT old FROM {place.name('asked')}) SELECT old FROM q WHERE old IS NOT NULL -- 'x:y'"
    with closing(place.source(fast=fast)) as source:
        assert place.read(source, Selection((Column("g", Kind.GUID),), query=query)) == [[guid]]
        plain = f"SELECT old FROM {place.name('asked')}"
        assert place.read(source, Selection((Column("old", Kind.GUID),), query=plain, where=(("old", str(guid)),))) == [
            [guid]
        ]
        broken = {"SELECT FROM": errors.ProfileError, "SELEC 1": errors.ProfileError}
        for text, expected in (broken | {"SELECT x FROM nowhere": errors.UnknownSchema}).items():
            with pytest.raises(expected):
                place.read(source, Selection((Column("g", Kind.GUID),), query=text))
        with pytest.raises(errors.UnknownSchema):
            place.read(source, Selection((Column("a", Kind.GUID), Column("b", Kind.GUID)), query=plain))


def test_an_empty_table_and_a_view(place: Any, fast: bool) -> None:
    table = place.fill("empty", NUMBERED | {"old": "uniqueidentifier"}, [])
    place.run(f"CREATE VIEW {place.name('seen')} AS SELECT id, old FROM {place.name('empty')}")
    asked = (Column("id", Kind.ROW_ID), Column("old", Kind.GUID))
    with closing(place.source(fast=fast)) as source, source.snapshot() as snapshot:
        assert list(snapshot.read(Selection(asked, table))) == []
        assert list(snapshot.read(Selection(asked, f"{place.schema}.seen"))) == []
        assert {f"{place.schema}.empty", f"{place.schema}.seen"} <= set(snapshot.tables())
        assert [kind.lower() for _, kind in snapshot.columns(table)] == ["bigint", "uniqueidentifier"]


def test_types_of_the_servers_own_are_no_concern(place: Any, fast: bool) -> None:
    """SQLAlchemy would warn of them."""
    kinds = {"id": "int", "place": "hierarchyid", "shape": "geometry", "where": "geography"}
    table = place.fill("own", kinds, [])
    with closing(place.source(fast=fast)) as source, source.snapshot() as snapshot:
        assert [name for name, _ in snapshot.columns(table)] == [*kinds]
        assert list(snapshot.read(Selection((Column("id", Kind.INTEGER),), table))) == []


def test_odd_names_are_quoted(place: Any, fast: bool) -> None:
    guid, old = uuid.uuid4(), "old ]'\":x%"
    table = place.fill("a ]'\" table", {old: "uniqueidentifier", "select": "int"}, [(guid, 7)])
    asked = Selection((Column(old, Kind.GUID), Column("select", Kind.INTEGER)), table, where=(("select", "7"),))
    with closing(place.source(fast=fast)) as source:
        assert place.read(source, asked) == [[guid], [7]]


def test_unknown_names_come_with_the_nearest_ones(place: Any) -> None:
    place.fill("resources", {"old": "int"}, [])
    with closing(place.source()) as source:
        with pytest.raises(errors.UnknownSchema) as caught:
            place.read(source, Selection((Column("old", Kind.GUID),), f"{place.schema}.resource"))
        assert "resources" in str(caught.value.hint)
        with pytest.raises(errors.UnknownSchema) as caught:
            place.read(source, Selection((Column("odl", Kind.GUID),), f"{place.schema}.resources"))
        assert "old" in str(caught.value.hint)
        with source.snapshot() as snapshot:
            assert not snapshot.has_table("no.such.table")


def test_reading_sends_select_and_set_alone(place: Any) -> None:
    table = place.fill("quiet", PLAIN, [])
    sent: list[str] = []
    with closing(place.source("quiet", fast=False)) as source:
        sa.event.listen(source.engine, "before_cursor_execute", lambda _c, _k, sql, *_rest: sent.append(sql))
        place.read(source, Selection((Column("old", Kind.GUID),), table))
        source.doctor()
        with source.snapshot() as snapshot:
            snapshot.tables()
    assert {sql.split()[0].upper() for sql in sent} <= {"SELECT", "SET"}
