"""The ring generator on SQLite files: what looks before it locks is found out, what is right passes, ours among it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import ConnectionLost
from mergeguard.storage.failures import as_error
from mergeguard.testing import (
    MergeIsWrong,
    OwnMerge,
    PlainMerge,
    Refused,
    Search,
    SqliteSandbox,
    cases,
    check_merges,
    rings,
)
from mergeguard.testing.choices import Interrupting, Recorded
from mergeguard.testing.history import Fault
from mergeguard.testing.play import Play
from mergeguard.testing.replay import from_token
from mergeguard.testing.rings import ring_of
from mergeguard.testing.scheduler import Planned, Scheduler
from mergeguard.testing.search import replayed
from mergeguard.testing.sqlite_sandbox import JournalMode
from mergeguard.testing.tables import Tables, guid

LEVELS = ["SERIALIZABLE"]


@pytest.fixture(scope="module", params=["wal", "delete"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteSandbox]:
    journal: JournalMode = request.param
    with SqliteSandbox(tmp_path_factory.mktemp("kit"), journal=journal) as opened:
        yield opened


def root(session: Any, guid: str) -> str:
    seen = [guid.lower()]
    while (row := session.execute("SELECT new FROM merge WHERE old = ?", [seen[-1]]).fetchone()) and row[0] not in seen:
        seen.append(row[0])
    return seen[-1]


def written(session: Any, old: str, new: str) -> None:
    if old == new:
        raise Refused
    session.execute("INSERT INTO merge (old, new) VALUES (?, ?)", [old, new])


def in_turn(session: Any, old: str, new: str) -> None:
    """Right: it takes the file's one lock before it looks."""
    session.execute("BEGIN IMMEDIATE")
    try:
        written(session, root(session, old), root(session, new))
        session.commit()
    finally:
        session.rollback()


def look_then_begin(session: Any, old: str, new: str) -> None:
    """Wrong, and what the driver does by itself: it begins a transaction at the first statement that writes."""
    written(session, root(session, old), root(session, new))
    session.commit()


def look_then_lock(session: Any, old: str, new: str) -> None:
    """Wrong: what was looked at before the lock is what it decides on."""
    roots = root(session, old), root(session, new)
    session.execute("BEGIN IMMEDIATE")
    try:
        written(session, *roots)
        session.commit()
    finally:
        session.rollback()


def write_again(session: Any, old: str, new: str) -> None:
    """Wrong: refused as too late, it writes again what it had decided before."""
    session.execute("BEGIN")
    roots = root(session, old), root(session, new)
    try:
        written(session, *roots)
    except sqlite3.OperationalError:
        session.rollback()
        written(session, *roots)
    finally:
        session.commit()


@pytest.mark.parametrize("merge", [look_then_begin, look_then_lock, write_again], ids=lambda merge: merge.__name__)
def test_what_decides_before_its_lock_closes_a_ring(
    files: SqliteSandbox, merge: Callable[[Any, str, str], None]
) -> None:
    system = PlainMerge(files, merge)
    found = Search(system, rings(LEVELS), checks=["forest"], schedules=300).run()

    assert found is not None
    assert found.steady
    assert "a cycle: " in found.violation.sentence
    again = replayed(system, from_token(found.token), ["forest"])
    assert again is not None
    assert again.violation.sentence == found.violation.sentence
    assert "<== forest" in found.report()
    with pytest.raises(MergeIsWrong, match="<== forest"):
        check_merges(system, checks=["forest"], replay=found.token)


def test_what_locks_first_passes(files: SqliteSandbox) -> None:
    tally = check_merges(PlainMerge(files, in_turn), checks=["forest", "monotone", "confluent"], drawn=rings(LEVELS))

    assert tally.outcomes["made"] > 100
    assert tally.outcomes["refused"] > 0
    assert tally.waits > 0, "no schedule met a lock"


def test_our_own_merge_passes_every_check_on_rings(files: SqliteSandbox, pytestconfig: pytest.Config) -> None:
    schedules = 1000 if pytestconfig.getoption("--long") else 100
    own = OwnMerge(files)
    try:
        search = Search(own, rings(LEVELS), schedules=schedules)
        found = search.run()
    finally:
        own.close()

    assert found is None, found.report()
    assert search.tally.schedules >= schedules
    assert search.tally.outcomes["made"] > schedules
    assert search.tally.waits > 0


def test_our_own_merge_passes_every_check_with_data(files: SqliteSandbox, pytestconfig: pytest.Config) -> None:
    own = OwnMerge(files)
    try:
        tally = check_merges(own, drawn=cases(LEVELS), schedules=500 if pytestconfig.getoption("--long") else 40)
    finally:
        own.close()

    assert tally.outcomes["refused"] > 0


@given(st.data())
def test_what_is_put_into_the_tables_is_read_back(files: SqliteSandbox, data: st.DataObject) -> None:
    start = data.draw(cases(LEVELS)).start
    files.reset(start)
    found = files.tables()

    assert (found.kinds, found.live, found.merges, found.lookup) == (
        start.kinds, start.live, start.merges, start.lookup,
    )  # fmt: skip
    assert sorted(found.data, key=repr) == sorted(start.data, key=repr)
    assert sorted(found.links, key=repr) == sorted(start.links, key=repr)
    assert found.tickets == start.tickets


