"""The journal holds what was committed and nothing else, exactly, on every database; a dictionary is the model."""

from __future__ import annotations

import dataclasses
import datetime as dt
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repair_strategies import journal_steps

from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.core.repair.plan import Action, RowChange
from mergeguard.errors import ExitCode, JournalDamaged, PermissionDenied, Stale, Unsupported
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.journal import reading as journal_reading
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.profile import Journal as Names
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

MANY = 100_000
RUN_ID = "ab" * 16
LONG_AGO = dt.datetime(1999, 1, 1, tzinfo=dt.UTC)
A_FEW = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclasses.dataclass(frozen=True)
class Place:
    """A database with a merge table and, before the first test of it, no journal."""

    url: str
    kind: str
    profile: Profile
    run: Callable[[str], list[tuple[Any, ...]]]
    """Runs one statement as another program would."""

    def source(self, **options: Any) -> DatabaseSource:
        source = open_target(self.url, self.profile, Options(**options))
        assert isinstance(source, DatabaseSource)
        return source

    def named(self, runs: str, steps: str, changes: str) -> Place:
        return dataclasses.replace(self, profile=dataclasses.replace(self.profile, journal=Names(runs, steps, changes)))

    def journal(self, source: DatabaseSource) -> Journal:
        return Journal(source, self.profile)

    @property
    def names(self) -> tuple[str, str, str]:
        names = self.profile.journal
        return names.runs, names.steps, names.changes


def profile() -> Profile:
    mark = secrets.token_hex(4)
    return Profile(merge=Merge("Merges"), journal=Names(f"run_{mark}", f"step_{mark}", f"change_{mark}"))


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Iterator[Place]:
    with closing(sqlite3.connect(tmp_path / "cmdb.db", isolation_level=None)) as connection:
        connection.execute('CREATE TABLE "Merges" ("OldGuid" TEXT, "NewGuid" TEXT)')
        yield Place(str(tmp_path / "cmdb.db"), "sqlite", profile(), lambda sql: connection.execute(sql).fetchall())


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute('CREATE TABLE "Merges" ("OldGuid" uuid, "NewGuid" uuid)')
        yield connection


@pytest.fixture
def postgresql_place(postgres: psycopg.Connection, postgres_url: str) -> Iterator[Place]:
    def run(sql: str) -> list[tuple[Any, ...]]:
        cursor = postgres.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    yield Place(postgres_url, "postgresql", profile(), run)
    postgres.execute('DELETE FROM "Merges"')


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Place:
    made: Place = request.getfixturevalue(f"{request.param}_place")
    return made


def a_run(run_id: str = RUN_ID, **changed: Any) -> Run:
    return dataclasses.replace(Run(run_id, "apply", "dba@host", "0.2.0", LONG_AGO), **changed)


def a_step(number: int, changes: int = 1, **changed: Any) -> JournalStep:
    rows = tuple(
        RowChange(Action.RETIRE, "Merges", {"OldGuid": str(place), "x": None}, None) for place in range(changes)
    )
    members = (uuid.UUID(int=number),)
    step = JournalStep(RUN_ID, number, f"c{number}", ("cycle",), members, members[0], "strong", "why", rows, ({},))
    return dataclasses.replace(step, **changed)


def begun(place: Place, source: DatabaseSource) -> Journal:
    journal = place.journal(source)
    journal.create()
    journal.begin(a_run())
    return journal


def write(source: DatabaseSource, journal: Journal, *steps: JournalStep) -> None:
    with source.writing() as writing, writing.transaction() as rows:
        for step in steps:
            journal.record(rows, step)


def as_given(step: JournalStep) -> JournalStep:
    return dataclasses.replace(step, at=None)


def test_there_is_no_journal_before_one_is_made(place: Place) -> None:
    with closing(place.source()) as source:
        journal = place.journal(source)
        assert journal.exists() is False
        assert journal.runs() == []
        assert journal.run(RUN_ID) is None
        assert journal.steps(RUN_ID) == [*journal.each_step(RUN_ID)] == []
        assert journal.step(RUN_ID, 1) is None
        journal.create()
        assert journal.exists() is True
        journal.create()
        assert journal.runs() == []


