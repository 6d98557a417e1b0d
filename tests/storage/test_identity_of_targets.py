"""A plan is applied to the database it was made for and to no copy of it, and holds no password."""

from __future__ import annotations

import dataclasses
import datetime as dt
import getpass
import os
import secrets
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.repair.plan import Plan, TargetIdentity
from mergeguard.errors import ExitCode, PlanRefused, TargetNotFound, Unsupported
from mergeguard.storage import who as who_module
from mergeguard.storage.database.identity import check_identity, identify
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.database.target_url import without_password
from mergeguard.storage.mssql import odbc as mssql_odbc
from mergeguard.storage.own_files.plan_file import dumps_plan
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target
from mergeguard.storage.who import who

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def identity_of(target: str | Path) -> TargetIdentity:
    with closing(open_target(str(target), Profile())) as source:
        return identify(source)


def accepts(target: str | Path, identity: TargetIdentity) -> bool:
    with closing(open_target(str(target), Profile())) as source:
        try:
            check_identity(source, identity)
        except PlanRefused as error:
            assert error.exit_code is ExitCode.PLAN_REFUSED  # noqa: PT017 - one of two outcomes
            assert "made for another database" in error.message  # noqa: PT017
            here = identify(source)
            assert f"for {identity.database} ({identity.url}" in error.message  # noqa: PT017
            assert f"this is {here.database} ({here.url}" in error.message  # noqa: PT017
            return False
        return True


# SQLite: its path.


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cmdb.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE a (b)")
    return path


