"""Any row of an SQLite table survives image, delete and restore, byte for byte; nothing that changed goes unnoticed."""

from __future__ import annotations

import sqlite3
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mergeguard.core.repair.plan import Action, RowChange
from mergeguard.errors import Stale, UnknownSchema, Unsupported, WriteFailed
from mergeguard.storage.profile import Profile
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.source import Options
from mergeguard.storage.sqlite.source import SqliteSource
from mergeguard.storage.targets import open_target

TABLE = "ResourceMerge"
KINDS = ("", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB")
NAMES = ('old "x"', "b%s", "ROWID")


class Raw(bytes):
    """Bytes that are stored as a text, well-formed or not."""


values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(max_size=20),
    st.builds(Raw, st.binary(max_size=20)),
)
shapes = st.tuples(
    st.lists(st.sampled_from(KINDS), min_size=3, max_size=3),
    st.sampled_from(["rowid", "alias", "without rowid"]),
    st.sampled_from(["UTF-8", "UTF-16le", "UTF-16be"]),
)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made) / "t.db"


def make(path: Path, *statements: str) -> SqliteSource:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return opened(path)


def opened(path: Path, profile: Profile | None = None) -> SqliteSource:
    source = open_target(f"sqlite:///{path}", profile or Profile(), Options())
    assert isinstance(source, SqliteSource)
    return source


def everything(path: Path, table: str = TABLE, order: str = "1") -> list[tuple[object, ...]]:
    """All rows as SQLite's own literals, the exact bytes of the texts and the hidden row ids."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        columns = [row[0].decode() for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        parts = [
            f"typeof({quoted}), CASE typeof({quoted}) WHEN 'real' THEN {quoted} ELSE hex(CAST({quoted} AS BLOB)) END"
            for quoted in ('"{}"'.format(name.replace('"', '""')) for name in columns)
        ]
        try:
            rows = connection.execute(f"SELECT oid, {', '.join(parts)} FROM {table} ORDER BY {order}").fetchall()
        except sqlite3.OperationalError:
            rows = connection.execute(f"SELECT {', '.join(parts)} FROM {table} ORDER BY {order}").fetchall()
        return [tuple(cell.hex() if isinstance(cell, float) else cell for cell in row) for row in rows]


def images(rows: DatabaseRows, table: str = TABLE) -> list[dict[str, str | None]]:
    """Every row of a table, whatever it holds."""
    stored = rows.table(table)
    return rows.fetch(stored, stored.select("1 = 1"), ())


def retire(image: dict[str, str | None], table: str = TABLE) -> RowChange:
    return RowChange(Action.RETIRE, table, image, None)


def create(kinds: Sequence[str], key: str) -> str:
    columns = ", ".join(
        "{} {}".format('"' + name.replace('"', '""') + '"', kind) for name, kind in zip(NAMES, kinds, strict=True)
    )
    if key == "alias":
        return f"CREATE TABLE {TABLE} (id INTEGER PRIMARY KEY, {columns})"
    if key == "rowid":
        return f"CREATE TABLE {TABLE} ({columns})"
    return f"CREATE TABLE {TABLE} (k1 TEXT, k2, {columns}, PRIMARY KEY (k2, k1)) WITHOUT ROWID"


def fill(path: Path, kinds: Sequence[str], key: str, encoding: str, rows: Sequence[Sequence[object]]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute(create(kinds, key))
        for number, row in enumerate(rows):
            given = [f"k{number}", 2.5 * number, *row] if key == "without rowid" else list(row)
            marks = ", ".join("CAST(substr(?, 1) AS TEXT)" if isinstance(value, Raw) else "?" for value in given)
            start = f"INSERT INTO {TABLE}" if key != "alias" else f'INSERT INTO {TABLE} ("old ""x""", "b%s", "ROWID")'
            connection.execute(f"{start} VALUES ({marks})", given)


@given(shapes, st.lists(st.tuples(values, values, values), min_size=1, max_size=6), st.randoms())
@example(([*KINDS[:3]], "rowid", "UTF-8"), [(Raw(b"\xff\x00"), "a\0b", -0.0)], __import__("random").Random(1))
@example(([*KINDS[:3]], "rowid", "UTF-16le"), [("\ufffe", "a\uffff", "\ufeffb")] * 3, __import__("random").Random(1))
@example(
    ([*KINDS[:3]], "rowid", "UTF-16be"), [(Raw(b"\xfe\xff"), Raw(b"\xff\xfe"), "")] * 3, __import__("random").Random(1)
)
@settings(max_examples=60)
def test_any_row_survives_delete_and_restore(
    shape: tuple[list[str], str, str], rows: list[tuple[object, ...]], random: object
) -> None:
    kinds, key, encoding = shape
    with folder() as path:
        fill(path, kinds, key, encoding, rows)
        before = everything(path)
        with closing(opened(path)) as source, source.writing() as writing:
            with writing.transaction() as store:
                found = images(store)
                gone = [image for image in found if random.random() < 0.6]  # type: ignore[attr-defined]
                store.change([retire(image) for image in gone])
                assert [store.holds(TABLE, image) for image in found] == [image not in gone for image in found]
            assert len(everything(path)) == len(rows) - len(gone)
            with writing.transaction() as store:
                store.change([retire(image).reversed() for image in reversed(gone)])
        assert everything(path) == before


