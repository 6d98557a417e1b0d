"""Ways to write the lookup of a table into a new, keyed table: MergeGuard's and its peers'."""
# ruff: noqa: PLC0415 - each way imports only what it needs

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
from columns import path_of, plain_url
from make_names import LOOKUP, LOOKUP_COLUMNS
from make_table import CHUNK, Column
from measure import CHECKOUT, HERE
from peer_end_to_end import create

OLD, CURRENT, DEPTH, STATUS = LOOKUP_COLUMNS
INSERT = f"INSERT INTO {LOOKUP} ({', '.join(LOOKUP_COLUMNS)}) VALUES (?, ?, ?, ?)"


class Content:
    """What is to be written: the lookup of a table of the mixed shape."""

    def __init__(self, old: Column, new: Column) -> None:
        sys.path.insert(0, str(CHECKOUT))
        from mergeguard.core.closure import STATUS_TEXTS
        from mergeguard.core.facts import Facts
        from mergeguard.core.guids import empty
        from mergeguard.core.table import MergeTable
        from mergeguard.integrity.lookup import lookup_of
        from mergeguard.storage.source import LookupChange

        lookup = lookup_of(Facts(MergeTable(old, new)))
        self.change = LookupChange(
            lookup.olds,
            lookup.currents,
            lookup.has_current,
            lookup.depths,
            lookup.statuses,
            STATUS_TEXTS,
            empty(),
            full=True,
        )

    def rows(self) -> Iterator[tuple[bytes, bytes | None, int | None, str]]:
        """Yield the rows as a driver takes them."""
        change, names = self.change, self.change.status_names
        for at in range(0, len(change.olds), CHUNK):
            part = slice(at, at + CHUNK)
            olds, currents = (column[part].view("V16").ravel().tolist() for column in (change.olds, change.currents))
            has, depths = change.has_current[part].tolist(), change.depths[part].tolist()
            for old, current, there, depth, status in zip(
                olds, currents, has, depths, change.statuses[part].tolist(), strict=True
            ):
                yield old, current if there else None, depth if there else None, names[status]

    def arrow(self) -> Any:  # noqa: ANN401 - a pyarrow table
        """Return the rows as an Arrow table."""
        import pyarrow as pa

        change = self.change
        validity = pa.py_buffer(np.packbits(change.has_current, bitorder="little"))
        count, guid = len(change.olds), pa.binary(16)
        currents = pa.Array.from_buffers(guid, count, [validity, pa.py_buffer(change.currents)])
        depths = pa.Array.from_buffers(pa.int32(), count, [validity, pa.py_buffer(change.depths.astype(np.int32))])
        statuses = pa.DictionaryArray.from_arrays(pa.array(change.statuses), pa.array(change.status_names))
        olds = pa.Array.from_buffers(guid, count, [None, pa.py_buffer(change.olds)])
        return pa.table([olds, currents, depths, statuses.dictionary_decode()], names=list(LOOKUP_COLUMNS))


def mergeguard(url: str, content: Content, *, fast: bool = True) -> None:
    from mergeguard.storage.profile_file import load_profile
    from mergeguard.storage.source import Options
    from mergeguard.storage.targets import open_target

    profile = load_profile(HERE / "profile.toml")
    source = open_target(url, profile, Options(fast=fast))
    source.write_lookup(profile.lookup, content.change)
    source.close()


def mergeguard_plain(url: str, content: Content) -> None:
    mergeguard(url, content, fast=False)


def sqlite_adbc(url: str, content: Content) -> None:
    from adbc_driver_sqlite import dbapi

    with dbapi.connect(path_of(url)) as connection, connection.cursor() as cursor:
        cursor.execute(create("BLOB"))
        cursor.adbc_ingest(LOOKUP, content.arrow(), mode="append")
        connection.commit()


def sqlite_adbc_sorted(url: str, content: Content) -> None:
    """Sort by the key first: a tree grows fastest at its end."""
    from adbc_driver_sqlite import dbapi

    with dbapi.connect(path_of(url)) as connection, connection.cursor() as cursor:
        cursor.execute(create("BLOB"))
        words = content.change.olds.view(">u8")
        cursor.adbc_ingest(LOOKUP, content.arrow().take(np.lexsort((words[:, 1], words[:, 0]))), mode="append")
        connection.commit()


