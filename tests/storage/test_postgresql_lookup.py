"""The lookup is written whole or not at all, and no reader waits for it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.errors import Locked, PermissionDenied, UnknownSchema, WriteFailed
from mergeguard.storage.postgresql.source import PostgresqlSource
from mergeguard.storage.profile import Lookup, Merge, Profile
from mergeguard.storage.source import LookupChange, Options, Progress, silent

STATUSES = ("ok", "cycle", "split", "dangling")
Row = tuple[uuid.UUID | None, int | None, str]
Table = dict[uuid.UUID, Row]

some_guids = st.integers(0, 12).map(lambda n: uuid.uuid5(uuid.NAMESPACE_DNS, str(n)))
answers = st.tuples(some_guids, st.integers(0, 32_767), st.sampled_from(["ok", "dangling"])) | st.tuples(
    st.none(), st.none(), st.sampled_from(["cycle", "split"])
)
tables = st.dictionaries(some_guids, answers, max_size=13)


def change(rows: Table, deletes: tuple[uuid.UUID, ...] = (), *, full: bool = False) -> LookupChange:
    currents = [current or guids.EMPTY for current, _, _ in rows.values()]
    return LookupChange(
        olds=guids.from_uuids(list(rows)),
        currents=guids.from_uuids(currents),
        has_current=np.array([current is not None for current, _, _ in rows.values()], np.bool_),
        depths=np.array([-1 if depth is None else depth for _, depth, _ in rows.values()], np.int64),
        statuses=np.array([STATUSES.index(status) for _, _, status in rows.values()], np.uint8),
        status_names=STATUSES,
        deletes=guids.from_uuids(list(deletes)),
        full=full,
    )


def numbered(count: int, status: str = "ok") -> Table:
    return {uuid.UUID(int=n): (uuid.UUID(int=n + 1), n % 7, status) for n in range(count)}


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE merges (old uuid NOT NULL, new uuid)")
        yield connection


@pytest.fixture(autouse=True)
def no_lookup(connection: psycopg.Connection) -> None:
    connection.execute("DROP TABLE IF EXISTS mergeguard_lookup CASCADE")


@pytest.fixture(scope="module")
def write(postgres_url: str) -> Callable[..., None]:
    def write_lookup(
        what: LookupChange,
        *,
        table: str = "mergeguard_lookup",
        order: str = "text",
        progress: Progress = silent,
        **options: object,
    ) -> None:
        url = options.pop("url", postgres_url)
        profile = Profile(merge=Merge("merges", "old", "new", byte_order=order))
        source = PostgresqlSource(sa.make_url(url), profile, Options(**options))
        try:
            source.write_lookup(Lookup(table), what, progress)
        finally:
            source.close()

    return write_lookup


def stored(connection: psycopg.Connection, table: str = "mergeguard_lookup") -> Table:
    rows = connection.execute(f"SELECT old_guid, current_guid, depth, status FROM {table}").fetchall()
    found = {guids.parse(old): (guids.parse(current), depth, status.strip()) for old, current, depth, status in rows}
    assert len(found) == len(rows)
    return found


# What a DBA may have made beforehand: (guid type, depth type, status type).
SHAPES = [
    ("uuid", "integer", "varchar(16)"),
    ("uuid", "bigint", "text"),
    ("bytea", "smallint", "char(20)"),
    ("text", "integer", "text"),
    ("varchar(36)", "numeric", "text"),
    ("char(36)", "integer", "varchar(9)"),
]


@settings(max_examples=settings().max_examples // 4)
@given(first=tables, second=tables, shape=st.sampled_from(SHAPES), order=st.sampled_from(["text", "sqlserver"]))
def test_a_rebuild_brings_any_table_of_any_shape_to_any_other(
    connection: psycopg.Connection,
    write: Callable[..., None],
    first: Table,
    second: Table,
    shape: tuple[str, str, str],
    order: str,
) -> None:
    guid, depth, status = shape
    connection.execute(
        f"DROP TABLE IF EXISTS shaped; CREATE TABLE shaped "
        f"(old_guid {guid} PRIMARY KEY, note text, current_guid {guid}, depth {depth}, status {status} NOT NULL)"
    )

    write(change(first, full=True), table="shaped", order=order)
    raw = connection.execute("SELECT old_guid FROM shaped WHERE old_guid IS NOT NULL").fetchall()
    after_first = in_order(stored(connection, "shaped"), shape, order)
    changed = {old: row for old, row in second.items() if first.get(old) != row}
    write(change(changed, tuple(first.keys() - second.keys())), table="shaped", order=order)

    assert len(raw) == len(first)
    assert after_first == first
    assert in_order(stored(connection, "shaped"), shape, order) == second


def in_order(found: Table, shape: tuple[str, str, str], order: str) -> Table:
    """Read 16 raw bytes as the profile says they lie."""
    if shape[0] != "bytea" or order != "sqlserver":
        return found
    swapped = {None: None} | {
        guid: uuid.UUID(bytes_le=guid.bytes) for row in found.items() for guid in (row[0], row[1][0]) if guid
    }
    return {swapped[old]: (swapped[current], depth, status) for old, (current, depth, status) in found.items()}


@pytest.mark.parametrize(
    ("table", "spelled"),
    [
        ("mergeguard_lookup", "mergeguard_lookup"),
        ("Side.Look%up", '"Side"."Look%up"'),
    ],
)
def test_a_missing_table_is_made_with_a_key_and_in_the_image_of_the_merges(
    connection: psycopg.Connection, write: Callable[..., None], table: str, spelled: str
) -> None:
    connection.execute('DROP SCHEMA IF EXISTS "Side" CASCADE; CREATE SCHEMA "Side"')
    rows = numbered(100) | {uuid.UUID(int=2**64): (None, None, "cycle")}

    write(change(rows, full=True), table=table)

    assert stored(connection, spelled) == rows
    keys = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND conrelid = %s::regclass",
        (spelled,),
    ).fetchall()
    assert keys == [("PRIMARY KEY (old_guid)",)]
    types = connection.execute(f"SELECT pg_typeof(old_guid)::text FROM {spelled} LIMIT 1").fetchone()
    assert types == ("uuid",)


def test_rights_and_views_on_the_lookup_outlive_a_full_build(
    connection: psycopg.Connection, write: Callable[..., None], postgres_stranger_url: str
) -> None:
    write(change(numbered(10), full=True))
    login = sa.make_url(postgres_stranger_url).username
    connection.execute(f'GRANT SELECT ON mergeguard_lookup TO "{login}"')
    connection.execute("CREATE VIEW on_lookup AS SELECT * FROM mergeguard_lookup")

    write(change(numbered(5, "dangling"), full=True))

    with psycopg.connect(postgres_stranger_url.replace("+psycopg", "")) as stranger:
        assert stored(stranger) == numbered(5, "dangling")
    assert stored(connection, "on_lookup") == numbered(5, "dangling")


def test_progress_counts_to_the_end(write: Callable[..., None]) -> None:
    seen: list[tuple[str, int, int | None]] = []
    rows = numbered(70_000) | {uuid.UUID(int=2**64): (None, None, "cycle")}

    write(change(rows, full=True), progress=lambda *said: seen.append(said))

    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1] == ("writing lookup", 70_001, 70_001)


class Stopped(Exception):
    """What a progress callback raises to stop a write."""


def after_some_rows(action: Callable[[], None]) -> Progress:
    def progress(_phase: str, done: int, _total: int | None) -> None:
        if done:
            action()

    return progress


def test_readers_are_never_kept_waiting_and_see_the_old_table_until_the_end(
    connection: psycopg.Connection, write: Callable[..., None], postgres_url: str
) -> None:
    write(change(numbered(1000), full=True))
    seen: list[Table] = []

    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as reader:
        reader.execute("SET lock_timeout = '1ms'")
        write(
            change(numbered(2000, "dangling"), full=True),
            progress=after_some_rows(lambda: seen.append(stored(reader))),
        )

    assert seen == [numbered(1000)] * len(seen) != []
    assert stored(connection) == numbered(2000, "dangling")


def test_a_stopped_write_leaves_the_old_lookup(connection: psycopg.Connection, write: Callable[..., None]) -> None:
    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        write(change(numbered(1000), full=True), progress=after_some_rows(stop))
    assert connection.execute("SELECT to_regclass('mergeguard_lookup')").fetchone() == (None,)

    write(change(numbered(1000), full=True))
    with pytest.raises(Stopped):
        write(change(numbered(500, "dangling"), tuple(numbered(900))), progress=after_some_rows(stop))

    assert stored(connection) == numbered(1000)


def test_a_connection_lost_in_mid_write_leaves_the_old_lookup(
    connection: psycopg.Connection, write: Callable[..., None]
) -> None:
    write(change(numbered(1000), full=True))

    def terminate() -> None:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE application_name = 'mergeguard' AND datname = current_database()"
        ).fetchall()
        assert ended == [(True,)]

    with pytest.raises(WriteFailed) as lost:
        write(change(numbered(150_000, "dangling"), full=True), progress=after_once(terminate))

    assert lost.value.exit_code == 6
    assert stored(connection) == numbered(1000)


def after_once(action: Callable[[], None]) -> Progress:
    actions = [action]
    return after_some_rows(lambda: actions.pop()() if actions else None)


WRITER = """
import sys, uuid, sqlalchemy as sa
sys.path.insert(0, sys.argv[2])
from test_postgresql_lookup import change, numbered
from mergeguard.storage.postgresql.source import PostgresqlSource
from mergeguard.storage.profile import Lookup, Merge, Profile
from mergeguard.storage.source import Options