@given(shapes, st.tuples(values, values, values), st.integers(0, 2), values)
@settings(max_examples=60)
def test_a_row_that_changed_in_any_column_is_stale_and_nothing_is_changed(
    shape: tuple[list[str], str, str], row: tuple[object, ...], place: int, other: object
) -> None:
    kinds, key, encoding = shape
    with folder() as path:
        fill(path, kinds, key, encoding, [row, row])
        with closing(opened(path)) as source:
            with source.snapshot() as snapshot:
                first, second = images(source.rows(snapshot))
            mark = "CAST(substr(?, 1) AS TEXT)" if isinstance(other, Raw) else "?"
            was = everything(path)
            with closing(sqlite3.connect(path)) as connection, connection:
                where = f"k2 = {2.5}" if key == "without rowid" else "oid = 2"
                quoted = '"' + NAMES[place].replace('"', '""') + '"'
                connection.execute(f"UPDATE {TABLE} SET {quoted} = {mark} WHERE {where}", (other,))
            now = everything(path)
            with source.writing() as writing:
                if was == now:
                    with writing.transaction() as store:
                        store.change([retire(first), retire(second)])
                    assert everything(path) == []
                    return
                with pytest.raises(Stale) as caught, writing.transaction() as store:
                    store.change([retire(first), retire(second)])
            assert len(caught.value.changed) == 1
            assert NAMES[place] in caught.value.changed[0]
            assert everything(path) == now


def test_a_row_that_is_gone_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(
        make(path, f"CREATE TABLE {TABLE} (Id INTEGER PRIMARY KEY, a)", f"INSERT INTO {TABLE} VALUES (7, 1)")
    ) as it:
        with it.snapshot() as snapshot:
            (image,) = images(it.rows(snapshot))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"DELETE FROM {TABLE}")
        with it.writing() as writing, pytest.raises(Stale, match="Id 7: is gone"), writing.transaction() as store:
            store.change([retire(image)])
        assert [column.name for column in it_shape(it).columns] == ["Id", "a"]


def it_shape(source: SqliteSource, table: str = TABLE) -> object:
    with source.snapshot() as snapshot:
        return source.rows(snapshot).shape(table)