@A_FEW
@given(data=st.data())
def test_what_is_read_is_what_was_written(place: Place, data: st.DataObject) -> None:
    run_id = uuid.uuid4().hex  # examples share the journal
    steps = [data.draw(journal_steps(run_id, number)) for number in range(1, data.draw(st.integers(0, 4)) + 1)]
    with closing(place.source()) as source:
        journal = begun(place, source)
        journal.begin(a_run(run_id))
        write(source, journal, *data.draw(st.permutations(steps)))
        found = journal.steps(run_id)
        assert [as_given(step) for step in found] == steps
        assert [*journal.each_step(run_id)] == found
        assert [*journal.each_step(run_id, newest_first=True)] == found[::-1]
        assert [journal.step(run_id, step.number) for step in found] == found
        assert [[*image] for step in found for image in step.guard_after] == [
            [*image] for step in steps for image in step.guard_after
        ]
        run = journal.run(run_id)
        assert run is not None
        assert run.steps == len(steps)


# A model of all that can happen: transactions that commit or fail, runs that end or do not.

Model = dict[str, dict[int, str | None]]


@A_FEW
@given(data=st.data())
def test_the_journal_holds_what_was_committed_and_nothing_else(place: Place, data: st.DataObject) -> None:
    model: Model = {}
    finished: set[str] = set()
    ids = ["0a" * 16, "0b" * 16, "0c" * 16]
    with closing(dataclasses.replace(place, profile=profile()).source()) as source:
        journal = Journal(source, source.profile)
        journal.create()
        before = place.run('SELECT count(*) FROM "Merges"')[0][0]
        rows = 0
        for _ in range(data.draw(st.integers(1, 8))):
            run_id = data.draw(st.sampled_from(ids))
            model.setdefault(run_id, {})
            assert journal.begin(a_run(run_id)).steps == len(model[run_id])
            act = data.draw(st.sampled_from(["record", "undo", "finish"]))
            commits = data.draw(st.booleans())
            if act == "finish":
                journal.finish(run_id)
                finished.add(run_id)
            elif act == "record":
                number = len(model[run_id]) + 1
                with suppress(ZeroDivisionError), source.writing() as writing, writing.transaction() as store:
                    store.connection.exec_driver_sql('INSERT INTO "Merges" VALUES (NULL, NULL)')
                    journal.record(store, a_step(number, run_id=run_id))
                    _ = 1 // commits
                model[run_id] |= {number: None} if commits else {}
                rows += commits
            else:
                standing = [number for number, by in model[run_id].items() if by is None]
                numbers = data.draw(st.lists(st.sampled_from(standing), unique=True)) if standing else []
                with suppress(ZeroDivisionError), source.writing() as writing, writing.transaction() as store:
                    journal.mark_undone(store, run_id, numbers, "f" * 32)
                    _ = 1 // commits
                model[run_id] |= dict.fromkeys(numbers, "f" * 32) if commits else {}
        assert {run.run_id for run in journal.runs()} == set(model)
        for run in journal.runs():
            undone = {step.number: step.undone_by for step in journal.steps(run.run_id)}
            assert undone == model[run.run_id]
            assert (run.steps, run.undone) == (len(undone), len([by for by in undone.values() if by]))
            assert (run.finished is not None) == (run.run_id in finished)
        assert place.run('SELECT count(*) FROM "Merges"')[0][0] == before + rows


def test_a_run_that_is_there_goes_on_and_keeps_the_databases_time(place: Place) -> None:
    with closing(place.source()) as source:
        journal = place.journal(source)
        journal.create()
        before = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=2)  # SQLite rounds to the millisecond
        first = journal.begin(a_run(who="dba\0@\ud83dhost", reason="ünï", undoes="cd" * 16))
        assert before <= first.started <= dt.datetime.now(dt.UTC) + dt.timedelta(milliseconds=2)
        assert (first.who, first.reason, first.undoes) == ("dba\ufffd@\ufffdhost", "ünï", "cd" * 16)
        assert first.started.tzinfo is dt.UTC
        write(source, journal, a_step(1))
        again = journal.begin(a_run(who="another", tool_version="9"))
        assert again == dataclasses.replace(first, steps=1)
        journal.finish(RUN_ID)
        assert journal.runs() == [journal.run(RUN_ID)]
        (step,) = journal.steps(RUN_ID)
        assert step.at is not None
        ended = journal.runs()[0].finished
        assert ended is not None
        assert first.started <= step.at <= ended


