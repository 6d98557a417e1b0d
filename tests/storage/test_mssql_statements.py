"""Every T-SQL text that MergeGuard sends is written without a server: here it is parsed by Microsoft's own grammar."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mssql

from mergeguard.storage.database import cascades, table_indexes
from mergeguard.storage.mssql import columns as mssql_columns
from mergeguard.storage.mssql import doctor as mssql_doctor
from mergeguard.storage.mssql import lookup as mssql_lookup
from mergeguard.storage.mssql import source
from mergeguard.storage.mssql.columns import Form
from mergeguard.storage.source import Column, Kind, Selection

QUOTE = mssql.dialect().identifier_preparer.quote_identifier
TYPES = {
    "a guid": mssql.UNIQUEIDENTIFIER(), "16 bytes": sa.BINARY(16), "8 bytes": sa.BINARY(8),
    "any bytes": mssql.VARBINARY(300), "an image": mssql.IMAGE(), "a row version": mssql.ROWVERSION(),
    "36 characters": sa.CHAR(36), "any characters": sa.VARCHAR(), "wide characters": sa.NVARCHAR(50),
    "a memo": sa.TEXT(), "a wide memo": mssql.NTEXT(), "a number": sa.BIGINT(), "a small number": mssql.TINYINT(),
    "a flag": mssql.BIT(), "a decimal": sa.NUMERIC(18, 0), "a fraction": sa.NUMERIC(10, 2),
    "a long decimal": sa.NUMERIC(38, 0),
    "a float": sa.FLOAT(), "money": mssql.MONEY(), "a time": sa.DATETIME(), "a fine time": mssql.DATETIME2(7),
    "a time of a zone": mssql.DATETIMEOFFSET(7), "a rough time": mssql.SMALLDATETIME(), "a day": sa.DATE(),
    "a time of day": mssql.TIME(), "a variant": mssql.SQL_VARIANT(), "a type of its own": sa.types.NullType(),
    "a ]name[ of 'odd' \"marks\" -- ? %": sa.BIGINT(),
}  # fmt: skip
ONE_OF_EACH = tuple(Column(name, kind) for kind, name in itertools.product(Kind, TYPES))
TABLE = "[dbo].[Resource Merge]"


def written(
    *columns: Column, where: tuple[tuple[str, str], ...] = (), counted: bool = False
) -> mssql_columns.Statement:
    return mssql_columns.select(Selection(columns, "t", None, where, counted), TABLE, TYPES, QUOTE)


def all_statements() -> list[str]:
    """Write each statement in every shape that it can take."""
    reads = [written(column, counted=counted).sql for column in ONE_OF_EACH for counted in (False, True)]
    reads += [written(ONE_OF_EACH[0], where=((name, "x"), (name, "y"))).sql for name in TYPES]
    reads += [written(*ONE_OF_EACH).sql, written(*ONE_OF_EACH, counted=True).sql]
    doctor = [mssql_doctor.HAS_RIGHTS, mssql_doctor.SEES_SESSIONS, mssql_doctor.ENCRYPTION]
    writes = [mssql_lookup.CREATE_CHUNKS, mssql_lookup.INSERT_CHUNK, mssql_lookup.TAKE_TURN, mssql_lookup.COUNT_ROWS]
    names = [QUOTE(name) for name in ("old", "current guid", "depth]", "status")]
    for text in (False, True):
        writes += [mssql_lookup.delete_rows(TABLE, names[0], text=text)]
        writes += [mssql_lookup.insert_rows(TABLE, names, count, text=text) for count in (1, 5)]
    writes += [mssql_lookup.lock_table(TABLE), f"DELETE FROM {TABLE}", *mssql_lookup.SETTINGS]
    for guid in ("uniqueidentifier", "binary(16)"):
        writes += mssql_lookup.unpack_chunks(guid)
    catalogue = [source.ISOLATION_OPTIONS, source.VERSION, source.ROWS]
    catalogue += [each.STATEMENTS["mssql"] for each in (cascades, table_indexes)]
    return [*reads, *doctor, *writes, *catalogue]


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    """Run Microsoft's parser of the oldest grammar that MergeGuard speaks; a parameter becomes a variable."""
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    with_variables = re.sub(r"\[(?:[^]]|\]\])*\]|\?", lambda found: "@p" if found[0] == "?" else found[0], sql)
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(command, input=with_variables, capture_output=True, text=True, check=False, timeout=60)


