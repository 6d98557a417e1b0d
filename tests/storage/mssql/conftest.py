"""A pyodbc and an arrow-odbc that talk to nobody: they answer by pattern and keep what they were sent."""

from __future__ import annotations

import re
import sys
import types
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql as types_of

from mergeguard.storage.mssql import source as mssql

OLD, NEW = uuid.UUID(int=1 << 120), uuid.UUID(int=2)
PACKED = b"\x02" + OLD.bytes_le + bytes(16) + (7).to_bytes(8, "big")
COLUMNS = {
    "merges": [("old", types_of.UNIQUEIDENTIFIER()), ("new", types_of.UNIQUEIDENTIFIER()), ("id", sa.BIGINT())],
    "plain": [("old", sa.CHAR(36)), ("new", sa.CHAR(36))],
    "raw": [("old", sa.BINARY(16)), ("new", sa.BINARY(16))],
}


@dataclass
class Server:
    """Answers by pattern, the last one that fits first; keeps everything that it was sent."""

    answers: list[tuple[str, Callable[[tuple[object, ...]], list[tuple[object, ...]]]]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    parameters: list[tuple[object, ...]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    driver: str = "libmsodbcsql-18.3.so.2.1"
    arrays: list[bool] = field(default_factory=list)

    def answer(self, pattern: str, *rows: tuple[object, ...]) -> None:
        self.answers.append((pattern, lambda _parameters: list(rows)))

    def fail(self, pattern: str, state: str, text: str) -> None:
        def refuse(_parameters: tuple[object, ...]) -> list[tuple[object, ...]]:
            raise sys.modules["pyodbc"].ProgrammingError(
                state, f"[{state}] [Microsoft][SQL Server]{text} (SQLExecDirectW)"
            )

        self.answers.append((pattern, refuse))

    def run(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[object, ...]]:
        self.sent.append(sql)
        self.parameters.append(parameters)
        return next((rows(parameters) for pattern, rows in reversed(self.answers) if re.search(pattern, sql)), [])

    def order_of(self, *patterns: str) -> list[int]:
        return [next(place for place, sql in enumerate(self.sent) if re.search(pattern, sql)) for pattern in patterns]


class Cursor:
    arraysize = 1
    rowcount = -1
    fast_executemany = False
    description: list[tuple[object, ...]] | None = None

    def __init__(self, server: Server) -> None:
        self.server, self.rows = server, list[tuple[object, ...]]()

    def execute(self, sql: str, *parameters: Any) -> Cursor:
        given = tuple(parameters[0]) if parameters and isinstance(parameters[0], tuple | list) else parameters
        self.rows = self.server.run(sql, given)
        width = len(self.rows[0]) if self.rows else 1
        self.description = [(f"c{number}", str, None, None, None, None, None) for number in range(width)]
        return self

    def executemany(self, sql: str, rows: Sequence[tuple[bytes]]) -> None:
        self.server.run(sql, ())
        self.server.arrays.append(self.fast_executemany)
        self.server.chunks += [chunk for (chunk,) in rows]

    def setinputsizes(self, sizes: object) -> None:
        assert sizes == [(-3, 8000, 0)]

    def fetchmany(self, count: int) -> list[tuple[object, ...]]:
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken

    def fetchall(self) -> list[tuple[object, ...]]:
        return self.fetchmany(len(self.rows))

    def fetchone(self) -> tuple[object, ...] | None:
        return next(iter(self.fetchmany(1)), None)

    def close(self) -> None:
        self.rows = []


class Connection:
    def __init__(self, server: Server) -> None:
        self.server = server

    def cursor(self) -> Cursor:
        return Cursor(self.server)

    def getinfo(self, what: int) -> str:
        return self.server.driver if what == 6 else "18.03.0002"

    def add_output_converter(self, *_what: object) -> None: ...

    def commit(self) -> None:
        self.server.ended.append("commit")

    def rollback(self) -> None:
        self.server.ended.append("rollback")

    def close(self) -> None:
        self.server.ended.append("close")


class Inspector:
    """Introspection from ``COLUMNS``: SQLAlchemy's own queries are not what is tested here."""

    default_schema_name = "dbo"

    def get_schema_names(self) -> list[str]:
        return ["dbo", "sys", "db_owner", "other"]

    def get_table_names(self, schema: str | None = None) -> list[str]:
        return [*COLUMNS] if str.lower(schema or "dbo") == "dbo" else []

    def get_view_names(self, **_schema: object) -> list[str]:
        return []

    def get_columns(self, table: str, **_schema: object) -> list[dict[str, object]]:
        return [{"name": name, "type": kind} for name, kind in COLUMNS[table]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Put a pyodbc in place that talks to nobody."""
    made = Server()
    module = types.ModuleType("pyodbc")
    failures = ("Error", "ProgrammingError", "OperationalError", "InterfaceError", "IntegrityError", "DatabaseError")
    attributes: dict[str, object] = {"Error": type("Error", (Exception,), {"__module__": "pyodbc"})}
    for name in failures[1:]:
        attributes[name] = type(name, (attributes["Error"],), {"__module__": "pyodbc"})  # type: ignore[arg-type]
    attributes |= {"paramstyle": "qmark", "version": "5.5.0", "SQL_DRIVER_NAME": 6, "SQL_DRIVER_VER": 7}
    attributes |= {"SQL_VARBINARY": -3, "Binary": bytes, "pooling": True, "Cursor": Cursor}
    attributes["drivers"] = lambda: ["ODBC Driver 18 for SQL Server"]

    def connect(text: str, **_options: object) -> Connection:
        made.connected.append(text)
        return Connection(made)

    attributes["connect"] = connect
    module.__dict__.update(attributes)
    monkeypatch.setitem(sys.modules, "pyodbc", module)
    monkeypatch.setattr(mssql.MssqlSnapshot, "inspector", Inspector())
    monkeypatch.setattr(mssql, "arrow_odbc", lambda: None)
    made.answer("SERVERPROPERTY.*VARCHAR", ("16.0.4135.4",))
    made.answer("schema_name", ("dbo",))
    made.answer("ProductVersion.*Edition", ("16.0.4135.4", "Developer Edition", "cmdb"))
    made.answer("snapshot_isolation_state", (1, True))
    return made


# --- arrow-odbc. ---


@dataclass
class Arrow:
    """An arrow-odbc that keeps what it was sent."""

    batches: dict[str, list[pa.RecordBatch]]
    sent: list[str] = field(default_factory=list)

    class TextEncoding:
        UTF16 = 2

    def connect(self, text: str, *, autocommit: bool) -> Arrow:
        self.sent.append(f"connect {autocommit} {text}")
        return self

    def execute(self, sql: str) -> None:
        self.sent.append(sql)

    def commit(self) -> None:
        self.sent.append("commit")

    def rollback(self) -> None:
        self.sent.append("rollback")

    def read_arrow_batches(self, sql: str, parameters: object, **_sizes: object) -> Iterator[pa.RecordBatch]:
        self.sent.append(f"{sql} {parameters}")
        return iter(next(batches for part, batches in self.batches.items() if part in sql))


def batch(*columns: pa.Array) -> list[pa.RecordBatch]:
    empty = [column[:0] for column in columns]
    names = [str(number) for number in range(len(columns))]
    return [pa.RecordBatch.from_arrays(arrays, names) for arrays in (list(columns), empty)]


@pytest.fixture
def arrow(server: Server, monkeypatch: pytest.MonkeyPatch) -> Arrow:
    made = Arrow({"[merges]": batch(pa.array([PACKED], pa.binary())), "query": batch(pa.array([str(NEW)]))})
    monkeypatch.setattr(mssql, "arrow_odbc", lambda: made)
    return made
