"""Whatever an SQLite table holds, both ways to read it give the cells of the model, each row once."""

from __future__ import annotations

import datetime as dt
import sqlite3
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.errors import UnknownSchema
from mergeguard.storage.profile import ByteOrder, Merge, Profile
from mergeguard.storage.source import Batch, Column, GuidCells, Kind, Options, Selection
from mergeguard.storage.sqlite import packed as sqlite_packed
from mergeguard.storage.sqlite.source import SqliteSnapshot, SqliteSource

COLUMNS = "old, new, number, name, since"
TABLES = {
    "dense": f"CREATE TABLE merges ({COLUMNS})",
    "numbered": "CREATE TABLE merges (id INTEGER PRIMARY KEY, old, new, number, name, since)",
    "int": f"CREATE TABLE merges (id INT PRIMARY KEY, {COLUMNS})",
    "descending": f"CREATE TABLE merges (id INTEGER PRIMARY KEY DESC, {COLUMNS})",
    "keyed": f"CREATE TABLE merges (id PRIMARY KEY, {COLUMNS}) WITHOUT ROWID",
    "two keys": f"CREATE TABLE merges (id, part, {COLUMNS}, PRIMARY KEY (id, part)) WITHOUT ROWID",
    "indexed": f"CREATE TABLE merges ({COLUMNS}); CREATE INDEX covering ON merges (old, new)",
    "view": f"CREATE TABLE kept (id, {COLUMNS}); CREATE VIEW merges AS SELECT * FROM kept",
    "shadowed": f"CREATE TABLE merges (rowid, oid, _rowid_, {COLUMNS})",
    "declared": "CREATE TABLE merges (id, old BLOB COLLATE NOCASE, new TEXT, number INTEGER, name TEXT, since DATE)",
}
"""``id`` is filled by row number; undeclared columns keep every value as it is."""
GUIDS = [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), *(uuid.uuid5(guids.NAMESPACE, name) for name in "abcd")]
SPELLINGS: dict[str, Callable[[uuid.UUID], object]] = {
    "blob": lambda guid: guid.bytes,
    "text": str,
    "upper": lambda guid: str(guid).upper(),
    "braces": lambda guid: f"{{{guid}}}",
    "digits": lambda guid: guid.hex,
    "text in blob": lambda guid: str(guid).encode(),
    "blanks": lambda guid: f" {guid.hex}   ",
}


class NotUtf8(bytes):
    """A text whose bytes are no UTF-8."""


odd = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0.5, 1e20, "", "x" * 300, "0123456789abcdef", "z" * 36, "é" * 18, "\x1e", "\x1f", "a\x1fb"]),
    st.sampled_from(
        [b"", b"\x00" * 15, b"\xff" * 17, b"\x1e", "a\0b", "\0" * 36, NotUtf8(b"\xff\xfe"), NotUtf8(b"\xe9" * 36)]
    ),
)


@st.composite
def columns(draw: st.DrawFn, usual: st.SearchStrategy[Any], rows: int) -> list[object]:
    """A column in which most values are of one kind: the way that packs them is to be met, and so is its way out."""
    rare = draw(st.sets(st.integers(0, rows - 1), max_size=3)) if rows else set()
    return [draw(odd) if row in rare else draw(usual) for row in range(rows)]


@st.composite
def rows_of(draw: st.DrawFn) -> list[tuple[object, ...]]:
    count = draw(st.integers(0, 12))
    some = st.sampled_from(GUIDS)
    old = draw(st.sampled_from(sorted(SPELLINGS)))
    new = draw(st.sampled_from(sorted(SPELLINGS)))
    times = st.datetimes().map(dt.datetime.isoformat) | st.none()
    parts = [
        draw(columns(some.map(SPELLINGS[old]), count)),
        draw(columns(some.map(SPELLINGS[new]), count)),
        draw(columns(st.integers(-(2**63), 2**63 - 1), count)),
        draw(columns(st.text("ab é", max_size=3) | st.none(), count)),
        draw(columns(times, count)),
    ]
    return list(zip(*parts, strict=True))


