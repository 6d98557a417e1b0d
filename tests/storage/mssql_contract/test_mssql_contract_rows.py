"""Rows as images on a real server: every type, the locks of two sessions, and what a failure leaves."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from mergeguard import errors
from mergeguard.core.repair.plan import Action, Image, RowChange
from mergeguard.storage.rows.database import DatabaseRows

pytestmark = pytest.mark.mssql
OLD, NEW = uuid.UUID(int=10 << 120), uuid.UUID(int=12)
# A type, and literals of values that a careless text would change.
VALUES: dict[str, Sequence[str]] = {
    "bit": ["0", "1"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "decimal(38,10)": ["-1234567890123456789012345678.0123456789", "0.0000000001"],
    "money": ["922337203685477.5807", "-0.0001"],
    "smallmoney": ["214748.3647"],
    "float": ["1.7976931348623157E+308", "4.9406564584124654E-324", "0.1", "CAST(0.1 AS float) + 0.2"],
    "real": ["3.4028234E+38", "CAST(0.1 AS real)"],
    "date": ["'0001-01-01'", "'9999-12-31'"],
    "time(7)": ["'23:59:59.9999999'"],
    "datetime": ["'1753-01-01T00:00:00.003'", "'9999-12-31T23:59:59.997'"],
    "smalldatetime": ["'2079-06-06T23:59:00'"],
    "datetime2(7)": ["'0001-01-01T00:00:00.0000001'", "'9999-12-31T23:59:59.9999999'"],
    "datetimeoffset(7)": ["'2020-02-29T12:34:56.1234567+05:45'", "'2020-02-29T12:34:56-14:00'"],
    "char(5)": ["'a '", "CHAR(233)"],
    "varchar(20)": ["'a  '", "CHAR(128) + 'x'", "''"],
    "varchar(20) COLLATE Cyrillic_General_CI_AS": ["NCHAR(1078)"],
    "nchar(5)": ["NCHAR(0) + N'x'"],
    "nvarchar(20)": ["NCHAR(55296)", "N'a '", "NCHAR(0)", "NCHAR(55357) + NCHAR(56832)", "N''"],
    "nvarchar(max)": ["REPLICATE(CAST(NCHAR(8364) AS nvarchar(max)), 9000)"],
    "ntext": ["NCHAR(8364)"],
    "text": ["'a  '"],
    "binary(4)": ["0x00FF"],
    "varbinary(10)": ["0x", "0x0000", "0xFF00"],
    "varbinary(max)": ["CAST(REPLICATE(CAST('x' AS varchar(max)), 9000) AS varbinary(max))"],
    "image": ["0x0102"],
    "uniqueidentifier": ["'00112233-4455-6677-8899-AABBCCDDEEFF'"],
    "xml": ["'<a> <b/> </a>'", "'text'"],
    "hierarchyid": ["'/1/2.5/'"],
    "geography": ["geography::Point(47.65, -122.349, 4326)"],
    "sysname": ["N'x'"],
}


TO_BYTES = {"xml": "nvarchar(max)", "text": "varchar(max)", "ntext": "nvarchar(max)"}
"""What a type has to pass through before it can be looked at as bytes."""


def exact(place: Any, table: str) -> list[tuple[object, ...]]:
    """The bytes of every value, as the server stores them."""
    types = "SELECT name, TYPE_NAME(system_type_id) FROM sys.columns WHERE object_id = OBJECT_ID(?) ORDER BY column_id"
    with place.engine.begin() as connection:
        listed = []
        for name, kind in connection.exec_driver_sql(types, (place.name(table),)).all():
            value = f"CAST([{name}] AS {TO_BYTES[kind]})" if kind in TO_BYTES else f"[{name}]"
            listed.append(f"CAST({value} AS varbinary({8 if kind in {'float', 'real'} else 'max'}))")
        return sorted(
            (tuple(row) for row in connection.exec_driver_sql(f"SELECT {', '.join(listed)} FROM {place.name(table)}")),
            key=str,
        )


def images(rows: DatabaseRows, table: str) -> list[dict[str, str | None]]:
    stored = rows.table(table)
    return rows.fetch(stored, stored.select("1 = 1"), ())


def retire(table: str, image: Image) -> RowChange:
    return RowChange(Action.RETIRE, table, image, None)


@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "keyless"])
@pytest.mark.parametrize("kind", VALUES)
def test_any_value_survives_delete_and_restore(place: Any, kind: str, *, keyed: bool) -> None:
    table = f"{place.schema}.kept"
    key = "id int IDENTITY PRIMARY KEY, " if keyed else "id int IDENTITY, "
    place.run(
        f"IF OBJECT_ID(N'{place.name('kept')}') IS NOT NULL DROP TABLE {place.name('kept')}",
        f"CREATE TABLE {place.name('kept')} ({key}value {kind} NULL, twice AS id * 2)",
        *(f"INSERT INTO {place.name('kept')} (value) VALUES ({value})" for value in [*VALUES[kind], "NULL"]),
    )
    before = exact(place, "kept")
    with closing(place.source("kept")) as source, source.writing() as writing:
        with writing.transaction() as rows:
            found = images(rows, table)
            assert all(rows.holds(table, image) for image in found)
            rows.change([retire(table, image) for image in found])
            assert images(rows, table) == []
        with writing.transaction() as rows:
            rows.change([retire(table, image).reversed() for image in found])
    assert exact(place, "kept") == before


@pytest.mark.parametrize(
    "kind", ["uniqueidentifier", "binary(16)", "varbinary(40)", "char(40)", "nvarchar(60)", "ntext"]
)
def test_rows_are_found_by_their_guid(place: Any, kind: str) -> None:
    binary = "binary" in kind
    table = place.fill("found", {"id": "int", "old": kind}, [(1, OLD.bytes if binary else OLD), (2, None)])
    with closing(place.source("found")) as source, source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        for thorough in (False, True):
            found = list(rows.having(table, "old", [OLD, NEW], thorough=thorough))
            assert [image["id"] for image in found] == ["1"]
            assert rows.guid(table, "old", found[0]["old"]) == OLD


def test_variants_and_rowversions(place: Any) -> None:
    place.fill("variant", {"id": "int", "value": "sql_variant"}, [])
    place.fill("stamped", {"id": "int NOT NULL PRIMARY KEY"}, [(1,)])
    place.run(f"ALTER TABLE {place.name('stamped')} ADD version rowversion")
    with closing(place.source("stamped")) as source, source.writing() as writing, writing.transaction() as rows:
        with pytest.raises(errors.Unsupported, match="value is of the type sql_variant"):
            rows.shape(f"{place.schema}.variant")
        (image,) = images(rows, f"{place.schema}.stamped")
        assert image == {"id": "1"}


def merges(place: Any) -> str:
    table = place.fill("merges", {"id": "int NOT NULL PRIMARY KEY", "old": "uniqueidentifier"}, [(1, OLD)])
    return str(table)


def test_a_stale_row_changes_nothing(place: Any) -> None:
    table = merges(place)
    with closing(place.source()) as source, source.writing() as writing:
        with writing.transaction() as rows:
            (image,) = images(rows, table)
        place.run(f"UPDATE {place.name('merges')} SET old = NULL")
        now = exact(place, "merges")
        with pytest.raises(errors.Stale, match="row id 1: old was"), writing.transaction() as rows:
            rows.change([retire(table, image)])
        assert exact(place, "merges") == now
        with writing.transaction() as rows:
            assert len(images(rows, table)) == 1


def waiting(place: Any) -> int:
    return int(place.value("SELECT COUNT(*) FROM sys.dm_tran_locks WHERE request_status = 'WAIT'"))


def test_a_writer_that_knows_no_lock_waits_and_a_reader_with_versions_does_not(place: Any) -> None:
    table = merges(place)
    write = f"INSERT INTO {place.name('merges')} VALUES (2, NULL)"
    with closing(place.source()) as source, source.writing() as writing:
        with writing.transaction() as rows:
            thread = threading.Thread(target=place.run, args=(write,))
            thread.start()
            give_up = time.monotonic() + 60
            try:
                while waiting(place) == 0:
                    assert time.monotonic() < give_up
            except sa.exc.DBAPIError:
                pytest.skip("the login may not see locks")
            rows.change([retire(table, image) for image in images(rows, table)])
        thread.join()
        assert exact(place, "merges") == [((2).to_bytes(4, "big"), None)]


def test_two_repairs_exclude_one_another(place: Any) -> None:
    merges(place)
    with (
        closing(place.source(lock_timeout=0.2)) as one,
        closing(place.source(lock_timeout=0.2)) as other,
        one.writing() as first,
        other.writing() as second,
    ):
        with first.transaction(), pytest.raises(errors.Locked), second.transaction():
            pass
        with first.hold_merge_lock():
            with first.transaction():
                pass
            with pytest.raises(errors.Locked), second.transaction():
                pass
        with second.transaction():
            pass


def test_a_reader_is_refused_before_the_first_change(place: Any, reader_url: sa.URL) -> None:
    merges = f"{place.schema}.merges"
    refused = pytest.raises(errors.PermissionDenied, match="INSERT, UPDATE, DELETE")
    with closing(place.source(url=reader_url)) as source, source.writing() as writing, refused:
        writing.check_rights([merges])


def test_an_error_rolls_back_and_the_session_goes_on(place: Any) -> None:
    table = merges(place)
    place.fill("ids", {"id": "int IDENTITY NOT NULL PRIMARY KEY", "one": "int NOT NULL UNIQUE"}, [])
    place.run(f"INSERT INTO {place.name('ids')} (one) VALUES (1)")
    before = exact(place, "ids")
    twice = RowChange(Action.RESTORE, f"{place.schema}.ids", None, {"id": "7", "one": "1"})
    fine = RowChange(Action.RESTORE, f"{place.schema}.ids", None, {"id": "7", "one": "2"})
    with closing(place.source()) as source, source.writing() as writing:
        with pytest.raises(errors.WriteFailed), writing.transaction() as rows:
            rows.change([*(retire(table, image) for image in images(rows, table)), twice])
        assert exact(place, "ids") == before
        with writing.transaction() as rows:
            assert len(images(rows, table)) == 1
            rows.change([fine])
    assert place.value(f"SELECT id FROM {place.name('ids')} WHERE one = 2") == 7
