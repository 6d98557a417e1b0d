"""The lookup in SQLite is written whole or not at all, and holds what the change says."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.errors import Locked, MergeGuardError, PermissionDenied, ProfileError, TargetNotFound, UnknownSchema
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.profile import Lookup, Merge, Profile
from mergeguard.storage.source import LookupChange, Options
from mergeguard.storage.sqlite import lookup as sqlite_lookup
from mergeguard.storage.sqlite.source import SqliteSource

Stored = tuple[uuid.UUID | None, int | None, str]
"""Current, depth and status of an old."""
NAMES = ("ok", "cycle", "split", "dangling")
GUIDS = [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), *(uuid.uuid5(guids.NAMESPACE, str(n)) for n in range(10))]
LOOKUP = Lookup()

found_rows = st.one_of(
    st.tuples(st.sampled_from(GUIDS), st.integers(0, 2**31 - 1), st.sampled_from(NAMES)),
    st.tuples(st.none(), st.none(), st.sampled_from(NAMES)),
)
contents = st.dictionaries(st.sampled_from(GUIDS), found_rows)


def change(rows: Mapping[uuid.UUID, Stored], *, deletes: list[uuid.UUID] | None = None) -> LookupChange:
    """A full write of ``rows``; with ``deletes`` a change of a lookup that stands."""
    currents = [current or uuid.UUID(int=0) for current, _, _ in rows.values()]
    return LookupChange(
        guids.from_uuids(list(rows)),
        guids.from_uuids(currents),
        np.array([current is not None for current, _, _ in rows.values()], np.bool_),
        np.array([-1 if depth is None else depth for _, depth, _ in rows.values()], np.int64),
        np.array([NAMES.index(status) for _, _, status in rows.values()], np.uint8),
        NAMES,
        guids.from_uuids(deletes or []),
        full=deletes is None,
    )


def make(path: Path, kind: str = "BLOB", value: object = GUIDS[2].bytes) -> SqliteSource:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"CREATE TABLE merges (old {kind}, new {kind})")
        connection.executemany("INSERT INTO merges VALUES (?, ?)", [] if value is None else [(value, value)])
    return source(path)


def source(path: Path, **merge: str) -> SqliteSource:
    profile = Profile(merge=Merge("merges", "old", "new", **merge))  # type: ignore[arg-type]
    return SqliteSource(sa.make_url(f"sqlite:///{path}"), profile, Options(lock_timeout=0.05))


def raw(path: Path, table: str = "mergeguard_lookup") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f'SELECT old_guid, current_guid, depth, status FROM "{table}"').fetchall()


def stored(path: Path) -> dict[uuid.UUID, Stored]:
    rows = raw(path)
    read = {guids.parse(old): (guids.parse(current), depth, status) for old, current, depth, status in rows}
    assert len(read) == len(rows)
    return read  # type: ignore[return-value]  # every old is a guid, or the comparison fails


@pytest.fixture
def folder() -> Iterator[Callable[[], Path]]:
    """A new path for each example."""
    with tempfile.TemporaryDirectory() as name:
        count = iter(range(1_000_000))
        yield lambda: Path(name) / f"{next(count)}.db"


@pytest.mark.parametrize("chunk", [3, sqlite_lookup.CHUNK])
@pytest.mark.parametrize("value", [GUIDS[2].bytes, str(GUIDS[2])], ids=["blob", "text"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.data())
def test_a_write_and_a_change_leave_what_the_model_says(
    value: object, chunk: int, folder: Callable[[], Path], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_lookup, "CHUNK", chunk)
        path = folder()
        target = make(path, "", value)
        model = dict(data.draw(contents))
        target.write_lookup(LOOKUP, change(model))
        assert stored(path) == model
        upserts = data.draw(contents)
        deletes = data.draw(st.lists(st.sampled_from(GUIDS).filter(lambda guid: guid not in upserts), unique=True))
        target.write_lookup(LOOKUP, change(upserts, deletes=deletes))
        model = {old: row for old, row in model.items() if old not in deletes} | upserts
        assert stored(path) == model
        again = data.draw(contents)
        target.write_lookup(LOOKUP, change(again))
        assert stored(path) == dict(again)
        assert {type(old) for old, *_ in raw(path)} <= {type(value)}


@given(rows=contents)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_the_bulk_way_writes_what_the_generic_way_writes(
    rows: Mapping[uuid.UUID, Stored], folder: Callable[[], Path]
) -> None:
    bulk, generic = folder(), folder()
    make(bulk).write_lookup(LOOKUP, change(rows))
    make(generic)
    url = sa.make_url(f"sqlite:///{generic}")
    DatabaseSource(url, Profile(merge=Merge("merges", "old", "new")), Options()).write_lookup(LOOKUP, change(rows))
    assert sorted(raw(bulk), key=repr) == sorted(raw(generic), key=repr)


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        ("BLOB", None, bytes),
        ("", None, bytes),
        ("TEXT", None, str),
        ("UNIQUEIDENTIFIER", None, str),
        ("TEXT", GUIDS[2].bytes, bytes),
        ("BLOB", str(GUIDS[2]), str),
        ("BLOB", GUIDS[2].hex.upper(), str),
    ],
)
def test_guids_are_stored_as_the_merge_table_stores_them(tmp_path: Path, kind: str, value: object, form: type) -> None:
    target = make(tmp_path / "a.db", kind, value)
    target.write_lookup(LOOKUP, change({GUIDS[0]: (GUIDS[1], 1, "ok")}))
    ((old, current, depth, status),) = raw(tmp_path / "a.db")
    expected = {bytes: (GUIDS[0].bytes, GUIDS[1].bytes), str: (str(GUIDS[0]), str(GUIDS[1]))}[form]
    assert (old, current, depth, status) == (*expected, 1, "ok")


def test_a_lookup_that_stands_keeps_its_form(tmp_path: Path) -> None:
    """The merge table has moved on to texts, the lookup has not."""
    path = tmp_path / "a.db"
    make(path).write_lookup(LOOKUP, change({GUIDS[0]: (GUIDS[1], 1, "ok")}))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE merges SET old = ?", (str(GUIDS[3]),))
    source(path).write_lookup(LOOKUP, change({GUIDS[3]: (GUIDS[1], 1, "ok")}, deletes=[]))
    assert {type(old) for old, *_ in raw(path)} == {bytes}
    assert set(stored(path)) == {GUIDS[0], GUIDS[3]}


def test_bytes_are_written_in_the_order_of_sql_server_where_the_profile_says_so(tmp_path: Path) -> None:
    make(tmp_path / "a.db")
    target = source(tmp_path / "a.db", byte_order="sqlserver")
    target.write_lookup(LOOKUP, change({GUIDS[4]: (GUIDS[5], 1, "ok")}))
    assert raw(tmp_path / "a.db") == [(GUIDS[4].bytes_le, GUIDS[5].bytes_le, 1, "ok")]
    target.write_lookup(LOOKUP, change({}, deletes=[GUIDS[4]]))
    assert raw(tmp_path / "a.db") == []


def test_a_utf_16_database_is_written_right(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
    target = make(path, "TEXT", str(GUIDS[2]))
    rows = {GUIDS[0]: (GUIDS[1], 12, "ok"), GUIDS[3]: (None, None, "cycle")}
    target.write_lookup(LOOKUP, change(rows))
    target.write_lookup(LOOKUP, change({}, deletes=[GUIDS[3]]))
    assert stored(path) == {GUIDS[0]: (GUIDS[1], 12, "ok")}


def test_another_name_may_hold_any_character(tmp_path: Path) -> None:
    target = make(tmp_path / "a.db")
    lookup = Lookup('the "look:up" %s', "old_guid", "current_guid", "depth", "status")
    target.write_lookup(lookup, change({GUIDS[0]: (GUIDS[1], 1, "ok")}))
    target.write_lookup(lookup, change({GUIDS[0]: (None, None, "split")}, deletes=[GUIDS[1]]))
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        found = connection.execute('SELECT current_guid, status FROM "the ""look:up"" %s"').fetchall()
    assert found == [(None, "split")]


@pytest.mark.parametrize("table", ["merges", "MERGES", "someone_elses"])
def test_a_table_that_is_no_lookup_is_not_written(tmp_path: Path, table: str) -> None:
    path = tmp_path / "a.db"
    target = make(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE someone_elses (old_guid, note)")
        connection.execute("INSERT INTO someone_elses VALUES (1, 'precious')")
    before = path.read_bytes()
    with pytest.raises((ProfileError, UnknownSchema)) as caught:
        target.write_lookup(replace(LOOKUP, table=table), change({GUIDS[0]: (GUIDS[1], 1, "ok")}))
    assert "[lookup] table" in str(caught.value.hint)
    assert path.read_bytes() == before


def test_a_write_does_not_make_a_database(tmp_path: Path) -> None:
    with pytest.raises(TargetNotFound):
        source(tmp_path / "none.db").write_lookup(LOOKUP, change({}))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_merge_table_makes_no_lookup(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE merge (old, new)")
    with pytest.raises(UnknownSchema, match="merges") as caught:
        source(tmp_path / "a.db").write_lookup(LOOKUP, change({}))
    assert "merge" in str(caught.value.hint)
    with source(tmp_path / "a.db").snapshot() as snapshot:
        assert snapshot.tables() == ["merge"]


def test_a_database_that_another_session_writes_is_locked(tmp_path: Path) -> None:
    target = make(tmp_path / "a.db")
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked):
            target.write_lookup(LOOKUP, change({}))


def test_a_file_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = make(tmp_path / "a.db")
    # As the operating system answers for a file without the right to write; root has every right.
    monkeypatch.setattr(target, "_uri", lambda _mode: f"{(tmp_path / 'a.db').as_uri()}?mode=ro")
    with pytest.raises(PermissionDenied):
        target.write_lookup(LOOKUP, change({}))


class StoppedError(Exception):
    pass


def test_a_write_that_is_stopped_changes_nothing(tmp_path: Path) -> None:
    target = make(tmp_path / "a.db")
    target.write_lookup(LOOKUP, change({GUIDS[0]: (GUIDS[1], 1, "ok")}))

    def stop(_phase: str, done: int, _total: int | None) -> None:
        if done:
            raise StoppedError

    with pytest.raises(StoppedError):
        target.write_lookup(LOOKUP, change({GUIDS[3]: (GUIDS[1], 1, "ok")}), stop)
    assert stored(tmp_path / "a.db") == {GUIDS[0]: (GUIDS[1], 1, "ok")}


def test_a_full_disk_is_a_failed_write_that_was_rolled_back(tmp_path: Path) -> None:
    target = make(tmp_path / "a.db")
    connect = target._connect

    def small(uri: str) -> sqlite3.Connection:
        connection = connect(uri)
        connection.execute("PRAGMA max_page_count = 4")
        return connection

    target._connect = small  # type: ignore[method-assign]
    rows: dict[uuid.UUID, Stored] = {uuid.UUID(int=number): (GUIDS[0], 1, "ok") for number in range(1000)}
    with pytest.raises(MergeGuardError) as caught:
        target.write_lookup(LOOKUP, change(rows))
    assert caught.value.exit_code == 6
    with source(tmp_path / "a.db").snapshot() as snapshot:
        assert snapshot.tables() == ["merges"]


def test_a_snapshot_must_be_closed_before_the_write(tmp_path: Path) -> None:
    target = make(tmp_path / "a.db")
    with target.snapshot(), pytest.raises(RuntimeError, match="after the snapshot"):
        target.write_lookup(LOOKUP, change({}))


def test_progress_counts_rows(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    rows: dict[uuid.UUID, Stored] = {GUIDS[0]: (GUIDS[1], 1, "ok"), GUIDS[2]: (None, None, "cycle")}
    make(tmp_path / "a.db").write_lookup(LOOKUP, change(rows), lambda *news: told.append(news))
    assert told == [("writing lookup", done, 2) for done in (0, 1, 2)]


CHILD = """
import sys, time, signal
import numpy as np, sqlalchemy as sa
from mergeguard.storage.profile import Lookup, Merge, Profile
from mergeguard.storage.source import LookupChange, Options
from mergeguard.storage.sqlite.source import SqliteSource
rows = 200_000
olds = np.random.default_rng(1).integers(0, 256, (rows, 16), dtype=np.uint8)
yes, ones = np.ones(rows, np.bool_), np.ones(rows, np.int64)
change = LookupChange(olds, olds, yes, ones, ones.astype(np.uint8) * 0, ["ok"], olds[:0], full=True)
def progress(phase, done, total):
    if done > rows // 2:
        print("half", flush=True)
        signal.pause()
url = sa.make_url("sqlite:///" + sys.argv[1])
SqliteSource(url, Profile(merge=Merge("merges", "old", "new")), Options()).write_lookup(Lookup(), change, progress)
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_writer_that_is_killed_leaves_the_old_lookup_whole(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.db"
    target = make(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    model: dict[uuid.UUID, Stored] = {uuid.UUID(int=number): (GUIDS[0], 1, "ok") for number in range(5000)}
    target.write_lookup(LOOKUP, change(model))
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "half\n"
    child.kill()
    child.communicate()
    assert (tmp_path / f"a.db-{'journal' if mode == 'delete' else 'wal'}").stat().st_size > 0
    assert stored(path) == model
    target.write_lookup(LOOKUP, change({GUIDS[0]: (GUIDS[1], 1, "ok")}))
    assert stored(path) == {GUIDS[0]: (GUIDS[1], 1, "ok")}
