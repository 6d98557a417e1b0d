"""Creates the reference schema by numbered migrations, each in its own transaction, and remembers what was applied.

A migration is a file ``migrations/<dialect>/NNNN_name.sql``. Once released it is never edited: its checksum stands in
every database that has it, and a database whose checksums differ is refused rather than guessed at.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa

from mergeguard.errors import Locked, UnknownSchema, UsageError
from mergeguard.storage import failures

VERSION_TABLE = "mergeguard_schema_version"
DIALECTS = ("sqlite", "postgresql", "mssql")
LOCK_SECONDS = 10
Database: TypeAlias = sa.Engine | sa.URL | str
Rows: TypeAlias = Sequence[Mapping[str, object]]

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_VERSIONS = {
    "sqlite": f"""CREATE TABLE IF NOT EXISTS "{VERSION_TABLE}" (
        "version" INTEGER PRIMARY KEY, "name" TEXT NOT NULL, "checksum" TEXT NOT NULL,
        "applied_at" TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)""",
    "postgresql": f"""CREATE TABLE IF NOT EXISTS "{VERSION_TABLE}" (
        "version" integer PRIMARY KEY, "name" text NOT NULL, "checksum" char(64) NOT NULL,
        "applied_at" timestamptz NOT NULL DEFAULT now())""",
    "mssql": f"""IF OBJECT_ID(N'[dbo].[{VERSION_TABLE}]', N'U') IS NULL CREATE TABLE [dbo].[{VERSION_TABLE}] (
        [version] int NOT NULL PRIMARY KEY, [name] nvarchar(250) NOT NULL, [checksum] char(64) NOT NULL,
        [applied_at] datetime2(3) NOT NULL DEFAULT SYSUTCDATETIME())""",
}
# The number is arbitrary and must stay: two versions of MergeGuard have to ask for the same lock.
_LOCKS = {
    "sqlite": ("BEGIN IMMEDIATE",),
    "postgresql": (f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'", "SELECT pg_advisory_xact_lock(5568717251530)"),
    "mssql": (
        f"SET XACT_ABORT ON; SET LOCK_TIMEOUT {LOCK_SECONDS * 1000};",
        # A SELECT stands before the lock because it begins the transaction to which the lock belongs.
        f"""SET NOCOUNT ON; DECLARE @begun int, @got int; SELECT TOP (1) @begun = 1 FROM sys.objects;
        EXEC @got = sp_getapplock @Resource = N'mergeguard schema', @LockMode = 'Exclusive',
        @LockOwner = 'Transaction', @LockTimeout = {LOCK_SECONDS * 1000}; SELECT @got;""",  # noqa: S608 - a constant
    ),
}


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of the schema. ``checksum`` is the SHA-256 of its text with plain line ends, in hex."""

    version: int
    name: str
    text: str
    dialect: str

    @property
    def checksum(self) -> str:
        """What a database remembers of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> Sequence[str]:
        """The text cut into what the driver takes at once."""
        if self.dialect == "postgresql":
            return [self.text]
        if self.dialect == "mssql":
            return go_batches(self.text)
        return list(sqlite_statements(self.text))


def migrations(dialect: str) -> Sequence[Migration]:
    """Return the migrations of a dialect in their order.

    Raises:
        UsageError: the reference schema does not exist for this dialect.
    """
    if dialect not in DIALECTS:
        hint = f"it exists for {', '.join(DIALECTS)}"
        raise UsageError(f"the reference schema does not exist for {dialect!r}", hint=hint)
    folder = resources.files("mergeguard.storage") / "migrations" / dialect
    found = []
    for entry in folder.iterdir():
        if match := _FILE.fullmatch(entry.name):
            text = entry.read_text("utf-8").replace("\r\n", "\n")
            found.append(Migration(int(match[1]), match[2], text, dialect))
    return sorted(found, key=lambda migration: migration.version)


def migrate(database: Database, dialect: str | None = None) -> list[Migration]:
    """Bring a database to the newest reference schema; return the migrations that this call applied.

    Running it again applies nothing, and needs no right to write. Two at once take turns. ``dialect`` is told by the
    database where it is left out.

    Raises:
        UnknownSchema: the database holds an edited migration, or one that this version does not know.
        Locked: another session migrates for longer than ``LOCK_SECONDS``.
        WriteFailed: a statement failed; the migrations before it stay, of itself nothing does.
    """
    with _writing(database) as engine:
        known = migrations(dialect or engine.dialect.name)
        applied: Mapping[int, str] = {}
        with engine.connect() as connection:
            if sa.inspect(connection).has_table(VERSION_TABLE, schema=_schema(engine.dialect.name)):
                applied = _applied(connection)
                check_applied(applied, known)
        missing = [migration for migration in known if migration.version not in applied]
        return [migration for migration in missing if _apply(engine, migration, known)]


def check_applied(applied: Mapping[int, str], known: Sequence[Migration]) -> None:
    """Compare what a database remembers (version to checksum) with the migrations known here.

    Raises:
        UnknownSchema: an applied migration is unknown, was edited, or stands behind one that was left out.
    """
    newest = max((migration.version for migration in known), default=0)
    if applied and max(applied) > newest:
        message = f"the database has schema version {max(applied)}, newer than the newest known here, {newest}"
        raise UnknownSchema(message, hint="use the MergeGuard that made it, or a newer one")
    for migration in known:
        name = f"{migration.version:04d}_{migration.name}"
        checksum = applied.get(migration.version)
        if checksum is not None and checksum != migration.checksum:
            message = f"migration {name} was applied to this database with another text"
            raise UnknownSchema(message, hint="a released migration is never edited; write a new one")
        if checksum is None and applied and max(applied) > migration.version:
            message = f"migration {name} is missing in {VERSION_TABLE} although a later one is there"
            raise UnknownSchema(message, hint=f"somebody removed rows of {VERSION_TABLE}; restore them")


def fill(database: Database, tables: Mapping[str, Rows]) -> None:
    """Insert rows into tables of the reference schema, all in one transaction.

    ``tables`` maps a table to its rows, each a mapping from column to value; the rows of a table share their columns.

    Raises:
        UnknownSchema: a table or column does not exist.
        WriteFailed: a row was refused; nothing was written.
    """
    with _writing(database) as engine, _transaction(engine) as connection:
        for name, rows in tables.items():
            if rows:
                table = _table(engine.dialect.name, name, *rows[0])
                connection.execute(sa.insert(table), [dict(row) for row in rows])


@contextmanager
def changing(database: Database) -> Iterator[sa.Connection]:
    """Begin a transaction that holds the lock of the schema; commit it, or roll all of it back.

    Raises:
        Locked: another session migrates for longer than ``LOCK_SECONDS``.
        UnknownSchema, PermissionDenied, WriteFailed: a statement failed; nothing was changed.
    """
    with _writing(database) as engine, _transaction(engine) as connection:
        yield connection


def sqlite_url(file: Path) -> sa.URL:
    """Return the URL of an SQLite file, whatever characters its path holds."""
    return sa.URL.create("sqlite", database=str(file))


@contextmanager
def _writing(database: Database) -> Iterator[sa.Engine]:
    """Give an engine, and driver errors in MergeGuard's words; an engine made here is disposed of."""
    own = not isinstance(database, sa.Engine)
    url = sa.make_url(database) if not isinstance(database, sa.Engine) else database.url
    with failures.translated(url.render_as_string(hide_password=False), writing=True):
        engine = database if isinstance(database, sa.Engine) else _engine(url)
        try:
            yield engine
        finally:
            if own:
                engine.dispose()