def test_every_statement_parses_as_transact_sql() -> None:
    statements = all_statements()
    if parse("\nGO\n".join(statements)).returncode != 0:
        broken = {sql: said for sql in statements if (said := parse(sql).stderr)}
        pytest.fail("\n\n".join(f"{said}{sql}" for sql, said in broken.items()))


def test_the_parser_would_notice() -> None:
    assert parse("SELECT CAST(a AS binary(16) FROM t").returncode != 0


def test_reading_sends_select_alone_and_never_a_value() -> None:
    for column in ONE_OF_EACH:
        statement = written(column, where=(("36 characters", "it's"), ("a guid", "ABC")))
        assert statement.sql.startswith("SELECT ")
        assert not re.search(r"\b(UPDATE|INSERT|DELETE|EXEC|INTO)\b", statement.sql)
        assert statement.sql.count("?") - column.name.count("?") * (statement.sql.count(QUOTE(column.name))) == 2
        assert "it's" not in statement.sql
        assert [bytes.fromhex(value).decode("utf-16-le") for value in statement.parameters] == ["it's", "abc"]


def test_no_statement_uses_what_is_forbidden() -> None:
    for statement in all_statements():
        words = re.sub(r"\[(?:[^]]|\]\])*\]", "[]", statement)
        forbidden = r"\b(MERGE|NOLOCK|READUNCOMMITTED|TRUNCATE|ALTER|DROP|GRANT)\b"
        assert not re.search(forbidden, words, re.IGNORECASE), statement


@given(st.lists(st.sampled_from(ONE_OF_EACH), min_size=1, max_size=20), st.booleans())
def test_the_packed_value_is_as_wide_as_it_says(columns: list[Column], counted: bool) -> None:
    statement = written(*columns, counted=counted)
    assert len(statement.packed) + len(statement.beside) == len(columns) + counted
    packed, _, rest = statement.sql.partition(" AS varbinary(")
    if statement.packed:
        assert sum(map(int, re.findall(r"AS binary\((\d+)\)", packed))) == statement.width
        assert rest.startswith(f"{statement.width})")
    assert statement.sql.count("IS NULL") == len(statement.packed)


def test_guids_numbers_and_times_are_packed_and_texts_are_not() -> None:
    forms = {name: written(Column(name, kind)).columns[0].form for name, kind in [
        ("a guid", Kind.GUID), ("16 bytes", Kind.GUID), ("a decimal", Kind.ROW_ID), ("a day", Kind.TIME),
        ("36 characters", Kind.GUID), ("any bytes", Kind.GUID), ("a long decimal", Kind.ROW_ID),
    ]}  # fmt: skip
    assert list(forms.values()) == [
        Form.UNIQUEIDENTIFIER, Form.BINARY16, Form.INTEGER, Form.TIME, Form.TEXT, Form.BYTES, Form.TEXT,
    ]  # fmt: skip


def test_the_statement_that_reads_a_merge_table() -> None:
    statement = written(
        Column("a guid", Kind.GUID), Column("36 characters", Kind.GUID), Column("a number", Kind.ROW_ID)
    )
    assert statement.sql == (
        "SELECT CAST(CAST(CAST(CASE WHEN [a guid] IS NULL THEN 1 ELSE 0 END + "
        "CASE WHEN [a number] IS NULL THEN 2 ELSE 0 END AS tinyint) AS binary(1)) + "
        "ISNULL(CAST([a guid] AS binary(16)), 0x00) + "
        "ISNULL(CAST(CAST([a number] AS bigint) AS binary(8)), 0x00) AS varbinary(25)), "
        "CAST(CAST([36 characters] AS nvarchar(100)) AS varbinary(200)) FROM [dbo].[Resource Merge]"
    )
