"""Transactions that change rows: who may hold the merge lock beside whom, and what is left after any failure."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest

from mergeguard import errors
from mergeguard.core.repair.plan import Action, RowChange
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.database.writing import DatabaseWriting
from mergeguard.storage.merging import lock as merge_lock
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.source import Column, Kind, Options, Selection
from mergeguard.storage.targets import open_target

OLD, NEW = uuid.UUID(int=7), uuid.UUID(int=8)
PROFILE = Profile(merge=Merge("merges", "old", "new"))
ASKED = Selection((Column("old", Kind.GUID),), "merges")


def opened(url: str, *, wait: float = 0.2) -> DatabaseSource:
    source = open_target(url, PROFILE, Options(lock_timeout=wait))
    assert isinstance(source, DatabaseSource)
    return source


def images(rows: DatabaseRows) -> list[dict[str, str | None]]:
    return [dict(image) for image in rows.having("merges", "old", [OLD])]


def retire(rows: DatabaseRows) -> None:
    rows.change([RowChange(Action.RETIRE, "merges", image, None) for image in images(rows)])


def attempt(writing: DatabaseWriting, *steps: Callable[[DatabaseRows], object]) -> None:
    """Take some steps in one transaction."""
    with writing.transaction() as rows:
        for step in steps:
            step(rows)


# --- SQLite ---


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE merges (old, new)")
        connection.execute("INSERT INTO merges VALUES (?, ?)", (str(OLD), str(NEW)))
    return path


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM merges").fetchone()[0])


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_what_is_raised_inside_rolls_back(file: Path, mode: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    before = file.read_bytes()
    for error in (ValueError, KeyboardInterrupt, errors.Stale):
        with closing(opened(f"sqlite:///{file}")) as source, source.writing() as writing:

            def fail(rows: DatabaseRows, error: type[BaseException] = error) -> None:
                assert images(rows) == []
                raise error("x")

            with pytest.raises(error):
                attempt(writing, retire, fail)
            with writing.transaction() as rows:
                assert len(images(rows)) == 1
    assert file.read_bytes() == before


def test_another_writer_is_waited_for_and_then_given_up(file: Path) -> None:
    before = file.read_bytes()
    with closing(opened(f"sqlite:///{file}")) as source, source.writing() as writing:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(errors.Locked), writing.transaction() as rows:
                retire(rows)
        with writing.transaction(), closing(sqlite3.connect(file, timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO merges VALUES (1, 2)")
            assert other.execute("SELECT count(*) FROM merges").fetchone() == (1,)
    assert file.read_bytes() == before


def test_a_snapshot_is_read_between_two_transactions_and_not_inside_one(file: Path) -> None:
    with closing(opened(f"sqlite:///{file}")) as source, source.writing() as writing:
        with writing.transaction() as rows:
            assert len(next(iter(rows.snapshot.read(ASKED)))[0].column) == 1  # type: ignore[union-attr]
            with pytest.raises(RuntimeError, match="middle of a transaction"), source.snapshot():
                pass
            with pytest.raises(RuntimeError, match="one writer at a time"), source.writing():
                pass
            retire(rows)
        with source.snapshot() as snapshot:
            assert list(snapshot.read(ASKED)) == []
            with pytest.raises(RuntimeError, match="snapshot is closed"), source.writing():
                pass
        with writing.transaction() as rows:
            assert images(rows) == []


def test_no_lock_of_ours_is_dropped_by_looking_at_the_file(file: Path) -> None:
    """Closing any handle of a file drops the locks that the process has on it; another process would get in."""
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    with closing(opened(f"sqlite:///{file}")) as source, source.writing() as writing:
        with writing.transaction(), pytest.raises(RuntimeError), source.snapshot():
            pass
        with writing.transaction():
            done = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, check=False)
            assert "database is locked" in done.stderr
    assert subprocess.run([sys.executable, "-c", program, file], check=False).returncode == 0


def test_a_table_that_was_altered_between_two_transactions_is_described_anew(file: Path) -> None:
    with closing(opened(f"sqlite:///{file}")) as source, source.writing() as writing:
        with writing.transaction() as rows:
            before = rows.shape("merges")
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("ALTER TABLE merges ADD COLUMN more")
        with writing.transaction() as rows:
            assert [column.name for column in rows.shape("merges").columns] == ["rowid", "old", "new", "more"]
            assert rows.shape("merges") != before


def test_the_lock_of_a_session_and_the_shared_one_do_nothing_in_sqlite(file: Path) -> None:
    before = file.read_bytes()
    with closing(opened(f"sqlite:///{file}")) as source, source.writing() as writing:
        with writing.hold_merge_lock(), closing(sqlite3.connect(file, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.rollback()
        with writing.transaction() as rows:
            merge_lock.hold_shared(rows)
    assert file.read_bytes() == before


def test_rights_are_asked_for_without_a_change(file: Path) -> None:
    before = file.read_bytes()
    with closing(opened(f"sqlite:///{file}")) as source, source.writing() as writing:
        writing.check_rights(["merges"])
        with pytest.raises(errors.UnknownSchema, match="no table nothing"):
            writing.check_rights(["nothing"])
        with writing.transaction() as rows:
            retire(rows)
    assert count(file) == 0
    assert file.read_bytes() != before


def test_a_file_that_may_not_be_written_is_refused_before_any_change(
    file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As another user: the one who runs the tests may be root, whom no mode stops."""
    program = """
import os, sys
from mergeguard import errors
from mergeguard.storage.targets import open_target
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Options
def check(path):
    source = open_target("sqlite:///" + path, Profile(merge=Merge("merges", "old", "new")), Options())
    with source.writing() as writing:
        try:
            writing.check_rights(["merges"])
        except errors.PermissionDenied as error:
            print(error.message)
check(sys.argv[2])  # all modules are loaded now: the other user may not read them
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
check(sys.argv[1])
"""
    before = file.read_bytes()
    warm = tmp_path_factory.mktemp("warm") / "warm.db"
    shutil.copy(file, warm)
    for parent in (file.parent, *file.parent.parents):
        if parent.stat().st_uid == file.stat().st_uid and parent not in {Path("/"), Path("/tmp")}:  # noqa: S108
            parent.chmod(parent.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    for mode, folder in ((0o444, 0o777), (0o666, 0o555)):
        file.chmod(mode)
        file.parent.chmod(folder)
        try:
            done = subprocess.run(
                [sys.executable, "-c", program, file, warm], capture_output=True, text=True, check=True
            )
        finally:
            file.parent.chmod(0o755)
        assert f"/{file.name}:" in done.stdout
        assert "warm.db" not in done.stdout
        assert file.read_bytes() == before


def test_targets_that_cannot_be_changed_say_so(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("old,new\n")
    source = open_target(str(tmp_path / "m.csv"), PROFILE, Options())
    with pytest.raises(errors.Unsupported, match="in place"):
        source.writing()
    with source.snapshot() as snapshot, pytest.raises(errors.Unsupported, match="in place"):
        source.rows(snapshot)
    with (
        closing(opened(f"sqlite:///{tmp_path / 'none.db'}")) as missing,
        pytest.raises(errors.TargetNotFound),
        missing.writing(),
    ):
        pass
    assert not (tmp_path / "none.db").exists()


# --- PostgreSQL ---


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS merges CASCADE; CREATE TABLE merges (old uuid, new uuid)")
        connection.execute("INSERT INTO merges VALUES (%s, %s)", [OLD, NEW])
        yield connection


@contextmanager
def source_of(url: str, *, wait: float = 0.2) -> Iterator[DatabaseSource]:
    with closing(opened(url, wait=wait)) as source:
        yield source


def until_waiting(postgres: psycopg.Connection, locktype: str) -> None:
    """Return once another session waits for a lock of this database."""
    asked = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = %s "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    give_up = time.monotonic() + 60
    while postgres.execute(asked, [locktype]).fetchone() == (0,):
        assert time.monotonic() < give_up


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Run ``work`` in a thread, and wait for its end; what it raises is raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    if raised:
        raise raised[0]


def test_two_repairs_exclude_one_another(postgres_url: str, postgres: psycopg.Connection) -> None:
    seen: list[int] = []

    def second() -> None:
        with source_of(postgres_url, wait=60) as other, other.writing() as writing, writing.transaction() as rows:
            seen.append(len(images(rows)))

    with source_of(postgres_url) as source, source.writing() as writing, writing.transaction() as rows:
        thread = meanwhile(second)
        thread.__enter__()
        until_waiting(postgres, "advisory")
        retire(rows)
    thread.__exit__(None, None, None)
    assert seen == [0]  # read after the lock, and so after the first one's commit


def test_a_lock_that_is_not_had_in_time_is_said(postgres_url: str, postgres: psycopg.Connection) -> None:
    with source_of(postgres_url) as source, source.writing() as writing, source_of(postgres_url) as other:
        with writing.transaction() as rows, other.writing() as late:
            with pytest.raises(errors.Locked), late.transaction():
                pass
            retire(rows)
        with other.writing() as late, late.transaction() as rows:
            assert images(rows) == []


def test_a_program_that_knows_no_lock_cannot_write_merges_meanwhile(
    postgres_url: str, postgres: psycopg.Connection
) -> None:
    def write() -> None:
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as vendor:
            vendor.execute("INSERT INTO merges VALUES (%s, %s)", [NEW, OLD])

    with source_of(postgres_url) as source, source.writing() as writing, writing.transaction() as rows:
        thread = meanwhile(write)
        thread.__enter__()
        until_waiting(postgres, "relation")
        assert postgres.execute("SELECT count(*) FROM merges").fetchone() == (1,)
        retire(rows)
    thread.__exit__(None, None, None)
    assert postgres.execute("SELECT old FROM merges").fetchall() == [(NEW,)]


def test_merges_share_the_lock_and_a_repair_waits_for_them(postgres_url: str, postgres: psycopg.Connection) -> None:
    key = "SELECT pg_advisory_xact_lock_shared(hashtextextended('mergeguard merges public.merges', 0))"
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as one:
        one.execute(key)
        with source_of(postgres_url) as source, source.writing() as writing:
            with pytest.raises(errors.Locked), writing.transaction():
                pass
            with source.snapshot() as snapshot:
                merge_lock.hold_shared(source.rows(snapshot))
        one.rollback()
    with (
        source_of(postgres_url) as source,
        source.writing() as writing,
        source_of(postgres_url) as other,
        writing.transaction(),
        other.snapshot() as snapshot,
        pytest.raises(errors.Locked),
    ):
        merge_lock.hold_shared(other.rows(snapshot))


def test_a_session_holds_the_lock_over_several_transactions(postgres_url: str, postgres: psycopg.Connection) -> None:
    with (
        source_of(postgres_url) as source,
        source.writing() as writing,
        source_of(postgres_url) as other,
        other.writing() as late,
    ):
        with writing.hold_merge_lock():
            for expected in (1, 0):
                with writing.transaction() as rows:
                    assert len(images(rows)) == expected
                    retire(rows)
                with pytest.raises(errors.Locked), late.transaction():
                    pass
            with pytest.raises(errors.Locked), late.hold_merge_lock():
                pass
            with pytest.raises(ValueError, match="x"), writing.transaction():
                raise ValueError("x")
        with late.hold_merge_lock(), late.transaction():
            pass
        with writing.hold_merge_lock():
            pass


def test_a_lost_session_is_told_and_the_next_transaction_opens_another(
    postgres_url: str, postgres: psycopg.Connection
) -> None:
    def kill(_rows: DatabaseRows) -> None:
        postgres.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE application_name = 'mergeguard' AND datname = current_database()"
        )

    with source_of(postgres_url) as source, source.writing() as writing:
        with pytest.raises(errors.ConnectionLost):
            attempt(writing, retire, kill, images)
        with pytest.raises(errors.ConnectionLost, match="nobody knows") as caught:
            attempt(writing, retire, kill)
        assert "journal" in (caught.value.hint or "")
        with writing.transaction() as rows:
            assert len(images(rows)) == 1


def test_a_commit_that_fails_changes_nothing(postgres_url: str, postgres: psycopg.Connection) -> None:
    postgres.execute("CREATE TABLE IF NOT EXISTS kept (old uuid PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
    with source_of(postgres_url) as source, source.writing() as writing:
        with pytest.raises(errors.WriteFailed):
            attempt(writing, retire, lambda rows: rows.run("INSERT INTO kept VALUES (%s), (%s)", [OLD, OLD]))
        with writing.transaction() as rows:
            assert len(images(rows)) == 1


def test_a_commit_is_under_way_before_its_answer_is_waited_for(postgres_url: str, postgres: psycopg.Connection) -> None:
    seen: list[bool] = []

    def meanwhile() -> None:
        while postgres.execute("SELECT count(*) FROM merges").fetchone() != (0,):
            assert not seen
        seen.append(True)

    with source_of(postgres_url) as source, source.writing() as writing:
        with writing.transaction() as rows:
            retire(rows)
            with writing.last(rows, meanwhile):
                assert not seen
        assert seen == [True]


def test_a_commit_that_fails_is_told_whatever_was_done_meanwhile(
    postgres_url: str, postgres: psycopg.Connection
) -> None:
    postgres.execute("CREATE TABLE IF NOT EXISTS kept (old uuid PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
    done: list[str] = []

    def twice(writing: DatabaseWriting, rows: DatabaseRows) -> None:
        with writing.last(rows, lambda: done.append("meanwhile")):
            rows.run("INSERT INTO kept VALUES (%s), (%s)", [OLD, OLD])

    with source_of(postgres_url) as source, source.writing() as writing:
        with pytest.raises(errors.WriteFailed):
            attempt(writing, retire, partial(twice, writing))
        with writing.transaction() as rows:
            assert len(images(rows)) == 1
    assert done == ["meanwhile"]


def test_reads_inside_a_transaction_see_what_it_wrote(postgres_url: str, postgres: psycopg.Connection) -> None:
    """Also those that another connection would make faster: it would wait for our own lock, or see the old rows."""
    postgres.execute("CREATE OR REPLACE VIEW seen AS SELECT * FROM merges")
    with source_of(postgres_url) as source, source.writing() as writing, writing.transaction() as rows:
        retire(rows)
        assert list(rows.snapshot.read(Selection(ASKED.columns, "seen"))) == []
        assert list(rows.snapshot.read(ASKED)) == []


def test_a_reader_is_refused_before_the_first_change(
    postgres_url: str, postgres_reader_url: str, postgres: psycopg.Connection
) -> None:
    with source_of(postgres_reader_url) as source, source.writing() as writing:
        with pytest.raises(errors.PermissionDenied, match="INSERT, UPDATE, DELETE on merges") as caught:
            writing.check_rights(["merges"])
        with pytest.raises(errors.PermissionDenied, match="DELETE on merges"):
            writing.check_rights(["merges"], ["DELETE"])
        with pytest.raises(errors.PermissionDenied) as refused, writing.transaction():
            pass
    assert "UPDATE and DELETE on the merge table" in (refused.value.hint or "")
    assert "r#ad" not in caught.value.message + refused.value.message
    with source_of(postgres_url) as source, source.writing() as writing:
        writing.check_rights(["merges"])


def test_a_snapshot_offers_rows_to_read_and_not_to_change(postgres_url: str, postgres: psycopg.Connection) -> None:
    with source_of(postgres_url) as source, source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        assert len(images(rows)) == 1
        with pytest.raises(errors.PermissionDenied):
            retire(rows)
    assert postgres.execute("SELECT count(*) FROM merges").fetchone() == (1,)


def test_the_name_of_the_lock_never_changes() -> None:
    assert merge_lock.NAME == "mergeguard merges {schema}.{table}"


def test_what_is_joined_is_one_statement_in_which_what_goes_is_gone_first(
    postgres_url: str, postgres: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.execute("DROP TABLE IF EXISTS joined; CREATE TABLE joined (n int PRIMARY KEY, said text)")
    insert = "INSERT INTO joined VALUES (%s, %s)"
    again = "INSERT INTO joined SELECT k, 'c' FROM (SELECT count(*) FROM gone) AS g, unnest(CAST(%s AS int[])) AS k"
    with source_of(postgres_url) as source, source.writing() as writing, writing.transaction() as rows:
        sent: list[str] = []
        run = type(rows).run
        monkeypatch.setattr(
            type(rows), "run", lambda self, sql, values=(): (sent.append(sql), run(self, sql, values))[1]
        )
        with rows.joining():
            rows.write(insert, (1, "a"))
            with rows.joining():
                rows.write(insert, (2, "b"))
            assert not sent, "an inner one joins the outer one"
        assert len(sent) == 1
        with rows.joining():
            pass
        assert len(sent) == 1, "nothing was written"
        with suppress(ZeroDivisionError), rows.joining():
            rows.write(insert, (4, "d"))
            raise ZeroDivisionError
        rows.write(again, ([1, 2, 3],), first=("DELETE FROM joined WHERE n = ANY(%s) RETURNING 1", ([1, 2],)))
        assert len(sent) == 2
        assert rows.tuples("SELECT n, said FROM joined ORDER BY n") == [(1, "c"), (2, "c"), (3, "c")]
