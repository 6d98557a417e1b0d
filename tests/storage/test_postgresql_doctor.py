"""What the doctor says about a PostgreSQL target."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
import sqlalchemy as sa

from mergeguard.storage.postgresql import doctor as postgresql_doctor
from mergeguard.storage.postgresql.source import PostgresqlSource
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Options

TABLE = 'Odd%"s'


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute('CREATE TABLE "Odd%""s" (old uuid, new uuid)')
        yield connection


@pytest.fixture(scope="module")
def checked(connection: psycopg.Connection) -> Callable[..., dict[str, tuple[str, bool]]]:
    def doctor(url: str, table: str = TABLE, **options: object) -> dict[str, tuple[str, bool]]:
        source = PostgresqlSource(sa.make_url(url), Profile(merge=Merge(table, "old", "new")), Options(**options))
        return {check: (finding, fine) for check, finding, fine in source.doctor()}

    return doctor


def test_a_read_only_login(checked: Callable[..., dict[str, tuple[str, bool]]], postgres_reader_url: str) -> None:
    rows = checked(postgres_reader_url)

    assert rows["driver"] == ("postgresql+psycopg", True)
    assert rows["server"][0].startswith("PostgreSQL 1")
    assert rows["read permission"] == ("SELECT on the merge table", True)
    assert rows["write permission"] == ("this login may not write it", True)
    assert rows["read-only proof"] == ("the server refuses a write in the transaction that reads", True)
    assert rows["fast driver"][0].startswith("adbc-driver-postgresql ")
    assert rows["encryption"][0].startswith("none")
    assert all(fine for _, fine in rows.values())


def test_a_login_that_may_write_is_told_so(
    checked: Callable[..., dict[str, tuple[str, bool]]], postgres_url: str
) -> None:
    finding, fine = checked(postgres_url)["write permission"]

    assert finding == "this login could also INSERT, UPDATE, DELETE, TRUNCATE; a read-only login is safer"
    assert fine


def test_a_login_that_may_not_even_read(
    checked: Callable[..., dict[str, tuple[str, bool]]], postgres_stranger_url: str
) -> None:
    assert checked(postgres_stranger_url)["read permission"] == ("no SELECT on the merge table", False)


def test_no_word_about_rights_on_a_table_that_is_not_there(
    checked: Callable[..., dict[str, tuple[str, bool]]], postgres_url: str
) -> None:
    assert not checked(postgres_url, "nowhere").keys() & {"read permission", "write permission"}


def test_the_fast_driver_may_be_unwanted_or_missing(
    checked: Callable[..., dict[str, tuple[str, bool]]], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked(postgres_url, fast=False)["fast driver"] == ("not used, as asked", True)

    def missing(_name: str) -> str:
        raise postgresql_doctor.PackageNotFoundError

    monkeypatch.setattr(postgresql_doctor, "version", missing)
    assert "not installed" in checked(postgres_url)["fast driver"][0]


def test_a_server_that_lets_a_write_through_is_no_proof(
    connection: psycopg.Connection, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writable(source: PostgresqlSource, connection: sa.Connection) -> str:
        connection.begin()
        return "not read-only"

    monkeypatch.setattr(PostgresqlSource, "begin_snapshot", writable)
    source = PostgresqlSource(sa.make_url(postgres_url), Profile(merge=Merge(TABLE, "old", "new")), Options())

    assert source.doctor()[-1][::2] == ("read-only proof", False)