def progress(phase, done, total):
    if done:
        print(done, flush=True)
        sys.stdin.read()

source = PostgresqlSource(sa.make_url(sys.argv[1]), Profile(merge=Merge("merges", "old", "new")), Options())
source.write_lookup(Lookup(), change(numbered(150_000, "dangling"), full=True), progress)
"""


def test_a_killed_process_leaves_the_old_lookup_and_no_lock(
    connection: psycopg.Connection, write: Callable[..., None], postgres_url: str
) -> None:
    write(change(numbered(1000), full=True))
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, postgres_url, __file__.rpartition("/")[0]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert int(child.stdout.readline()) > 0
        assert stored(connection) == numbered(1000)
        child.kill()

    assert stored(connection) == numbered(1000)
    write(change(numbered(10, "split"), full=True), lock_timeout=60)
    assert stored(connection) == numbered(10, "split")


def test_two_builds_wait_for_each_other_and_not_for_ever(
    connection: psycopg.Connection, write: Callable[..., None]
) -> None:
    second: list[Exception] = []

    def build() -> None:
        try:
            write(change(numbered(1), full=True), lock_timeout=0.05)
        except Locked as locked:
            second.append(locked)

    write(change(numbered(1000), full=True), progress=after_once(build))

    assert len(second) == 1
    assert stored(connection) == numbered(1000)


def test_a_login_that_may_not_write(
    connection: psycopg.Connection, write: Callable[..., None], postgres_reader_url: str
) -> None:
    with pytest.raises(PermissionDenied):
        write(change(numbered(3), full=True), url=postgres_reader_url)
    write(change(numbered(3), full=True))
    with pytest.raises(PermissionDenied):
        write(change(numbered(4), full=True), url=postgres_reader_url)

    assert stored(connection) == numbered(3)


def test_a_table_that_is_no_lookup_is_left_alone(connection: psycopg.Connection, write: Callable[..., None]) -> None:
    connection.execute("CREATE TABLE mergeguard_lookup (old_guid uuid, current_guid uuid, price money)")
    connection.execute("INSERT INTO mergeguard_lookup VALUES (gen_random_uuid(), NULL, 3)")

    with pytest.raises(UnknownSchema, match="has no column depth"):
        write(change(numbered(3), full=True))

    assert connection.execute("SELECT count(*) FROM mergeguard_lookup").fetchone() == (1,)