def test_a_file_is_its_path_however_it_is_spelt(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = identity_of(file)
    assert (identity.kind, identity.database, identity.url) == ("sqlite", "cmdb.db", str(file.resolve()))
    link = file.with_name("link.db")
    link.symlink_to(file)
    monkeypatch.chdir(file.parent)
    for spelling in (f"sqlite:///{file}", link, "cmdb.db", f"{file.parent}/../{file.parent.name}/cmdb.db"):
        assert identity_of(spelling) == identity
        assert accepts(spelling, identity)
    assert identity_of(identity.url) == identity


def test_a_copy_or_a_moved_file_is_another_database(file: Path) -> None:
    identity = identity_of(file)
    copy = file.with_name("copy.db")
    shutil.copy(file, copy)
    assert not accepts(copy, identity)
    moved = file.rename(file.with_name("moved.db"))
    assert not accepts(moved, identity)


def test_a_changed_file_is_still_the_same_database(file: Path) -> None:
    identity = identity_of(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE more (b)")
    assert accepts(file, identity)


@pytest.mark.parametrize("name", ["a b@c%20?x.db", "pwd=secret;x.db", "u:p@h.db"])
def test_an_odd_path_opens_again(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE a (b)")
    identity = identity_of(file)
    assert identity_of(identity.url) == identity


def test_looking_changes_nothing_and_needs_the_file(file: Path) -> None:
    before = file.read_bytes()
    identity = identity_of(file)
    assert accepts(file, identity)
    assert (file.read_bytes(), [*file.parent.iterdir()]) == (before, [file])
    file.unlink()
    with pytest.raises(TargetNotFound):
        identity_of(file)


def test_a_file_of_rows_is_no_database(tmp_path: Path) -> None:
    table = tmp_path / "merges.csv"
    table.write_text("OldGuid,NewGuid\n")
    with pytest.raises(Unsupported):
        identity_of(table)


# PostgreSQL: the cluster and the database's number in it.


@pytest.fixture
def copied(postgres_server: Any, postgres_url: str) -> Iterator[tuple[str, str]]:
    """The URLs of a database and of its copy in the same cluster."""
    base = postgres_url.rpartition("/")[0]
    one, copy = (f"mergeguard_{secrets.token_hex(6)}" for _ in range(2))
    postgres_server.execute(f"CREATE DATABASE {one}", f"CREATE DATABASE {copy} TEMPLATE {one}")
    yield f"{base}/{one}", f"{base}/{copy}"
    for name in (one, copy, f"{one}_was"):
        postgres_server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def test_a_copy_is_another_database_even_under_the_old_name(postgres_server: Any, copied: tuple[str, str]) -> None:
    one, copy = copied
    identity = identity_of(one)
    assert identity.database == sa.make_url(one).database
    assert accepts(one, identity)
    assert not accepts(copy, identity)
    name, other = (sa.make_url(url).database for url in copied)
    postgres_server.execute(f"ALTER DATABASE {name} RENAME TO {name}_was", f"ALTER DATABASE {other} RENAME TO {name}")
    assert not accepts(one, identity)


def test_whatever_a_login_may_ask_it_is_the_same_database(postgres_url: str, postgres_reader_url: str) -> None:
    """A plan made by one login is applied by another, who may see more or less."""
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    privileged, restricted = identity_of(postgres_url), identity_of(postgres_reader_url)
    assert privileged.fingerprint.startswith("system:")
    assert restricted.fingerprint.startswith("place:")
    assert accepts(postgres_reader_url, privileged)
    assert accepts(postgres_url, restricted)
    assert restricted.fingerprint in privileged.fingerprint


def test_another_cluster_at_the_same_place_is_another_database(postgres_url: str) -> None:
    identity = identity_of(postgres_url)
    system, place = identity.fingerprint.split()
    other = dataclasses.replace(identity, fingerprint=f"system:{'0' * 64} {place}")
    assert system != "system:" + "0" * 64
    assert not accepts(postgres_url, other)


def test_a_database_of_another_kind_is_another_database(postgres_url: str, file: Path) -> None:
    there, here = identity_of(postgres_url), identity_of(file)
    assert not accepts(file, there)
    assert not accepts(postgres_url, here)
    assert not accepts(file, dataclasses.replace(here, kind="postgresql"))
    assert not accepts(file, dataclasses.replace(here, fingerprint="other:0"))


def test_a_plan_of_a_real_database_holds_no_password_and_opens_it_again(postgres_url: str) -> None:
    password = sa.make_url(postgres_url).password
    assert isinstance(password, str)
    identity = identity_of(postgres_url)
    text = dumps_plan(Plan("0" * 32, NOW, NOW, "1", identity, {}, (), ()))
    for spelling in (password, quote(password), quote(password, safe=""), quote_plus(password)):
        assert spelling not in text
    with closing(open_target(identity.url, Profile(), Options(password=password))) as source:
        assert identify(source) == identity


# No password, in any URL of any dialect.

PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).map(
    lambda text: f"S3{text}cr3t"
)
WORDS = st.text("abcxyz_0", min_size=1, max_size=6)
DRIVER = {"driver": "ODBC Driver 18 for SQL Server", "Encrypt": "yes"}


@st.composite
def urls(draw: st.DrawFn, password: str) -> tuple[str, str | None]:
    """A URL with a password in one of the places that people put it, and what has to be left of it."""
    user, host, database = (draw(WORDS) for _ in range(3))
    kind = draw(st.sampled_from(["user", "query", "odbc", "pyodbc", "certificate", "option"]))
    if kind == "user":
        url = sa.URL.create("postgresql+psycopg", user, password, host, 5433, database, {"sslmode": "require"})
        left = f"postgresql+psycopg://{user}@{host}:5433/{database}?sslmode=require"
        return url.render_as_string(hide_password=False), left
    if kind == "query":
        key = draw(st.sampled_from(["password", "PASSWORD", "sslpassword"]))
        return (
            f"postgresql+psycopg://{user}@{host}/{database}?{key}={quote_plus(password)}&passfile=x",
            f"postgresql+psycopg://{user}@{host}/{database}?passfile=x",
        )
    if kind == "pyodbc":
        url = sa.URL.create("mssql+pyodbc", user, password, host, None, database, DRIVER)
        return url.render_as_string(hide_password=False), None
    pairs = [
        ("DRIVER", "FreeTDS"),
        ("SERVER", f"{host},1433"),
        ("UID", user),
        ("PWD", password),
        ("DATABASE", database),
    ]
    if kind == "certificate":
        pairs[3] = ("ClientCertificate", f"file:a.pem,password:{password}")
    written = mssql_odbc.joined(draw(st.permutations(pairs)))
    return f"mssql+pyodbc:///?odbc_connect={quote_plus(written)}", None


@given(st.data())
def test_no_password_is_in_what_a_plan_keeps(data: st.DataObject) -> None:
    password = data.draw(PASSWORDS)
    text, left = data.draw(urls(password))
    options = Options(password=data.draw(st.none() | st.just(password)))
    with closing(open_target(text, Profile(), options)) as source:
        assert isinstance(source, DatabaseSource)
        kept = without_password(source)
    for spelling in (password, password.replace("}", "}}")):
        for written in (spelling, quote(spelling), quote(spelling, safe=""), quote_plus(spelling)):
            assert written not in kept
    assert left is None or kept == left
    with closing(open_target(kept, Profile())) as again:
        assert isinstance(again, DatabaseSource)
        if left is None:
            same = [mssql_odbc.connection_string(one.url, ["FreeTDS"], "t") for one in (source, again)]
            kinds = [dict(mssql_odbc.pairs(one)) for one in same]
            secret = {"PWD", "ClientCertificate"}
            assert {key: value for key, value in kinds[0].items() if key not in secret} == {
                key: value for key, value in kinds[1].items() if key not in secret
            }


# Who does it.


def test_who_is_the_account_and_the_databases_login_where_it_is_another(
    postgres_reader_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "dba")
    login = sa.make_url(postgres_reader_url).username
    with closing(open_target(str(file), Profile())) as source:
        assert who(source) == f"dba@{socket.gethostname()}"
    with closing(open_target(postgres_reader_url, Profile())) as source:
        assert who(source) == f"dba@{socket.gethostname()} as {login}"
        monkeypatch.setattr(getpass, "getuser", lambda: str(login).upper())
        assert who(source) == f"{str(login).upper()}@{socket.gethostname()}"


def test_a_windows_domain_does_not_make_another_account(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "dba")
    monkeypatch.setattr(who_module, "_login", lambda _source: "CORP\\DBA")
    with closing(open_target(str(file), Profile())) as source:
        assert who(source) == f"dba@{socket.gethostname()}"


def test_an_account_without_a_name_is_a_number(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    with closing(open_target(str(file), Profile())) as source:
        assert who(source) == f"uid {os.getuid()}@{socket.gethostname()}"