def test_runs_come_newest_first(place: Place) -> None:
    with closing(place.source()) as source:
        journal = place.journal(source)
        journal.create()
        ids = [f"{number:032x}" for number in (5, 1, 9)]
        moments = []
        for run_id in ids:
            started = journal.begin(a_run(run_id)).started
            moments.append((started, run_id))
        newest = sorted(moments, key=lambda pair: (-pair[0].timestamp(), pair[1]))
        assert [run.run_id for run in journal.runs()] == [run_id for _, run_id in newest]


def test_a_step_that_was_taken_back_is_not_taken_back_twice(place: Place) -> None:
    with closing(place.source()) as source:
        journal = begun(place, source)
        write(source, journal, a_step(1), a_step(2))
        with source.writing() as writing:
            with writing.transaction() as rows:
                journal.mark_undone(rows, RUN_ID, [2], "01" * 16)
            for numbers in ([1, 2], [2], [1, 3]):
                with pytest.raises(Stale, match="taken back by another run"), writing.transaction() as rows:
                    journal.mark_undone(rows, RUN_ID, numbers, "02" * 16)
        assert [step.undone_by for step in journal.steps(RUN_ID)] == [None, "01" * 16]


# Size.


def test_a_step_of_many_changes_is_two_statements_and_is_read_back(place: Place) -> None:
    with closing(place.source()) as source:
        journal = begun(place, source)
        big, sent = a_step(1, MANY), []
        with source.writing() as writing, writing.transaction() as rows:
            sa.event.listen(rows.connection, "before_cursor_execute", lambda *given: sent.append(given[2]))
            journal.record(rows, big)
        assert len(sent) == 2
        (found,) = journal.each_step(RUN_ID)
        assert as_given(found) == big


@given(
    st.lists(st.integers(0, 12), max_size=8),
    st.integers(1, 10),
)
@A_FEW
def test_a_long_run_is_read_in_spans_that_fit_into_memory(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int
) -> None:
    file = tmp_path_factory.mktemp("spans") / "cmdb.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute('CREATE TABLE "Merges" ("OldGuid" TEXT, "NewGuid" TEXT)')
    place = Place(str(file), "sqlite", profile(), lambda _sql: [])
    steps = [a_step(number, size) for number, size in enumerate(sizes, 1)]
    with closing(place.source()) as source, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_reading, "CHANGES_AT_ONCE", limit)
        journal = begun(place, source)
        write(source, journal, *steps)
        with source.snapshot() as snapshot:
            spans = journal_reading.spans(snapshot.connection, journal.tables, RUN_ID)
        assert [number for first, last in spans for number in range(first, last + 1)] == [step.number for step in steps]
        for first, last in spans:
            assert first == last or sum(sizes[first - 1 : last]) <= limit
        assert [as_given(step) for step in journal.each_step(RUN_ID)] == steps
        assert [as_given(step) for step in journal.each_step(RUN_ID, newest_first=True)] == steps[::-1]


def test_the_database_may_be_written_between_two_steps_that_are_read(place: Place) -> None:
    with closing(place.source(lock_timeout=0.5)) as source:
        journal = begun(place, source)
        write(source, journal, a_step(1), a_step(2))
        for step in journal.each_step(RUN_ID, newest_first=True):
            with source.writing() as writing, writing.transaction() as rows:
                journal.mark_undone(rows, RUN_ID, [step.number], "03" * 16)
        run = journal.run(RUN_ID)
        assert run is not None
        assert run.undone == 2


# Damage.


