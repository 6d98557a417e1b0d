"""Stale references planned, applied, run as a script and taken back: nothing of it depends on rows that only stay."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from merge_model import guid
from stale_case import INV_CLASS, KINDS, StaleCase, contents, create, fill, stale_cases

from mergeguard.core.repair.plan import Action, Plan
from mergeguard.errors import Stale
from mergeguard.integrity.apply import apply_plan
from mergeguard.integrity.planning import PlanOptions, make_plan
from mergeguard.integrity.undo import undo_run
from mergeguard.render.plan_script import plan_script
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.targets import open_target

OLD, NOW, OTHER = guid(0), guid(1), guid(2)
ONE = StaleCase(
    [(OLD, NOW)],
    frozenset({NOW, OTHER}),
    [(KINDS[0], OLD, OTHER, "2024-01-01"), (KINDS[0], NOW, OTHER, "2023-01-01"), (KINDS[0], OLD, NOW, "2024-01-01")],
    [(OLD, OTHER, "x"), (OLD, OTHER, "y"), (NOW, OTHER, "x")],
    [(OLD, "e")],
    {(INV_CLASS, OLD): "0123", (INV_CLASS, NOW): "4567", (INV_CLASS, OTHER): "89ab"},
)
"""Rows of every fate, and hashes of what is moved."""
TABLES = ("Links", "Inv", "Evt", "Summary", "Merges")


class Place:
    """An SQLite file with one case in it."""

    def __init__(self, file: Path, case: StaleCase) -> None:
        self.file, self.case = file, case
        self.engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.pool.NullPool)
        create(self.engine, "varchar(40)")
        fill(self.engine, case, str)

    @property
    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        return {table: rows for table, rows in contents(self.engine).items() if table in TABLES}

    def opened(self) -> closing[DatabaseSource]:
        return closing(open_target(str(self.file), self.case.profile))  # type: ignore[arg-type]

    def plan(self) -> Plan:
        with self.opened() as source:
            return make_plan(source, self.case.profile, PlanOptions(expires_in=dt.timedelta(days=1)))

    def run(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql(statement)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "case.db", ONE)
    yield made
    made.engine.dispose()


def actions(plan: Plan) -> set[Action]:
    return {change.action for step in plan.steps for change in step.changes}


def test_a_plan_holds_every_fate_and_is_applied_and_undone_to_the_byte(place: Place) -> None:
    before, plan = place.rows, place.plan()
    assert actions(plan) == {Action.KEEP, Action.REPOINT, Action.DROP_SELF, Action.COLLAPSE, Action.CLEAR_HASH}
    with place.opened() as source:
        apply_plan(source, place.case.profile, plan)
        after = place.rows
        assert [row[0] for row in after["Evt"]] == [1]
        assert {row[2] for row in after["Summary"] if str(row[1]) != str(OTHER)} == {None}
        undo_run(source, place.case.profile, plan.plan_id)
    assert place.rows == before


def test_an_undo_does_not_mind_what_became_of_the_row_that_stayed(place: Place) -> None:
    plan = place.plan()
    with place.opened() as source:
        apply_plan(source, place.case.profile, plan)
        place.run('UPDATE "Links" SET "Made" = \'2025-01-01\' WHERE "Made" = \'2023-01-01\'')
        undo_run(source, place.case.profile, plan.plan_id)
    assert (str(KINDS[0]), str(OLD), str(OTHER), "2024-01-01") in place.rows["Links"]


def test_a_plan_is_stale_when_the_row_that_was_to_stay_is_gone(place: Place) -> None:
    plan = place.plan()
    place.run('DELETE FROM "Links" WHERE "Made" = \'2023-01-01\'')
    before = place.rows
    with place.opened() as source, pytest.raises(Stale):
        apply_plan(source, place.case.profile, plan)
    assert place.rows == before


def test_a_plan_is_stale_when_a_guid_was_merged_on_meanwhile(place: Place) -> None:
    plan = place.plan()
    place.run(f'DELETE FROM "Alive" WHERE "Guid" = \'{NOW}\'')
    place.run(f"INSERT INTO \"Merges\" VALUES (2, '{NOW}', '{OTHER}')")
    before = place.rows
    with place.opened() as source, pytest.raises(Stale):
        apply_plan(source, place.case.profile, plan)
    assert place.rows == before


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=stale_cases())
def test_the_script_of_a_plan_does_what_the_program_does(tmp_path: Path, case: StaleCase) -> None:
    place = Place(tmp_path / f"{uuid.uuid4().hex}.db", case)
    plan = place.plan()
    copy = place.file.with_suffix(".copy")
    shutil.copy(place.file, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.executescript(plan_script(plan))
    with place.opened() as source:
        apply_plan(source, case.profile, plan)
    by_script = sa.create_engine(f"sqlite:///{copy}", poolclass=sa.pool.NullPool)
    assert {table: contents(by_script)[table] for table in TABLES} == place.rows
