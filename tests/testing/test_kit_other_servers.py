"""SQLite is scheduled by what it says when it is busy; what SQL Server is asked parses and is read rightly."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mergeguard.errors import Unsupported
from mergeguard.testing import Fault, Planned, Scheduler, mssql, schedulable
from mergeguard.testing.choices import Recorded
from mergeguard.testing.history import History
from mergeguard.testing.sqlite import SqliteWatcher, connect


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "merges.db") as connection:
        connection.execute("CREATE TABLE merge (old TEXT, new TEXT)")
    connection.close()
    return tmp_path / "merges.db"


def careless(session: Any, old: str, new: str) -> str:
    if session.execute("SELECT 1 FROM merge WHERE old = ?", [new]).fetchone():
        return "refused"
    session.execute("INSERT INTO merge VALUES (?, ?)", [old, new])
    session.commit()
    return "merged"


def careful(session: Any, old: str, new: str) -> str:
    session.execute("BEGIN IMMEDIATE")
    try:
        return careless(session, old, new)
    finally:
        session.rollback()


def both(file: Path, merge: Any, choices: list[int], **how: Any) -> tuple[History, list[tuple[str, str]]]:
    sessions = [connect(file), connect(file)]
    try:
        programs = [("A->B", partial(merge, sessions[0], "A", "B")), ("B->A", partial(merge, sessions[1], "B", "A"))]
        history = Scheduler(programs, SqliteWatcher(), Recorded(choices), **how).run()
        return history, sessions[0].execute("SELECT old, new FROM merge").fetchall()
    finally:
        for session in sessions:
            session.close()


def test_check_then_insert_closes_a_circle_in_sqlite_too(file: Path) -> None:
    history, rows = both(file, careless, [0, 1])

    assert sorted(rows) == [("A", "B"), ("B", "A")]
    assert [outcome.value for outcome in history.outcomes] == ["merged", "merged"]


@pytest.mark.parametrize("at", range(5))
def test_whom_sqlite_refuses_waits_and_tries_again(file: Path, at: int) -> None:
    history, rows = both(file, careful, [0] * at + [1])

    assert rows in ([("A", "B")], [("B", "A")])
    assert sorted(str(outcome.value) for outcome in history.outcomes) == ["merged", "refused"]
    assert any(step.waited_until for step in history.steps) == (0 < at < 4)


def test_of_two_readers_that_want_to_write_one_gives_way(file: Path) -> None:
    def upgrading(session: Any, old: str, new: str) -> str:
        session.execute("BEGIN")
        try:
            return careless(session, old, new)
        finally:
            session.rollback()

    history, rows = both(file, upgrading, [0, 0, 1, 0, 0, 1, 1, 1])

    errors = [outcome for outcome in history.outcomes if isinstance(outcome.error, sqlite3.OperationalError)]
    assert len(errors) == 1
    assert len(rows) == 1


def test_a_session_that_the_kit_did_not_open_is_not_ended_but_a_transaction_can_fail(file: Path) -> None:
    with pytest.raises(Unsupported, match="session 0 is none that the test kit opened"):
        SqliteWatcher().terminate(0)
    history, rows = both(file, careless, [], faults=[Planned(0, 2, Fault.SERIALIZATION)])

    assert isinstance(history.outcomes[0].error, sqlite3.OperationalError)
    assert rows == [("B", "A")]


def test_an_engine_of_sqlite_is_scheduled(file: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.pool.NullPool)
    schedulable(engine)

    def insert(old: str) -> None:
        with engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO merge VALUES (:old, 'X')"), {"old": old})

    history = Scheduler(
        [("a", partial(insert, "A")), ("b", partial(insert, "B"))], SqliteWatcher(), Recorded([0])
    ).run()

    assert [outcome.error for outcome in history.outcomes] == [None, None]
    assert [step.sql.split()[0] for step in history.steps] == ["INSERT", "COMMIT"] * 2
    engine.dispose()


@pytest.mark.parametrize(
    "sql", [mssql.SESSION, mssql.WAITS.format("1, 2"), mssql.KILL.format(51), mssql.SINCE, mssql.GONE]
)
def test_what_sql_server_is_asked_parses(sql: str) -> None:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2012"]
    done = subprocess.run(
        command, input=sql.replace("?", "@p"), capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr


class Recorder:
    """A pyodbc connection and cursor in one, which answers in turn."""

    autocommit = False

    def __init__(self, *answers: list[tuple[Any, ...]]) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[Any, ...]] = []

    def cursor(self) -> Recorder:
        return self

    def execute(self, *sent: Any) -> Recorder:
        self.sent.append(sent)
        return self

    def fetchone(self) -> Any:
        return next(iter(self.answers.pop(0)), None)

    def fetchall(self) -> Any:
        return self.answers.pop(0)

    def commit(self) -> None:
        self.sent.append(("commit",))

    def rollback(self) -> None:
        self.sent.append(("rollback",))


def test_sql_server_says_who_waits_for_whom() -> None:
    recorder = Recorder([(51, 52)])

    assert mssql.MssqlWatcher(recorder).waits([51, 52]) == {51: (52,)}
    assert recorder.sent == [(mssql.WAITS.format("?, ?"), [51, 52])]
    assert mssql.MssqlWatcher(recorder).waits([]) == {}


def test_a_session_of_sql_server_is_ended_when_it_is_gone() -> None:
    recorder = Recorder([("2026-01-01T00:00:00",)], [(1,)], [(1,)], [(0,)])

    mssql.MssqlWatcher(recorder).terminate(51)

    asked = (mssql.GONE, 51, "2026-01-01T00:00:00")  # and not by its number alone, which the next session gets
    assert recorder.sent == [(mssql.SINCE, 51), ("KILL 51",), *[asked] * 3]


def test_a_session_of_sql_server_that_is_gone_is_not_ended() -> None:
    recorder = Recorder([])

    mssql.MssqlWatcher(recorder).terminate(51)

    assert recorder.sent == [(mssql.SINCE, 51)]


def test_statements_of_pyodbc_are_steps() -> None:
    recorder = Recorder([(51,)], [("B",)])
    connection = mssql.MssqlConnection(recorder)

    def program() -> Any:
        found = connection.cursor().execute("SELECT new FROM merge WHERE old = ?", "A").fetchone()
        connection.commit()
        connection.commit()
        return found

    history = Scheduler([("p", program)], SqliteWatcher(), Recorded(())).run()

    assert history.outcomes[0].value == ("B",)
    assert [(one.sql, one.read, one.ended) for one in history.steps] == [
        ("SELECT new FROM merge WHERE old = ?", [("B",)], False),
        ("COMMIT", [], True),
    ]
    assert recorder.sent.count(("commit",)) == 2
