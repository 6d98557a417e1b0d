"""A read sees one moment, changes nothing, waits no longer than it was told, and fails in words."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
import sqlalchemy as sa

from mergeguard.errors import (
    ConnectFailed,
    ConnectionLost,
    Locked,
    LoginFailed,
    MergeGuardError,
    PermissionDenied,
    TargetNotFound,
)
from mergeguard.storage.postgresql.arrow import ArrowReader
from mergeguard.storage.postgresql.source import PostgresqlSource
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Column, Kind, Options, Selection

ROWS = 200_000
GUIDS = (Column("old", Kind.GUID), Column("new", Kind.GUID))
WAYS = {
    "packed": (Selection(GUIDS, "merges"), True),
    "arrow": (Selection(GUIDS, "merges_view"), True),
    "rows": (Selection(GUIDS, "merges_view"), False),
}
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def administrator(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE merges (id bigserial, old uuid NOT NULL, new uuid)")
        connection.execute("CREATE VIEW merges_view AS SELECT * FROM merges")
        connection.execute(
            f"INSERT INTO merges (old, new) SELECT gen_random_uuid(), gen_random_uuid() FROM generate_series(1, {ROWS})"
        )
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET statement_timeout = '54321s'")
        yield connection


@pytest.fixture
def source(administrator: psycopg.Connection, postgres_url: str) -> Iterator[Callable[..., PostgresqlSource]]:
    with ExitStack() as opened:

        def open_source(url: str | sa.URL = postgres_url, **options: object) -> PostgresqlSource:
            profile = Profile(merge=Merge("merges", "old", "new"))
            made = PostgresqlSource(sa.make_url(url), profile, Options(**options))
            opened.callback(made.close)
            return made

        yield open_source
        # The server notices a closed connection a moment later: ask again, and not for ever.
        assert any(not sessions(administrator) for _ in range(5000))


def sessions(administrator: psycopg.Connection) -> list[int]:
    """Return the server processes of our connections to this database."""
    found = administrator.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'mergeguard' AND datname = current_database()"
    )
    return [pid for (pid,) in found]


def read(source: PostgresqlSource, way: str) -> int:
    with source.snapshot() as snapshot:
        return sum(len(batch[0].column) for batch in snapshot.read(WAYS[way][0]))


def test_all_ways_see_the_moment_of_the_first_read(
    source: Callable[..., PostgresqlSource], administrator: psycopg.Connection
) -> None:
    with source().snapshot() as snapshot:
        assert snapshot.isolation == "snapshot (REPEATABLE READ, read only)"
        administrator.execute("INSERT INTO merges (old) VALUES (gen_random_uuid())")
        administrator.execute("DELETE FROM merges WHERE id % 2 = 0")
        administrator.execute("INSERT INTO merges (old) SELECT gen_random_uuid() FROM generate_series(1, 5)")
        seen = {
            way: sum(len(batch[0].column) for batch in snapshot.read(selection))
            for way, (selection, fast) in WAYS.items()
            if fast
        }
        snapshot.source.options = Options(fast=False)
        seen["rows"] = sum(len(batch[0].column) for batch in snapshot.read(WAYS["rows"][0]))
    now = read(source(), "packed")
    administrator.execute("TRUNCATE merges")
    administrator.execute(
        f"INSERT INTO merges (old, new) SELECT gen_random_uuid(), gen_random_uuid() FROM generate_series(1, {ROWS})"
    )

    assert seen == {"packed": ROWS, "arrow": ROWS, "rows": ROWS}
    assert now == ROWS // 2 + 6


def test_a_read_session_cannot_write_and_keeps_the_servers_limits(source: Callable[..., PostgresqlSource]) -> None:
    with source(lock_timeout=2.5).snapshot() as snapshot:
        settings = dict(
            snapshot.connection.execute(sa.text("SELECT name, current_setting(name) FROM pg_settings")).all()  # type: ignore[arg-type]
        )
        with pytest.raises(sa.exc.DBAPIError) as refused:
            snapshot.connection.execute(sa.text("INSERT INTO merges (old) VALUES (gen_random_uuid())"))

    assert refused.value.orig.sqlstate == "25006"
    assert settings["transaction_isolation"] == "repeatable read"
    assert settings["transaction_read_only"] == "on"
    assert settings["lock_timeout"] == "2500ms"
    assert settings["statement_timeout"] == "54321s"
    assert settings["application_name"] == "mergeguard"


def test_what_the_url_says_of_the_connection_wins(source: Callable[..., PostgresqlSource], postgres_url: str) -> None:
    with source(f"{postgres_url}?application_name=nightly&connect_timeout=3").snapshot() as snapshot:
        info = snapshot.source.raw(snapshot.connection).info.get_parameters()

    assert (info["application_name"], info["connect_timeout"]) == ("nightly", "3")


def test_the_target_is_described_without_its_password(
    source: Callable[..., PostgresqlSource], postgres_url: str
) -> None:
    opened = source()
    with opened.snapshot():
        pass

    assert opened.info.kind == "postgresql"
    assert opened.info.server.startswith("PostgreSQL 1")
    assert opened.info.database == sa.make_url(postgres_url).database
    assert_no_password(postgres_url, repr(opened.info))


def assert_no_password(url: str, text: str) -> None:
    password = sa.make_url(url).password
    assert password not in text
    assert url.partition("://")[2].partition("@")[0].partition(":")[2] not in text


def failure(source: PostgresqlSource, way: str = "packed") -> MergeGuardError:
    with pytest.raises(MergeGuardError) as raised:
        read(source, way)
    assert raised.value.__cause__ is None
    return raised.value


def test_a_wrong_password(source: Callable[..., PostgresqlSource]) -> None:
    error = failure(source(password="wr@ng:/%?"))  # noqa: S106 - wrong on purpose

    assert type(error) is LoginFailed
    assert "wr@ng" not in error.message
    assert "wr%40ng" not in error.message


def test_a_database_that_does_not_exist(source: Callable[..., PostgresqlSource], postgres_url: str) -> None:
    error = failure(source(sa.make_url(postgres_url).set(database="nowhere")))

    assert type(error) is TargetNotFound
    assert "nowhere" in error.message
    assert_no_password(postgres_url, error.message)


def test_a_server_that_is_not_there(source: Callable[..., PostgresqlSource], postgres_url: str) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers, and nobody else can take the port
        taken.bind(("127.0.0.1", 0))
        error = failure(source(sa.make_url(postgres_url).set(port=taken.getsockname()[1])))

    assert type(error) is ConnectFailed
    assert error.retryable
    assert_no_password(postgres_url, error.message)


@every_way
def test_a_login_without_select(source: Callable[..., PostgresqlSource], postgres_stranger_url: str, way: str) -> None:
    error = failure(source(postgres_stranger_url, fast=WAYS[way][1]), way)

    assert type(error) is PermissionDenied
    assert "SELECT" in (error.hint or "")


@every_way
def test_a_read_only_login_reads(source: Callable[..., PostgresqlSource], postgres_reader_url: str, way: str) -> None:
    assert read(source(postgres_reader_url, fast=WAYS[way][1]), way) == ROWS


@every_way
def test_a_locked_table_is_not_waited_for(
    source: Callable[..., PostgresqlSource], administrator: psycopg.Connection, way: str
) -> None:
    with administrator.transaction():
        administrator.execute("LOCK TABLE merges IN ACCESS EXCLUSIVE MODE")
        error = failure(source(lock_timeout=0.05, fast=WAYS[way][1]), way)

    assert type(error) is Locked
    assert error.retryable


@every_way
def test_a_server_that_goes_away_in_mid_read(
    source: Callable[..., PostgresqlSource], administrator: psycopg.Connection, postgres_url: str, way: str
) -> None:
    selection, fast = WAYS[way]
    with source(fast=fast, batch_rows=500).snapshot() as snapshot:
        batches = snapshot.read(selection)
        next(batches)
        for pid in sessions(administrator):
            assert administrator.execute("SELECT pg_terminate_backend(%s, 60000)", (pid,)).fetchone() == (True,)
        with pytest.raises(ConnectionLost) as lost:
            for _ in batches:
                pass

    assert lost.value.retryable
    assert_no_password(postgres_url, lost.value.message)


def test_ranges_of_blocks_are_range_scans(source: Callable[..., PostgresqlSource]) -> None:
    """Without them every range would read the whole table."""
    asked: list[sa.Select] = []
    with source(batch_rows=1000).snapshot() as snapshot:
        fetch = snapshot._fetch
        snapshot._fetch = lambda statement: (asked.append(statement), fetch(statement))[1]
        assert len(list(snapshot.read(WAYS["packed"][0]))) > 10
        compiled = asked[3].compile(dialect=snapshot.connection.dialect)
        with snapshot.source.raw(snapshot.connection).cursor() as cursor:
            plan = cursor.execute(f"EXPLAIN {compiled}".encode(), compiled.params).fetchall()

    assert any("Tid Range Scan" in line for (line,) in plan), plan


@pytest.mark.parametrize("missing", ["adbc_driver_postgresql", "adbc_driver_postgresql.dbapi"])
def test_without_the_fast_driver_a_view_is_read_row_by_row(
    source: Callable[..., PostgresqlSource], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    assert read(source(), "arrow") == ROWS


def test_where_the_second_connection_cannot_share_the_snapshot_it_is_not_used(
    source: Callable[..., PostgresqlSource], administrator: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler may lead to another server, which does not know the snapshot."""
    monkeypatch.setattr(
        ArrowReader,
        "_beginning",
        lambda _reader: iter(
            ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'"]
        ),
    )

    with source().snapshot() as snapshot:
        for _ in range(2):
            assert sum(len(batch[0].column) for batch in snapshot.read(WAYS["arrow"][0])) == ROWS
        assert len(sessions(administrator)) == 1
