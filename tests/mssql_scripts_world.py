"""The SQL scripts on a real SQL Server beside a vendor's tables, for the contract suite."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from merge_model import guid
from rule_model import Case

from mergeguard.integrity.sql_scripts import install_sql, sql_scripts_of, uninstall_sql
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Journal as JournalNames
from mergeguard.storage.profile import Live, Lookup, Merge, Merging, Profile, Types
from mergeguard.storage.scripts import files as sql_scripts
from mergeguard.storage.source import Options

GUID = "uniqueidentifier NOT NULL"
OURS = ("lookup", "run", "step", "change", "root", "guard", "never", "request")
MADE = """
SELECT o.name, o.type, m.definition FROM sys.objects AS o LEFT JOIN sys.sql_modules AS m ON m.object_id = o.object_id
WHERE o.schema_id = SCHEMA_ID(N'mergeguard') AND o.parent_object_id = 0 ORDER BY o.name
"""
ROLES = "SELECT COUNT(*) FROM sys.database_principals WHERE name LIKE N'mergeguard[_]%' AND type = 'R'"
A, B, C, D = (guid(number) for number in range(4))


@dataclass
class World:
    """Tables of a vendor, and the scripts beside them."""

    place: Any
    profile: Profile
    options: Options

    def source(self) -> mssql.MssqlSource:
        return mssql.MssqlSource(self.place.url, self.profile, self.options)

    def install(self) -> None:
        with closing(self.source()) as source:
            install_sql(source, self.profile)

    def rows(self, sql: str, values: tuple[Any, ...] = (), *, url: sa.URL | None = None) -> list[dict[str, Any]]:
        """Run a statement as some login, and commit."""
        source = mssql.MssqlSource(url or self.place.url, self.profile, self.options)
        with closing(source), source.engine.begin() as connection:
            found = connection.exec_driver_sql(sql, values)
            return [dict(row._mapping) for row in found] if found.returns_rows else []

    def outcome(self, old: uuid.UUID, new: uuid.UUID, **more: Any) -> str:
        """Say what a merge comes to: merged, already, or why it is refused."""
        try:
            return "already" if self.merge(old, new, **more)["already"] else "merged"
        except sa.exc.DBAPIError as refused:
            return reason_of(refused)

    def merge(self, old: uuid.UUID, new: uuid.UUID, request: str | None = None, **more: Any) -> dict[str, Any]:
        sql = "EXEC [mergeguard].[merge_guids] @old = ?, @new = ?, @request_id = ?, @preview = ?"
        (answer,) = self.rows(sql, (str(old), str(new), request, more.pop("preview", 0)), **more)
        return answer

    def reason(self, old: uuid.UUID, new: uuid.UUID, request: str | None = None, **more: Any) -> str:
        with pytest.raises(sa.exc.DBAPIError) as refused:
            self.merge(old, new, request, **more)
        return reason_of(refused.value)

    def fill(self, case: Case) -> None:
        """Put the rows of a case into the tables."""
        place = self.place
        for table in ("merges", "alive", "kinds", "held"):
            place.run(f"DELETE FROM {place.name(table)}")
        times = case.times or (None,) * len(case.pairs)
        with place.engine.begin() as connection:
            for (old, new), time in zip(case.pairs, times, strict=True):
                said = (str(old), str(new), time and time.replace(tzinfo=None).isoformat(timespec="milliseconds"))
                values = "VALUES (?, ?, CONVERT(datetime2(3), ?, 126))"
                connection.exec_driver_sql(f"INSERT INTO {place.name('merges')} ([old], [new], [at]) {values}", said)
            for each in case.live or ():
                connection.exec_driver_sql(f"INSERT INTO {place.name('alive')} ([guid]) VALUES (?)", (str(each),))
            for each, kind in case.types or ():
                connection.exec_driver_sql(f"INSERT INTO {place.name('kinds')} VALUES (?, ?)", (str(each), kind))
            for counts in (case.references or {}).values():
                for each, count in counts.items():
                    for _ in range(count):
                        connection.exec_driver_sql(f"INSERT INTO {place.name('held')} VALUES (?)", (str(each),))

    def picture(self) -> list[object]:
        """What stands in the vendor's tables."""
        found = []
        for table in ("merges", "alive", "kinds", "held"):
            name = self.place.name(table)
            found += self.rows(f"SELECT COUNT(*) AS n, CHECKSUM_AGG(BINARY_CHECKSUM(*)) AS c FROM {name}")
        return found


