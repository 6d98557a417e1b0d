"""Which rows stay when two resources become one: SQL Server's scripts, run on PostgreSQL, against Python's rules."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from merge_model import guid
from rule_model import Case
from sql_world import plain
from transact_sql import Transact
from transact_world import ask, make

from mergeguard.core.merging.survivors import Links, Outdated, survive
from mergeguard.core.repair.references import Fate, Held, Place, Unique

OLD, NEW, OTHER, THIRD = (guid(number) for number in (1, 2, 3, 4))
KINDS = {guid(10): 2, guid(11): None, guid(12): 1}
COLUMNS = ("child", "parent")
TIMES = [None, *(dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (1, 2, 3))]
ORDERS = st.sampled_from([None, 1, 2, -3])
LOSERS = st.sampled_from([None, OLD, NEW])
PLACES = {
    "links": Place("t", COLUMNS, (("parent", "child"),), (Unique(("kind", "parent", "child")),), frozenset({"id"})),
    "one row": Place("t", ("parent",), (), (Unique(("parent",)),), frozenset({"id"})),
    "sets": Place(
        "t", ("parent",), (), (Unique(("parent", "said")), Unique(("said", "more", "parent"))), frozenset({"id"})
    ),
    "events": Place("t", ("parent",), (), (), frozenset({"id"})),
    "keys that cross": Place("t", COLUMNS, (), (Unique(("parent", "said")), Unique(("child", "more")))),
}
HELD = """number int GENERATED ALWAYS AS IDENTITY, table_no int, image text, content text, named text, whole text,
keys text, turn bigint, at timestamp, outdated smallint, stale smallint, itself smallint, parent_new smallint,
parent_stale smallint, kind uuid,
rank int, fate text, into_rank int"""


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain(postgres_url)) as opened:
        yield opened
        opened.rollback()


@st.composite
def held(draw: st.DrawFn) -> list[Held]:
    guids = st.sampled_from([OLD, OLD, NEW, NEW, OTHER, THIRD])
    rows = []
    for number in range(draw(st.integers(1, 9))):
        parent, child, kind = draw(guids), draw(guids), draw(st.sampled_from(list(KINDS)))
        said, more = draw(st.sampled_from(["a", "b", None])), draw(st.sampled_from(["x", None]))
        image = {
            "id": str(number),
            "kind": str(kind),
            "parent": str(parent),
            "child": str(child),
            "said": said,
            "more": more,
        }
        rows.append(
            Held(image, {"parent": parent, "child": child, "kind": kind}, draw(st.sampled_from(TIMES)), draw(ORDERS))
        )
    return rows


def texts(row: Held, place: Place) -> tuple[str, str, str]:
    cells = sorted(row.image.items())
    parts = ([c for c in cells if c[0] not in place.names], [c for c in cells if c[0] in place.names], cells)
    return json.dumps(parts[0]), json.dumps(parts[1]), json.dumps(parts[2])


def keys(row: Held, place: Place) -> str:
    """What a row says once it is re-pointed, by each of the combinations."""
    after = {name: NEW if each == OLD and name in place.columns else each for name, each in row.guids.items()}
    said = ([str(after.get(name, row.image[name])) for name in unique.columns] for unique in place.unique)
    return "".join(hashlib.sha256(json.dumps(one).encode()).hexdigest() for one in said)


def by_sql(
    connection: psycopg.Connection, place: Place, rows: list[Held], loser: uuid.UUID | None = None
) -> Counter[tuple[str, str | None]]:
    make(connection, Case((), ()))
    ask(connection, "CREATE TABLE transact.moved_unique (table_no int, unique_no int, place int, column_name text)")
    ask(connection, "CREATE TABLE transact.link_maxima (type uuid, maximum int)")
    ask(connection, f'CREATE TEMP TABLE IF NOT EXISTS "#held" ({HELD})')
    ask(connection, 'DELETE FROM "#held"')
    for number, unique in enumerate(place.unique, 1):
        for at, name in enumerate(unique.columns, 1):
            ask(connection, "INSERT INTO transact.moved_unique VALUES (1, %s, %s, %s)", (number, at, name))
    for kind, most in KINDS.items():
        ask(connection, "INSERT INTO transact.link_maxima VALUES (%s, %s)", (kind, most))
    for row in rows:
        parent, child = row.guids["parent"], row.guids["child"]
        after = [NEW if each == OLD else each for each in (parent, child)]
        itself = bool(place.ends) and parent != child and after[0] == after[1]
        stale = any(row.guids[name] == OLD for name in place.columns)
        at = None if row.time is None else row.time.replace(tzinfo=None)
        values = (
            texts(row, place)[2],
            *texts(row, place),
            keys(row, place),
            row.order,
            at,
            0 if loser is None or parent != loser else 1 if loser == NEW else 2,
            int(stale),
            int(itself),
            int(parent == NEW),
        )
        more = (int(parent == OLD), row.guids["kind"] if place.ends else None)
        listed = (
            "table_no, image, content, named, whole, keys, turn, at, outdated, stale, itself, parent_new, "
            "parent_stale, kind"
        )
        marks = ", ".join(["%s"] * 13)
        ask(connection, f'INSERT INTO "#held" ({listed}) VALUES (1, {marks})', (*values, *more))
    Transact(connection, ["45_survival.sql"]).call("survive_table", 1)
    return Counter(ask(connection, 'SELECT image, fate FROM "#held"'))


def by_python(place: Place, rows: list[Held], loser: uuid.UUID | None = None) -> Counter[tuple[str, str | None]]:
    links = Links("parent", "kind", lambda row: KINDS[row.guids["kind"]]) if place.ends else None
    found = survive(place, rows, OLD, NEW, lambda _, each, __: str(each), links, loser and Outdated("parent", loser))
    words = {Fate.CHANGED: "changed", Fate.DROPPED: "dropped", Fate.COLLAPSED: "collapsed"}
    said = [(made.change.before, words[made.fate]) for made in found.moved]
    said += [(made.change.before, "outnumbered") for made in found.outnumbered]
    said += [(made.change.before, "replaced") for made in found.replaced]
    told = Counter((json.dumps(sorted((image or {}).items())), fate) for image, fate in said)
    left = Counter(json.dumps(sorted(row.image.items())) for row in rows)
    left.subtract(Counter({image: sum(n for (one, _), n in told.items() if one == image) for image, _ in told}))
    return told + Counter({(image, None): count for image, count in left.items() if count})


@pytest.mark.parametrize("name", PLACES)
@settings(max_examples=20)
@given(rows=held(), loser=LOSERS)
def test_each_row_has_the_fate_that_python_gives_it(
    connection: psycopg.Connection, name: str, rows: list[Held], loser: uuid.UUID | None
) -> None:
    place = PLACES[name]
    # What is read: rows of the old root, and of the new one in a column that is compared.
    compared = {column for unique in place.unique for column in unique.columns}
    if loser is not None:
        compared.add("parent")
    read = [
        row
        for row in rows
        if any(
            row.guids[column] == OLD or (row.guids[column] == NEW and column in compared) for column in place.columns
        )
    ]
    wanted = by_python(place, read, loser)
    for _, fate in wanted:
        event(str(fate))
    assert by_sql(connection, place, read, loser) == wanted


def test_a_row_knows_which_one_says_the_same(connection: psycopg.Connection) -> None:
    place = PLACES["one row"]
    cells = {"kind": str(guid(10)), "child": str(THIRD), "said": None, "more": None}
    rows = [
        Held(
            {"id": str(at), **cells, "parent": str(root)}, {"parent": root, "child": THIRD, "kind": guid(10)}, TIMES[at]
        )
        for at, root in ((1, OLD), (2, NEW), (3, OLD))
    ]
    found = by_sql(connection, place, rows)
    assert sorted(fate or "" for _, fate in found) == ["changed", "collapsed", "replaced"]
    (kept,) = ask(connection, "SELECT rank FROM \"#held\" WHERE fate = 'changed'")
    (into,) = ask(connection, "SELECT into_rank FROM \"#held\" WHERE fate = 'collapsed'")
    assert kept == into
