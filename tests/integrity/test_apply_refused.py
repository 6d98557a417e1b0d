"""What is refused before the first change: by the plan, the journal, the tables and the rights."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from apply_world import World, rings
from stale_case import StaleCase

from mergeguard.core.repair.plan import Plan
from mergeguard.errors import (
    ExitCode,
    JournalDamaged,
    Locked,
    MergeGuardError,
    PermissionDenied,
    PlanRefused,
    Stale,
    UnknownSchema,
    Unsupported,
)
from mergeguard.integrity.apply import apply_plan
from mergeguard.integrity.scan import utc_now
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

CASE = StaleCase(rings(2, 3))


@contextmanager
def untouched(world: World, error: type[MergeGuardError], words: str, code: ExitCode) -> Iterator[None]:
    """Hold that the block is refused with these words, and that no table is another one afterwards."""
    before = world.everything(), tables(world)
    with pytest.raises(error, match=words) as refused:
        yield
    assert refused.value.exit_code is code
    assert (world.everything(), tables(world)) == before


def tables(world: World) -> list[str]:
    return sorted(sa.inspect(world.engine).get_table_names())


@pytest.fixture
def plan(world: World) -> Plan:
    world.put(CASE, lookup=True)
    return world.plan()


def test_an_expired_plan(world: World, plan: Plan) -> None:
    with untouched(world, PlanRefused, "the plan expired", ExitCode.PLAN_REFUSED):
        world.apply(plan, now=lambda: plan.expires)
    assert world.apply(plan, now=lambda: plan.expires - dt.timedelta(seconds=1)).left == 0


def test_a_plan_for_another_database(world: World, plan: Plan) -> None:
    other = replace(plan, target=replace(plan.target, fingerprint="mark:" + "0" * 64))
    with untouched(world, PlanRefused, "another database", ExitCode.PLAN_REFUSED):
        world.apply(other)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_a_copy_of_the_file_is_another_database(world: World, plan: Plan, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(world.url.removeprefix("sqlite:///"), copy)
    with world.opened(f"sqlite:///{copy}") as source, pytest.raises(PlanRefused, match="another database"):
        apply_plan(source, world.profile, plan)


def test_a_file_of_rows(world: World, plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("OldGuid,NewGuid\n")
    with pytest.raises(Unsupported, match="only a database can be repaired"):
        apply_plan(open_target(str(tmp_path / "m.csv"), world.profile), world.profile, plan)


RENAMED = 'RENAME COLUMN "NewGuid" TO "Newer"', 'RENAME COLUMN "Newer" TO "NewGuid"'
ALTERED: dict[str, tuple[str, str, str]] = {
    "a new column": ('ADD COLUMN "Extra" integer', "has a new column Extra", 'DROP COLUMN "Extra"'),
    "a column renamed": (
        'RENAME COLUMN "NewGuid" TO "Newer"',
        "no column NewGuid",
        'RENAME COLUMN "Newer" TO "NewGuid"',
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_table_that_was_altered(world: World, plan: Plan, what: str) -> None:
    alter, words, back = ALTERED[what]
    world.execute(f'ALTER TABLE "Merges" {alter}')
    try:
        with pytest.raises((Stale, UnknownSchema), match=words.replace("no column", "(no|lost its) column")):
            world.apply(plan)
        assert "mergeguard_run" not in tables(world)
    finally:
        world.execute(f'ALTER TABLE "Merges" {back}')


def test_a_table_that_is_gone(world: World) -> None:
    world.put(CASE)
    shape = replace(world.plan().tables[0], table="Gone")
    with untouched(world, Stale, "table Gone is not there any more", ExitCode.PLAN_REFUSED):
        world.apply(replace(world.plan(), tables=(shape,)))


def test_a_table_whose_rows_are_told_apart_otherwise(world: World, plan: Plan) -> None:
    shape = plan.tables[0]
    words = f"the rows of {shape.table} were told apart by OldGuid, NewGuid, and now by "
    with untouched(world, Stale, words, ExitCode.PLAN_REFUSED):
        world.apply(replace(plan, tables=(replace(shape, key=("OldGuid", "NewGuid")), *plan.tables[1:])))


def test_a_column_that_is_of_another_type(world: World, plan: Plan) -> None:
    shape = plan.tables[0]
    columns = tuple(replace(one, type="money") if one.name == "NewGuid" else one for one in shape.columns)
    with untouched(world, Stale, rf"{shape.table}\.NewGuid was money and is \S+ now", ExitCode.PLAN_REFUSED):
        world.apply(replace(plan, tables=(replace(shape, columns=columns), *plan.tables[1:])))


@pytest.mark.parametrize(
    "statement",
    [
        'DROP TABLE "mergeguard_step"',
        'ALTER TABLE "mergeguard_run" ADD COLUMN "mine" integer',
        'ALTER TABLE "mergeguard_step" RENAME COLUMN "why" TO "because"',
    ],
)
def test_a_journal_that_was_altered(world: World, plan: Plan, statement: str) -> None:
    world.apply(plan)
    world.undo(plan.plan_id)
    again = world.plan()
    world.execute(statement)
    with untouched(world, JournalDamaged, "journal", ExitCode.PLAN_REFUSED):
        world.apply(again)


def test_a_journal_that_tells_of_another_plan_under_this_name(world: World, plan: Plan) -> None:
    world.apply(plan)
    other = replace(plan, steps=plan.steps[::-1])
    with untouched(world, JournalDamaged, "and the plan's is not", ExitCode.PLAN_REFUSED):
        world.apply(other)


def test_a_lookup_table_that_is_somebody_elses(world: World) -> None:
    world.put(CASE)
    plan = world.plan()
    world.execute('CREATE TABLE "mergeguard_lookup" ("old_guid" integer)')
    with pytest.raises(UnknownSchema, match="is no lookup"):
        world.apply(plan)
    assert "mergeguard_run" not in tables(world)


def test_a_plan_without_steps_writes_nothing(world: World) -> None:
    world.put(StaleCase([]))
    before = tables(world)
    assert world.apply(world.plan()).steps == 0
    assert tables(world) == before


ON_POSTGRESQL = pytest.mark.parametrize("world", ["postgresql"], indirect=True)
"""Rights are those of a server; of a file the operating system decides, and root may write what nobody may."""


@ON_POSTGRESQL
def test_a_login_that_may_only_read(world: World, plan: Plan, postgres_reader_url: str) -> None:
    with (
        untouched(world, PermissionDenied, "it lacks DELETE on Merges", ExitCode.UNCHECKED),
        world.opened(postgres_reader_url) as source,
    ):
        apply_plan(source, world.profile, plan)


@ON_POSTGRESQL
@pytest.mark.parametrize("missing", ["DELETE on Merges", "INSERT, DELETE on mergeguard_lookup"])
def test_a_login_that_lacks_one_right(world: World, plan: Plan, missing: str, postgres_reader_url: str) -> None:
    rights, _, lacking = missing.partition(" on ")
    name = sa.make_url(postgres_reader_url).username
    granted = [table for table in ("Merges", "mergeguard_lookup") if table != lacking]
    world.execute(*(f'GRANT INSERT, UPDATE, DELETE ON "{table}" TO "{name}"' for table in granted))
    try:
        with (
            untouched(world, PermissionDenied, f"it lacks {rights} on {lacking}", ExitCode.UNCHECKED),
            world.opened(postgres_reader_url) as source,
        ):
            apply_plan(source, world.profile, plan)
    finally:
        world.execute(*(f'REVOKE INSERT, UPDATE, DELETE ON "{table}" FROM "{name}"' for table in granted))


def test_a_lock_that_is_not_given_up(world: World, plan: Plan) -> None:
    with world.engine.connect() as other:
        if world.kind == "sqlite":
            other.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            other.exec_driver_sql('LOCK TABLE "Merges" IN ROW EXCLUSIVE MODE')
        before = world.everything()
        with pytest.raises(Locked), world.opened(options=Options(lock_timeout=0.2)) as source:
            apply_plan(source, world.profile, plan)
        assert world.everything() == before
        other.rollback()
    assert world.apply(plan, now=utc_now).left == 0
