"""Every way to read PostgreSQL gives the cells of the model: packed, through Arrow, row by row."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.errors import CannotCheck, UnknownSchema
from mergeguard.storage.postgresql.packed import block_ranges
from mergeguard.storage.postgresql.source import PostgresqlSnapshot, PostgresqlSource
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Batch, Cells, Column, GuidCells, Kind, Options, Selection

TABLE = """
    CREATE TABLE merges (
        number integer NOT NULL, "a guid" uuid, firm uuid NOT NULL, spelled text, padded char(40), short varchar(60),
        packed bytea, id bigint, small smallint NOT NULL, name text, since timestamptz, noted timestamp, day date
    );
    CREATE VIEW merges_view AS SELECT * FROM merges;
    CREATE TABLE merges_parts (LIKE merges) PARTITION BY RANGE (number);
    CREATE TABLE merges_low PARTITION OF merges_parts FOR VALUES FROM (MINVALUE) TO (7);
    CREATE TABLE merges_high PARTITION OF merges_parts FOR VALUES FROM (7) TO (MAXVALUE);
    CREATE MATERIALIZED VIEW merges_stored AS SELECT * FROM merges;
"""
COLUMNS = (
    Column("number", Kind.INTEGER),
    Column("a guid", Kind.GUID),
    Column("firm", Kind.GUID),
    Column("spelled", Kind.GUID),
    Column("padded", Kind.GUID),
    Column("short", Kind.GUID),
    Column("packed", Kind.GUID),
    Column("id", Kind.ROW_ID),
    Column("id", Kind.INTEGER),
    Column("small", Kind.ROW_ID),
    Column("firm", Kind.ROW_ID),
    Column("name", Kind.TEXT),
    Column("name", Kind.ROW_ID),
    Column("a guid", Kind.TEXT),
    Column("since", Kind.TIME),
    Column("noted", Kind.TIME),
    Column("day", Kind.TIME),
)
NO_TIME = ("infinity", "-infinity", "0044-03-15 BC", "20000-01-01")


def spellings(guid: uuid.UUID) -> Sequence[str]:
    text = str(guid)
    return (text, text.upper(), f"{{{text}}}", guid.hex, f" {text} ", guid.urn, text[:-1], f"{text}-")


characters = st.characters(exclude_characters="\0", codec="utf-8")
texts = st.text(characters, max_size=50)
any_guid = st.uuids() | st.integers(0, 3).map(lambda n: uuid.UUID(int=n))
spelled = any_guid.flatmap(lambda guid: st.sampled_from(spellings(guid))) | texts
instants = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)).map(str) | st.sampled_from(NO_TIME)  # noqa: DTZ001
rows_of_table = st.tuples(
    st.none() | any_guid,
    any_guid,
    st.none() | spelled,
    st.none() | spelled.map(lambda text: text[:40]),
    st.none() | spelled,
    st.none() | any_guid.map(lambda guid: guid.bytes) | st.binary(max_size=40) | spelled.map(str.encode),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**15), 2**15 - 1),
    st.none() | texts,
    st.none() | instants,
    st.none() | instants,
    st.none() | instants.map(lambda text: text if text in NO_TIME else text[:10]),
)


def expected(row: Sequence[object], order: str) -> list[object]:
    """Say in plain Python what the cells of one row of the table are."""
    number, a_guid, firm, spelled, padded, short, packed, id_, small, name, since, noted, day = row
    padded = None if padded is None else str(padded).ljust(40)
    return [
        number,
        guid_or_bad(a_guid),
        guid_or_bad(firm),
        guid_or_bad(spelled),
        guid_or_bad(padded),
        guid_or_bad(short),
        guid_or_bad(packed, order),
        "" if id_ is None else str(id_),
        -1 if id_ is None else id_,
        str(small),
        str(firm),
        name,
        name or "",
        None if a_guid is None else str(a_guid),
        *(None if value is None or value in NO_TIME else np.datetime64(value, "us") for value in (since, noted, day)),
    ]


def guid_or_bad(value: object, order: str = "text") -> object:
    guid = guids.parse(value)
    if guid is not None:
        raw = isinstance(value, bytes) and len(value) == 16
        return uuid.UUID(bytes_le=guid.bytes) if raw and order == "sqlserver" else guid
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
        value = text if value.decode(errors="ignore") == text and text.isprintable() else f"0x{value.hex()}"
    return ("bad", value if value is None else str(value)[:80])


def plain(batches: Iterator[Batch]) -> dict[object, list[object]]:
    """Turn batches into rows of plain values by the number in their first column."""
    rows = {}
    for batch in batches:
        for row in zip(*(values(column, cells) for column, cells in zip(COLUMNS, batch, strict=True)), strict=True):
            assert row[0] not in rows
            rows[row[0]] = list(row)
    return rows


def values(column: Column, cells: Cells) -> list[object]:
    if isinstance(cells, GuidCells):
        assert cells.column.flags.c_contiguous
        assert all(not cells.column[row].any() for row in cells.bad)
        found: list[object] = list(guids.to_uuids(cells.column))
        for row, value in cells.bad.items():
            found[row] = ("bad", value)
        return found
    if column.kind is Kind.TIME:
        return [None if np.isnat(value) else value for value in cells]
    listed = cells.tolist() if isinstance(cells, np.ndarray) else list(cells)
    return [str(value) for value in listed] if column.kind is Kind.ROW_ID else listed


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute("SET timezone = 'UTC'")
        yield connection


@pytest.fixture(scope="module")
def opened(postgres_url: str) -> Callable[..., PostgresqlSource]:
    def open_source(order: str = "text", **options: object) -> PostgresqlSource:
        merge = Merge(table="merges", byte_order=order)
        return PostgresqlSource(sa.make_url(postgres_url), Profile(merge=merge), Options(**options))

    return open_source


def fill(connection: psycopg.Connection, rows: Sequence[Sequence[object]]) -> None:
    connection.execute("TRUNCATE merges, merges_parts")
    with connection.cursor() as cursor:
        marks = ", ".join(["%s"] * 13)
        cursor.executemany(f"INSERT INTO merges VALUES ({marks})", rows)
    connection.execute("INSERT INTO merges_parts SELECT * FROM merges")
    connection.execute("REFRESH MATERIALIZED VIEW merges_stored")


WAYS = {
    "packed": ("merges", True),
    "packed, no optional driver": ("merges", False),
    "materialised view": ("merges_stored", True),
    "view, Arrow": ("merges_view", True),
    "view, row by row": ("merges_view", False),
    "partitioned, Arrow": ("merges_parts", True),
    "partitioned, row by row": ("merges_parts", False),
}


# An example costs seven connections: a quarter of the profile's number, in the long run too, and no shrinking, which
# would take minutes; the rows are few and the failure names the way.
@settings(
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=settings().max_examples // 4,
    phases=[phase for phase in settings().phases if phase is not Phase.shrink],
)
@given(
    some=st.lists(rows_of_table, max_size=8),
    times=st.sampled_from([1, 40]),
    order=st.sampled_from(["text", "sqlserver"]),
    batch_rows=st.sampled_from([1, 7, 200, 65_536]),
)
def test_every_way_gives_the_cells_of_the_model(
    connection: psycopg.Connection,
    opened: Callable[..., PostgresqlSource],
    some: list[tuple[object, ...]],
    times: int,
    order: str,
    batch_rows: int,
) -> None:
    rows = [(number, *row) for number, row in enumerate(itertools.chain(*[some] * times))]
    fill(connection, rows)
    model = {row[0]: expected(row, order) for row in rows}

    for way, (table, fast) in WAYS.items():
        source = opened(order, fast=fast, batch_rows=batch_rows)
        with source.snapshot() as snapshot:
            assert plain(snapshot.read(Selection(COLUMNS, table))) == model, way


def some_rows(count: int, guid: Callable[[int], uuid.UUID]) -> list[tuple[object, ...]]:
    return [
        (n, guid(n), guid(n), str(guid(n)), None, None, guid(n).bytes, n, 1, f"name {n % 3}", None, None, None)
        for n in range(count)
    ]


def test_reads_do_what_their_way_promises(
    connection: psycopg.Connection, opened: Callable[..., PostgresqlSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which way was taken is invisible in the cells, so it is seen in what the snapshot calls."""
    fill(connection, some_rows(500, lambda n: uuid.UUID(int=n)))
    taken: list[str] = []
    for name in ("_read_packed", "read_rows"):
        monkeypatch.setattr(PostgresqlSnapshot, name, spy(taken, name))
    firm = (Column("firm", Kind.GUID),)
    selections = {
        "table": Selection(firm, "merges"),
        "filtered": Selection(firm, "merges", where=(("name", "name 1"),)),
        "view": Selection(firm, "merges_view"),
        "counted": Selection((Column("name", Kind.TEXT),), "merges", counted=True),
        "query": Selection(firm, query="SELECT firm FROM merges WHERE name LIKE 'name%' AND number::bigint < 90"),
        "odd column": Selection((Column("small", Kind.TEXT),), "merges"),
        "filtered view": Selection(firm, "merges_view", where=(("name", "name 1"),)),
    }
    ways = {}
    for fast in (True, False):
        with opened(fast=fast).snapshot() as snapshot:
            for what, selection in selections.items():
                taken.clear()
                rows = sum(len(values(Column("", Kind.TEXT), batch[0])) for batch in snapshot.read(selection))
                ways[what, fast] = (rows, taken[0] if taken else "arrow")

    assert ways == {
        ("table", True): (500, "_read_packed"),
        ("table", False): (500, "_read_packed"),
        ("filtered", True): (167, "_read_packed"),
        ("filtered", False): (167, "_read_packed"),
        ("view", True): (500, "arrow"),
        ("view", False): (500, "read_rows"),
        ("counted", True): (3, "arrow"),
        ("counted", False): (3, "read_rows"),
        ("query", True): (90, "arrow"),
        ("query", False): (90, "read_rows"),
        ("odd column", True): (500, "read_rows"),
        ("odd column", False): (500, "read_rows"),
        ("filtered view", True): (167, "read_rows"),
        ("filtered view", False): (167, "read_rows"),
    }


