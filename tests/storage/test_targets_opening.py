"""A target opens as what it is, imports nothing else, and tells its password to nobody."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from pathlib import Path
from urllib.parse import quote_plus

import pytest
import sqlalchemy as sa
from hypothesis import assume, given
from hypothesis import strategies as st

from mergeguard.errors import MergeGuardError, UsageError
from mergeguard.storage.files.parquet import ParquetSource
from mergeguard.storage.files.source import FileSource
from mergeguard.storage.mssql.source import MssqlSource
from mergeguard.storage.postgresql.source import PostgresqlSource
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options, Source
from mergeguard.storage.sqlite.source import SqliteSource
from mergeguard.storage.targets import open_target, resolve_password, with_password

PROFILE = Profile()
PASSWORDS = st.text(min_size=4, max_size=16) | st.text(";{}@%'\" +&=?/:#a1", min_size=4, max_size=10)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("sqlite:///merges.db", SqliteSource),
        ("sqlite+pysqlite:////tmp/merges.db", SqliteSource),
        ("merges.db", SqliteSource),
        ("folder.d/MERGES.SQLITE3", SqliteSource),
        ("merges.sqlite", SqliteSource),
        ("postgresql://reader@db/cmdb", PostgresqlSource),
        ("postgres://reader@db/cmdb", PostgresqlSource),
        ("postgresql+psycopg://reader@db/cmdb", PostgresqlSource),
        ("mssql://reader@db/cmdb", MssqlSource),
        ("mssql+pyodbc:///?odbc_connect=SERVER%3Ddb", MssqlSource),
        ("merges.csv", FileSource),
        ("merges.TSV", FileSource),
        ("merges.csv.gz", FileSource),
        ("merges.tsv.gz", FileSource),
        ("merges.parquet", ParquetSource),
    ],
)
def test_every_kind_of_target(target: str, kind: type[Source]) -> None:
    with closing(open_target(target, PROFILE)) as source:
        assert type(source) is kind
        assert source.info.target


def test_the_default_drivers() -> None:
    for target, driver in {"postgresql://db/cmdb": "postgresql+psycopg", "mssql://db/cmdb": "mssql+pyodbc"}.items():
        with closing(open_target(target, PROFILE)) as source:
            assert isinstance(source, PostgresqlSource | MssqlSource)
            assert source.url.drivername == driver


def test_a_file_of_any_name_that_begins_as_sqlite_does(tmp_path: Path) -> None:
    path = tmp_path / "merges.export"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE merges (a)")
    with closing(open_target(str(path), PROFILE)) as source:
        assert isinstance(source, SqliteSource)
    path.write_bytes(b"SQLite format 2\0")
    with pytest.raises(UsageError):
        open_target(str(path), PROFILE)


@pytest.mark.parametrize(
    "target",
    [
        "", "merges", "merges.xlsx", "/no/such/file", ".", "a\0b", "a\ud800b", "x" * 5000, "oracle://u:Geheim123@db/x",
        "postgresql+asyncpg://u:Geheim123@db/x", "mssql+pymssql://u:Geheim123@db/x", "mysql://u:Geheim123@db/x",
        "postgresql://u:Geheim123@db:port/x", "://u:Geheim123@db", "po stgresql://u:Geheim123@db/x",
        "postgresql:u:Geheim123@db/x", "reader:Geheim123@db/x", "sqlite+aiosqlite:///x.db",
    ],
)  # fmt: skip
def test_what_is_no_target_is_a_usage_error_that_says_what_is(target: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_target(target, PROFILE)
    assert caught.value.hint
    assert "Geheim123" not in str(caught.value)
    assert "Geheim123" not in "".join(traceback.format_exception(caught.value)).replace(repr(target), "")


WILD = [
    "postgresql://reader:{}@db:5432/cmdb", "postgresql://reader:{}@db:54x2/cmdb", "oracle://reader:{}@db/cmdb",
    "mssql+pyodbc://reader:{}@db/cmdb", "mssql+pymssql://reader:{}@db/cmdb", "reader:{}@db/cmdb",
    "postgresql:reader:{}@db", "postgresql://db/cmdb?password={}", "mssql+pyodbc:///?odbc_connect=UID=sa;PWD={}",
    "postgresql+asyncpg://reader:{}@db/cmdb", "://reader:{}@db", "sqlite+aiosqlite://reader:{}@db/x.db",
    "DRIVER=x;UID=sa;PWD={}",
]  # fmt: skip


@pytest.mark.parametrize("wild", WILD)
@given(password=PASSWORDS, encode=st.booleans())
def test_no_exception_and_no_source_shows_a_password(wild: str, password: str, encode: bool) -> None:
    assume(not password.startswith("//"))  # "reader:////" begins as a dialect does
    written = quote_plus(password.encode("utf-8", "surrogatepass")) if encode else password
    shown = said(wild.replace("{}", "***"), None) + said(wild.replace("{}", written), None, only_class=True)
    assume(password not in shown)
    assert password not in said(wild.replace("{}", written), None)
    assert password not in said(wild.replace("{}", "***"), password)


def said(target: str, password: str | None, *, only_class: bool = False) -> str:
    """Return all that opening a target shows, or its frame where the text itself depends on the password."""
    try:
        source = open_target(target, PROFILE, Options(password=password))
    except MergeGuardError as error:
        if only_class:
            return repr(type(error)) + str(error.hint)
        return f"{error} {error!r} {error.hint} {error.args}" + "".join(traceback.format_exception_only(error))
    with closing(source):
        return repr(source.info) if not only_class else type(source).__name__


def test_nothing_but_the_kind_asked_for_is_imported() -> None:
    code = """
