"""Tells one database from another: which one a plan was made for, and whether this is it.

Read-only queries in a snapshot. What one login may ask another may not; so a fingerprint holds every mark that was
to be had, the best first, and two of them are compared by the best mark that both hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mergeguard.core.repair.plan import TargetIdentity
from mergeguard.errors import PlanRefused, Unsupported
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.database.target_url import without_password
from mergeguard.storage.source import Source
from mergeguard.storage.sqlite.source import SqliteSource

if TYPE_CHECKING:
    from mergeguard.storage.database.snapshot import DatabaseSnapshot

POSTGRESQL = """
    SELECT current_database(), (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()),
        coalesce(host(inet_server_addr()), 'local'), current_setting('port'),
        coalesce(has_function_privilege(to_regprocedure('pg_catalog.pg_control_system()'), 'EXECUTE'), false)
"""
POSTGRESQL_SYSTEM = "SELECT system_identifier FROM pg_catalog.pg_control_system()"
MSSQL = (
    "SELECT CAST(@@SERVERNAME AS nvarchar(256)), name, CONVERT(nvarchar(30), create_date, 126), "
    "CONVERT(nvarchar(36), service_broker_guid) FROM sys.databases WHERE database_id = DB_ID()"
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a dialect says of its database."""

    database: str
    where: str
    """The server, for people; empty for a file."""
    marks: Mapping[str, Sequence[str]]
    """What tells the database from any other, by the name of the mark; the best first."""

    @property
    def fingerprint(self) -> str:
        """A hash of each mark behind its name."""
        return " ".join(f"{name}:{_hash(name, *parts)}" for name, parts in self.marks.items())


def identify(source: Source) -> TargetIdentity:
    """Say which database an open target is.

    Raises:
        Unsupported: it is no database.
        CannotCheck: it cannot be read.
    """
    opened, known = _look(source)
    server = f"{opened.info.server} at {known.where}" if known.where else opened.info.server
    return TargetIdentity(without_password(opened), opened.kind, server, known.database, known.fingerprint)


def check_identity(source: Source, identity: TargetIdentity) -> None:
    """Make sure that an open target is the database that a plan was made for.

    Raises:
        PlanRefused: it is another one; both are named.
        CannotCheck: it cannot be read.
    """
    here = identify(source)
    if here.kind == identity.kind and _same(here.fingerprint, identity.fingerprint):
        return
    raise PlanRefused(
        f"the plan was made for another database: for {_named(identity)}, and this is {_named(here)}",
        hint="a copy, a restored backup or a moved file is another database too; make a plan for this one",
    )


def _look(source: Source) -> tuple[DatabaseSource, _Known]:
    if not isinstance(source, DatabaseSource) or source.kind not in _DIALECTS:
        raise Unsupported(f"{source.info.target} is no database", hint="only a database can be repaired")
    with source.snapshot() as snapshot, source.translated():
        return source, _DIALECTS[source.kind](snapshot)


def _same(one: str, other: str) -> bool:
    """Compare two fingerprints by the best mark that both hold."""
    marks, others = (dict(mark.partition(":")[::2] for mark in text.split()) for text in (one, other))
    return next((value == others[name] for name, value in marks.items() if name in others), False)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _named(identity: TargetIdentity) -> str:
    return f"{identity.database} ({identity.url}; {identity.server})"


def _sqlite(snapshot: DatabaseSnapshot) -> _Known:
    path = _sqlite_source(snapshot).path.resolve()
    return _Known(path.name, "", {"path": [str(path)]})


def _sqlite_source(snapshot: DatabaseSnapshot) -> SqliteSource:
    source = snapshot.source
    assert isinstance(source, SqliteSource)  # noqa: S101 - by its kind
    return source


def _postgresql(snapshot: DatabaseSnapshot) -> _Known:
    database, oid, address, port, permitted = snapshot.connection.execute(sa.text(POSTGRESQL)).one()
    marks = {"place": [str(address), str(port), str(oid), str(database)]}
    if permitted:
        system = snapshot.connection.execute(sa.text(POSTGRESQL_SYSTEM)).scalar_one()
        marks = {"system": [str(system), str(oid), str(database)], **marks}
    host = snapshot.source.url.host or address
    return _Known(database, f"{host}:{port}", marks)


def _mssql(snapshot: DatabaseSnapshot) -> _Known:
    server, database, created, broker = snapshot.connection.exec_driver_sql(MSSQL).one()
    return _Known(database, str(server), {"database": [str(server), database, str(created), str(broker).lower()]})


_DIALECTS: Mapping[str, Callable[[DatabaseSnapshot], _Known]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mssql": _mssql,
}
