"""What stands between the marks of SQL Server's scripts, from a catalogue that is written out here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import Unsupported
from mergeguard.storage.guard.mssql import MssqlGuardScript, MssqlKeys
from mergeguard.storage.guard.parts import GuardPlace
from mergeguard.storage.mssql.values import Stored
from mergeguard.storage.profile import Blacklist, Journal, Live, Lookup, Managed, Merge, Merging, Profile, Types
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.scripts.files import GUARD, Repointed, guard_script, scripts
from mergeguard.storage.scripts.mssql import names, places

MIGRATIONS = Path(__file__).parents[2] / "mergeguard" / "storage" / "migrations" / "mssql"


def repointed(table: str, *columns: str, unique: Sequence[Sequence[str]] = (), **rules: Any) -> Repointed:
    """A table as ``integrity.sql_scripts`` describes it."""
    plain = {
        "guids": list(columns),
        "ends": [],
        "names": [],
        "cleared": [],
        "time": None,
        "order": None,
        "sets": None,
        "links": None,
        "data_class": None,
    }
    keys = [{"columns": list(one), "nulls": True} for one in unique]
    return Repointed(table, columns, plain=False, rules={"columns": list(columns), "unique": keys, **plain, **rules})


ENDS = ("ParentResourceGuid", "ChildResourceGuid")
KIND = "ResourceAssociationTypeGuid"
PAIR = ("_ResourceGuid", "_SoftwareComponentGuid")
REPOINTED = (
    repointed(
        "ResourceUpdateSummary",
        "ResourceGuid",
        unique=[("InventoryClassGuid", "ResourceGuid")],
        cleared=["DataHash"],
        time="ModifiedDate",
        order="LastEventId",
    ),
    repointed("ResourceKey", "ResourceGuid", unique=[("ResourceGuid", "KeyName", "KeyValue")]),
    repointed("Inv_Identification", "_ResourceGuid", unique=[("_ResourceGuid",)], names=["_id"], sets="_ResourceGuid"),
    repointed("Inv_InstalledSoftware", *PAIR, unique=[(*PAIR, "InstallFlag")], names=["_id"], sets="_ResourceGuid"),
    repointed("Evt_Software_Execution", "_ResourceGuid", names=["_id"]),
    repointed(
        "ResourceAssociation",
        *ENDS,
        unique=[(KIND, *ENDS)],
        guids=sorted((*ENDS, KIND)),
        ends=[list(ENDS)],
        time="CreatedDate",
        order="EventId",
        links={"parent": ENDS[0], "type": KIND},
    ),
)


def catalogue(tables: Mapping[str, Mapping[str, str]]) -> DatabaseRows:
    """Rows of a database with some tables, known by their names and the base types of their columns."""

    def table(name: str) -> SimpleNamespace:
        return SimpleNamespace(stored={column: Stored(column, base, 16, 0, 0) for column, base in tables[name].items()})

    def column(name: str, asked: str) -> str:
        return next(known for known in tables[name] if known.casefold() == asked.casefold())

    def find(name: str) -> tuple[str | None, str] | None:
        schema, _, plain = name.rpartition(".")
        return (schema or None, plain) if name in tables else None

    snapshot = SimpleNamespace(find=find, inspector=SimpleNamespace(default_schema_name="dbo"))
    return cast("DatabaseRows", SimpleNamespace(table=table, column=column, snapshot=snapshot))


def reference_schema() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path in sorted(MIGRATIONS.glob("*.sql")):
        for name, body in re.findall(r"CREATE TABLE \[dbo\]\.\[(\w+)\] \((.*?)\n\);", path.read_text(), re.DOTALL):
            found[name] = dict(re.findall(r"(?m)^\s+\[(\w+)\] (\w+)", body))
        for name, column, kind in re.findall(r"ALTER TABLE \[dbo\]\.\[(\w+)\] ADD \[(\w+)\] (\w+)", path.read_text()):
            found[name][column] = kind
    return found


def rendered(profile: Profile, tables: Mapping[str, Mapping[str, str]], *moved: Repointed) -> dict[str, str]:
    rows = catalogue(tables)
    return {**names(rows, profile), **places(rows, profile, moved)}


def parses(sql: str) -> bool:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2016"]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60).returncode == 0


def filled(found: Mapping[str, str]) -> str:
    return "".join(script.filled(found, "x").text for script in scripts("mssql") if script.number != GUARD)


def test_the_files_hold_what_the_reference_profile_gives() -> None:
    found = rendered(builtin_profile("reference"), reference_schema(), *REPOINTED)
    marks: dict[str, set[str]] = {}
    for script in scripts("mssql"):
        for name, texts in script.marks.items():
            marks.setdefault(name, set()).update(texts)
    assert {name: {text} for name, text in found.items() if name in marks} == marks


def test_the_guard_is_the_one_that_is_installed() -> None:
    place = GuardPlace(
        table="ResourceMerge",
        merge="[dbo].[ResourceMerge]",
        merge_name="ResourceMerge",
        old="[OldGuid]",
        new="[NewGuid]",
        guard="[dbo].[mergeguard_guard]",
        stem="mergeguard_guard",
        schema="dbo",
        merge_schema="dbo",
        key_type="uniqueidentifier",
        resource="mergeguard merges dbo.ResourceMerge",
    )
    made = guard_script(MssqlGuardScript(place, MssqlKeys(builtin_profile("reference").merge, "plain")), "mssql")
    (stored,) = [script for script in scripts("mssql") if script.number == GUARD]
    assert stored.text == made.text


GUID = "uniqueidentifier"
WILD: dict[str, Any] = {
    "plain": (Profile(), {"ResourceMerge": {"OldGuid": GUID, "NewGuid": GUID}}),
    "qualified, odd names": (
        Profile(
            merge=Merge("odd.it's [it]", "from", "to", "no", "at", "key", deleted_values=("", "gone", str(0) * 32)),
            live=Live("odd.alive", "id", (("kind", "it's"), ("since", "2024-01-01"), ("who", "AB"))),
            types=Types("odd.alive", "id", "kind"),
            lookup=Lookup("mine.closed", "o", "c", "d", "s"),
            journal=Journal("mine.r", "mine.s", "mine.c"),
            merging=Merging("mine.roots", "mine.guard", "mine.never", "mine.requests"),
            blacklist=Blacklist("odd.it's banned", "g", "at", "now"),
            managed=Managed("odd.alive", "id", "kind"),
        ),
        {
            "odd.it's banned": {"g": "char", "at": "datetime2", "now": "binary"},
            "odd.it's [it]": {"from": GUID, "to": GUID, "no": "int", "at": "datetimeoffset", "key": "nvarchar"},
            "odd.alive": {"id": GUID, "kind": "varchar", "since": "date", "who": GUID},
        },
    ),
    "texts": (
        Profile(merge=Merge("m", "a", "b", deleted_values=("", "gone")), live=Live(query="SELECT [x] FROM [y]")),
        {"m": {"a": "char", "b": "nvarchar"}},
    ),
    "bytes": (
        Profile(merge=Merge("m", "a", "b", time="t", byte_order="sqlserver"), live=Live("l", "g")),
        {"m": {"a": "binary", "b": "varbinary", "t": "varchar"}, "l": {"g": "binary"}},
    ),
}


@pytest.mark.parametrize("name", WILD)
def test_whatever_a_profile_names_the_scripts_parse(name: str) -> None:
    profile, tables = WILD[name]
    text = filled(rendered(profile, tables))
    assert parses(text)
    if name == "qualified, odd names":
        assert "CREATE SYNONYM [mergeguard].[merge_table] FOR /*{merge_table*/[odd].[it's [it]]]/*}*/" in text
        assert "N'odd.it''s [it]'" in text
        assert "[mine].[guard]" in text
        assert "N'[odd].[it''s banned]' AS [full_name]" in text
        assert "VALUES (LOWER(CONVERT(char(36), @old_root)), CONVERT(binary(16), " in text
        assert "OBJECT_ID(/*{guard_trigger_text*/N'[odd].[guard_check]'/*}*/, N'TR')" in text


def test_what_is_not_declared_is_not_there() -> None:
    profile, tables = WILD["plain"]
    found = rendered(profile, tables)
    assert {
        found[name] for name in ("has_live", "has_types", "has_times", "has_references", "has_deleted", "has_key")
    } == {"0"}
    for name in ("live_guids", "guid_types", "reference_guids", "moving_guids", "live_rows"):
        assert found[name].endswith("WHERE 1 = 0")
    assert found["live_written"] == "0"
    assert found["black_list"].endswith("WHERE 1 = 0")
    odd, known = WILD["qualified, odd names"]
    gone = {name: columns for name, columns in known.items() if "banned" not in name}
    assert rendered(odd, gone)["black_list"] == found["black_list"]


def test_columns_are_spelled_as_the_catalogue_does() -> None:
    profile = Profile(merge=Merge("m", "OLD", "NEW", time="AT"))
    found = rendered(profile, {"m": {"old": GUID, "New": GUID, "At": "datetime"}})
    assert found["put_columns"] == "[old], [New], [At]"
    assert (found["old_name"], found["new_name"]) == ("N'old'", "N'New'")


def test_a_type_that_holds_no_guids_is_refused() -> None:
    with pytest.raises(Unsupported, match="int"):
        rendered(Profile(merge=Merge("m", "a", "b")), {"m": {"a": "int", "b": GUID}})


def test_bytes_are_turned_into_the_order_of_the_server() -> None:
    profile, tables = WILD["bytes"]
    assert "SUBSTRING" not in rendered(profile, tables)["old_guid"]
    profile = replace(profile, merge=replace(profile.merge, byte_order="text"))
    text = rendered(profile, tables)["old_guid"]
    assert re.findall(r"SUBSTRING\(m\.\[a\], (\d), \d\)", text) == ["4", "3", "2", "1", "6", "5", "8", "7", "9"]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("plain", "i.[one_guid]"),
        ("texts", "LOWER(CONVERT(char(36), i.[one_guid]))"),
        ("bytes", "CONVERT(binary(16), CONVERT(binary(16), i.[one_guid]))"),
    ],
)
def test_pairs_never_to_merge_are_written_as_their_table_stores_guids(name: str, stored: str) -> None:
    profile, tables = WILD[name]
    found = rendered(profile, tables)
    assert found["stored_one"] == stored
    assert found["stored_other"] == stored.replace("one_guid", "other_guid")
    text = filled(found)
    trigger = text[text.index("ALTER TRIGGER [mergeguard].[never_pairs_written]") :]
    assert trigger.index("DELETE n FROM") < trigger.index("INSERT INTO"), (
        "an update puts the new row in place of the old"
    )


@given(guid=st.uuids())
def test_bytes_in_the_order_of_texts_are_turned_round_there_and_back(guid: uuid.UUID) -> None:
    profile = Profile(merge=Merge("m", "a", "b", byte_order="text"))
    expression = rendered(profile, {"m": {"a": "binary", "b": "binary"}})["stored_one"]
    places = [(int(at), int(many)) for at, many in re.findall(r", (\d+), (\d+)\)", expression)]
    turned = b"".join(guid.bytes_le[at - 1 : at - 1 + many] for at, many in places)
    assert turned == guid.bytes
