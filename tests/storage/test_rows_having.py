"""Rows are found by the guid that they hold, however it is spelled: a dictionary says which."""

from __future__ import annotations

import re
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.storage.cells import guid_spelling
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

Opened = Callable[[Sequence[object]], DatabaseSource]
GUIDS = [uuid.UUID(int=0), uuid.UUID(int=(1 << 128) - 1), *(uuid.uuid5(guids.NAMESPACE, str(n)) for n in range(6))]
STRANGERS = ["", "no guid", "{}", str(GUIDS[3])[:-1], "0", " "]


def exotic(guid: uuid.UUID, random: object) -> str:
    """A spelling that the parser reads and no index is asked for."""
    text = "".join(letter.upper() if random.random() < 0.5 else letter for letter in str(guid))  # type: ignore[attr-defined]
    ways = [f"({text})", f" {text}\t", f"urn:uuid:{text}", f"{{{text}}}\n", text.swapcase(), f"URN:UUID:{text}"]
    return random.choice(ways)  # type: ignore[attr-defined,no-any-return]


@st.composite
def spelled(draw: st.DrawFn) -> tuple[uuid.UUID | None, object, bool]:
    """A guid, a value of a column that holds it, and whether an index lookup must find it."""
    guid = draw(st.sampled_from(GUIDS))
    way = draw(st.integers(0, 4))
    if way == 0:
        return guid, draw(st.sampled_from(guid_spelling.usual(guid))), True
    if way == 1:
        return guid, exotic(guid, draw(st.randoms())), False
    if way == 2:
        return guid, guid.bytes, True
    if way == 3:
        return guid, str(guid).encode(), False
    return None, draw(st.sampled_from([*STRANGERS, None, 5, 2.5, b"", b"\xff" * 15])), True


@contextmanager
def in_sqlite(kind: str, profile: Profile, rows: Sequence[object]) -> Iterator[DatabaseSource]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f'CREATE TABLE merges ("Old" {kind}, New, n INTEGER PRIMARY KEY)')
            connection.executemany('INSERT INTO merges ("Old", n) VALUES (?, ?)', [(v, n) for n, v in enumerate(rows)])
        with closing(open_target(f"sqlite:///{path}", profile, Options())) as source:
            assert isinstance(source, DatabaseSource)
            yield source


def numbers(source: DatabaseSource, wanted: Sequence[uuid.UUID], *, thorough: bool, column: str = "Old") -> list[int]:
    with source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        found = list(rows.having("merges", column, wanted, thorough=thorough))
        read = [rows.guid("merges", column, image[column]) for image in found]
    assert set(read) <= set(wanted)
    return sorted(int((image["n"] or "").removeprefix("i:")) for image in found)


@given(st.sampled_from(["", "TEXT", "BLOB"]), st.lists(spelled(), max_size=20), st.lists(st.sampled_from(GUIDS)))
@settings(max_examples=60)
def test_sqlite_finds_what_the_dictionary_says(
    kind: str, rows: list[tuple[uuid.UUID | None, object, bool]], wanted: list[uuid.UUID]
) -> None:
    everything = [number for number, (guid, _, _) in enumerate(rows) if guid in wanted]
    usual = [number for number in everything if rows[number][2]]
    with in_sqlite(kind, Profile(merge=Merge("merges", "Old", "New")), [value for _, value, _ in rows]) as source:
        assert numbers(source, wanted, thorough=True) == everything
        found = numbers(source, wanted, thorough=False)
        assert set(usual) <= set(found) <= set(everything)


def test_sqlite_reads_bytes_in_the_order_of_the_profile() -> None:
    profile = Profile(merge=Merge("merges", "Old", "New", byte_order="sqlserver"))
    with in_sqlite("", profile, [GUIDS[3].bytes_le, GUIDS[3].bytes, str(GUIDS[3])]) as source:
        assert numbers(source, [GUIDS[3]], thorough=False) == [0, 2]
        assert numbers(source, [GUIDS[3]], thorough=True) == [0, 2]
        with source.snapshot() as snapshot:
            rows = source.rows(snapshot)
            assert rows.cell("merges", "Old", GUIDS[3], "b:" + "00" * 16) == f"b:{GUIDS[3].bytes_le.hex()}"


def test_an_index_is_used_in_sqlite() -> None:
    with in_sqlite("", Profile(merge=Merge("merges", "Old", "New")), [str(guid) for guid in GUIDS]) as source:
        with closing(sqlite3.connect(source.url.database or "")) as connection, connection:
            connection.execute('CREATE INDEX by_old ON merges ("Old")')
        with source.snapshot() as snapshot:
            rows = source.rows(snapshot)
            table = rows.table("merges")
            condition = rows.asked(table, "Old", GUIDS[:2])
            assert condition is not None
            plan = rows.tuples(f"EXPLAIN QUERY PLAN {table.select(condition[0])}", condition[1])
        assert any("USING INDEX by_old" in row[-1] for row in plan)


