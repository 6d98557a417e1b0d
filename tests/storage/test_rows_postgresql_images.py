"""Any row of a PostgreSQL table survives image, delete and restore; whatever changed meanwhile is noticed."""

from __future__ import annotations

import json
import string
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.core.repair.plan import Action, Image, RowChange, TableShape
from mergeguard.errors import Stale, Unsupported, WriteFailed
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

TABLE = 'merges 100% "of" them'
QUOTED = '"merges 100% ""of"" them"'
NO_NUL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | NO_NUL, lambda inner: st.lists(inner) | st.dictionaries(NO_NUL, inner)
)


def quoted(texts: Sequence[str | None]) -> str:
    """An array as PostgreSQL writes it."""
    items = ("NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ",".join(items) + "}"


NUMERICS = st.decimals(allow_nan=False, allow_infinity=False).map(str)
TYPES: dict[str, tuple[str, st.SearchStrategy[str]]] = {
    "number": ("numeric", NUMERICS | st.sampled_from(["NaN", "1e-20", "-0.000", "Infinity", "-Infinity"])),
    "cents": ("numeric(12,3)", st.decimals(-(10**8), 10**8, places=3).map(str)),
    "wide": ("float8", st.floats(allow_nan=True).map(repr)),
    "narrow": ("real", st.floats(width=32).map(repr)),
    "zoned": (
        "timestamptz",
        st.datetimes().map(lambda at: f"{at.isoformat()}+05:45")
        | st.sampled_from(["infinity", "-infinity", "0044-03-15 12:00:00.000001 BC", "294276-12-31 23:59:59+00"]),
    ),
    "stamp": ("timestamp(2)", st.datetimes().map(lambda at: at.isoformat()) | st.just("infinity")),
    "day": ("date", st.dates().map(str) | st.sampled_from(["infinity", "4713-01-01 BC"])),
    "hour": ("timetz", st.times().map(lambda at: f"{at.isoformat()}-03:30")),
    "span": (
        "interval",
        st.tuples(*[st.integers(-999, 999)] * 3, st.floats(-1e6, 1e6)).map(
            lambda parts: f"{parts[0]} years {parts[1]} mons {parts[2]} days {parts[3]:.6f} secs"
        ),
    ),
    "raw": ("bytea", st.binary(max_size=20).map(lambda raw: "\\x" + raw.hex())),
    "words": ("text", NO_NUL),
    "short": ("varchar(20)", NO_NUL),
    "padded": ("char(24)", NO_NUL),
    "letter": ('"char"', st.sampled_from([*string.ascii_letters, ""])),
    "list": ("text[]", st.lists(NO_NUL | st.none(), max_size=4).map(quoted)),
    "grid": ("int[][]", st.sampled_from(["{{1,2},{3,4}}", "[0:1]={5,NULL}", "{}"])),
    "json": ("json", JSONS.map(lambda value: json.dumps(value, indent=1, ensure_ascii=True))),
    "jsonb": ("jsonb", JSONS.map(json.dumps)),
    "guid": ("uuid", st.uuids().map(str)),
    "flag": ("boolean", st.sampled_from(["true", "false"])),
    "mood": ("moods.mood", st.sampled_from(['fine, "really"', "it's", ""])),
    "pair": ("moods.pair", st.sampled_from(['(1,"a,b")', "(,)", '(5,"""")'])),
    "bits": ("bit varying(9)", st.text("01", max_size=9)),
    "money": ("money", st.integers(-(10**9), 10**9).map(lambda cents: f"{cents / 100:.2f}")),
    "net": ("inet", st.sampled_from(["10.0.0.1/8", "::1", "192.168.0.0/16"])),
    "span_of": ("tstzrange", st.sampled_from(["empty", "[2020-01-01 00:00+00,)", '(,"2021-05-06 07:08:09.5+00"]'])),
    "bounded": ("moods.positive", st.integers(1, 99).map(str)),
}


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    made = ", ".join(f'"{name}" {kind}' for name, (kind, _) in TYPES.items())
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True, prepare_threshold=None) as connection:
        connection.execute("CREATE SCHEMA moods")
        connection.execute("""CREATE TYPE moods.mood AS ENUM ('fine, "really"', 'it''s', '')""")
        connection.execute("CREATE TYPE moods.pair AS (a int, b text)")
        connection.execute("CREATE DOMAIN moods.positive AS int CHECK (VALUE > 0)")
        identity = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        doubled = "doubled text GENERATED ALWAYS AS (words || words) STORED"
        connection.execute(f"CREATE TABLE {QUOTED} ({identity}, {made}, {doubled})")
        connection.execute(f"CREATE TABLE loose ({made}, {doubled})")
        yield connection


@pytest.fixture(scope="module")
def source(postgres_url: str, postgres: psycopg.Connection) -> Iterator[DatabaseSource]:
    with closing(open_target(postgres_url, Profile(merge=Merge(TABLE, "guid", "words")), Options())) as opened:
        assert isinstance(opened, DatabaseSource)
        yield opened