def reason_of(error: BaseException) -> str:
    found = re.search(r"mergeguard: ([\w-]+): ", str(error))
    assert found is not None, str(error)
    return found[1]


def make_tables(place: Any, *, live: str = "") -> None:
    """Make the vendor's tables anew; ``live`` adds columns to that of live guids."""
    for name in ("merges", "alive", "kinds", "held", *(f"mergeguard_{part}" for part in OURS)):
        place.run(f"IF OBJECT_ID(N'{place.schema}.{name}') IS NOT NULL DROP TABLE {place.name(name)}")
    place.run(
        f"CREATE TABLE {place.name('merges')} ([id] int IDENTITY NOT NULL PRIMARY KEY, [old] {GUID}, [new] {GUID}, "
        "[at] datetime2(3) NULL, [key] nvarchar(50) NULL)",
        f"CREATE INDEX [by_old] ON {place.name('merges')} ([old])",
        f"CREATE INDEX [by_new] ON {place.name('merges')} ([new])",
        f"CREATE TABLE {place.name('alive')} ([guid] {GUID} PRIMARY KEY{live})",
        f"CREATE TABLE {place.name('kinds')} ([guid] {GUID}, [kind] nvarchar(50) NULL)",
        f"CREATE TABLE {place.name('held')} ([guid] {GUID})",
    )


@contextmanager
def installed(place: Any) -> Iterator[World]:
    """The scripts beside new tables; at the end nothing of them may be left."""
    make_tables(place)
    schema = place.schema
    ours = [f"{schema}.mergeguard_{part}" for part in OURS]
    profile = Profile(
        name="contract",
        merge=Merge(f"{schema}.merges", "old", "new", row_id="id", time="at", merge_key="key"),
        lookup=Lookup(ours[0]),
        journal=JournalNames(*ours[1:4]),
        merging=Merging(*ours[4:8]),
        live=Live(f"{schema}.alive", "guid"),
        types=Types(f"{schema}.kinds", "guid", "kind"),
    )
    made = World(place, profile, Options(lock_timeout=30))
    left = made.rows("SELECT base_object_name AS b FROM sys.synonyms WHERE schema_id = SCHEMA_ID(N'mergeguard')")
    if made.rows("SELECT 1 AS one WHERE SCHEMA_ID(N'mergeguard') IS NOT NULL") and not any(
        re.match(r"\[mergeguard_[0-9a-f]{8}\]", row["b"]) for row in left
    ):
        pytest.skip("a schema mergeguard is there that no test has made")
    made.install()
    yield made
    with closing(made.source()) as source:
        uninstall_sql(source, made.profile, data=True)
    assert made.rows(MADE) == []
    assert made.rows("SELECT 1 AS one WHERE SCHEMA_ID(N'mergeguard') IS NOT NULL") == []
    assert made.rows(ROLES.replace("COUNT(*)", "COUNT(*) AS n")) == [{"n": 0}]
    for name in ours:
        assert made.rows(f"SELECT 1 AS one WHERE OBJECT_ID(N'{name}') IS NOT NULL") == []


def grant(world: World) -> None:
    with closing(world.source()) as source:
        files = sql_scripts_of(source, world.profile).files
        with source.writing() as writing, writing.transaction() as rows:
            sql_scripts.send(rows, [script for script in files if script.number in {80, 90}])
