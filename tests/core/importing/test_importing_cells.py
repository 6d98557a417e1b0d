from __future__ import annotations

import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.guids import EMPTY
from mergeguard.core.importing.catalogue import CellType, DataColumn
from mergeguard.core.importing.cells import Misfit, Value, value_of


def spelled(value: Value) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


VALUES = {
    CellType.TEXT: st.text(),
    CellType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    CellType.NUMBER: st.floats(allow_nan=False, allow_infinity=False),
    CellType.BOOLEAN: st.booleans(),
    CellType.TIME: st.datetimes(timezones=st.just(dt.UTC)),
    CellType.GUID: st.uuids(),
}


@pytest.mark.parametrize("kind", list(CellType))
@given(data=st.data())
def test_a_value_is_read_back_from_its_text(kind: CellType, data: st.DataObject) -> None:
    value = data.draw(VALUES[kind])
    assert value_of(DataColumn("c", kind), spelled(value)) == value


@pytest.mark.parametrize("kind", list(CellType))
@given(text=st.text(max_size=12) | st.from_regex(r"[-+0-9.eE:TZ_ ]{1,24}", fullmatch=True))
def test_any_text_is_a_value_or_a_misfit_that_names_the_column(kind: CellType, text: str) -> None:
    column = DataColumn("Size", kind)
    told = "column Size takes"
    value = None
    try:
        value = value_of(column, text)
    except Misfit as misfit:
        told = str(misfit)
    assert told.startswith("column Size takes")
    assert value is None or value_of(column, spelled(value)) == value


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (CellType.INTEGER, " +042 ", 42),
        (CellType.NUMBER, "-0.0", 0.0),
        (CellType.BOOLEAN, "TRUE", True),
        (CellType.BOOLEAN, "0", False),
        (CellType.TIME, "2012-01-18T11:00:00+01:00", dt.datetime(2012, 1, 18, 10, tzinfo=dt.UTC)),
        (CellType.TIME, "2012-01-18", dt.datetime(2012, 1, 18, tzinfo=dt.UTC)),
        (CellType.GUID, "{0000002A-0000-0000-0000-000000000000}", uuid.UUID(int=42 << 96)),
        (CellType.TEXT, "", ""),
        (CellType.INTEGER, "", None),
    ],
)
def test_spellings_of_agents_are_understood(kind: CellType, text: str, value: object) -> None:
    found = value_of(DataColumn("c", kind), text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (CellType.INTEGER, "9223372036854775808"),
        (CellType.INTEGER, "1_000"),
        (CellType.INTEGER, "\u0663"),
        (CellType.INTEGER, "1.0"),
        (CellType.NUMBER, "nan"),
        (CellType.NUMBER, "1e999"),
        (CellType.NUMBER, "1,5"),
        (CellType.BOOLEAN, "2"),
        (CellType.TIME, "yesterday"),
        (CellType.TIME, "0001-01-01T00:00:00+01:00"),
        (CellType.GUID, "4711"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(kind: CellType, text: str) -> None:
    with pytest.raises(Misfit, match="column Size takes"):
        value_of(DataColumn("Size", kind), text)


def test_a_column_that_needs_a_value_takes_no_empty_one() -> None:
    for kind in CellType:
        with pytest.raises(Misfit, match="needs a value"):
            value_of(DataColumn("c", kind, nullable=False), None)
    assert value_of(DataColumn("c", CellType.TEXT, nullable=False), "") == ""


@given(st.text(max_size=6), st.integers(0, 12))
def test_a_text_fits_by_the_characters_that_sql_server_counts(text: str, length: int) -> None:
    fits = len(text.encode("utf-16-le")) // 2 <= length
    column = DataColumn("c", CellType.TEXT, length)
    if fits:
        assert value_of(column, text) == text
    else:
        with pytest.raises(Misfit, match=f"takes {length} characters"):
            value_of(column, text)


def test_the_empty_guid_is_no_resource() -> None:
    assert value_of(DataColumn("c", CellType.GUID, resource=True), str(EMPTY)) is None
    assert value_of(DataColumn("c", CellType.GUID), str(EMPTY)) == EMPTY
    with pytest.raises(Misfit, match="needs a value"):
        value_of(DataColumn("c", CellType.GUID, nullable=False, resource=True), str(EMPTY))


@pytest.mark.parametrize(("length", "shown"), [(40, "x" * 40), (41, "x" * 40 + "…")])
def test_a_long_text_that_does_not_fit_is_cut_where_it_is_told(length: int, shown: str) -> None:
    with pytest.raises(Misfit, match=f"this is '{shown}'$"):
        value_of(DataColumn("c", CellType.INTEGER), "x" * length)
