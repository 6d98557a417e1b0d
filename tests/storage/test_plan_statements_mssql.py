"""The script for SQL Server is written without a server: Microsoft's own grammar reads every line of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import sample_plan
from syrupy.assertion import SnapshotAssertion

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import Action, Column, Image, Plan, RowChange, Step, TableShape
from mergeguard.render.plan_script import plan_script
from mergeguard.storage.mssql.statements import stored_of

OLD, NEW = uuid.UUID(int=1), uuid.UUID(int=2)
CELLS = {
    "uniqueidentifier": str(OLD).upper(),
    "bit": "1",
    "bigint": "-9223372036854775808",
    "decimal(38,10)": "1.0000000001",
    "float(53)": "1.7976931348623157e+308",
    "money": "922337203685477.5807",
    "date": "2024-05-01",
    "datetime": "2024-05-01T12:00:00.003",
    "datetime2(7)": "2024-05-01 12:00:00.1234567",
    "datetimeoffset(3)": "2024-05-01 12:00:00.123 +05:45",
    "time(0)": "12:00:00",
    "nvarchar(50)": "ü漢😀",
    "nvarchar(max)": "a\nGO\nb",
    "varchar(40)": "it's",
    "nchar(4)": "$(x)",
    "text": "\0007800d8",
    "varbinary(8)": "0x00FF",
    "image": "0x00",
    "xml": "<a> <b/></a>",
    "hierarchyid": "0x58",
    "geometry": "0x00",
}


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60)


def mssql_plan(cells: dict[str, str | None], *, keyed: bool = True, table: str = "dbo.Resource ]Merge") -> Plan:
    """A plan that retires one of two rows with a column of each type, and re-points another."""
    columns = [Column("Id", "int", identity=True), Column("OldGuid", "uniqueidentifier"), Column("NewGuid", "char(36)")]
    columns += [Column(f"of {kind}", kind) for kind in cells] + [Column("v", "rowversion", generated=True)]
    row: Image = {"Id": "7", "OldGuid": str(OLD).upper(), "NewGuid": str(NEW)} | {
        f"of {kind}": cell for kind, cell in cells.items()
    }
    other = {**row, "Id": "8"}
    step = Step(
        component="0123456789abcdef",
        kinds=("redundant",),
        members=(OLD,),
        survivor=NEW,
        confidence=Confidence.STRONG,
        why="row 8 is the newest\nGO\n$(x)",
        changes=(RowChange(Action.RETIRE, table, row, None),),
        guard=(row, other) if keyed else (row, row),
    )
    moved = RowChange(Action.REPOINT, "Inv", {"g": "a", "n": None}, {"g": "it's", "n": None})
    dropped = RowChange(Action.COLLAPSE, "Inv", {"g": "b", "n": "1"}, None)
    references = replace(step, component="references:1", members=(), guard=(), changes=(moved, dropped))
    shapes = (
        TableShape(table, tuple(columns), ("Id",) if keyed else ()),
        TableShape("Inv", (Column("g", "nvarchar(36)"), Column("n", "int")), ("g",) if keyed else ()),
    )
    sample = sample_plan(steps=(step, references), tables=shapes, refused=())
    profile = {"name": "x", "merge": {"table": table, "old": "oldguid", "new": "newguid"}}
    return replace(sample, target=replace(sample.target, kind="mssql", server="SQL Server 16.0"), profile=profile)


def test_the_script(snapshot: SnapshotAssertion) -> None:
    assert plan_script(mssql_plan({"datetime2(7)": "2024-05-01 12:00:00.1234567", "varchar(40)": None})) == snapshot


@pytest.mark.parametrize("keyed", [True, False])
def test_every_line_parses_whatever_types_the_columns_have(keyed: bool) -> None:
    script = plan_script(mssql_plan(dict(CELLS), keyed=keyed))
    assert script.isascii()
    done = parse(script)
    assert done.returncode == 0, done.stderr


def test_the_way_back_parses_too() -> None:
    for keyed in (True, False):
        back = plan_script(mssql_plan(dict(CELLS), keyed=keyed)).partition("-- The way back")[2].splitlines()[1:]
        statements = "\n".join(line.removeprefix("--   ") for line in back)
        assert "INSERT INTO" in statements
        done = parse(statements)
        assert done.returncode == 0, done.stderr


def test_the_parser_would_notice() -> None:
    broken = plan_script(mssql_plan({})).replace("BEGIN\n", "BEGIN(\n", 1)
    assert parse(broken).returncode != 0


@settings(max_examples=30)
@given(st.text(st.characters(codec=None), max_size=30))
def test_no_text_gets_out_of_its_literal(text: str) -> None:
    plan = mssql_plan({"nvarchar(50)": text, "varchar(40)": text})
    lines = plan_script(plan).splitlines()
    assert lines.count("GO") == 5
    assert not any("$(" in line for line in lines)
    # Whatever the text, the statements are the same but for its literals.
    plain = plan_script(mssql_plan({"nvarchar(50)": "x", "varchar(40)": "x"}))
    assert [bare(line) for line in lines] == [bare(line) for line in plain.splitlines()]


def bare(line: str) -> str:
    return re.sub(r"CAST\(0x[0-9a-f]* AS nvarchar\(max\)\)|N'(?:[^']|'')*'", "N''", line)


@pytest.mark.parametrize("kind", [*CELLS, "varchar(max)", "numeric(5,2)", "smalldatetime"])
def test_a_type_is_read_back_as_the_plan_spells_it(kind: str) -> None:
    assert stored_of(Column("c", kind)).type == kind


def test_a_text_that_is_no_well_formed_one_keeps_its_units() -> None:
    assert "CAST(0x00d8 AS nvarchar(max))" in plan_script(mssql_plan({"nvarchar(50)": "\00000d8"}))


def test_a_row_that_nothing_tells_apart_is_taken_once_and_copied_as_it_goes() -> None:
    script = plan_script(mssql_plan({}, keyed=False))
    assert script.count("DELETE TOP (1) FROM") == 2
    assert script.count("UPDATE TOP (1)") == 1
    assert script.count("OUTPUT N'") == 3
    assert "<> 2" in script  # both of the equal rows must be there
