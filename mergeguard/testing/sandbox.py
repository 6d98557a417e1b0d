"""A scratch schema with the kit's own small tables, in a PostgreSQL database that says it may be used for tests."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, Self, cast

import psycopg
import sqlalchemy as sa
from psycopg import sql

from mergeguard.errors import UsageError
from mergeguard.storage.profile import Profile
from mergeguard.testing.postgresql import PostgresqlWatcher, StepConnection
from mergeguard.testing.scratch import PROFILE, ROWS, emptied, inserts, tables_of
from mergeguard.testing.tables import Tables

MAY_BE_USED: Final = r"(^|[_-])(test|tests|testing|scratch|sandbox)([_-]|$)"
"""Names of databases in which the kit may make and drop its schema."""
SENTINEL: Final = "mergeguard_testkit_ok"
"""A table of this name says so of a database of any other name."""
_SETTINGS = {"synchronous_commit": "off", "jit": "off", "lock_timeout": "20s"}
_KINDS: Final = ("postgresql", "postgres")
_QUICK_DEADLOCK = "deadlock_timeout"
_SCHEMA = """
    CREATE TABLE item (guid uuid PRIMARY KEY, kind text NOT NULL);
    CREATE TABLE live (guid uuid PRIMARY KEY);
    CREATE TABLE merge (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, old uuid NOT NULL, new uuid NOT NULL);
    CREATE INDEX ON merge (old);
    CREATE INDEX ON merge (new);
    CREATE TABLE mergeguard_lookup (
        old_guid uuid PRIMARY KEY, current_guid uuid, depth integer, status varchar(8) NOT NULL);
    CREATE INDEX ON mergeguard_lookup (current_guid);
    CREATE TABLE data (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, guid uuid NOT NULL, value text NOT NULL,
        at timestamp NOT NULL);
    CREATE TABLE association (
        id integer PRIMARY KEY, parent uuid NOT NULL, child uuid NOT NULL, at timestamp NOT NULL);
    CREATE TABLE ticket (id integer PRIMARY KEY, owner uuid NOT NULL REFERENCES item);
    CREATE TABLE root (guid uuid PRIMARY KEY, turn bigint NOT NULL);
"""
_ROWS = ROWS.format(seconds="CAST(extract(epoch FROM at) AS text)")


class Sandbox:
    """A context manager: makes the schema, and drops it at the end.

    Args:
        url: of the database, as SQLAlchemy or libpq write it; of a login that may create schemas. Of a superuser, if
            deadlocks are to be found at once and with the same victim each time.
        may_be_used: what the name of the database must match, if it holds no table ``mergeguard_testkit_ok``.

    Raises:
        UsageError: the URL is of another kind of database; on entry, where the database does not say that it may be
            used for tests.
    """

    def __init__(self, url: str, *, may_be_used: str = MAY_BE_USED) -> None:
        kind = sa.make_url(url).get_backend_name()
        if kind not in _KINDS:
            raise UsageError(
                f"a Sandbox is made in PostgreSQL, and this is a URL of {kind}",
                hint="SqliteSandbox() makes a file of its own and needs no URL",
            )
        self._url = sa.make_url(url).set(drivername="postgresql+psycopg")
        self._may_be_used = may_be_used
        self.schema = f"mergeguard_kit_{secrets.token_hex(4)}"
        self._settings = dict(_SETTINGS)
        self._sessions: list[StepConnection] = []

    def __enter__(self) -> Self:
        with psycopg.connect(self._conninfo()) as connection:
            self._require_permission(connection)
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
            connection.commit()
            self._settings["search_path"] = self.schema
            if _may_set(connection, _QUICK_DEADLOCK):
                self._settings[_QUICK_DEADLOCK] = "1ms"
        self.observer.execute(_SCHEMA)
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()
        self.observer.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(self.schema)))
        self.observer.close()

    @property
    def url(self) -> str:
        """The URL by which other programs see the sandbox, password included."""
        options = " ".join(f"-c{name}={value}" for name, value in self._settings.items())
        return self._url.update_query_dict({"options": options}).render_as_string(hide_password=False)

    @property
    def profile(self) -> Profile:
        """The profile of the kit's tables."""
        return PROFILE

    @cached_property
    def observer(self) -> psycopg.Connection[Any]:
        """A connection in autocommit that sees what is committed, and belongs to no actor."""
        return psycopg.connect(self._conninfo(), autocommit=True)

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its driver raises."""
        return (psycopg.Error,)

    @cached_property
    def watcher(self) -> PostgresqlWatcher:
        """Tells the scheduler who waits."""
        return PostgresqlWatcher(self.observer)

    def sessions(self, count: int, level: str = "READ COMMITTED") -> list[StepConnection]:
        """Return connections for actors, each outside a transaction; they are the sandbox's own and used again."""
        self._sessions = [session for session in self._sessions if not session.closed]
        while len(self._sessions) < count:
            self._sessions.append(StepConnection.connect(self._conninfo()))
        for session in self._sessions:
            session.give_up()
            session.isolation_level = psycopg.IsolationLevel[level.replace(" ", "_")]
        return self._sessions[:count]

    def reset(self, tables: Tables) -> None:
        """Empty the kit's tables and put rows into them; connections of actors must not be in a transaction."""
        known = {name for (name,) in self.observer.execute(_TABLES, [self.schema]).fetchall()}
        # No TRUNCATE: it makes new files and costs ten times as much.
        self.observer.execute("; ".join([*emptied(known), *inserts(tables)]))  # sent as one, they are one transaction

    def tables(self) -> Tables:
        """Read what is committed, as of one moment."""
        return tables_of(self.observer.execute(_ROWS).fetchall())

    def observe(self, query: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Run a query of an actor on what is committed; ``values`` as a step holds them."""
        named = "%(" in query
        given = dict(cast("Sequence[tuple[str, object]]", values)) if named else list(values)
        return self.observer.execute(query.encode(), given or None).fetchall()

    def _conninfo(self) -> str:
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        options = " ".join(f"-c{name}={value}" for name, value in self._settings.items())
        return psycopg.conninfo.make_conninfo(plain, options=options, application_name="mergeguard.testing")

    def _require_permission(self, connection: psycopg.Connection[Any]) -> None:
        name = self._url.database or ""
        found = connection.execute("SELECT to_regclass(%s)", [SENTINEL]).fetchone()
        if found == (None,) and not re.search(self._may_be_used, name, re.IGNORECASE):
            raise UsageError(
                f"database {name!r} does not say that it may be used for tests: nothing was made in it",
                hint=f"use one with 'test' in its name, or CREATE TABLE {SENTINEL} () in this one",
            )


_TABLES = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = %s"


def _may_set(connection: psycopg.Connection[Any], name: str) -> bool:
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL {} = DEFAULT").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True
