"""The statements that SQL Server's procedures put together: Microsoft's parser reads them, whatever the names are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from merge_model import guid
from rule_model import Case
from sql_world import plain
from transact_sql import Refused, Transact, Values
from transact_world import ask, make

OLD, NEW = guid(1), guid(2)
VIEWS = {
    "moved_tables": "table_no int, table_name text, full_name text, time_sql text, order_sql text, sets_name text, "
    "parent_name text, type_name text, data_class uuid",
    "moved_columns": "table_no int, column_name text, moves smallint, is_guid smallint, cleared smallint, "
    "names smallint",
    "moved_unique": "table_no int, unique_no int, place int, column_name text",
    "moved_ends": "table_no int, parent_name text, child_name text",
    "hash_table": "table_name text, full_name text, guid_name text, class_name text, hash_name text, time_name text, "
    "order_name text",
    "hash_classes": "name text, class uuid",
    "columns": "column_id int, name text, quoted text, is_identity smallint, cell text, value text",
}
FUNCTIONS = """
CREATE FUNCTION transact.image_columns(place int) RETURNS SETOF transact.columns LANGUAGE sql AS
$$ SELECT * FROM transact.columns $$;
CREATE FUNCTION transact.quotename(said text) RETURNS text LANGUAGE sql AS
$$ SELECT '[' || replace(said, ']', ']]') || ']' $$;
CREATE FUNCTION transact.parsename(said text, part int) RETURNS text LANGUAGE sql AS $$ SELECT 'it' $$;
CREATE FUNCTION transact.image_expression(place int) RETURNS text LANGUAGE sql AS $$ SELECT 'N''image''' $$;
CREATE FUNCTION transact.moved_expression(place int, number int, kind int) RETURNS text LANGUAGE sql AS
$$ SELECT 'N''moved''' $$;
"""
NAMES = ("id", "it's [a]", "child", "kind", "said", "at")


@pytest.fixture
def world(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain(postgres_url)) as connection:
        make(connection, Case((), ()))
        for name, columns in VIEWS.items():
            ask(connection, f"CREATE TABLE transact.{name} ({columns})")
        connection.execute(FUNCTIONS)
        for number, name in enumerate(NAMES, 1):
            quoted = "[" + name.replace("]", "]]") + "]"
            cell = f"N'\"' + CONVERT(nvarchar(64), t.{quoted}) + N'\"'"
            back = "CONVERT(nvarchar(64), c.[value])"
            values = (number, name, quoted, int(number == 1), cell, back)
            ask(connection, "INSERT INTO transact.columns VALUES (%s, %s, %s, %s, %s, %s)", values)
        table = (1, "t", "[dbo].[t]", None, None, None, "it's [a]", "kind", None)
        ask(connection, f"INSERT INTO transact.moved_tables VALUES ({', '.join(['%s'] * len(table))})", table)
        for column in (
            ("it's [a]", 1, 1, 0, 0),
            ("child", 1, 1, 0, 0),
            ("kind", 0, 1, 0, 0),
            ("said", 0, 0, 1, 0),
            ("id", 0, 0, 0, 1),
        ):
            ask(connection, "INSERT INTO transact.moved_columns VALUES (1, %s, %s, %s, %s, %s)", column)
        for unique in ((1, 1, "it's [a]"), (2, 1, "kind"), (2, 2, "it's [a]"), (2, 3, "said")):
            ask(connection, "INSERT INTO transact.moved_unique VALUES (1, %s, %s, %s)", unique)
        ask(connection, "INSERT INTO transact.moved_ends VALUES (1, %s, 'child')", ["it's [a]"])
        ask(connection, "INSERT INTO transact.hash_table VALUES ('h', '[dbo].[h]', 'g', 'c', 'hash', 'at', NULL)")
        ask(connection, "INSERT INTO transact.hash_classes VALUES ('t', %s)", [guid(9)])
        yield connection
        connection.rollback()


class Sent:
    """Takes statements down, and answers for the server."""

    def __init__(self, **answers: Any) -> None:
        self.statements: list[str] = []
        self.answers = answers

    def __call__(self, given: Values) -> Mapping[str, Any]:
        self.statements.append(given["sql"])
        return self.answers


def parses(sql: str) -> bool:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2016"]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60).returncode == 0


def hold(connection: psycopg.Connection) -> None:
    ask(
        connection,
        'CREATE TEMP TABLE "#held" (number int, table_no int, image text, after_image text, rank int, fate text, '
        "into_rank int, stale smallint, outdated smallint) ON COMMIT DROP",
    )


def test_rows_are_read_by_a_statement_that_parses(world: psycopg.Connection) -> None:
    hold(world)
    sent = Sent()
    Transact(world, ["45_survival.sql"], sp_executesql=sent).call("read_held", 1, OLD, NEW)
    (sql,) = sent.statements
    assert parses(sql), sql
    assert not parses(sql.replace("WHERE", "WHERE WHERE"))
    assert "t.[it's [a]]] IN (@old_root, @new_root) OR " in sql or "OR t.[it's [a]]] IN (@old_root, @new_root)" in sql
    assert "t.[child] = @old_root" in sql
    assert sql.count("HASHBYTES") == 2
    assert "SELECT TOP (1) CONVERT(datetime2(7), h.[at]) FROM [dbo].[h]" in sql
    places = re.findall(r"@(\w+)", sql)
    assert set(places) == {"table_no", "old_root", "new_root", "class"}


@pytest.mark.parametrize("time", ["at", None])
@pytest.mark.parametrize("order", ["it's [n]", None])
def test_what_was_loaded_last_is_asked_by_statements_that_parse(
    world: psycopg.Connection, time: str | None, order: str | None
) -> None:
    hold(world)
    ask(world, "UPDATE transact.hash_table SET time_name = %s, order_name = %s", [time, order])
    ask(world, "UPDATE transact.moved_tables SET sets_name = %s", ["it's [a]"])
    sent = Sent(found=1, turn=7, at=None)
    Transact(world, ["45_survival.sql"], sp_executesql=sent).call("read_held", 1, OLD, NEW)
    *asked, sql = sent.statements
    assert [parses(one) for one in sent.statements] == [True] * len(sent.statements), sent.statements
    assert len(asked) == (0 if time is None and order is None else 2)
    for one in asked:
        assert ("CONVERT(bigint, h.[it's [n]]])" in one) == (order is not None)
        assert one.rstrip(";").endswith("DESC")
        assert ("h.[at] DESC" in one) == (time is not None)
    assert ("CONVERT(bigint, h.[it's [n]]])" in sql) == (order is not None)
    assert "CASE WHEN t.[it's [a]]] = @outdated THEN" in sql
    assert set(re.findall(r"@(\w+)", sql)) - {"class"} == {"table_no", "old_root", "new_root", "outdated"}


def test_a_column_of_numbers_is_read_as_numbers(world: psycopg.Connection) -> None:
    hold(world)
    ask(world, "UPDATE transact.moved_tables SET order_sql = 'CONVERT(bigint, t.[n])'")
    sent = Sent()
    Transact(world, ["45_survival.sql"], sp_executesql=sent).call("read_held", 1, OLD, NEW)
    (sql,) = sent.statements
    assert parses(sql), sql
    assert ", CONVERT(bigint, t.[n]), NULL" in sql


def test_rows_are_written_by_statements_that_parse(world: psycopg.Connection) -> None:
    hold(world)
    for values in (
        (1, 1, "a", "b", 1, "changed", None, 1),
        (2, 1, "c", "d", 2, "collapsed", 1, 1),
        (3, 1, "e", "f", 3, None, None, 0),
    ):
        ask(world, 'INSERT INTO "#held" VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0)', values)
    columns = "run_id text, step int, place bigint, action text, table_name text, before_image text, after_image text"
    ask(world, f"CREATE TABLE transact.journal_changes ({columns})")
    sent = Sent(rows=1, left=0)
    Transact(world, ["45_survival.sql"], sp_executesql=sent).call("write_moves", 1, OLD, NEW, "run")
    delete, update = sent.statements
    assert delete.startswith("DELETE TOP (1) t FROM [dbo].[t] AS t WHERE (")
    assert "[said] = NULL" in update
    assert [parses(sql) for sql in sent.statements] == [True, True], sent.statements
    found = ask(world, "SELECT place, action, before_image, after_image FROM transact.journal_changes ORDER BY place")
    assert found == [(0, "collapse duplicate", "c", None), (1, "re-point", "a", "b")]


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_images_are_put_together_by_expressions_that_parse(world: psycopg.Connection, kind: int) -> None:
    scripts = Transact(world, ["20_images.sql", "45_survival.sql"])
    ask(world, "DROP FUNCTION transact.moved_expression")
    text = scripts.call("moved_expression", 1, 1, kind)["return"]
    assert parses(f"SELECT {text} FROM [x] AS t;"), text
    names = re.findall(r'"(id|it\'\'s \[a\]|child|kind|said|at)"', text)
    ordered = sorted(NAMES)
    wanted = {1: list(NAMES), 2: [name for name in ordered if name != "id"], 3: ["id"], 4: ordered}[kind]
    assert [name.replace("''", "'") for name in names] == wanted
    assert ("@new_root" in text) == (kind == 1)
    whole = scripts.call("image_expression", 1)["return"]
    assert parses(f"SELECT {whole} FROM [x] AS t;"), whole


def test_a_row_is_put_back_by_a_statement_that_parses(world: psycopg.Connection) -> None:
    ask(
        world,
        "CREATE FUNCTION transact.json_cells(image text) RETURNS SETOF int LANGUAGE sql AS "
        "$$ SELECT generate_series(1, 6) $$",
    )
    ask(world, "CREATE FUNCTION transact.object_schema_name(place int) RETURNS text LANGUAGE sql AS $$ SELECT 'dbo' $$")
    ask(world, "CREATE FUNCTION transact.object_name(place int) RETURNS text LANGUAGE sql AS $$ SELECT 't' $$")
    sent = Sent(written=1)
    scripts = Transact(world, ["20_images.sql"], sp_executesql=sent)
    scripts.call("put_back", 1, "[mergeguard].[live_rows]", "it's [a]", OLD, "{}")
    (sql,) = sent.statements
    assert parses(sql), sql
    assert sql.index("IDENTITY_INSERT [dbo].[t] ON") < sql.index("INSERT INTO [dbo].[t]") < sql.index("[t] OFF")


CELLS = """CREATE FUNCTION transact.json_cells(image text) RETURNS TABLE (name text, value text) LANGUAGE sql AS
$$ SELECT key, value FROM json_each_text(CAST(image AS json)) $$"""


def test_a_row_of_a_reference_is_restored_by_a_statement_that_parses(world: psycopg.Connection) -> None:
    ask(world, CELLS)
    before = {"id": "1", "it's [a]": str(OLD), "child": str(NEW), "kind": None, "said": "x", "at": None}
    after = {**before, "it's [a]": str(NEW), "said": None}
    sent = Sent(rows=1, written=1)
    scripts = Transact(world, ["20_images.sql", "60_unmerge.sql"], sp_executesql=sent)
    scripts.call("restore_row", "t", json.dumps(before), json.dumps(after))
    scripts.call("restore_row", "t", json.dumps(before), json.dumps(before))
    changed, kept = sent.statements
    assert [parses(sql) for sql in sent.statements] == [True, True], sent.statements
    (sets,) = re.findall(r"UPDATE TOP \(1\) t SET (.*?) FROM \[dbo\]\.\[t\]", changed)
    assert re.findall(r"(\[(?:[^\]]|\]\])*\]) = \(SELECT", sets) == ["[it's [a]]]", "[said]"]
    assert "UPDATE" not in kept
    with pytest.raises(Refused, match="stale"):
        Transact(world, ["20_images.sql", "60_unmerge.sql"], sp_executesql=Sent(rows=0, written=1)).call(
            "restore_row", "t", json.dumps(before), json.dumps(after)
        )