def fill(postgres: psycopg.Connection, table: str, rows: Sequence[dict[str, str | None]]) -> None:
    postgres.execute(f"TRUNCATE {table}")
    names = ", ".join(f'"{name}"' for name in TYPES)
    marks = ", ".join(f"CAST(%s AS {kind})" for kind, _ in TYPES.values())
    for row in rows:
        values = [row[name] for name in TYPES]
        postgres.execute(f"INSERT INTO {table.replace('%', '%%')} ({names}) VALUES ({marks})", values)


def exact(postgres: psycopg.Connection, table: str) -> list[str]:
    """Every row in the binary form of its type, which is what is stored."""
    postgres.execute("SET extra_float_digits = 1; SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'")
    rows = postgres.execute(f"SELECT encode(record_send(t), 'hex') FROM {table} AS t").fetchall()
    return sorted(row[0] for row in rows)


def images(rows: DatabaseRows, table: str) -> list[dict[str, str | None]]:
    stored = rows.table(table)
    return rows.fetch(stored, stored.select("true"), ())


def retire(image: Image, table: str = TABLE) -> RowChange:
    return RowChange(Action.RETIRE, table, image, None)


rows_of_types = st.fixed_dictionaries({name: values | st.none() for name, (_, values) in TYPES.items()})


@pytest.mark.parametrize(("table", "name"), [(QUOTED, TABLE), ("loose", "loose")], ids=["keyed", "keyless"])
@given(rows=st.lists(rows_of_types, min_size=1, max_size=3), twice=st.booleans())
@settings(max_examples=25)
def test_any_row_survives_delete_and_restore(
    table: str, name: str, postgres: psycopg.Connection, source: DatabaseSource, rows: list[dict[str, str | None]],
    *, twice: bool,
) -> None:  # fmt: skip
    fill(postgres, table, rows * 2 if twice else rows)
    before = exact(postgres, table)
    with source.writing() as writing:
        with writing.transaction() as store:
            found = images(store, name)
            assert all(store.holds(name, image) for image in found)
            store.change([retire(image, name) for image in found[1:]])
            assert len(images(store, name)) == 1
        with writing.transaction() as store:
            store.change([retire(image, name).reversed() for image in found[1:]])
    assert exact(postgres, table) == before


@pytest.mark.parametrize(("table", "name"), [(QUOTED, TABLE), ("loose", "loose")], ids=["keyed", "keyless"])
@given(row=rows_of_types, data=st.data())
@settings(max_examples=25)
def test_a_change_in_any_column_makes_the_row_stale(
    table: str, name: str, postgres: psycopg.Connection, source: DatabaseSource, row: dict[str, str | None],
    data: st.DataObject,
) -> None:  # fmt: skip
    fill(postgres, table, [row])
    with source.snapshot() as snapshot:
        (image,) = images(source.rows(snapshot), name)
    was = exact(postgres, table)
    column = data.draw(st.sampled_from(list(TYPES)))
    kind, values = TYPES[column]
    other = data.draw(values | st.none())
    spelled = table.replace("%", "%%")
    postgres.execute(f'UPDATE {spelled} SET "{column}" = CAST(%s AS {kind})', [other])
    now = exact(postgres, table)
    after = {**image, "flag": "true" if image["flag"] == "false" else "false"}
    for change in (retire(image, name), RowChange(Action.REPOINT, name, image, after)):
        with source.writing() as writing:
            if was == now:
                with writing.transaction() as store:
                    store.change([change])
                    store.change([change.reversed()])
            else:
                with pytest.raises(Stale) as caught, writing.transaction() as store:
                    store.change([change])
                assert len(caught.value.changed) == 1
                assert column in caught.value.changed[0] or name == "loose"
        assert exact(postgres, table) == now


@pytest.mark.parametrize(("was", "now"), [("(,)", None), (None, "(,)")])
def test_a_composite_of_nothing_but_nulls_is_no_null(
    postgres: psycopg.Connection, source: DatabaseSource, was: str | None, now: str | None
) -> None:
    fill(postgres, "loose", [dict.fromkeys(TYPES) | {"pair": was}])
    with source.snapshot() as snapshot:
        (image,) = images(source.rows(snapshot), "loose")
    postgres.execute(f'UPDATE loose SET "pair" = CAST(%s AS {TYPES["pair"][0]})', [now])
    after = exact(postgres, "loose")
    with source.writing() as writing:
        with pytest.raises(Stale), writing.transaction() as store:
            store.change([retire(image, "loose")])
        assert exact(postgres, "loose") == after


def shape_of(source: DatabaseSource, table: str) -> TableShape:
    with source.snapshot() as snapshot:
        return source.rows(snapshot).shape(table)


def test_the_shape_names_identity_generated_and_key(source: DatabaseSource, postgres: psycopg.Connection) -> None:
    shape = shape_of(source, TABLE)
    columns = {column.name: column for column in shape.columns}
    assert (shape.table, shape.key) == (TABLE, ("id",))
    assert columns["id"].identity
    assert not columns["id"].generated
    assert columns["doubled"].generated
    assert columns["cents"].type == "numeric(12,3)"
    assert columns["mood"].type == "moods.mood"


