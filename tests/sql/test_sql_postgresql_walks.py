"""Where guids lead, by SQL: on any table what a dictionary says."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence

import psycopg
import pytest
from hypothesis import given
from merge_model import Pair, answers, guid, with_live
from sql_world import ask, install, plain

from mergeguard.core.guids import TOMBSTONE
from mergeguard.storage.profile import Live, Lookup, Merge, Profile

PROFILE = Profile(
    merge=Merge("Merges", row_id="Id", deleted_values=("",)), lookup=Lookup("Closed"), live=Live("Alive", "Guid")
)
DDL = """
    DROP SCHEMA IF EXISTS mergeguard CASCADE;
    DROP TABLE IF EXISTS "Merges", "Alive", "Closed";
    CREATE TABLE "Merges" ("Id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "OldGuid" {type}, "NewGuid" {type});
    CREATE INDEX ON "Merges" ("OldGuid");
    CREATE TABLE "Alive" ("Guid" {type} PRIMARY KEY);
"""
LONG = 100_000


def made(url: str, kind: str = "uuid") -> psycopg.Connection[tuple[object, ...]]:
    ask(url, DDL.format(type=kind))
    install(url, PROFILE)
    return psycopg.connect(plain(url), autocommit=True)


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with made(postgres_url) as opened:
        yield opened


def fill(
    connection: psycopg.Connection[tuple[object, ...]], pairs: Sequence[Pair], live: Collection[uuid.UUID] | None
) -> None:
    """Put rows into the tables; without liveness the view says so."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute('TRUNCATE "Merges", "Alive"')
        rows = [(old, None if new == TOMBSTONE else new) for old, new in pairs]
        cursor.executemany('INSERT INTO "Merges" ("OldGuid", "NewGuid") VALUES (%s, %s)', rows)
        cursor.executemany('INSERT INTO "Alive" VALUES (%s)', [(each,) for each in live or ()])
        cursor.execute(
            "CREATE OR REPLACE VIEW mergeguard.declared AS "
            f"SELECT {str(live is not None).lower()} AS live, "
            "false AS types, false AS times, false AS refs, true AS deleted, false AS guarded, "
            "CAST(ARRAY[] AS text[]) AS guard_triggers"
        )


@given(drawn=with_live())
def test_every_guid_is_now_what_a_dictionary_says(
    connection: psycopg.Connection[tuple[object, ...]],
    drawn: tuple[list[Pair], frozenset[uuid.UUID] | None],
) -> None:
    pairs, live = drawn
    fill(connection, pairs, live)
    wanted = answers(pairs, live)
    closed = connection.execute("SELECT * FROM mergeguard.closure()").fetchall()

    assert {old: (status, current, depth) for old, current, depth, status in closed} == wanted
    assert len(closed) == len(wanted)
    raw = connection.execute("SELECT * FROM mergeguard.closure(true)").fetchall()
    assert {old: (status, current, depth) for old, current, depth, status in raw} == answers(pairs)
    single = connection.execute(
        "SELECT c.* FROM unnest(%s::uuid[]) AS o CROSS JOIN LATERAL mergeguard.current_guid(o) AS c", [list(wanted)]
    ).fetchall()
    assert {old: (status, current, depth) for old, current, depth, status in single} == wanted


@given(drawn=with_live())
def test_the_lookup_is_rebuilt_to_the_same_and_then_stays(
    connection: psycopg.Connection[tuple[object, ...]],
    drawn: tuple[list[Pair], frozenset[uuid.UUID] | None],
) -> None:
    pairs, live = drawn
    fill(connection, pairs, live)
    connection.execute("SELECT mergeguard.rebuild_lookup()")
    stored = connection.execute("SELECT * FROM mergeguard.lookup_rows").fetchall()

    assert {old: (status, current, depth) for old, current, depth, status in stored} == answers(pairs, live)
    assert connection.execute("SELECT mergeguard.rebuild_lookup()").fetchall() == [(0,)]
    assert connection.execute("SELECT * FROM mergeguard.scan() WHERE rule = 'MG009'").fetchall() == []


def test_a_guid_that_no_row_names_is_its_own_current(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    fill(connection, [], None)
    asked = "SELECT * FROM mergeguard.current_guid(%s)"
    assert connection.execute(asked, [guid(1)]).fetchall() == [(guid(1), guid(1), 0, "ok")]
    fill(connection, [], [guid(2)])
    assert connection.execute(asked, [guid(1)]).fetchall() == [(guid(1), guid(1), 0, "dangling")]
    assert connection.execute(asked, [guid(2)]).fetchall() == [(guid(2), guid(2), 0, "ok")]


@pytest.mark.parametrize("ends", ["open", "circle"])
def test_a_chain_of_a_hundred_thousand_ends(connection: psycopg.Connection[tuple[object, ...]], ends: str) -> None:
    fill(connection, [], None)
    number = "CAST(lpad(to_hex({}), 32, '0') AS uuid)"
    connection.execute(
        f'INSERT INTO "Merges" ("OldGuid", "NewGuid") SELECT {number.format("n")}, {number.format("n + 1")} '
        f"FROM generate_series(1, {LONG}) AS n"
    )
    first, last = uuid.UUID(int=1), uuid.UUID(int=LONG + 1)
    if ends == "circle":
        connection.execute('INSERT INTO "Merges" ("OldGuid", "NewGuid") VALUES (%s, %s)', [last, first])
    wanted = (first, last, LONG, "ok") if ends == "open" else (first, None, None, "cycle")

    assert connection.execute("SELECT * FROM mergeguard.current_guid(%s)", [first]).fetchall() == [wanted]
    ((count, deepest),) = connection.execute("SELECT count(*), max(depth) FROM mergeguard.closure()").fetchall()
    assert (count, deepest) == ((LONG, LONG) if ends == "open" else (LONG + 1, None))


@pytest.mark.parametrize("kind", ["text", "bytea"])
def test_guids_of_other_types_are_read_and_not_written(postgres_url: str, kind: str) -> None:
    def spelled(each: uuid.UUID) -> object:
        return each.bytes if kind == "bytea" else f" {{{str(each).upper()}}} "

    name = f"other_{kind}"
    ask(postgres_url, f"DROP SCHEMA IF EXISTS {name} CASCADE")
    ask(postgres_url, f"CREATE SCHEMA {name}")
    url = f"{postgres_url}?options=-csearch_path%3D{name}"
    with made(url, kind) as connection:
        rows = [(guid(1), guid(2)), (guid(2), guid(3))]
        connection.cursor().executemany(
            'INSERT INTO "Merges" ("OldGuid", "NewGuid") VALUES (%s, %s)', [tuple(map(spelled, row)) for row in rows]
        )
        connection.execute('INSERT INTO "Alive" VALUES (%s)', [spelled(guid(3))])
        found = connection.execute("SELECT * FROM mergeguard.current_guid(%s)", [guid(1)]).fetchall()
        assert found == [(guid(1), guid(3), 2, "ok")]
        if kind == "text":
            connection.execute("""INSERT INTO "Merges" ("OldGuid", "NewGuid") VALUES ('word', '{0}')""")
            bad = connection.execute("SELECT detail FROM mergeguard.scan() WHERE rule = 'MG007'").fetchall()
            assert bad == [("row 3: old holds 'word', which is no guid",)]
        with pytest.raises(psycopg.Error, match="unsupported"):
            connection.execute("SELECT mergeguard.merge(%s, %s)", [guid(3), guid(4)])
        connection.execute("DROP SCHEMA mergeguard CASCADE")
