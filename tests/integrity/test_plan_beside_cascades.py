"""No plan deletes rows with which the database would change others that no journal knows."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from mergeguard.core.repair.plan import Plan
from mergeguard.errors import ExitCode, Unsupported, WriteFailed
from mergeguard.integrity.apply import apply_plan
from mergeguard.integrity.planning import PlanOptions, make_plan
from mergeguard.integrity.undo import undo_run
from mergeguard.storage.profile import Merge, Profile, Reference
from mergeguard.storage.targets import open_target

A, B = (uuid.uuid5(uuid.NAMESPACE_OID, name) for name in "ab")
PROFILE = Profile(merge=Merge("odd %s m", "old", "new", row_id="id"))
DECIDE = PlanOptions(allow_arbitrary=True)
MERGES = 'CREATE TABLE "odd %s m" (id integer PRIMARY KEY, old {guid} NOT NULL, new {guid})'
NOTES = 'CREATE TABLE "its notes" (text varchar(9), m integer CONSTRAINT "of m" REFERENCES "odd %s m" {deleting})'
RING = f"""INSERT INTO "odd %s m" VALUES (1, '{A}', '{B}'), (2, '{B}', '{A}')"""
NOTED = """INSERT INTO "its notes" VALUES ('one', 1), ('two', 2)"""


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


@pytest.fixture
def engine(postgres_url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(postgres_url, poolclass=sa.pool.NullPool)
    run(made, *(f'DROP TABLE IF EXISTS "{name}" CASCADE' for name in ("odd %s m", "its notes", "uses", "parts")))
    run(made, MERGES.format(guid="uuid"), RING)
    yield made
    made.dispose()


def planned(url: str, profile: Profile = PROFILE) -> Plan:
    with closing(open_target(url, profile)) as source:
        return make_plan(source, profile, DECIDE)


@pytest.mark.parametrize("deleting", ["ON DELETE CASCADE", "ON DELETE SET NULL", "ON DELETE SET DEFAULT"])
def test_rows_that_would_go_along_are_named_and_nothing_is_planned(
    engine: sa.Engine, postgres_url: str, deleting: str
) -> None:
    run(engine, NOTES.format(deleting=deleting))
    with pytest.raises(Unsupported) as no:
        planned(postgres_url)
    assert "its notes" in no.value.message
    assert "of m" in no.value.message
    assert "NO ACTION" in str(no.value.hint)
    assert no.value.exit_code is ExitCode.UNCHECKED


@pytest.mark.parametrize("deleting", ["", "ON DELETE RESTRICT"])
def test_a_foreign_key_that_refuses_is_let_to_refuse(engine: sa.Engine, postgres_url: str, deleting: str) -> None:
    run(engine, NOTES.format(deleting=deleting), NOTED)
    plan = planned(postgres_url)
    with closing(open_target(postgres_url, PROFILE)) as source, pytest.raises(WriteFailed, match="of m"):
        apply_plan(source, PROFILE, plan)
    with engine.connect() as connection:
        kept = connection.exec_driver_sql('SELECT count(*) FROM "odd %%s m" JOIN "its notes" ON m = id').scalar()
    assert kept == 2


def test_a_table_that_loses_no_row_may_have_followers(engine: sa.Engine, postgres_url: str) -> None:
    """Stale references are re-pointed in place; only where two rows come to one is one deleted."""
    profile = Profile(merge=PROFILE.merge, references=(Reference("uses", "guid", ("guid",)),))
    run(
        engine,
        'DELETE FROM "odd %s m" WHERE id = 2',
        "CREATE TABLE uses (id integer PRIMARY KEY, guid uuid UNIQUE)",
        "CREATE TABLE parts (use integer REFERENCES uses ON DELETE CASCADE)",
        f"INSERT INTO uses VALUES (1, '{A}')",
    )
    assert len(planned(postgres_url, profile).steps) == 1
    run(engine, f"INSERT INTO uses VALUES (2, '{B}')")
    with pytest.raises(Unsupported, match="parts"):
        planned(postgres_url, profile)


def test_sqlite_follows_no_foreign_key_and_the_rows_come_back(tmp_path: Path) -> None:
    path = str(tmp_path / "m.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(f"{MERGES.format(guid='text')};{NOTES.format(deleting='ON DELETE CASCADE')}")
        connection.execute(RING)
        connection.execute(NOTED)
        before = "\n".join(connection.iterdump())
    with closing(open_target(path, PROFILE)) as source:
        plan = make_plan(source, PROFILE, DECIDE)
        assert apply_plan(source, PROFILE, plan).applied == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute('SELECT count(*) FROM "its notes"').fetchone() == (2,)
    with closing(open_target(path, PROFILE)) as source:
        undo_run(source, PROFILE, plan.plan_id)
    with closing(sqlite3.connect(path)) as connection:
        after = [line for line in connection.iterdump() if "mergeguard" not in line]
    assert set(before.splitlines()) <= set("\n".join(after).splitlines())