@pytest.mark.parametrize(
    ("made", "key"),
    [
        ("(a int, b int, PRIMARY KEY (b, a))", ("b", "a")),
        ("(a int UNIQUE, b int NOT NULL UNIQUE)", ("b",)),
        ("(a int NOT NULL, UNIQUE (a) DEFERRABLE)", ()),
        ("(a int NOT NULL, b int, c int, UNIQUE (a, b), EXCLUDE (c WITH =))", ()),
        ("(a int NOT NULL, b int, UNIQUE (a) INCLUDE (b))", ("a",)),
        ("(a int, b int GENERATED ALWAYS AS (a) STORED PRIMARY KEY)", ()),
        ("(a int PRIMARY KEY) PARTITION BY RANGE (a)", ("a",)),
    ],
)
def test_the_key_is_the_first_that_names_every_row(
    made: str, key: tuple[str, ...], source: DatabaseSource, postgres: psycopg.Connection
) -> None:
    postgres.execute("DROP TABLE IF EXISTS keyed")
    postgres.execute(f"CREATE TABLE keyed {made}")
    assert shape_of(source, "keyed").key == key


def test_rows_of_heirs_are_told_apart(source: DatabaseSource, postgres: psycopg.Connection) -> None:
    postgres.execute("CREATE TABLE parent (a int PRIMARY KEY); CREATE TABLE heir () INHERITS (parent)")
    postgres.execute("INSERT INTO parent VALUES (1); INSERT INTO heir VALUES (1), (2)")
    assert shape_of(source, "parent").key == ()
    with source.writing() as writing, writing.transaction() as store:
        store.change([retire({"a": "2"}, "parent"), retire({"a": "1"}, "parent")])
        assert images(store, "parent") == [{"a": "1"}]


def test_rows_of_a_view_are_not_changed(source: DatabaseSource, postgres: psycopg.Connection) -> None:
    postgres.execute("CREATE TABLE behind (a int); INSERT INTO behind VALUES (1); CREATE VIEW seen AS TABLE behind")
    with source.writing() as writing, pytest.raises(Unsupported, match="a view"), writing.transaction() as store:
        store.change([retire(images(store, "seen")[0], "seen")])


@pytest.mark.parametrize("kind", ["swallow", "spoil"])
def test_a_trigger_that_gets_in_the_way_is_noticed(
    kind: str, source: DatabaseSource, postgres: psycopg.Connection
) -> None:
    postgres.execute("DROP TABLE IF EXISTS watched; CREATE TABLE watched (a int PRIMARY KEY, b text)")
    postgres.execute("INSERT INTO watched VALUES (1, 'was')")
    body = "RETURN NULL" if kind == "swallow" else "NEW.b := 'now'; RETURN NEW"
    when = "DELETE" if kind == "swallow" else "INSERT"
    postgres.execute(
        f"CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $meddle$ BEGIN {body}; END $meddle$"
    )
    postgres.execute(f"CREATE TRIGGER meddle BEFORE {when} ON watched FOR EACH ROW EXECUTE FUNCTION meddle()")
    words = "1 rows were to change and the database changed 0" if kind == "swallow" else "b was was and is now now"
    image = {"a": "1", "b": "was"}
    with source.writing() as writing, pytest.raises(WriteFailed, match=words), writing.transaction() as store:
        store.change([retire(image, "watched"), retire(image, "watched").reversed()])
    assert postgres.execute("SELECT * FROM watched").fetchall() == [(1, "was")]


def test_an_identity_that_must_change_is_put_in_anew(source: DatabaseSource, postgres: psycopg.Connection) -> None:
    fill(postgres, QUOTED, [dict.fromkeys(TYPES)])
    with source.writing() as writing, writing.transaction() as store:
        (image,) = images(store, TABLE)
        moved = {**image, "id": "999"}
        store.change([RowChange(Action.REPOINT, TABLE, image, moved)])
        assert images(store, TABLE) == [moved]
        store.change([RowChange(Action.RESTORE, TABLE, moved, image)])
        assert images(store, TABLE) == [image]


def test_a_row_with_no_columns_but_the_key_and_many_at_once(
    source: DatabaseSource, postgres: psycopg.Connection
) -> None:
    postgres.execute("CREATE TABLE many (a int, b uuid, PRIMARY KEY (a, b))")
    guid = str(uuid.uuid4())
    postgres.execute("INSERT INTO many SELECT n, %s FROM generate_series(1, 3000) AS n", [guid])
    before = exact(postgres, "many")
    with source.writing() as writing, writing.transaction() as store:
        found = list(store.having("many", "b", [uuid.UUID(guid)]))
        store.change([retire(image, "many") for image in found])
        assert images(store, "many") == []
        store.change([retire(image, "many").reversed() for image in found])
    assert exact(postgres, "many") == before
