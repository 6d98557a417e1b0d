"""The SQL of the how-to pages does what they say: on a real PostgreSQL, and before Microsoft's parser."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mergeguard
from mergeguard.errors import PermissionDenied, WriteFailed

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
A, B, C = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")
TABLES = f"""
CREATE TABLE resource_merge (old_guid uuid, new_guid uuid);
INSERT INTO resource_merge VALUES ('{A}', '{B}'), ('{B}', '{C}');
CREATE TABLE item_resource (guid uuid);
INSERT INTO item_resource VALUES ('{C}');
CREATE TABLE item (guid uuid, type text);
"""


def blocks(page: str) -> list[str]:
    return re.findall(r"```sql\n(.*?)```", (HOW_TO / page).read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("sql", blocks("scan-sql-server.md"))
def test_the_transact_sql_parses(sql: str) -> None:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent)
    assert maxdop is not None, "pip install maxdop"

    done = subprocess.run(
        [maxdop, "--parser-version", "2012"], input=sql, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def roles(postgres_server: Any, postgres_url: str) -> Iterator[dict[str, str]]:
    """The two roles of the page in a database with its tables: URLs by the names on the page."""
    names = {name: f"{name}_{secrets.token_hex(4)}" for name in ("mergeguard_reader", "mergeguard_builder")}
    database = postgres_url.rpartition("/")[2]
    with superuser(postgres_url) as connection:
        connection.execute(TABLES)
        for sql in blocks("scan-postgresql.md"):
            for name, own in names.items():
                sql = sql.replace(name, own)  # noqa: PLW2901 - roles belong to the whole server
            connection.execute(sql.replace("'...'", "'secret'").replace("DATABASE cmdb", f'DATABASE "{database}"'))
    place = postgres_url.rpartition("@")[2]
    yield {name: f"postgresql+psycopg://{own}:secret@{place}" for name, own in names.items()}
    with superuser(postgres_url) as connection:
        for own in names.values():
            connection.execute(f"DROP OWNED BY {own} CASCADE; DROP ROLE {own}")


def superuser(url: str) -> Any:
    import psycopg  # noqa: PLC0415 - only tests with a server need the driver

    return psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)


def profile() -> mergeguard.Profile:
    overrides = mergeguard.Overrides(
        table="resource_merge",
        old="old_guid",
        new="new_guid",
        lookup_table="mergeguard.lookup",
        live="item_resource:guid",
        types="item:guid:type",
    )
    return mergeguard.choose_profile("postgresql://", mergeguard.Profile(), overrides)


def test_the_reader_may_scan_and_nothing_else(roles: dict[str, str]) -> None:
    url = roles["mergeguard_reader"]

    assert mergeguard.scan(url, profile()).rows == 2
    with pytest.raises((PermissionDenied, WriteFailed)):
        mergeguard.build_lookup(url, profile())


def test_the_builder_builds_and_then_the_reader_compares(roles: dict[str, str], postgres_url: str) -> None:
    reader = roles["mergeguard_reader"]

    first = mergeguard.build_lookup(roles["mergeguard_builder"], profile())
    with superuser(postgres_url) as connection:
        connection.execute(f"GRANT SELECT ON mergeguard.lookup TO {reader.partition('//')[2].partition(':')[0]}")
        compared = mergeguard.verify_lookup(reader, profile())
        connection.execute(f"INSERT INTO resource_merge VALUES ('{C}', '{A}')")
    again = mergeguard.build_lookup(roles["mergeguard_builder"], profile())
    after = mergeguard.verify_lookup(reader, profile())

    assert (first.created, first.rows, compared.exists, compared.drift) == (True, 2, True, 0)
    assert (again.created, again.rows, after.drift) == (False, 3, 0)