# --- Text ids ---


@given(
    st.lists(st.sampled_from(["alpha", " alpha", "Alpha", "b-e{t}a", str(GUIDS[3]).upper(), "0", None]), max_size=12),
    st.sampled_from(["alpha", "Alpha", "b-e{t}a", "0"]),
)
@settings(max_examples=40)
def test_a_text_id_is_found_by_its_label(rows: list[str | None], wanted: str) -> None:
    guid = guids.text_id(wanted)
    profile = Profile(merge=Merge("merges", "Old", "New", ids="text"))
    with in_sqlite("TEXT", profile, rows) as source, source.snapshot() as snapshot:
        store = source.rows(snapshot)
        assert list(store.having("merges", "Old", [guid])) == []
        store.labels = {guid: wanted}
        exact = [image["Old"] for image in store.having("merges", "Old", [guid, GUIDS[3]])]
        thorough = [image["Old"] for image in store.having("merges", "Old", [guid], thorough=True)]
        assert all(store.guid("merges", "Old", cell) == guid for cell in thorough)
        assert store.cell("merges", "Old", guid, "t:x") == f"t:{wanted}"
    text = str(GUIDS[3]).upper()
    assert sorted(exact, key=str) == sorted((f"t:{row}" for row in rows if row in {wanted, text}), key=str)
    assert sorted(thorough, key=str) == sorted((f"t:{row}" for row in rows if (row or "").strip() == wanted), key=str)


@pytest.mark.parametrize(
    ("deleted", "cell", "column", "wanted"),
    [
        (("",), None, "New", guids.TOMBSTONE),
        (("",), "t: ", "New", guids.TOMBSTONE),
        (("gone",), "t:gone", "New", guids.TOMBSTONE),
        (("gone",), "t:gone", "Old", None),
        (("gone",), None, "New", None),
        ((str(GUIDS[0]),), f"t:{GUIDS[0].hex}", "New", guids.TOMBSTONE),
        ((str(GUIDS[0]),), f"t:{GUIDS[3]}", "New", GUIDS[3]),
        ((), f"b:{GUIDS[3].hex}", "New", GUIDS[3]),
        ((), "i:5", "New", None),
        ((), "x:ff", "New", None),
    ],
)
def test_a_deleted_value_is_the_tombstone_among_the_news(
    deleted: tuple[str, ...], cell: str | None, column: str, wanted: uuid.UUID | None
) -> None:
    profile = Profile(merge=Merge("merges", "Old", "New", deleted_values=deleted))
    with in_sqlite("", profile, []) as source, source.snapshot() as snapshot:
        assert source.rows(snapshot).guid("merges", column, cell) == wanted


# --- Spelling ---


@given(st.sampled_from(GUIDS), st.sampled_from(GUIDS[1:]), st.randoms())
def test_a_guid_is_spelled_in_the_manner_of_another(guid: uuid.UUID, other: uuid.UUID, random: object) -> None:
    for text in (*guid_spelling.usual(other), f" ({str(other).upper()})\n", other.urn):
        spelled = guid_spelling.alike(guid, text)
        assert guids.parse(spelled) == guid
        hexes = re.compile("[0-9a-fA-F]{8}(?=-|[0-9a-fA-F])|[0-9a-fA-F]{4,12}")
        if guid.hex.upper() != guid.hex and other.hex.upper() != other.hex:
            assert hexes.sub("", spelled) == hexes.sub("", text)
            assert (spelled.upper() == spelled) == (text.upper() == text)
        assert guid_spelling.alike(other, spelled if guid.hex.upper() != guid.hex else text) == text
    assert guids.parse(guid_spelling.alike(guid, exotic(other, random))) == guid


@given(st.sampled_from(GUIDS), st.one_of(st.none(), st.sampled_from(STRANGERS)))
def test_where_there_is_no_manner_it_is_the_plain_one(guid: uuid.UUID, text: str | None) -> None:
    assert guid_spelling.alike(guid, text) == str(guid)


def test_usual_spellings_are_those_that_differ() -> None:
    assert len(set(guid_spelling.usual(GUIDS[3]))) == 8
    assert all(guids.parse(text) == GUIDS[3] for text in guid_spelling.usual(GUIDS[3]))


def test_sqlite_cells_take_the_form_of_the_column() -> None:
    old, new = GUIDS[3], GUIDS[4]
    profile = Profile(merge=Merge("merges", "Old", "New"))
    with in_sqlite("", profile, [old.bytes]) as source, source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        assert rows.cell("merges", "Old", new, None) == f"b:{new.hex}"
        assert rows.cell("merges", "New", new, None) == f"t:{new}"
        assert rows.cell("merges", "Old", new, f"t:{{{str(old).upper()}}}") == f"t:{{{str(new).upper()}}}"
        assert rows.cell("merges", "Old", new, f"b:{str(old).encode().hex()}") == f"b:{str(new).encode().hex()}"


# --- PostgreSQL ---