def _engine(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, hide_parameters=True, poolclass=sa.pool.NullPool)


@contextmanager
def _transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Begin a transaction that holds the lock of the schema; commit it, or roll all of it back."""
    with engine.begin() as connection:
        # An engine for SQLite may have begun its transaction already; to begin another is an error there.
        if not getattr(connection.connection.dbapi_connection, "in_transaction", False):
            for statement in _LOCKS.get(engine.dialect.name, ()):
                result = connection.exec_driver_sql(statement)
                if engine.dialect.name == "mssql" and result.returns_rows and result.scalar_one() < 0:
                    raise Locked("another session is migrating this database")
        yield connection


def _apply(engine: sa.Engine, migration: Migration, known: Sequence[Migration]) -> bool:
    """Apply one migration unless the database has it by now; say whether it was applied."""
    with _transaction(engine) as connection:
        connection.exec_driver_sql(_VERSIONS[migration.dialect])
        applied = _applied(connection)
        check_applied(applied, known)
        if migration.version in applied:
            return False
        for statement in migration.statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        row = {"version": migration.version, "name": migration.name, "checksum": migration.checksum}
        connection.execute(sa.insert(_table(engine.dialect.name, VERSION_TABLE, *row)), row)
    return True


def _applied(connection: sa.Connection) -> dict[int, str]:
    table = _table(connection.dialect.name, VERSION_TABLE, "version", "checksum")
    return {row.version: row.checksum for row in connection.execute(sa.select(table))}


def _schema(dialect: str) -> str | None:
    """Return the schema in which the migrations make their tables, ``None`` for the login's own."""
    return "dbo" if dialect == "mssql" else None


def _table(dialect: str, name: str, *columns: str) -> sa.TableClause:
    quoted: list[sa.ColumnClause[object]] = [sa.column(sa.quoted_name(column, quote=True)) for column in columns]
    return sa.table(sa.quoted_name(name, quote=True), *quoted, schema=_schema(dialect))


def go_batches(text: str) -> list[str]:
    """Cut a script of SQL Server at its lines of GO, which drivers do not know."""
    return [batch for batch in re.split(r"(?im)^\s*GO\s*$", text) if batch.strip()]


def sqlite_statements(text: str) -> Iterator[str]:
    """Cut a script where a line completes a statement; the body of a trigger is not cut."""
    pending: list[str] = []
    for line in text.splitlines():
        pending.append(line)
        if line.rstrip().endswith(";") and sqlite3.complete_statement("\n".join(pending)):
            yield "\n".join(pending)
            pending.clear()
