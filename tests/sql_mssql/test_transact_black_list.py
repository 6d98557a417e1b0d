"""The black list of SQL Server's scripts: who is put on it, by statements that Microsoft's parser reads."""

from __future__ import annotations

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

from mergeguard.storage.profile import Blacklist, Managed, Merge, Profile
from mergeguard.storage.scripts.black_list_mssql import black_list
from mergeguard.storage.scripts.survival_mssql import Catalogue, quoted

OLD, NEW = guid(1), guid(2)
PROFILE = Profile(
    merge=Merge("m", "a", "b"),
    blacklist=Blacklist("it's [list]", "who", "at", "now"),
    managed=Managed("alive", "id", "managed"),
)
CATALOGUE = Catalogue(lambda _, __: "uniqueidentifier", lambda _, name: name, lambda name: f"[dbo].{quoted(name)}")
LISTS = "table_name text, full_name text, holds text, inserted text, managed_name text, managed_holds text"
CHANGES = "run_id text, step int, place bigint, action text, table_name text, before_image text, after_image text"
IMAGE = """CREATE FUNCTION transact.image_expression(place int) RETURNS text LANGUAGE sql AS
$$ SELECT 'N''image''' $$"""


class Server:
    """Takes statements down, and answers how many rows there are."""

    def __init__(self, held: int, wanted: int, put: int = 1) -> None:
        self.answers: list[Mapping[str, Any]] = [{"held": held}, {"wanted": wanted}, {}, {"held": put, "image": "{}"}]
        self.statements: list[str] = []

    def __call__(self, given: Values) -> Mapping[str, Any]:
        self.statements.append(given["sql"])
        return self.answers[len(self.statements) - 1]


@pytest.fixture
def world(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain(postgres_url)) as connection:
        make(connection, Case((), ()))
        ask(connection, f"CREATE TABLE transact.black_lists ({LISTS})")
        ask(connection, f"CREATE TABLE transact.journal_changes ({CHANGES})")
        connection.execute(IMAGE)
        yield connection
        connection.rollback()


def parses(sql: str) -> bool:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2016"]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60).returncode == 0


def said_of(profile: Profile) -> str:
    return black_list(
        CATALOGUE,
        profile,
        lambda _, column: f"t.{quoted(column)}",
        lambda _, column, parameter: f"STORED({parameter}, '{column}')",
    )


def declare(connection: psycopg.Connection) -> None:
    """Let the view say what the profile says."""
    said = said_of(PROFILE)
    assert parses(f"{said};"), said
    parts = said.removeprefix("SELECT ").split(" AS [")
    texts = [parts[0], *(part.partition("], ")[2] for part in parts[1:-1])]
    values = [text.removeprefix("N'").removesuffix("'").replace("''", "'") for text in texts]
    ask(connection, f"INSERT INTO transact.black_lists VALUES ({', '.join(['%s'] * 6)})", values)


def put(connection: psycopg.Connection, server: Server) -> int:
    """Call the procedure behind three changes; return the place of the last one."""
    scripts = Transact(connection, ["50_merge.sql"], sp_executesql=server)
    place: int = scripts.call("write_black_list", OLD, NEW, "run", 3)["place"]
    return place


@pytest.mark.parametrize(
    ("held", "wanted", "sent"), [(0, 1, 4), (0, 0, 2), (1, 1, 2), (1, 0, 2)], ids=["listed", "by nobody", "there", "no"]
)
def test_an_agent_that_is_managed_is_listed_once(world: psycopg.Connection, held: int, wanted: int, sent: int) -> None:
    declare(world)
    server = Server(held, wanted)
    is_listed = sent == 4
    assert put(world, server) == (4 if is_listed else 3)
    assert [parses(sql) for sql in server.statements] == [True] * sent, server.statements
    assert "FROM [dbo].[it's [list]]] AS t WITH (UPDLOCK) WHERE t.[who] = @old_root" in server.statements[0]
    assert "FROM [dbo].[alive] AS t WHERE t.[id] = @old_root AND" in server.statements[1]
    if is_listed:
        values = "(STORED(@old_root, 'who'), STORED(@new_root, 'now'), SYSUTCDATETIME())"
        assert server.statements[2] == f"INSERT INTO [dbo].[it's [list]]] ([who], [now], [at]) VALUES {values};"
    found = ask(world, "SELECT place, action, table_name, before_image, after_image FROM transact.journal_changes")
    assert found == ([(4, "black-list", "it's [list]", None, "{}")] if is_listed else [])


def test_without_a_table_nothing_is_asked(world: psycopg.Connection) -> None:
    server = Server(0, 1)
    assert put(world, server) == 3
    assert not server.statements
    nothing = said_of(Profile(merge=Merge("m", "a", "b")))
    assert nothing.endswith("WHERE 1 = 0")
    assert parses(f"{nothing};")


def test_what_is_not_there_afterwards_is_refused(world: psycopg.Connection) -> None:
    declare(world)
    with pytest.raises(Refused, match="write"):
        put(world, Server(0, 1, put=0))