PG_TYPES = {"uuid": "uuid", "bytea": "bytea", "text": "text", "varchar": "varchar(60)", "char": "char(60)"}
PG_TYPES |= {"domain": "guid_domain", "odd": '"char"[]'}


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True, prepare_threshold=None) as connection:
        connection.execute("CREATE DOMAIN guid_domain AS uuid")
        yield connection


@pytest.fixture(scope="module")
def postgres_source(postgres_url: str, postgres: psycopg.Connection) -> Iterator[DatabaseSource]:
    profile = Profile(merge=Merge("merges", "Old", "New"))
    with closing(open_target(postgres_url, profile, Options())) as source:
        assert isinstance(source, DatabaseSource)
        yield source


@pytest.mark.parametrize("kind", ["uuid", "bytea", "text", "varchar", "char", "domain"])
@given(rows=st.lists(spelled(), max_size=20), wanted=st.lists(st.sampled_from(GUIDS)))
@settings(max_examples=25)
def test_postgresql_finds_what_the_dictionary_says(
    kind: str,
    postgres: psycopg.Connection,
    postgres_source: DatabaseSource,
    rows: list[tuple[uuid.UUID | None, object, bool]],
    wanted: list[uuid.UUID],
) -> None:
    form = {"uuid": uuid.UUID, "domain": uuid.UUID, "bytea": bytes}.get(kind, str)
    if form is uuid.UUID:
        kept = [(guid, guid, True) for guid, _, _ in rows]
    else:
        kept = [row for row in rows if row[1] is None or isinstance(row[1], form)]
    postgres.execute("DROP TABLE IF EXISTS merges")
    postgres.execute(f'CREATE TABLE merges (n int PRIMARY KEY, "Old" {PG_TYPES[kind]}, "New" text)')
    with postgres.cursor() as cursor:
        cursor.executemany("INSERT INTO merges VALUES (%s, %s)", [(n, value) for n, (_, value, _) in enumerate(kept)])
    everything = [number for number, (guid, _, _) in enumerate(kept) if guid in wanted and guid is not None]
    found = numbers(postgres_source, wanted, thorough=False)
    assert numbers(postgres_source, wanted, thorough=True) == everything
    assert {number for number in everything if kept[number][2]} <= set(found) <= set(everything)


@pytest.mark.parametrize("kind", ["uuid", "bytea", "text", "varchar", "char", "domain"])
def test_an_index_is_used_in_postgresql(
    kind: str, postgres: psycopg.Connection, postgres_source: DatabaseSource
) -> None:
    postgres.execute("DROP TABLE IF EXISTS merges")
    postgres.execute(f'CREATE TABLE merges (n int PRIMARY KEY, "Old" {PG_TYPES[kind]}, "New" text)')
    postgres.execute('CREATE INDEX by_old ON merges ("Old")')
    with postgres_source.snapshot() as snapshot:
        rows = postgres_source.rows(snapshot)
        rows.run("SET LOCAL enable_seqscan = off")
        table = rows.table("merges")
        condition = rows.asked(table, "Old", GUIDS[:2])
        assert condition is not None
        plan = rows.tuples(f"EXPLAIN {table.select(condition[0])}", condition[1])
    assert any("by_old" in row[0] and "Cond" not in row[0] for row in plan)


def test_a_type_that_holds_no_guid_is_searched_as_text(
    postgres: psycopg.Connection, postgres_source: DatabaseSource
) -> None:
    postgres.execute("DROP TABLE IF EXISTS merges")
    postgres.execute('CREATE TABLE merges (n int PRIMARY KEY, "Old" json, "New" name)')
    postgres.execute("INSERT INTO merges VALUES (1, '\"x\"', %s), (2, NULL, NULL)", [GUIDS[3].hex])
    assert numbers(postgres_source, GUIDS, thorough=False) == []
    assert numbers(postgres_source, GUIDS, thorough=False, column="New") == [1]


def test_postgresql_cells_take_the_form_of_the_column(
    postgres: psycopg.Connection, postgres_source: DatabaseSource
) -> None:
    postgres.execute("DROP TABLE IF EXISTS merges")
    postgres.execute('CREATE TABLE merges (n int PRIMARY KEY, "Old" bytea, "New" uuid)')
    with postgres_source.snapshot() as snapshot:
        rows = postgres_source.rows(snapshot)
        assert rows.cell("merges", "Old", GUIDS[3], None) == f"\\x{GUIDS[3].hex}"
        assert rows.cell("merges", "Old", GUIDS[3], f"\\x{str(GUIDS[4]).upper().encode().hex()}") == (
            f"\\x{str(GUIDS[3]).upper().encode().hex()}"
        )
        assert rows.cell("merges", "New", GUIDS[3], str(GUIDS[4])) == str(GUIDS[3])
        rows.labels = {GUIDS[3]: "x"}
        assert rows.cell("merges", "Old", GUIDS[3], None) == "\\x78"