import sys
from mergeguard.storage.profile import Profile
from mergeguard.storage.targets import open_target
open_target("merges.csv", Profile())
print({"sqlalchemy", "pyarrow", "psycopg", "pyodbc"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- Passwords from elsewhere. ---


@given(old=PASSWORDS, new=PASSWORDS)
def test_a_given_password_takes_the_place_of_the_one_in_the_url(old: str, new: str) -> None:
    url = sa.URL.create("postgresql+psycopg", "reader", old, "db", query={"password": old, "sslmode": "require"})
    found = with_password(url, new)
    assert found.password == new
    assert dict(found.query) == {"sslmode": "require"}
    with closing(open_target(url.render_as_string(hide_password=False), PROFILE, Options(password=new))) as source:
        assert isinstance(source, PostgresqlSource)
        assert source.url.password == new


def test_no_password_is_taken_where_none_is_named() -> None:
    assert resolve_password(None, None) is None


def test_a_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMDB_PASSWORD", "p ss\n")
    assert resolve_password("CMDB_PASSWORD", None) == "p ss\n"
    monkeypatch.delenv("CMDB_PASSWORD")
    with pytest.raises(UsageError, match="CMDB_PASSWORD is not set"):
        resolve_password("CMDB_PASSWORD", None)


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"secret\n", "secret"), (b"secret", "secret"), (b"secret\r\nrest\r\n", "secret"), (b" a b \nrest", " a b "),
        (b"\xef\xbb\xbfsecret\n", "secret"), ("pässwörd\n".encode(), "pässwörd"), (b"", ""),
    ],
)  # fmt: skip
def test_a_password_is_the_first_line_of_a_file(tmp_path: Path, content: bytes, password: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    assert resolve_password(None, file) == password


def test_password_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"Geheim\xff\xfe")
    for file in (tmp_path / "none", tmp_path, tmp_path / "binary"):
        with pytest.raises(UsageError, match="password file") as caught:
            resolve_password(None, file)
        assert "Geheim" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(UsageError, match="or from a file"):
        resolve_password("HOME", tmp_path / "none")
