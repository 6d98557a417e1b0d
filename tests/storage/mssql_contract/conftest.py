"""The contract of a database target is held on the SQL Server that MERGEGUARD_TEST_MSSQL_URL names.

The login needs CREATE SCHEMA and CREATE TABLE there; tests that need more (another login, KILL) are skipped without it.
Everything lives in a schema of the run's own, which is dropped at the end.
"""

from __future__ import annotations

import os
import re
import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import sqlalchemy as sa

from mergeguard.core import guids
from mergeguard.storage.mssql import arrow as mssql_arrow
from mergeguard.storage.mssql import odbc as mssql_odbc
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Lookup, Merge, Profile
from mergeguard.storage.source import Batch, GuidCells, Options, Selection

URL = os.environ.get("MERGEGUARD_TEST_MSSQL_URL", "")
PLAIN = {"id": "int", "old": "uniqueidentifier", "new": "uniqueidentifier"}
Rows = Sequence[tuple[object, ...]]


@dataclass
class Place:
    """A schema of our own in the given database."""

    engine: sa.Engine
    url: sa.URL
    schema: str
    drivers: list[str]

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def value(self, statement: str) -> object:
        with self.engine.begin() as connection:
            return connection.exec_driver_sql(statement).scalar()

    def name(self, table: str) -> str:
        return f"[{self.schema}].{quoted(table)}"

    def fill(self, table: str, columns: dict[str, str], rows: Rows) -> str:
        """Make a table anew; every value is sent as text or bytes and cast by the server."""
        declared = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
        casts = ", ".join(f"CAST(? AS {re.sub('NOT NULL|NULL|PRIMARY KEY', '', kind)})" for kind in columns.values())
        with self.engine.begin() as connection:
            connection.exec_driver_sql(drop(self.name(table)))
            connection.exec_driver_sql(f"CREATE TABLE {self.name(table)} ({declared})")
            for row in rows:
                sent = tuple(value if value is None or isinstance(value, bytes) else str(value) for value in row)
                connection.exec_driver_sql(f"INSERT INTO {self.name(table)} VALUES ({casts})", sent)
        return f"{self.schema}.{table}"

    def changed(self, **parts: str) -> sa.URL:
        """Return the URL with some parts of its connection string replaced."""
        keys = {key.upper() for key in parts}
        kept = [pair for pair in self.pairs() if pair[0].upper() not in keys]
        text = mssql_odbc.joined([*kept, *parts.items()])
        return sa.URL.create("mssql+pyodbc", query={"odbc_connect": text})

    @contextmanager
    def holding(self, statement: str) -> Iterator[None]:
        """Hold the locks of a statement in another session."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql(statement)
            yield
            connection.rollback()

    def pairs(self) -> mssql_odbc.Pairs:
        return mssql_odbc.pairs(mssql_odbc.connection_string(self.url, self.drivers, "mergeguard-tests"))

    def drop_login(self, login: str) -> None:
        """Drop a login and its user; the server ends a session a moment after its client has gone."""
        self.run(f"DROP USER [{login}]")
        for _ in range(1000):
            try:
                return self.run(f"DROP LOGIN [{login}]")
            except sa.exc.DBAPIError as refused:
                if "15434" not in str(refused):
                    raise
        raise AssertionError(f"{login} is logged in for ever")

    def source(self, table: str = "merges", *, url: sa.URL | None = None, **options: object) -> mssql.MssqlSource:
        profile = Profile(merge=Merge(f"{self.schema}.{table}", "old", "new", "id"))
        return mssql.MssqlSource(url or self.url, profile, Options(**options))  # type: ignore[arg-type]

    def lookup(self, table: str = "lookup") -> Lookup:
        return Lookup(table=f"{self.schema}.{table}")

    def read(self, source: mssql.MssqlSource, selection: Selection) -> list[list[object]]:
        """Read a selection in a snapshot of its own; see ``joined``."""
        with source.snapshot() as snapshot:
            return self.joined(list(snapshot.read(selection)), len(selection.columns) + selection.counted)

    @staticmethod
    def joined(batches: list[Batch], columns: int) -> list[list[object]]:
        """Return batches column by column, guids as objects and malformed ones as what was found."""
        found: list[list[object]] = [[] for _ in range(columns)]
        for batch in batches:
            assert len(batch) == columns
            for values, cells in zip(found, batch, strict=True):
                if isinstance(cells, GuidCells):
                    objects = guids.to_uuids(cells.column)
                    assert all(objects[row] == uuid.UUID(int=0) for row in cells.bad)
                    values.extend(cells.bad.get(row, objects[row]) for row in range(len(objects)))
                else:
                    values.extend(cells.tolist() if isinstance(cells, np.ndarray) else cells)
        return found


def drop(table: str) -> str:
    return "IF OBJECT_ID(N'{}') IS NOT NULL DROP TABLE {}".format(table.replace("'", "''"), table)


def quoted(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    import pyodbc  # noqa: PLC0415 - it does not load without a driver manager, and then these tests are skipped

    url = sa.make_url(URL)
    schema = f"mergeguard_{secrets.token_hex(4)}"
    with closing(mssql.MssqlSource(url, Profile(), Options())) as source:
        made = Place(source.engine, url, schema, pyodbc.drivers())
        made.run(f"CREATE SCHEMA [{schema}]")
        yield made
        with made.engine.begin() as connection:
            inspector = sa.inspect(connection)
            for view in inspector.get_view_names(schema=schema):
                connection.exec_driver_sql(f"DROP VIEW {made.name(view)}")
            for table in inspector.get_table_names(schema=schema):
                connection.exec_driver_sql(f"DROP TABLE {made.name(table)}")
            connection.exec_driver_sql(f"DROP SCHEMA [{schema}]")


@pytest.fixture(params=[False, True], ids=["pyodbc", "arrow-odbc"])
def fast(request: pytest.FixtureRequest) -> bool:
    if request.param and mssql_arrow.arrow_odbc() is None:
        pytest.skip("arrow-odbc is not installed")
    return bool(request.param)


@pytest.fixture
def reader_url(place: Place) -> Iterator[sa.URL]:
    """A login that may read one table and write none."""
    login, word = f"mergeguard_{secrets.token_hex(4)}", "R3ad;{" + secrets.token_hex(8)
    place.fill("merges", PLAIN, [])
    place.fill("secret", {"old": "uniqueidentifier"}, [])
    try:
        place.run(f"CREATE LOGIN [{login}] WITH PASSWORD = N'{word}', CHECK_POLICY = OFF")
    except sa.exc.DBAPIError:
        pytest.skip("the login may not make another one")
    place.run(f"CREATE USER [{login}] FOR LOGIN [{login}]", f"GRANT SELECT ON {place.name('merges')} TO [{login}]")
    yield place.changed(UID=login, PWD=word, Trusted_Connection="No")
    place.drop_login(login)
