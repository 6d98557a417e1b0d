"""A peer of ``mergeguard lookup build``: read the merges, work out the lookup, write it, end.

    python scripts/bench/peer_end_to_end.py networkx|networkx-bytes|dictionary|driver URL

``networkx`` and ``dictionary`` read and write with SQLAlchemy Core as its documentation has it. The nodes of
``networkx`` are ``uuid.UUID``, as those of MergeGraph are; ``networkx-bytes`` and the dictionaries take the 16 bytes
that SQLite stores as they come, the cheapest there is (PostgreSQL's driver gives ``uuid.UUID`` to all). ``driver`` is
the dictionary with the plain driver alone.
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


def guids_in_blobs() -> Any:  # noqa: ANN401 - a type of SQLAlchemy, which is not imported up here
    """Return the column type that SQLAlchemy's documentation recommends: ``uuid.UUID`` over a BLOB."""
    import uuid

    import sqlalchemy as sa

    class Guid(sa.TypeDecorator[uuid.UUID]):
        impl = sa.LargeBinary(16)
        cache_ok = True

        def process_bind_param(self, value: uuid.UUID | None, _dialect: object) -> bytes | None:
            return None if value is None else value.bytes

        def process_result_value(self, value: bytes | None, _dialect: object) -> uuid.UUID | None:
            return None if value is None else uuid.UUID(bytes=value)

    return Guid()


def through_core(url: str, work: Work, *, as_uuid: bool) -> None:
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    in_blobs = engine.dialect.name == "sqlite"
    guid: Any = sa.Uuid() if not in_blobs else guids_in_blobs() if as_uuid else sa.LargeBinary(16)
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

    work = peers.with_networkx if way.startswith("networkx") else peers.with_dictionary
    if way == "driver":
        through_driver(url, work)
    else:
        through_core(url, work, as_uuid=way == "networkx")


if __name__ == "__main__":
    main()
