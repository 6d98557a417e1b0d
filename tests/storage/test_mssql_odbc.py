"""Connection strings are read and written so that a driver gets back what was meant, passwords above all."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import UsageError
from mergeguard.storage.mssql import odbc as mssql_odbc
from mergeguard.storage.mssql.odbc import connection_string, joined, newest, pairs
from mergeguard.storage.targets import with_password

DRIVERS = ["SQLite3", "ODBC Driver 9 for SQL Server", "ODBC Driver 18 for SQL Server", "FreeTDS"]
VALUES = st.text() | st.text(";{}=@% '\"a", max_size=12)
KEYS = st.from_regex(r"[A-Za-z][A-Za-z ]{0,10}[A-Za-z]", fullmatch=True)


def made(url: str | sa.URL, installed: list[str] = DRIVERS) -> dict[str, str]:
    return {key.upper(): value for key, value in pairs(connection_string(sa.make_url(url), installed, "MergeGuard"))}


@given(st.lists(st.tuples(KEYS, VALUES), max_size=6))
def test_what_is_written_is_read_back(parts: list[tuple[str, str]]) -> None:
    assert pairs(joined(parts)) == parts


@given(VALUES, VALUES)
def test_a_password_takes_the_place_of_another(old: str, new: str) -> None:
    text = joined([("DRIVER", "FreeTDS"), ("Password", old), ("pwd", old), ("UID", "sa")])
    assert pairs(mssql_odbc.with_password(text, new)) == [("DRIVER", "FreeTDS"), ("UID", "sa"), ("PWD", new)]


@given(VALUES, st.booleans())
def test_the_driver_gets_the_password_whatever_it_is(password: str, whole: bool) -> None:
    query = {"odbc_connect": "DRIVER={FreeTDS};SERVER=db;UID=sa;PWD=old"} if whole else {}
    url = sa.URL.create("mssql+pyodbc", "sa", "old", "db", 1433, "cmdb", query)
    through_text = sa.make_url(with_password(url, password).render_as_string(hide_password=False))
    for asked in (with_password(url, password), through_text):
        assert made(asked)["PWD"] == password


def test_a_url_becomes_a_connection_string() -> None:
    assert made("mssql+pyodbc://reader:p%40ss@db:1434/cmdb?Encrypt=strict&autocommit=true") == {
        "DRIVER": "ODBC Driver 18 for SQL Server", "SERVER": "db,1434", "DATABASE": "cmdb", "UID": "reader",
        "PWD": "p@ss", "ENCRYPT": "strict", "APP": "MergeGuard",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "some"),
    [
        ("mssql+pyodbc://mydsn", {"DSN": "mydsn", "TRUSTED_CONNECTION": "Yes"}),
        ("mssql+pyodbc://sa:x@mydsn", {"DSN": "mydsn", "UID": "sa", "PWD": "x"}),
        ("mssql+pyodbc:///?dsn=mydsn", {"DSN": "mydsn"}),
        ("mssql+pyodbc://db/cmdb", {"SERVER": "db", "TRUSTED_CONNECTION": "Yes"}),
        ("mssql+pyodbc:///cmdb", {"SERVER": "localhost", "DATABASE": "cmdb"}),
        ("mssql+pyodbc://db/cmdb?authentication=ActiveDirectoryMsi", {"AUTHENTICATION": "ActiveDirectoryMsi"}),
        ("mssql+pyodbc://db/cmdb?driver=FreeTDS&app=mine", {"DRIVER": "FreeTDS", "APP": "mine"}),
        ("mssql+pyodbc://db/cmdb?driver=one&driver=two", {"DRIVER": "two"}),
        ("mssql+pyodbc:///?odbc_connect=SERVER%3Da%3BApp%3Dmine%3B", {"SERVER": "a", "APP": "mine"}),
        ("mssql+pyodbc:///?odbc_connect=PWD%3D%7Ba%2Bb%2541%7D", {"PWD": "a+b%41"}),
    ],
)
def test_every_way_to_write_a_url(url: str, some: dict[str, str]) -> None:
    found = made(url)
    assert found.items() >= some.items()
    assert ("DSN" in found) != ("SERVER" in found) or "PWD" in some


def test_the_newest_driver_of_microsoft_is_preferred_to_freetds() -> None:
    assert newest(DRIVERS) == "ODBC Driver 18 for SQL Server"
    assert newest(["SQLite3", "FreeTDS"]) == "FreeTDS"
    with pytest.raises(UsageError, match="only SQLite3") as caught:
        newest(["SQLite3"])
    assert "ODBC Driver 18" in str(caught.value.hint)