def spy(taken: list[str], name: str) -> Callable[..., Iterator[Batch]]:
    original = getattr(PostgresqlSnapshot, name)

    def called(*arguments: object) -> Iterator[Batch]:
        taken.append(name)
        return original(*arguments)

    return called


@pytest.mark.parametrize("fast", [True, False])
def test_counts_of_distinct_values(
    connection: psycopg.Connection, opened: Callable[..., PostgresqlSource], fast: bool
) -> None:
    fill(connection, some_rows(60, lambda n: uuid.UUID(int=n % 7)))
    asked = (Column("firm", Kind.GUID), Column("name", Kind.TEXT))
    counted: dict[object, int] = {}

    with opened(fast=fast).snapshot() as snapshot:
        for cells, names, counts in snapshot.read(Selection(asked, "merges", counted=True)):
            for guid, name, count in zip(guids.to_uuids(cells.column), names, counts.tolist(), strict=True):
                counted[guid, name] = count

    pairs = [(uuid.UUID(int=n % 7), f"name {n % 3}") for n in range(60)]
    assert counted == {pair: pairs.count(pair) for pair in pairs}


def test_long_values_outside_the_tables_own_blocks_are_read_whole(
    connection: psycopg.Connection, opened: Callable[..., PostgresqlSource]
) -> None:
    long = "".join(str(uuid.uuid5(uuid.NAMESPACE_DNS, str(n))) for n in range(300))
    fill(connection, some_rows(5, lambda n: uuid.UUID(int=n)))
    connection.execute("UPDATE merges SET spelled = %s, name = %s WHERE number = 3", (long, long))

    with opened().snapshot() as snapshot:
        rows = plain(snapshot.read(Selection(COLUMNS, "merges")))

    assert rows[3][3] == ("bad", long[:80])
    assert rows[3][11] == long
    assert rows[2][3] == uuid.UUID(int=2)


