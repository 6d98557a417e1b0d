"""Isolation, locks, and everything that goes wrong on a real server."""

from __future__ import annotations

import secrets
import uuid
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from mergeguard import errors
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Column, Kind, Selection
from mergeguard.storage.targets import open_target

pytestmark = pytest.mark.mssql
PLAIN = {"id": "int", "old": "uniqueidentifier", "new": "uniqueidentifier"}


def test_a_snapshot_sees_one_moment_or_says_that_it_does_not(place: Any, fast: bool) -> None:
    table = place.fill("moment", {"id": "int", "old": "uniqueidentifier"}, [(1, uuid.uuid4())])
    asked = Selection((Column("id", Kind.INTEGER),), table)
    options = "SELECT {} FROM sys.databases WHERE database_id = DB_ID()"
    state = place.value(options.format("snapshot_isolation_state"))
    versions = place.value(options.format("CAST(is_read_committed_snapshot_on AS int)"))
    with closing(place.source(fast=fast)) as source, source.snapshot() as snapshot:
        assert place.joined(list(snapshot.read(asked)), 1) == [[1]]
        place.run(f"INSERT INTO {place.name('moment')} VALUES (2, NULL)")
        after = place.joined(list(snapshot.read(asked)), 1)[0]
    assert snapshot.isolation == (mssql.SNAPSHOT if state == 1 else mssql.ROW_VERSIONS if versions else mssql.LOCKING)
    assert sorted(after) == ([1] if state == 1 else [1, 2])
    assert (len(snapshot.notes) == 0) == (state == 1)


def test_a_lock_is_not_waited_for_longer_than_asked(place: Any, fast: bool) -> None:
    table = place.fill("locked", {"id": "int", "old": "uniqueidentifier"}, [(1, uuid.uuid4())])
    asked = Selection((Column("old", Kind.GUID),), table)
    with closing(place.source(fast=fast, lock_timeout=0.2)) as source:
        with source.snapshot() as snapshot:
            versions = snapshot.isolation != mssql.LOCKING
        with place.holding(f"UPDATE {place.name('locked')} SET id = 2"):
            if versions:
                assert len(place.read(source, asked)[0]) == 1
            else:
                with pytest.raises(errors.Locked):
                    place.read(source, asked)


def test_failures_to_connect(place: Any) -> None:
    known = {key.upper() for key, _ in place.pairs()}
    word = "Wr0ng;{" + secrets.token_hex(4)
    wrong: dict[type[errors.MergeGuardError] | tuple[type[errors.MergeGuardError], ...], sa.URL] = {
        (errors.TargetNotFound, errors.LoginFailed): place.changed(DATABASE="no_such_database"),
        errors.ConnectFailed: place.changed(SERVER="127.0.0.1,1", PORT="1"),
        errors.MissingExtra: place.changed(DRIVER="No Such Driver"),
    }
    if "UID" in known:
        wrong[errors.LoginFailed] = place.changed(PWD=word)
    for expected, url in wrong.items():
        with closing(place.source(url=url)) as source, pytest.raises(expected) as caught, source.snapshot():
            pass
        assert word not in str(caught.value)
        assert dict(place.pairs()).get("PWD", "\0") not in str(caught.value)


def test_a_server_gone_in_the_middle_of_a_read(place: Any, fast: bool) -> None:
    name = f"mergeguard-{secrets.token_hex(4)}"
    rows = Selection(
        (Column("g", Kind.GUID),), query="SELECT NEWID() FROM sys.all_objects a CROSS JOIN sys.all_objects b"
    )
    with (
        closing(place.source(url=place.changed(APP=name), fast=fast, batch_rows=500)) as source,
        source.snapshot() as snapshot,
    ):
        batches = iter(snapshot.read(rows))
        next(batches)
        try:
            with place.engine.connect() as connection:
                found = connection.exec_driver_sql(
                    "SELECT session_id FROM sys.dm_exec_sessions WHERE program_name = ?", (name,)
                )
                sessions = found.scalars().all()
            for session in sessions:
                with place.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.exec_driver_sql(f"KILL {int(session)}")
        except sa.exc.DBAPIError:
            pytest.skip("the login may not KILL a session")
        if not sessions:
            pytest.skip("the login may not see other sessions")
        with pytest.raises((errors.ConnectionLost, errors.ConnectFailed)):
            list(batches)


def test_a_login_that_may_only_read(place: Any, reader_url: sa.URL, fast: bool) -> None:
    with closing(place.source(url=reader_url, fast=fast)) as source:
        rows = {check: finding for check, finding, _ in source.doctor()}
        assert rows["write permission"] == "this login may not write it"
        assert "VIEW SERVER STATE" in rows["encryption"]
        assert place.read(source, Selection((Column("old", Kind.GUID),), f"{place.schema}.merges")) == [[]]
        with pytest.raises((errors.UnknownSchema, errors.PermissionDenied)):
            place.read(source, Selection((Column("old", Kind.GUID),), f"{place.schema}.secret"))
        with pytest.raises(errors.PermissionDenied):
            place.read(source, Selection((Column("old", Kind.GUID),), query=f"SELECT old FROM {place.name('secret')}"))


def test_doctor(place: Any, fast: bool) -> None:
    place.fill("merges", PLAIN, [])
    with closing(place.source(fast=fast)) as source:
        rows = {check: finding for check, finding, _ in source.doctor()}
        assert source.info.kind == "mssql"
        assert source.info.database == place.value("SELECT DB_NAME()")
    assert rows["server"].startswith("SQL Server ")
    assert "pyodbc" in rows["odbc"]
    assert "INSERT, UPDATE, DELETE" in rows["write permission"]


def test_a_target_opened_by_its_url(place: Any) -> None:
    with closing(open_target(place.url.render_as_string(hide_password=False), Profile())) as source:
        with source.snapshot() as snapshot:
            assert not snapshot.has_table("no_such_table")
        for key, value in place.pairs():
            assert key != "PWD" or value not in repr(source.info)
