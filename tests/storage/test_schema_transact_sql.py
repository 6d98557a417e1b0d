"""The T-SQL of the schema is read by Microsoft's own grammar, of a version that SQL Server 2016 knows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mergeguard.storage import schema
from mergeguard.storage.schema import Migration, migrations

MIGRATIONS = {migration.name: migration for migration in migrations("mssql")}


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", MIGRATIONS)
def test_a_migration_parses_whole_and_batch_by_batch(name: str) -> None:
    migration = MIGRATIONS[name]
    assert parse(migration.text).returncode == 0, parse(migration.text).stderr
    rejoined = "\nGO\n".join(migration.statements)
    assert parse(rejoined).returncode == 0, parse(rejoined).stderr


def test_what_migrating_itself_sends_parses() -> None:
    sent = "\nGO\n".join([schema._VERSIONS["mssql"], *schema._LOCKS["mssql"]])
    assert parse(sent).returncode == 0, parse(sent).stderr


def test_the_parser_would_notice() -> None:
    assert parse("CREATE TABLE [dbo].[T] ([a] int NOT NULL PRIMARY;").returncode != 0


@pytest.mark.parametrize("name", MIGRATIONS)
def test_nothing_newer_or_forbidden_is_used(name: str) -> None:
    words = re.sub(r"--.*|\[[^]]*\]|N?'[^']*'", "", MIGRATIONS[name].text)
    assert not re.search(r"\b(OR\s+ALTER|MERGE|TRUNCATE|DROP|NOLOCK|GRANT)\b", words, re.IGNORECASE)


def test_a_script_is_cut_at_go_alone_on_its_line() -> None:
    text = "SELECT 'GO';\nGO\nSELECT 1; -- GO\n  go  \nSELECT [GO];\nGO\n"
    batches = [batch.strip() for batch in Migration(1, "x", text, "mssql").statements]
    assert batches == ["SELECT 'GO';", "SELECT 1; -- GO", "SELECT [GO];"]
