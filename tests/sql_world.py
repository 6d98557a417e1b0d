"""A PostgreSQL database with the SQL scripts in it, and what a test asks of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from mergeguard.integrity.sql_scripts import Scripts, install_sql
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options, Source
from mergeguard.storage.targets import open_target


def plain(url: str) -> str:
    """The URL as libpq reads it."""
    where, mark, options = url.replace("+psycopg", "", 1).partition("?")
    return where + mark + options.replace("+", "%20")


@contextmanager
def opened(url: str, profile: Profile) -> Iterator[Source]:
    """The database as MergeGuard opens it."""
    source = open_target(url, profile, Options())
    try:
        yield source
    finally:
        source.close()


def install(url: str, profile: Profile) -> Scripts:
    """Install the scripts."""
    with opened(url, profile) as source:
        return install_sql(source, profile)


def drop(url: str) -> None:
    """Drop all that the scripts make beside tables."""
    ask(url, "DROP SCHEMA IF EXISTS mergeguard CASCADE")


def ask(url: str, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run a statement and commit; return its rows."""
    with psycopg.connect(plain(url)) as connection:
        cursor = connection.execute(sql.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def merge_by_sql(url: str, old: uuid.UUID, new: uuid.UUID, *more: object) -> dict[str, Any]:
    """Merge by the function; return its answer."""
    marks = "".join(", %s" for _ in more)
    ((answer,),) = ask(url, f"SELECT mergeguard.merge(%s, %s{marks})", [old, new, *more])
    found: dict[str, Any] = answer
    return found


def reason_of(error: psycopg.Error) -> str:
    """The word by which a function refused."""
    _, reason, _ = str(error.diag.message_primary).split(": ", 2)
    return reason