def test_tables_that_others_inherit_from_are_read_with_their_heirs(
    connection: psycopg.Connection, opened: Callable[..., PostgresqlSource]
) -> None:
    connection.execute("CREATE TABLE parent (g uuid NOT NULL); CREATE TABLE heir () INHERITS (parent)")
    connection.execute("INSERT INTO parent VALUES (%s)", (uuid.UUID(int=1),))
    connection.execute("INSERT INTO heir SELECT gen_random_uuid() FROM generate_series(1, 999)")

    with opened(batch_rows=1).snapshot() as snapshot:
        batches = list(snapshot.read(Selection((Column("g", Kind.GUID),), "parent")))

    assert sum(len(batch[0].column) for batch in batches) == 1000
    # The heir's rows all lie beyond the parent's one block, and still they do not come at once.
    assert max(len(batch[0].column) for batch in batches) < 500


def test_names_outside_the_default_schema_and_of_every_kind_are_found(
    connection: psycopg.Connection, opened: Callable[..., PostgresqlSource]
) -> None:
    connection.execute('CREATE SCHEMA "odd %s"; CREATE TABLE "odd %s"."a ""b"" :c" ("g%%: ""x" uuid)')
    connection.execute('INSERT INTO "odd %s"."a ""b"" :c" VALUES (gen_random_uuid())')
    name = 'odd %s.a "b" :c'

    with opened().snapshot() as snapshot:
        tables = snapshot.tables()
        [batch] = snapshot.read(Selection((Column('g%%: "x', Kind.GUID),), name))

    assert {"merges", "merges_view", "merges_stored", "merges_parts", name} <= set(tables)
    assert not any(table.startswith(("pg_", "information_schema")) for table in tables)
    assert len(batch[0].column) == 1