def test_tables_are_read_as_committed_while_a_commit_waits_for_readers(files: SqliteSandbox) -> None:
    files.reset(Tables({}, frozenset()))
    reader, writer = files.sessions(2)
    reader.execute("BEGIN")
    reader.execute("SELECT 1 FROM merge").fetchall()
    writer.execute("INSERT INTO merge (old, new) VALUES (?, ?)", [str(one) for one in ring_of(2).start.live])
    waits = False
    try:
        writer.commit()
    except sqlite3.OperationalError as error:
        waits = writer.is_busy(error)
    assert waits == (journal_of(files) == "delete")
    assert len(files.tables().merges) == (0 if waits else 1)
    assert files.observe("SELECT count(*) FROM merge WHERE id > :id", [("id", 0)]) == [(0 if waits else 1,)]
    reader.rollback()
    writer.commit()
    assert len(files.tables().merges) == 1


def journal_of(files: SqliteSandbox) -> str:
    return str(files.observe("PRAGMA journal_mode", [])[0][0])


def test_no_waiting_helps_one_whose_snapshot_is_old(tmp_path: Path) -> None:
    with SqliteSandbox(tmp_path) as wal:
        late, early = wal.sessions(2)
        late.execute("BEGIN")
        late.execute("SELECT 1 FROM merge").fetchall()
        early.execute("INSERT INTO merge (old, new) VALUES ('a', 'b')")
        early.commit()
        with pytest.raises(sqlite3.OperationalError) as caught:
            late.execute("INSERT INTO merge (old, new) VALUES ('b', 'a')")
        assert caught.value.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT
        assert not late.is_busy(caught.value)
        late.rollback()


def test_the_file_and_its_folder_are_gone_at_the_end(tmp_path: Path) -> None:
    with SqliteSandbox(tmp_path) as made:
        assert made.path.exists()
        assert made.url == f"sqlite:///{made.path}"
        assert made.sessions(2)[0] is made.sessions(1)[0]
    assert list(tmp_path.iterdir()) == []


def one_merge(session: Any) -> None:
    session.execute("BEGIN IMMEDIATE")
    session.execute("INSERT INTO merge (old, new) VALUES (?, ?)", [str(guid(0)), str(guid(1))])
    session.commit()


@pytest.mark.parametrize(
    ("fault", "step", "rows"),
    [
        (Fault.CRASH, 2, 0),
        (Fault.CRASH, 3, 0),
        (Fault.DISCONNECT, 2, 0),
        (Fault.DISCONNECT, 3, 0),
        (Fault.COMMIT_UNKNOWN, 2, 0),
        (Fault.COMMIT_UNKNOWN, 3, 1),
    ],
)
def test_a_session_loses_its_file_where_it_was_planned(
    files: SqliteSandbox, fault: Fault, step: int, rows: int
) -> None:
    files.reset(Tables({}, frozenset()))
    (session,) = files.sessions(1)
    program = ("p", partial(one_merge, session))
    history = Scheduler([program], files.watcher, Recorded(()), faults=[Planned(0, step, fault)]).run()

    (outcome,) = history.outcomes
    assert outcome.crashed == (fault is Fault.CRASH)
    assert fault is Fault.CRASH or getattr(outcome.error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR
    assert isinstance(as_error(outcome.error, "kit.db"), ConnectionLost) if outcome.error else outcome.crashed
    assert [one.fault for one in history.steps if one.fault] == [fault]
    assert len(files.tables().merges) == rows

    added = "INSERT INTO merge (old, new) VALUES (?, ?)"
    for lost in (lambda: session.execute("SELECT 1"), session.commit, lambda: session.executemany(added, [["a", "b"]])):
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            lost()
    (fresh,) = files.sessions(1)
    assert fresh is not session
    one_merge(fresh)
    assert len(files.tables().merges) == rows + 1, "what was lost holds no lock"


def test_a_commit_that_must_wait_for_a_reader_is_made_before_its_session_is_lost(files: SqliteSandbox) -> None:
    files.reset(Tables({}, frozenset()))
    writer, reader = files.sessions(2)

    def reading() -> None:
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM merge").fetchall()
        reader.commit()

    programs: list[tuple[str, Callable[[], object]]] = [("w", partial(one_merge, writer)), ("r", reading)]
    # The reader has its snapshot before the writer commits, and ends it afterwards.
    choices = Recorded([1, 0, 1, 0, 0])
    history = Scheduler(programs, files.watcher, choices, faults=[Planned(0, 3, Fault.COMMIT_UNKNOWN)]).run()

    assert getattr(history.outcomes[0].error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR
    assert history.outcomes[1].ok
    (commit,) = [step for step in history.steps if step.fault]
    assert (commit.waited_until is not None) == (journal_of(files) == "delete")
    assert len(files.tables().merges) == 1


def test_our_own_merge_passes_every_check_when_sessions_are_lost(
    files: SqliteSandbox, pytestconfig: pytest.Config
) -> None:
    own = OwnMerge(files)
    lost = (Fault.CRASH, Fault.DISCONNECT, Fault.COMMIT_UNKNOWN)
    try:
        schedules = 500 if pytestconfig.getoption("--long") else 25
        tally = check_merges(own, drawn=cases(LEVELS), faults=lost, schedules=schedules)
    finally:
        own.close()

    assert tally.outcomes["failed"] > 0, "no fault struck"


def test_a_ring_is_played_by_hand(files: SqliteSandbox) -> None:
    outcomes = []
    for at in range(8):
        play = Play(PlainMerge(files, in_turn), ring_of(3, [0]), Interrupting([(at, 0)]), ["forest"])
        outcomes.append([type(outcome.error) for outcome in play.run().outcomes])
    assert all(sorted(map(str, each)) == sorted(map(str, (Refused, type(None)))) for each in outcomes)
