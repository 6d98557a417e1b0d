"""The guard of SQL Server as it would be sent: Microsoft's own parser reads it, and it says what it must."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from mergeguard.storage.guard.mssql import ERRORS, MssqlGuardScript, MssqlKeys
from mergeguard.storage.guard.parts import GuardPlace
from mergeguard.storage.profile import Merge

TYPES = {"plain": "uniqueidentifier", "usual": "char(32) COLLATE Latin1_General_CI_AS"}
DELETED = ("", "gone", str(uuid.UUID(int=0)))


def script(spelling: str = "plain", *, binary: bool = False, deleted: tuple[str, ...] = DELETED) -> MssqlGuardScript:
    place = GuardPlace(
        table="dbo.ResourceMerge",
        merge="[dbo].[Resource]]Merge]",
        merge_name="Resource]Merge",
        old="[OldGuid]",
        new="[NewGuid]",
        guard="[dbo].[mergeguard_guard]",
        stem="mergeguard_guard",
        schema="dbo",
        merge_schema="dbo",
        key_type="binary(16)" if binary else TYPES.get(spelling, TYPES["usual"]),
        resource="mergeguard merges dbo.it's",
    )
    keys = MssqlKeys(Merge(deleted_values=deleted), spelling, binary=binary, collation="Latin1_General_CI_AS")  # type: ignore[arg-type]
    return MssqlGuardScript(place, keys)


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2016"]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60)


KINDS = [("plain", False), ("plain", True), ("usual", False), ("any", False)]


@pytest.mark.parametrize(("spelling", "binary"), KINDS)
@pytest.mark.parametrize("deleted", [(), DELETED])
def test_each_statement_is_transact_sql(spelling: str, binary: bool, deleted: tuple[str, ...]) -> None:
    made = script(spelling, binary=binary, deleted=deleted)
    sent = [*made.create_table(), *made.create_triggers(), *made.drop_triggers()]
    parsed = parse("\nGO\n".join(sent))
    assert parsed.returncode == 0, parsed.stderr + parsed.stdout


def test_the_parser_would_notice() -> None:
    (_, trigger, _) = script().create_triggers()
    assert parse(trigger.replace("WHILE @found > 0", "WHILE @found > > 0")).returncode != 0


def test_the_stub_that_is_made_in_a_string_is_transact_sql_too() -> None:
    stub = script().create_triggers()[0]
    inner = re.search(r"EXEC \(N'(.*)'\)", stub, re.DOTALL)
    assert inner is not None
    assert parse(inner[1].replace("''", "'")).returncode == 0


def test_it_writes_the_row_before_it_reads_the_table() -> None:
    body = script().triggers()["mergeguard_guard_check"]
    written = body.index("UPDATE g SET turn = turn + 1 FROM [dbo].[mergeguard_guard]")
    assert written < body.index("[dbo].[Resource]]Merge] AS m", body.index("\n"))
    assert body.splitlines()[0] == "-- MergeGuard guard, version 1: [dbo].[Resource]]Merge], guids compared plain"
    assert body.index("SET NOCOUNT ON") < body.index("SET XACT_ABORT ON") < body.index("APPLOCK_MODE") < written
    assert "N'mergeguard merges dbo.it''s'" in body


def test_neither_merge_nor_what_sql_server_2016_does_not_know() -> None:
    for spelling, binary in KINDS:
        text = "\n".join(script(spelling, binary=binary).create_triggers()).upper()
        assert not re.search(r"\bMERGE\s+INTO\b|CREATE\s+OR\s+ALTER|\bTRIM\(|STRING_AGG|READPAST|NOLOCK", text)


def test_each_refusal_has_a_number_of_its_own() -> None:
    assert len(set(ERRORS.values())) == len(ERRORS)
    body = script("usual").triggers()["mergeguard_guard_check"]
    for reason, number in ERRORS.items():
        assert re.search(rf"THROW {number}, ", body), reason
        assert f"mergeguard: {reason}: " in body