def fill(path: Path, kind: str, rows: Sequence[Sequence[object]], row_ids: Sequence[int] | None = None) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(TABLES[kind])
        target = "kept" if kind == "view" else "merges"
        known = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (target,))]
        ids = row_ids if row_ids is not None and kind != "shadowed" else range(1, len(rows) + 1)
        for number, row in zip(ids, rows, strict=True):
            named = dict(zip(COLUMNS.split(", "), row, strict=True))
            named |= {name: number for name in ("id", "part", "rowid", "oid", "_rowid_") if name in known}
            if kind not in {"shadowed", "keyed", "two keys", "view"}:
                named["rowid"] = number
            places = ", ".join("CAST(? AS TEXT)" if isinstance(value, NotUtf8) else "?" for value in named.values())
            connection.execute(f"INSERT INTO {target} ({', '.join(named)}) VALUES ({places})", [*named.values()])


def stored(path: Path) -> list[tuple[object, ...]]:
    """The rows as SQLite stores them: a declared type may have turned a value into another."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        return connection.execute(f"SELECT {COLUMNS} FROM merges").fetchall()


def shown(value: object) -> str | None:
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return "0x" + value.hex()
        return text if text.isprintable() else "0x" + value.hex()
    return None if value is None else str(value)


def expected(kind: Kind, value: Any, byte_order: ByteOrder = "text") -> object:  # noqa: PLR0911 - one a kind
    """The model: what one value is as a cell."""
    value = value.decode("utf-8", "replace") if isinstance(value, NotUtf8) else value
    if kind is Kind.GUID:
        if byte_order == "sqlserver" and isinstance(value, bytes) and len(value) == 16:
            return uuid.UUID(bytes_le=value)
        text = shown(value)
        return guids.parse(value) or (None if text is None else text[:80])
    if kind is Kind.INTEGER:
        with suppress(ValueError, TypeError):
            number = int(value)
            return number if abs(number) < 2**63 + 1 and (isinstance(value, str) or number == value) else -1
        return -1
    if kind is Kind.TIME:
        value = value.decode("ascii", "replace") if isinstance(value, bytes) else value
        with suppress(ValueError, AttributeError):
            return dt.datetime.fromisoformat(value.strip())
        return None
    return shown(value)


def plain(cells: Any) -> list[Any]:
    """Cells as Python values."""
    if isinstance(cells, GuidCells):
        assert cells.column.dtype == np.uint8
        assert not cells.column[list(cells.bad)].any()
        return [cells.bad.get(row, guids.to_uuid(cells.column, row)) for row in range(len(cells.column))]
    return cells.tolist() if isinstance(cells, np.ndarray) else list(cells)


def table_rows(batches: Iterable[Batch]) -> list[tuple[Any, ...]]:
    return [row for batch in batches for row in zip(*map(plain, batch), strict=True)]


def source(path: Path, *, batch_rows: int = 4, byte_order: ByteOrder = "text") -> SqliteSource:
    profile = Profile(merge=Merge("merges", "old", "new", byte_order=byte_order))
    return SqliteSource(sa.make_url(f"sqlite:///{path}"), profile, Options(batch_rows=batch_rows, lock_timeout=0.1))


WANTED = (
    Column("old", Kind.GUID),
    Column("new", Kind.GUID),
    Column("number", Kind.INTEGER),
    Column("name", Kind.TEXT),
    Column("since", Kind.TIME),
)
WAYS: tuple[Callable[[SqliteSnapshot, Selection], Iterator[Batch]], ...] = (
    SqliteSnapshot.batches,
    SqliteSnapshot.read_rows,
)
EXAMPLES = max(25, settings.default.max_examples // 4) if settings.default else 25
"""An example makes a file: 25 for each kind of table in a run, 500 in a long one."""


@pytest.fixture(autouse=True)
def _second_connection_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_packed, "CHUNKS_ALONE", 1)


@pytest.fixture
def folder() -> Iterator[Callable[[], Path]]:
    """A new path for each example."""
    with tempfile.TemporaryDirectory() as name:
        count = iter(range(1_000_000))
        yield lambda: Path(name) / f"{next(count)}.db"


@pytest.mark.parametrize("kind", TABLES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=EXAMPLES)
@given(data=st.data())
def test_every_table_gives_the_cells_of_the_model(kind: str, folder: Callable[[], Path], data: st.DataObject) -> None:
    rows = data.draw(rows_of())
    row_ids = data.draw(
        st.none() | st.lists(st.integers(-(2**62), 2**62), min_size=len(rows), max_size=len(rows), unique=True)
    )
    order = data.draw(st.sampled_from(["text", "sqlserver"]))
    path = folder()
    fill(path, kind, rows, row_ids)
    wanted = data.draw(st.permutations(WANTED).flatmap(lambda all_: st.integers(1, 5).map(lambda n: all_[:n])))
    with source(path, byte_order=order).snapshot() as snapshot:
        found = [table_rows(way(snapshot, Selection(tuple(wanted)))) for way in WAYS]
    names = COLUMNS.split(", ")
    model = [
        tuple(expected(column.kind, row[names.index(column.name)], order) for column in wanted) for row in stored(path)
    ]
    assert [Counter(rows) for rows in found] == [Counter(model)] * len(WAYS)


@pytest.mark.parametrize("kind", TABLES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=EXAMPLES)
@given(data=st.data())
def test_a_row_keeps_its_id(kind: str, folder: Callable[[], Path], data: st.DataObject) -> None:
    """Dense, sparse and negative ids; ``rowid`` where the table has none numbers the rows."""
    count = data.draw(st.integers(0, 12))
    start = data.draw(st.integers(-20, 20))
    gaps = data.draw(st.lists(st.integers(1, 2), min_size=count, max_size=count))
    ids = [start + sum(gaps[:row]) for row in range(count)]
    olds = data.draw(columns(st.sampled_from(GUIDS).map(lambda guid: guid.bytes), count))
    path = folder()
    fill(path, kind, [(old, None, None, None, None) for old in olds], ids)
    name = "id" if kind in {"numbered", "int", "descending"} else "rowid"
    selection = Selection((Column("old", Kind.GUID), Column(name, Kind.ROW_ID)))
    with source(path).snapshot() as snapshot:
        found = [table_rows(way(snapshot, selection)) for way in WAYS]
    for rows in found:
        assert Counter(old for old, _ in rows) == Counter(expected(Kind.GUID, old) for old in olds)
    if kind in {"keyed", "two keys", "view"}:  # these have no row id, so their rows are numbered
        assert [sorted(number for _, number in rows) for rows in found] == [list(range(1, count + 1))] * len(WAYS)
    else:
        numbers = range(1, count + 1) if kind == "shadowed" else ids
        model = Counter(zip((expected(Kind.GUID, old) for old in olds), numbers, strict=True))
        assert [Counter(rows) for rows in found] == [model] * len(WAYS)


def test_a_table_without_odd_values_is_read_without_a_python_object_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(guid.bytes, str(guid), 7, "name", "2024-01-01") for guid in GUIDS * 3]
    fill(tmp_path / "a.db", "dense", rows)
    singles: list[int] = []
    fetch = SqliteSnapshot.fetch

    def counted(self: SqliteSnapshot, statement: sa.Executable, kinds: Sequence[Kind]) -> Iterator[Batch]:
        for batch in fetch(self, statement, kinds):
            singles.append(len(batch[-1]))  # type: ignore[arg-type]
            yield batch

    monkeypatch.setattr(SqliteSnapshot, "fetch", counted)
    with source(tmp_path / "a.db").snapshot() as snapshot:
        found = table_rows(snapshot.read(Selection((*WANTED, Column("rowid", Kind.ROW_ID)))))
    assert len(found) == len(rows)
    assert singles == []


def test_text_row_ids_are_texts(tmp_path: Path) -> None:
    fill(tmp_path / "a.db", "dense", [(GUIDS[0].bytes, None, None, name, None) for name in ("x", "y", "z")])
    with source(tmp_path / "a.db").snapshot() as snapshot:
        found = table_rows(snapshot.read(Selection((Column("old", Kind.GUID), Column("name", Kind.ROW_ID)))))
    assert sorted(name for _, name in found) == ["x", "y", "z"]


@pytest.mark.parametrize("kind", ["dense", "keyed", "view"])
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES)
def test_filters_compare_as_text_and_all_must_hold(kind: str, folder: Callable[[], Path], data: st.DataObject) -> None:
    pairs = data.draw(
        st.lists(st.tuples(st.sampled_from([1, "1", 2, None]), st.sampled_from(["a", "b'", None])), max_size=9)
    )
    path = folder()
    fill(path, kind, [(GUIDS[0].bytes, None, number, name, None) for number, name in pairs])
    where = (("number", "1"), ("name", "b'"))
    with source(path).snapshot() as snapshot:
        found = table_rows(snapshot.read(Selection((Column("old", Kind.GUID),), where=where)))
    assert len(found) == sum(str(number) == "1" and name == "b'" for number, name in pairs)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES)
def test_counted_gives_each_value_once_with_its_number(folder: Callable[[], Path], data: st.DataObject) -> None:
    olds = data.draw(st.lists(st.sampled_from([guid.bytes for guid in GUIDS] + [None, "no guid"]), max_size=12))
    path = folder()
    fill(path, "dense", [(old, None, None, None, None) for old in olds])
    with source(path).snapshot() as snapshot:
        found = table_rows(snapshot.read(Selection((Column("old", Kind.GUID),), counted=True)))
    assert Counter(dict(found)) == Counter(expected(Kind.GUID, old) for old in olds)
    assert len(found) == len(set(olds))


def test_a_query_is_read_as_it_stands_by_position(tmp_path: Path) -> None:
    fill(tmp_path / "a.db", "dense", [(guid.bytes, None, None, "x:y", None) for guid in GUIDS])
    query = (
        "WITH picked AS (SELECT old FROM merges WHERE name = 'x:y') SELECT upper(hex(old)) FROM picked -- 100 % :that"
    )
    with source(tmp_path / "a.db").snapshot() as snapshot:
        found = table_rows(snapshot.read(Selection((Column("guid", Kind.GUID),), query=query)))
    assert Counter(found) == Counter((guid,) for guid in GUIDS)


def test_a_utf_16_database_is_read_right(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
    rows = [(guid.bytes, str(guid), 7, "é", None) for guid in GUIDS]
    fill(tmp_path / "a.db", "dense", rows)
    with source(tmp_path / "a.db").snapshot() as snapshot:
        found = table_rows(snapshot.read(Selection(WANTED)))
    assert Counter(found) == Counter((guid, guid, 7, "é", None) for guid in GUIDS)


@pytest.mark.parametrize(
    ("selection", "said", "hint"),
    [
        (Selection((Column("old", Kind.GUID),), table="mergez"), "no table mergez", "merges"),
        (Selection((Column("old", Kind.GUID),), table="dbo.merges"), "no table dbo.merges", "merges"),
        (Selection((Column("odl", Kind.GUID),)), "no column odl", "old"),
        (Selection((Column("old", Kind.GUID),), where=(("nam", "x"),)), "no column nam", "name"),
    ],
)
def test_what_does_not_exist_is_named_with_its_nearest(
    tmp_path: Path, selection: Selection, said: str, hint: str
) -> None:
    fill(tmp_path / "a.db", "dense", [])
    with source(tmp_path / "a.db").snapshot() as snapshot:
        assert snapshot.has_table("MAIN.Merges")
        with pytest.raises(UnknownSchema) as caught:
            list(snapshot.read(selection))
    assert said in str(caught.value)
    assert hint in str(caught.value.hint)


def test_names_are_compared_without_case_and_quoted(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute('CREATE TABLE "my ""odd"". table" ("the ""old"" guid:1", [select])')
        connection.execute('INSERT INTO "my ""odd"". table" VALUES (?, ?)', (GUIDS[2].bytes, 5))
    with source(tmp_path / "a.db").snapshot() as snapshot:
        chosen = (Column('THE "old" guid:1', Kind.GUID), Column("Select", Kind.INTEGER), Column("rowid", Kind.ROW_ID))
        assert table_rows(snapshot.read(Selection(chosen, table='MY "odd". table'))) == [(GUIDS[2], 5, 1)]
        assert snapshot.tables() == ['my "odd". table']
        assert snapshot.has_table('MY "odd". table')
        assert not snapshot.has_table("main.my")
        assert [name for name, _ in snapshot.columns('my "odd". table')] == ['the "old" guid:1', "select"]


def test_progress_tells_rows_read_and_expected(tmp_path: Path) -> None:
    fill(tmp_path / "a.db", "dense", [(guid.bytes, None, None, None, None) for guid in GUIDS])
    told: list[tuple[str, int, int | None]] = []
    with source(tmp_path / "a.db").snapshot() as snapshot:
        selection = Selection((Column("old", Kind.GUID),))
        list(snapshot.read(selection, lambda *news: told.append(news), "reading merges"))
    assert told == [("reading merges", 4, 6), ("reading merges", 6, 6)]


def test_a_read_that_progress_stops_gives_up_its_cursor(tmp_path: Path) -> None:
    fill(tmp_path / "a.db", "dense", [(guid.bytes, None, None, None, None) for guid in GUIDS])

    def stop(_phase: str, _done: int, _total: int | None) -> None:
        raise TimeoutError("enough")

    with source(tmp_path / "a.db").snapshot() as snapshot:
        with pytest.raises(TimeoutError, match="enough"):
            list(snapshot.read(Selection((Column("old", Kind.GUID),)), stop))
        assert len(table_rows(snapshot.read(Selection((Column("old", Kind.GUID),))))) == len(GUIDS)