def test_a_row_is_not_put_back_over_another(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(make(path, f"CREATE TABLE {TABLE} (a)", f"INSERT INTO {TABLE} VALUES (1), (2)")) as source:
        with source.writing() as writing:
            with writing.transaction() as store:
                image = images(store)[0]
                store.change([retire(image)])
                store.change([RowChange(Action.RESTORE, TABLE, None, {**image, "a": "t:else"})])
            before = everything(path)
            with pytest.raises(Stale, match="stand there"), writing.transaction() as store:
                store.change([retire(image).reversed()])
        assert everything(path) == before


@pytest.mark.parametrize("key", ["rowid", "alias", "without rowid"])
def test_an_update_writes_what_differs_and_can_move_a_row(tmp_path: Path, key: str) -> None:
    path = tmp_path / "t.db"
    fill(path, KINDS[:3], key, "UTF-8", [("a", "b", 3), ("d", "e", 6)])
    with closing(opened(path)) as source, source.writing() as writing:
        before = everything(path)
        with writing.transaction() as store:
            changes = []
            for image in images(store):
                after = {**image, "b%s": "x:ff"}
                moved = {**after, store.shape(TABLE).key[0]: "i:99" if key != "without rowid" else "t:z"}
                changes.append(RowChange(Action.REPOINT, TABLE, image, after))
                if image["b%s"] == "t:e":
                    changes.append(RowChange(Action.REPOINT, TABLE, after, moved))
            store.change(changes)
            assert sum("x:ff" in image.values() for image in images(store)) == 2
        assert everything(path) != before
        with writing.transaction() as store:
            store.change([change.reversed() for change in reversed(changes)])
        assert everything(path) == before


def test_generated_columns_are_in_no_image(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    made = f"CREATE TABLE {TABLE} (a, twice GENERATED ALWAYS AS (a * 2) STORED, thrice AS (a * 3))"
    with closing(make(path, made, f"INSERT INTO {TABLE} (a) VALUES (4)")) as source, source.writing() as writing:
        with writing.transaction() as store:
            shape = store.shape(TABLE)
            (image,) = images(store)
            assert image == {"rowid": "i:1", "a": "i:4"}
            store.change([retire(image), retire(image).reversed()])
        assert [(column.name, column.generated) for column in shape.columns] == [
            ("rowid", False), ("a", False), ("twice", True), ("thrice", True),
        ]  # fmt: skip
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute(f"SELECT * FROM {TABLE}").fetchall() == [(4, 8, 12)]


def test_a_trigger_that_spoils_the_write_is_noticed_and_all_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    update = f"UPDATE {TABLE} SET b = 'now' WHERE rowid = NEW.rowid"
    trigger = f"CREATE TRIGGER spoil AFTER INSERT ON {TABLE} BEGIN {update}; END"
    ignore = f"CREATE TRIGGER keep BEFORE DELETE ON {TABLE} WHEN OLD.a = 2 BEGIN SELECT RAISE(IGNORE); END"
    made = (f"CREATE TABLE {TABLE} (a, b)", f"INSERT INTO {TABLE} VALUES (1, 'was'), (2, 'kept')", trigger, ignore)
    with closing(make(path, *made)) as source, source.writing() as writing:
        before = everything(path)
        with writing.transaction() as store:
            first, second = images(store)
        with pytest.raises(WriteFailed, match="b was was and is now now"), writing.transaction() as store:
            store.change([retire(first), retire(first).reversed()])
        with (
            pytest.raises(WriteFailed, match="1 rows were to change and the database changed 0"),
            writing.transaction() as store,
        ):
            store.change([retire(second)])
        assert everything(path) == before


def test_another_column_makes_every_image_stale(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(make(path, f"CREATE TABLE {TABLE} (a)", f"INSERT INTO {TABLE} VALUES (1)")) as source:
        with source.writing() as writing:
            with writing.transaction() as store:
                (image,) = images(store)
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute(f"ALTER TABLE {TABLE} ADD COLUMN more")
            with pytest.raises(Stale, match="other columns") as caught, writing.transaction() as store:
                store.change([retire(image)])
            with writing.transaction() as store:
                assert not store.holds(TABLE, image)
        assert "column more" in caught.value.changed[0]


def test_what_cannot_be_told_apart_or_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    made = (
        f"CREATE TABLE {TABLE} (rowid, oid, _rowid_)",
        f"INSERT INTO {TABLE} VALUES (1, 2, 3)",
        f"CREATE VIEW seen AS SELECT * FROM {TABLE}",
    )
    with closing(make(path, *made)) as source, source.writing() as writing:
        for table in (TABLE, "seen"):
            with pytest.raises(Unsupported, match="tells its rows apart"), writing.transaction() as store:
                store.change([retire(images(store, table)[0], table)])
            with writing.transaction() as store:
                assert store.shape(table).key == ()
        with pytest.raises(UnknownSchema, match="no table ResourceMerg"), writing.transaction() as store:
            store.shape("ResourceMerg")
        with pytest.raises(UnknownSchema, match="no column Oid2"), writing.transaction() as store:
            list(store.having(TABLE, "Oid2", [uuid.uuid4()]))
        with writing.transaction() as store:
            assert store.column(TABLE, "OID") == "oid"
        assert everything(path, order="2") != []


def test_changes_are_made_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    source = make(path, f"CREATE TABLE {TABLE} (a UNIQUE)", f"INSERT INTO {TABLE} VALUES (1), (2)")
    with closing(source), source.writing() as writing, writing.transaction() as store:
        one, two = images(store)
        swap = [
            RowChange(Action.REPOINT, TABLE, one, {**one, "a": "i:3"}),
            RowChange(Action.REPOINT, TABLE, two, {**two, "a": "i:1"}),
            RowChange(Action.REPOINT, TABLE, {**one, "a": "i:3"}, {**one, "a": "i:2"}),
        ]
        store.change(swap)
        assert [image["a"] for image in images(store)] == ["i:2", "i:1"]


def test_many_rows_take_few_statements(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    source = make(path, f"CREATE TABLE {TABLE} (OldGuid, n)")
    guids = [uuid.uuid4() for _ in range(1300)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(f"INSERT INTO {TABLE} VALUES (?, 1)", [(str(guid),) for guid in guids])
    before = everything(path)
    with closing(source), source.writing() as writing:
        with writing.transaction() as store:
            asked: list[str] = []
            store.snapshot.driver.set_trace_callback(asked.append)  # type: ignore[attr-defined]
            found = list(store.having(TABLE, "OldGuid", [*guids, *guids]))
            changes = [RowChange(Action.REPOINT, TABLE, image, {**image, "n": None}) for image in found]
            store.change(changes)
            assert len([sql for sql in asked if sql.startswith("SELECT")]) < 40
        assert len(found) == len(guids)
        with writing.transaction() as store:
            store.change([change.reversed() for change in changes])
    assert everything(path) == before


def test_the_file_stays_as_it_is_while_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    source = make(path, f"CREATE TABLE {TABLE} (OldGuid)", f"INSERT INTO {TABLE} VALUES (x'{uuid.UUID(int=5).hex}')")
    before = path.read_bytes()
    with closing(source), source.snapshot() as snapshot:
        store = source.rows(snapshot)
        (image,) = store.having(TABLE, "oldguid", [uuid.UUID(int=5)])
        assert store.guid(TABLE, "OldGuid", image["OldGuid"]) == uuid.UUID(int=5)
        assert store.holds(TABLE, image)
        assert not store.holds(TABLE, {**image, "OldGuid": None})
        assert not store.holds(TABLE, {})
    assert path.read_bytes() == before