def damaged(journal: Journal) -> JournalDamaged:
    with pytest.raises(JournalDamaged) as caught:
        journal.exists()
    for act in (journal.create, journal.runs, lambda: journal.steps(RUN_ID)):
        with pytest.raises(JournalDamaged):
            act()
    assert caught.value.exit_code is ExitCode.PLAN_REFUSED
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("gone", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
def test_a_missing_table_is_named(place: Place, gone: tuple[int, ...]) -> None:
    with closing(place.source()) as source:
        journal = begun(place, source)
        for table in gone:
            place.run(f'DROP TABLE "{place.names[table]}"')
        message = damaged(journal).message
        missing, _, there = message.partition(" missing beside ")
        assert [name in missing for name in place.names] == [number in gone for number in range(3)]
        assert [name in there for name in place.names] == [number not in gone for number in range(3)]


COLUMNS = [(place, column) for place, table in enumerate(("runs", "steps", "changes")) for column in {
    "runs": ("kind", "who", "tool_version", "started", "reason", "finished", "undoes"),
    "steps": ("component", "kinds", "members", "confidence", "why", "guard_after", "evidence", "happened", "digest",
              "survivor", "undone_by"),
    "changes": ("action", "table_name", "before_image", "after_image"),
}[table]]  # fmt: skip


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_that_is_gone_is_named(place: Place, table: int, column: str) -> None:
    with closing(place.source()) as source:
        journal = begun(place, source)
        place.run(f'ALTER TABLE "{place.names[table]}" DROP COLUMN "{column}"')
        assert f"{place.names[table]} has no column {column}" in damaged(journal).message


@pytest.mark.parametrize("table", range(3))
def test_a_column_that_came_or_changed_its_name_is_named(place: Place, table: int) -> None:
    with closing(place.source()) as source:
        journal = begun(place, source)
        place.run(f'ALTER TABLE "{place.names[table]}" ADD COLUMN "remark" TEXT')
        assert f"{place.names[table]} has a column remark" in damaged(journal).message
        place.run(f'ALTER TABLE "{place.names[table]}" DROP COLUMN "remark"')
        assert journal.exists()
        place.run(f'ALTER TABLE "{place.names[table]}" RENAME COLUMN "run_id" TO "id"')
        assert "has no column run_id" in damaged(journal).message


@pytest.mark.parametrize(
    ("table", "alteration", "said"),
    [
        (0, 'ALTER COLUMN "started" TYPE timestamp', "started is timestamp without time zone, not timestamp with"),
        (1, 'ALTER COLUMN "step" TYPE bigint', "step is bigint, not integer"),
        (1, 'ALTER COLUMN "undone_by" TYPE varchar(16)', "undone_by is varchar(16), not varchar(32)"),
        (2, 'ALTER COLUMN "before_image" TYPE varchar(4000)', "before_image is varchar(4000), not text"),
        (2, 'DROP CONSTRAINT "{}_pkey"', "has lost its primary key"),
    ],
)
def test_a_type_or_key_that_changed_is_named(postgresql_place: Place, table: int, alteration: str, said: str) -> None:
    place = postgresql_place
    with closing(place.source()) as source:
        journal = begun(place, source)
        place.run(f'ALTER TABLE "{place.names[table]}" {alteration.format(place.names[table])}')
        assert said in damaged(journal).message


def test_another_programs_table_of_that_name_is_no_journal(place: Place) -> None:
    place.run(f'CREATE TABLE "{place.names[0]}" ("run_id" TEXT)')
    with closing(place.source()) as source:
        assert "missing beside" in damaged(place.journal(source)).message
    assert place.run(f'SELECT * FROM "{place.names[0]}"') == []


@pytest.mark.parametrize(
    "alteration",
    [
        "UPDATE {2} SET before_image = '{{}}' WHERE step = 2 AND place = 1",
        "UPDATE {2} SET table_name = 'Other' WHERE step = 2 AND place = 0",
        "UPDATE {2} SET after_image = before_image, before_image = NULL WHERE step = 2 AND place = 0",
        "DELETE FROM {2} WHERE step = 2 AND place = 2",
        "DELETE FROM {2} WHERE step = 2",
        "UPDATE {2} SET place = 7 WHERE step = 2 AND place = 0",
        "UPDATE {1} SET guard_after = '[]' WHERE step = 2",
        "UPDATE {1} SET members = '[]' WHERE step = 2",
        "UPDATE {1} SET component = 'c1' WHERE step = 2",
        "UPDATE {1} SET digest = 'x' WHERE step = 2",
    ],
)
def test_a_step_that_was_altered_is_not_taken_for_what_was_done(place: Place, alteration: str) -> None:
    with closing(place.source()) as source:
        journal = begun(place, source)
        write(source, journal, a_step(1, 3), a_step(2, 3), a_step(3, 3))
        place.run(alteration.format(*(f'"{name}"' for name in place.names)))
        assert as_given(journal.step(RUN_ID, 1) or a_step(9)) == a_step(1, 3)
        assert as_given(journal.step(RUN_ID, 3) or a_step(9)) == a_step(3, 3)
        for read in (
            lambda: journal.step(RUN_ID, 2),
            lambda: journal.steps(RUN_ID),
            lambda: [*journal.each_step(RUN_ID)],
        ):
            with pytest.raises(JournalDamaged, match=r"step 2 of run ab.* was altered"):
                read()


def test_who_and_when_a_step_was_taken_back_are_no_alteration(place: Place) -> None:
    with closing(place.source()) as source:
        journal = begun(place, source)
        write(source, journal, a_step(1))
        place.run(f"""UPDATE "{place.names[1]}" SET undone_by = 'x', why = 'explained'""")
        assert [step.undone_by for step in journal.steps(RUN_ID)] == ["x"]


# Several at once.


def at_once(place: Place, act: Callable[[Journal], Any], sessions: int = 4) -> list[Any]:
    """Let several sessions do the same at the same moment, each on a connection of its own."""
    barrier = threading.Barrier(sessions)

    def one(_number: int) -> Any:
        with closing(place.source(lock_timeout=30)) as source:
            journal = place.journal(source)
            barrier.wait(timeout=60)
            return act(journal)

    with ThreadPoolExecutor(sessions) as pool:
        return [*pool.map(one, range(sessions))]


@pytest.mark.parametrize("attempt", range(3))
def test_several_sessions_make_one_journal(place: Place, attempt: int) -> None:
    at_once(place, lambda journal: journal.create())
    with closing(place.source()) as source:
        assert place.journal(source).exists()


@pytest.mark.parametrize("attempt", range(3))
def test_several_sessions_begin_one_run(place: Place, attempt: int) -> None:
    with closing(place.source()) as source:
        place.journal(source).create()
        runs = at_once(place, lambda journal: journal.begin(a_run()))
        assert runs == [place.journal(source).run(RUN_ID)] * len(runs)


# Names, rights, kinds.


@pytest.mark.parametrize(
    "names", [("r", "s", "c"), ('odd "run"', "50% step's", "the:change ?"), ("Select", "ORDER", "By")]
)
def test_the_tables_may_have_any_names(place: Place, names: tuple[str, str, str]) -> None:
    place = place.named(*names)
    with closing(place.source()) as source:
        journal = begun(place, source)
        write(source, journal, a_step(1))
        assert journal.exists()
        assert [as_given(step) for step in journal.steps(RUN_ID)] == [a_step(1)]
    for name in names:
        place.run('DROP TABLE "{}"'.format(name.replace('"', '""')))


def test_the_tables_may_stand_in_a_schema_of_their_own(postgresql_place: Place) -> None:
    postgresql_place.run("CREATE SCHEMA IF NOT EXISTS audit")
    place = postgresql_place.named("audit.r", "audit.s", "audit.c")
    with closing(place.source()) as source:
        write(source, begun(place, source), a_step(1))
        assert place.run("SELECT count(*) FROM audit.c") == [(1,)]
        place.run("ALTER TABLE audit.c DROP COLUMN place")
        assert "audit.c has no column place" in damaged(place.journal(source)).message


def test_a_login_that_may_not_write_is_told_what_it_needs(postgresql_place: Place, postgres_reader_url: str) -> None:
    place = dataclasses.replace(postgresql_place, url=postgres_reader_url)
    with closing(place.source()) as source, pytest.raises(PermissionDenied) as caught:
        place.journal(source).create()
    assert all(name in str(caught.value.hint) for name in place.names)
    assert "CREATE TABLE" in str(caught.value.hint)
    with closing(postgresql_place.source()) as source:
        begun(postgresql_place, source)
    with closing(place.source()) as source:
        journal = place.journal(source)
        assert journal.exists()
        assert journal.run(RUN_ID) is not None
        with pytest.raises(PermissionDenied):
            journal.begin(a_run("11" * 16))


def test_reading_a_journal_writes_nothing(sqlite_place: Place) -> None:
    file = Path(sqlite_place.url)
    with closing(sqlite_place.source()) as source:
        write(source, begun(sqlite_place, source), a_step(1))
        before = file.read_bytes()
        journal = sqlite_place.journal(source)
        assert journal.exists()
        assert journal.runs()
        assert journal.steps(RUN_ID)
        assert file.read_bytes() == before


def test_files_keep_no_journal(tmp_path: Path) -> None:
    file = tmp_path / "merges.csv"
    file.write_text("OldGuid,NewGuid\n")
    with closing(open_target(str(file), Profile())) as source, pytest.raises(Unsupported, match="keeps no journal"):
        Journal(source, Profile())
