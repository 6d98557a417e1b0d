"""The journal and the identity on a real SQL Server: as on the other databases."""

from __future__ import annotations

import dataclasses
import datetime as dt
import secrets
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repair_strategies import journal_steps

from mergeguard import errors
from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.core.repair.plan import Action, RowChange
from mergeguard.storage.database.identity import check_identity, identify
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Journal as Names
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Options
from mergeguard.storage.who import who

pytestmark = pytest.mark.mssql
RUN_ID = "ab" * 16
MANY = 20_000
SLOW = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


def a_run(run_id: str = RUN_ID) -> Run:
    return Run(run_id, "apply", "dba@host", "0.2.0", dt.datetime(1999, 1, 1, tzinfo=dt.UTC))


def a_step(number: int, changes: int = 1) -> JournalStep:
    rows = tuple(RowChange(Action.RETIRE, "merges", {"old": str(place), "x": None}, None) for place in range(changes))
    return JournalStep(RUN_ID, number, f"c{number}", ("cycle",), (uuid.UUID(int=1),), None, "strong", "why", rows, ())


def as_given(step: JournalStep) -> JournalStep:
    return dataclasses.replace(step, at=None)


@dataclasses.dataclass(frozen=True)
class Site:
    """A merge table and the names of a journal of the test's own."""

    place: Any
    profile: Profile

    def source(self, url: sa.URL | None = None) -> mssql.MssqlSource:
        return mssql.MssqlSource(url or self.place.url, self.profile, Options(lock_timeout=30))

    def write(self, source: mssql.MssqlSource, *steps: JournalStep) -> None:
        with source.writing() as writing, writing.transaction() as rows:
            for step in steps:
                Journal(source, self.profile).record(rows, step)


@pytest.fixture
def site(place: Any) -> Site:
    merges = place.fill("merges", {"id": "int", "old": "uniqueidentifier", "new": "uniqueidentifier"}, [])
    mark = secrets.token_hex(4)
    names = Names(*(f"{place.schema}.{kind}_{mark}" for kind in ("run", "step", "change")))
    return Site(place, Profile(merge=Merge(merges, "old", "new", "id"), journal=names))


def test_a_journal_is_made_once_and_found(site: Site) -> None:
    with closing(site.source()) as source:
        journal = Journal(source, site.profile)
        assert not journal.exists()
        journal.create()
        journal.create()
        assert journal.exists()
        first = journal.begin(a_run())
        assert abs(first.started - dt.datetime.now(dt.UTC)) < dt.timedelta(hours=1)  # two clocks
        assert journal.begin(a_run()) == first
        journal.finish(RUN_ID)
        assert [run.finished is not None for run in journal.runs()] == [True]


@SLOW
@given(data=st.data())
def test_what_is_read_is_what_was_written(site: Site, data: st.DataObject) -> None:
    run_id = uuid.uuid4().hex
    steps = [data.draw(journal_steps(run_id, number)) for number in range(1, data.draw(st.integers(0, 3)) + 1)]
    with closing(site.source()) as source:
        journal = Journal(source, site.profile)
        journal.create()
        journal.begin(a_run(run_id))
        site.write(source, *steps)
        assert [as_given(step) for step in journal.steps(run_id)] == steps
        assert [as_given(step) for step in journal.each_step(run_id, newest_first=True)] == steps[::-1]


def test_many_changes_in_one_step(site: Site) -> None:
    with closing(site.source()) as source:
        journal = Journal(source, site.profile)
        journal.create()
        journal.begin(a_run())
        site.write(source, a_step(1, MANY))
        assert [as_given(step) for step in journal.each_step(RUN_ID)] == [a_step(1, MANY)]


def test_a_transaction_that_fails_leaves_no_step(site: Site) -> None:
    with closing(site.source()) as source:
        journal = Journal(source, site.profile)
        journal.create()
        journal.begin(a_run())
        with suppress(ZeroDivisionError), source.writing() as writing, writing.transaction() as rows:
            journal.record(rows, a_step(1))
            _ = 1 // 0
        assert journal.steps(RUN_ID) == []
        site.write(source, a_step(1), a_step(2))
        with source.writing() as writing, writing.transaction() as rows:
            journal.mark_undone(rows, RUN_ID, [2], "cd" * 16)
        with pytest.raises(errors.Stale), source.writing() as writing, writing.transaction() as rows:
            journal.mark_undone(rows, RUN_ID, [1, 2], "ef" * 16)
        assert [step.undone_by for step in journal.steps(RUN_ID)] == [None, "cd" * 16]
        assert [(run.steps, run.undone) for run in journal.runs()] == [(2, 1)]


@pytest.mark.parametrize(
    ("alteration", "said"),
    [
        ("ALTER TABLE {1} DROP COLUMN why", "has no column why"),
        ("ALTER TABLE {2} ADD remark int NULL", "has a column remark"),
        ("ALTER TABLE {2} ALTER COLUMN before_image nvarchar(4000) NULL", "before_image is nvarchar(4000), not nvarch"),
        ("ALTER TABLE {0} ALTER COLUMN finished datetime NULL", "finished is datetime, not datetime2"),
        ("DROP TABLE {2}", "is missing beside"),
    ],
)
def test_an_altered_table_is_named(site: Site, alteration: str, said: str) -> None:
    names = site.profile.journal
    with closing(site.source()) as source:
        journal = Journal(source, site.profile)
        journal.create()
        assert journal.exists()
        tables = [site.place.name(name.rpartition(".")[2]) for name in (names.runs, names.steps, names.changes)]
        site.place.run(alteration.format(*tables))
        with pytest.raises(errors.JournalDamaged) as caught:
            journal.exists()
        assert said in caught.value.message


def test_several_sessions_make_one_journal_and_begin_one_run(site: Site) -> None:
    barrier = threading.Barrier(4)

    def one(_number: int) -> Run:
        with closing(site.source()) as source:
            journal = Journal(source, site.profile)
            barrier.wait(timeout=60)
            journal.create()
            return journal.begin(a_run())

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(one, range(4)))) == 1


def test_a_login_that_may_not_write_is_told_what_it_needs(site: Site, reader_url: sa.URL) -> None:
    with closing(site.source(reader_url)) as source, pytest.raises(errors.PermissionDenied) as caught:
        Journal(source, site.profile).create()
    assert "CREATE TABLE" in str(caught.value.hint)


def test_a_database_knows_itself(site: Site) -> None:
    with closing(site.source()) as source:
        made_for = identify(source)
        check_identity(source, made_for)
        assert made_for.database == site.place.value("SELECT DB_NAME()")
        assert "@" in who(source)
        other = dataclasses.replace(made_for, fingerprint="database:" + "0" * 64)
        with pytest.raises(errors.PlanRefused, match="another database"):
            check_identity(source, other)