def sqlite_sliced(url: str, content: Content) -> None:
    """Send the columns as four values and let SQLite cut them up."""
    change = content.change
    codes = change.statuses.astype(np.uint8) + np.where(change.has_current, ord("0"), ord("@")).astype(np.uint8)
    depths = b"".join(b"%08d" % depth for depth in np.maximum(change.depths, 0).tolist())
    cases = " ".join(f"WHEN {number} THEN '{name}'" for number, name in enumerate(change.status_names))
    code = "unicode(substr(:codes, i + 1, 1))"
    with closing(sqlite3.connect(path_of(url))) as connection, connection:
        connection.execute(create("BLOB"))
        connection.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :last) "
            f"INSERT INTO {LOOKUP} SELECT substr(:olds, i * 16 + 1, 16), "
            f"CASE WHEN substr(:codes, i + 1, 1) < X'40' THEN substr(:currents, i * 16 + 1, 16) END, "
            f"CASE WHEN substr(:codes, i + 1, 1) < X'40' "
            f"THEN CAST(CAST(substr(:depths, i * 8 + 1, 8) AS TEXT) AS INTEGER) END, "
            f"CASE {code} % 16 {cases} ELSE {code} END FROM n",
            {
                "last": len(change.olds) - 1,
                "olds": change.olds.tobytes(),
                "currents": change.currents.tobytes(),
                "codes": codes.tobytes(),
                "depths": depths,
            },
        )


def sqlite_driver(url: str, content: Content) -> None:
    with closing(sqlite3.connect(path_of(url))) as connection, connection:
        connection.execute(create("BLOB"))
        connection.executemany(INSERT, content.rows())


def core(url: str, content: Content) -> None:
    import uuid

    import sqlalchemy as sa

    engine = sa.create_engine(url)
    lite = engine.dialect.name == "sqlite"
    guid: Any = sa.LargeBinary(16) if lite else sa.Uuid()
    kinds = (guid, guid, sa.Integer(), sa.String(16))
    named = zip(LOOKUP_COLUMNS, kinds, strict=True)
    table = sa.Table(LOOKUP, sa.MetaData(), *(sa.Column(name, kind) for name, kind in named))
    rows = [dict(zip(LOOKUP_COLUMNS, row, strict=True)) for row in content.rows()]
    if not lite:
        for row in rows:
            row[OLD] = uuid.UUID(bytes=row[OLD])  # type: ignore[arg-type]
            row[CURRENT] = row[CURRENT] and uuid.UUID(bytes=row[CURRENT])  # type: ignore[arg-type]
    with engine.begin() as connection:
        connection.execute(sa.text(create("BLOB" if lite else "uuid")))
        for at in range(0, len(rows), 10_000):
            connection.execute(table.insert(), rows[at : at + 10_000])


def postgresql_copy(url: str, content: Content) -> None:
    """Send records made with NumPy by binary COPY, the key made afterwards."""
    import psycopg

    change = content.change
    with psycopg.connect(plain_url(url)) as connection:
        connection.execute(create("uuid").replace(" PRIMARY KEY", ""))
        with connection.cursor().copy(f"COPY {LOOKUP} FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for code, name in enumerate(change.status_names):
                for there in (True, False):
                    chosen = np.flatnonzero((change.statuses == code) & (change.has_current == there))
                    for at in range(0, len(chosen), CHUNK):
                        copy.write(_records(content, chosen[at : at + CHUNK], name, there=there))
            copy.write(b"\xff\xff")
        connection.execute(f"ALTER TABLE {LOOKUP} ADD PRIMARY KEY ({OLD})")


def _records(content: Content, rows: Column, status: str, *, there: bool) -> bytes:
    change = content.change
    ended = (
        [("b", ">i4"), ("current", "V16"), ("c", ">i4"), ("depth", ">i4")] if there else [("b", ">i4"), ("c", ">i4")]
    )
    text = status.encode()
    kind = [("fields", ">i2"), ("a", ">i4"), ("old", "V16"), *ended, ("d", ">i4"), ("status", f"S{len(text)}")]
    records = np.zeros(len(rows), kind)
    records["fields"], records["a"], records["d"], records["status"] = 4, 16, len(text), text
    records["old"] = change.olds[rows].view("V16").ravel()
    records["b"], records["c"] = (16, 4) if there else (-1, -1)
    if there:
        records["current"] = change.currents[rows].view("V16").ravel()
        records["depth"] = change.depths[rows]
    return records.tobytes()


def postgresql_driver(url: str, content: Content) -> None:
    import uuid

    import psycopg

    rows = (
        (uuid.UUID(bytes=old), None if current is None else uuid.UUID(bytes=current), *rest)
        for old, current, *rest in content.rows()
    )
    with psycopg.connect(plain_url(url)) as connection:
        connection.execute(create("uuid"))
        connection.cursor().executemany(INSERT.replace("?", "%s"), rows)


MERGEGUARD: dict[str, Callable[[str, Content], None]] = {
    "mergeguard": mergeguard,
    "mergeguard without fast drivers": mergeguard_plain,
}
WAYS: dict[str, dict[str, Callable[[str, Content], None]]] = {
    "sqlite": {
        **MERGEGUARD,
        "ADBC ingest": sqlite_adbc,
        "ADBC ingest, sorted by NumPy": sqlite_adbc_sorted,
        "one blob, sliced in SQL": sqlite_sliced,
        "sqlite3 executemany": sqlite_driver,
        "SQLAlchemy Core insert": core,
    },
    "postgresql": {
        **MERGEGUARD,
        "COPY BINARY from NumPy": postgresql_copy,
        "psycopg executemany": postgresql_driver,
        "SQLAlchemy Core insert": core,
    },
}
