"""Ways to read two guid columns into NumPy, each in one snapshot of its database: MergeGuard's and its peers'.

Every way returns ``(old, new)``, 16 bytes a guid. A peer whose package is not installed is left out.
"""
# ruff: noqa: PLC0415 - each way imports only what it needs

from __future__ import annotations

import asyncio
import importlib.util
import io
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeAlias

import numpy as np
from make_names import NEW, OLD, TABLE
from make_table import Column
from measure import CHECKOUT, HERE

Pair: TypeAlias = "tuple[Column, Column]"
SELECT = f'SELECT "{OLD}", "{NEW}" FROM "{TABLE}"'
COPY = f"COPY ({SELECT}) TO STDOUT (FORMAT BINARY)"
HEADER = 19
ROW = np.dtype([("fields", ">i2"), ("a", ">i4"), ("old", "V16"), ("b", ">i4"), ("new", "V16")])


def mergeguard(url: str, *, fast: bool = True) -> Pair:
    """Read what a scan of this table reads."""
    sys.path.insert(0, str(CHECKOUT))
    from mergeguard.storage import assemble
    from mergeguard.storage.profile_file import load_profile
    from mergeguard.storage.source import Options
    from mergeguard.storage.targets import open_target

    profile = load_profile(HERE / "profile.toml")
    source = open_target(url, profile, Options(fast=fast))
    with source.snapshot() as snapshot:
        table = assemble.merge_table(snapshot, profile)
    source.close()
    return table.old, table.new


def mergeguard_plain(url: str) -> Pair:
    return mergeguard(url, fast=False)


def column(packed: bytes) -> Column:
    return np.frombuffer(packed, np.uint8).reshape(-1, 16)


def path_of(url: str) -> str:
    return url.removeprefix("sqlite:///")


def plain_url(url: str) -> str:
    return url.replace("+psycopg", "", 1)


def of_arrow(batches: Any) -> Pair:  # noqa: ANN401 - a RecordBatchReader or a list of batches
    """Take 16-byte binaries out of Arrow batches without an object a value."""
    parts: tuple[list[Column], list[Column]] = ([], [])
    for batch in batches:
        for part, array in zip(parts, batch.columns, strict=True):
            packed = np.frombuffer(array.buffers()[-1], np.uint8)
            part.append(packed[array.offset * 16 : (array.offset + len(array)) * 16].reshape(-1, 16))
    return np.concatenate(parts[0]), np.concatenate(parts[1])


def sqlite_adbc(url: str) -> Pair:
    from adbc_driver_sqlite import dbapi

    with dbapi.connect(path_of(url)) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "65536"})
        cursor.execute(SELECT)
        return of_arrow(cursor.fetch_record_batch())


def sqlite_connectorx(url: str) -> Pair:
    import connectorx

    table = connectorx.read_sql(f"sqlite://{path_of(url)}", SELECT, return_type="arrow")
    return of_arrow(table.to_batches())


def sqlite_driver(url: str) -> Pair:
    olds, news = [], []
    with closing(sqlite3.connect(path_of(url))) as connection:
        cursor = connection.execute(SELECT)
        while rows := cursor.fetchmany(10_000):
            old, new = zip(*rows, strict=True)
            olds.append(b"".join(old))
            news.append(b"".join(new))
    return column(b"".join(olds)), column(b"".join(news))


def core(url: str) -> Pair:
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    lite = engine.dialect.name == "sqlite"
    guid: Any = sa.LargeBinary(16) if lite else sa.Uuid()
    merges = sa.table(TABLE, sa.column(OLD, guid), sa.column(NEW, guid))
    with engine.connect() as connection:
        rows = connection.execute(sa.select(*merges.c)).all()
    if lite:
        return column(b"".join(row[0] for row in rows)), column(b"".join(row[1] for row in rows))
    return column(b"".join(row[0].bytes for row in rows)), column(b"".join(row[1].bytes for row in rows))


def of_copy(packed: bytes | memoryview) -> Pair:
    """Take two uuid columns out of PostgreSQL's binary COPY format."""
    rows = np.frombuffer(packed, ROW, count=(len(packed) - HEADER) // ROW.itemsize, offset=HEADER)
    old, new = (np.ascontiguousarray(rows[name]).view(np.uint8).reshape(-1, 16) for name in ("old", "new"))
    return old, new


def postgresql_adbc(url: str) -> Pair:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(plain_url(url)) as connection, connection.cursor() as cursor:
        cursor.execute(SELECT)
        return of_arrow(cursor.fetch_record_batch())


def postgresql_asyncpg(url: str) -> Pair:
    import asyncpg

    async def read() -> bytes:
        connection = await asyncpg.connect(plain_url(url))
        whole = bytearray()

        async def take(part: bytes) -> None:
            whole.extend(part)

        await connection.copy_from_query(SELECT, output=take, format="binary")
        await connection.close()
        return bytes(whole)

    return of_copy(asyncio.run(read()))


def postgresql_psycopg2(url: str) -> Pair:
    import psycopg2

    with closing(psycopg2.connect(plain_url(url))) as connection, connection.cursor() as cursor:
        whole = io.BytesIO()
        cursor.copy_expert(COPY, whole)
        return of_copy(whole.getbuffer())


def postgresql_psycopg(url: str) -> Pair:
    import psycopg

    with psycopg.connect(plain_url(url)) as connection, connection.cursor().copy(COPY) as copy:
        return of_copy(b"".join(copy))


MERGEGUARD: dict[str, Callable[[str], Pair]] = {
    "mergeguard": mergeguard,
    "mergeguard without fast drivers": mergeguard_plain,
}
WAYS: dict[str, dict[str, Callable[[str], Pair]]] = {
    "sqlite": {
        **MERGEGUARD,
        "ADBC": sqlite_adbc,
        "connectorx": sqlite_connectorx,
        "sqlite3, fetchmany and join": sqlite_driver,
        "SQLAlchemy Core": core,
    },
    "postgresql": {
        **MERGEGUARD,
        "ADBC": postgresql_adbc,
        "asyncpg, COPY": postgresql_asyncpg,
        "psycopg2, COPY": postgresql_psycopg2,
        "psycopg, COPY": postgresql_psycopg,
        "SQLAlchemy Core, uuid objects": core,
    },
}
NEEDS = {
    sqlite_adbc: "adbc_driver_sqlite",
    sqlite_connectorx: "connectorx",
    postgresql_adbc: "adbc_driver_postgresql",
    postgresql_asyncpg: "asyncpg",
    postgresql_psycopg2: "psycopg2",
}


def installed(database: str) -> list[str]:
    """Return the ways that can be taken here."""
    return [name for name, way in WAYS[database].items() if importlib.util.find_spec(NEEDS.get(way, "numpy"))]
