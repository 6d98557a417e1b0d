"""A peer of ``mergeguard lookup build``: read the merges, work out the lookup, write it, end.

    python scripts/bench/peer_end_to_end.py networkx|dictionary|driver URL

``networkx`` and ``dictionary`` read and write with SQLAlchemy Core as its documentation has it: guids as bytes in
SQLite, as ``uuid.UUID`` in PostgreSQL. ``driver`` is the dictionary with the plain driver alone.
"""
# ruff: noqa: PLC0415 - each way imports only what it needs

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any, TypeAlias

from make_names import LOOKUP, LOOKUP_COLUMNS, NEW, OLD, TABLE

Work: TypeAlias = Callable[[Iterable[tuple[Any, Any]]], Mapping[Any, tuple[Any, int | None, str]]]
BATCH = 10_000


def through_core(url: str, work: Work) -> None:
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    guid: Any = sa.LargeBinary(16) if engine.dialect.name == "sqlite" else sa.Uuid()
    metadata = sa.MetaData()
    merges = sa.Table(TABLE, metadata, sa.Column(OLD, guid), sa.Column(NEW, guid))
    old, current, depth, status = LOOKUP_COLUMNS
    lookup = sa.Table(
        LOOKUP,
        metadata,
        sa.Column(old, guid, primary_key=True),
        sa.Column(current, guid),
        sa.Column(depth, sa.Integer),
        sa.Column(status, sa.String(16), nullable=False),
    )
    with engine.begin() as connection:
        rows = connection.execute(sa.select(merges.c[OLD], merges.c[NEW])).all()
        answer = work((row[0], row[1]) for row in rows)
        lookup.create(connection)
        waiting = []
        for key, (end, far, state) in answer.items():
            waiting.append({old: key, current: end, depth: far, status: state})
            if len(waiting) == BATCH:
                connection.execute(lookup.insert(), waiting)
                waiting = []
        if waiting:
            connection.execute(lookup.insert(), waiting)


def through_driver(url: str, work: Work) -> None:
    columns = ", ".join(f'"{name}"' for name in LOOKUP_COLUMNS)
    select = f'SELECT "{OLD}", "{NEW}" FROM "{TABLE}"'
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as lite, lite:
            answer = work(lite.execute(select).fetchall())
            lite.execute(create("BLOB"))
            insert = f"INSERT INTO {LOOKUP} ({columns}) VALUES (?, ?, ?, ?)"
            lite.executemany(insert, ((key, *rest) for key, rest in answer.items()))
        return
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "", 1)) as postgres:
        answer = work(postgres.execute(select).fetchall())
        postgres.execute(create("uuid"))
        insert = f"INSERT INTO {LOOKUP} ({columns}) VALUES (%s, %s, %s, %s)"
        postgres.cursor().executemany(insert, ((key, *rest) for key, rest in answer.items()))


def create(guid: str) -> str:
    old, current, depth, status = LOOKUP_COLUMNS
    return (
        f"CREATE TABLE {LOOKUP} ({old} {guid} NOT NULL PRIMARY KEY, {current} {guid}, {depth} INTEGER, "
        f"{status} VARCHAR(16) NOT NULL)"
    )


def main() -> None:
    way, url = sys.argv[1:]
    import peers

    work = peers.with_networkx if way == "networkx" else peers.with_dictionary
    (through_driver if way == "driver" else through_core)(url, work)


if __name__ == "__main__":
    main()