def test_a_wrong_name_is_told_with_the_nearest(
    connection: psycopg.Connection, opened: Callable[..., PostgresqlSource]
) -> None:
    with opened().snapshot() as snapshot:
        with pytest.raises(UnknownSchema, match="no table merge_") as table:
            list(snapshot.read(Selection((Column("firm", Kind.GUID),), "merge_")))
        with pytest.raises(UnknownSchema, match="no column Firm") as column:
            list(snapshot.read(Selection((Column("Firm", Kind.GUID),), "merges")))
        # The transaction goes on after both.
        assert snapshot.has_table("merges")

    assert "merges" in (table.value.hint or "")
    assert "firm" in (column.value.hint or "")


def test_a_read_given_up_early_leaves_the_snapshot_usable(
    connection: psycopg.Connection, opened: Callable[..., PostgresqlSource]
) -> None:
    fill(connection, some_rows(3000, lambda n: uuid.UUID(int=n)))

    for fast in (True, False):
        with opened(fast=fast, batch_rows=10).snapshot() as snapshot:
            for table in ("merges", "merges_view", "merges", "merges_view"):
                first = next(iter(snapshot.read(Selection((Column("firm", Kind.GUID),), table))))
                assert len(first[0].column) < 3000
            whole = snapshot.read(Selection((Column("firm", Kind.GUID),), "merges_view"))
            assert sum(len(batch[0].column) for batch in whole) == 3000


def test_texts_of_a_database_without_encoding_are_a_clear_failure(postgres_server: object, postgres_url: str) -> None:
    name = sa.make_url(postgres_url).database + "_ascii"
    postgres_server.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0")
    url = sa.make_url(postgres_url).set(database=name)
    try:
        with psycopg.connect(url.set(drivername="postgresql").render_as_string(False), autocommit=True) as connection:  # noqa: FBT003 - hide_password
            connection.execute("CREATE TABLE t (a text NOT NULL); INSERT INTO t VALUES (E'caf\\xe9')")
        with (
            PostgresqlSource(url, Profile(), Options()).snapshot() as snapshot,
            pytest.raises(CannotCheck, match="invalid byte sequence"),
        ):
            list(snapshot.read(Selection((Column("a", Kind.TEXT),), "t")))
    finally:
        postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@given(blocks=st.integers(0, 5000), batch_rows=st.integers(1, 100_000))
def test_block_ranges_cover_every_block_once(blocks: int, batch_rows: int) -> None:
    ranges = list(block_ranges(blocks, batch_rows))

    assert ranges[0][0] == 0
    assert ranges[-1][1] is None
    assert [end for _, end in ranges[:-1]] == [first for first, _ in ranges[1:]]
    assert all(first < end for first, end in ranges[:-1])
