"""Rows that cannot be changed one by one: the plan says so, and not the hour in which it is applied."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from mergeguard.errors import ExitCode, Unsupported
from mergeguard.integrity.planning import PlanOptions, make_plan
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.targets import open_target

A, B = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in "ab")
PROFILE = Profile(merge=Merge("m", "old", "new"))
DECIDE = PlanOptions(allow_arbitrary=True)


def refused(url: str) -> Unsupported:
    with closing(open_target(url, PROFILE)) as source, pytest.raises(Unsupported) as no:
        make_plan(source, PROFILE, DECIDE)
    assert no.value.exit_code is ExitCode.UNCHECKED
    assert "profile" in str(no.value.hint)
    return no.value


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE t (old, new); CREATE VIEW m AS SELECT * FROM t",
        "CREATE TABLE m (rowid, _rowid_, oid, old, new); CREATE VIEW t AS SELECT old, new FROM m",
    ],
    ids=["a view", "every name of the row id taken"],
)
def test_sqlite_rows_that_nothing_tells_apart_are_not_planned_for(tmp_path: Path, made: str) -> None:
    path = tmp_path / "m.db"
    base = "m" if "_rowid_" in made else "t"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(made)
        connection.executemany(f"INSERT INTO {base} (old, new) VALUES (?, ?)", [(A, B), (B, A)])
    assert refused(str(path)).message == "m: nothing tells its rows apart"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"DELETE FROM {base} WHERE old = ?", (A,))
    with closing(open_target(str(path), PROFILE)) as source:
        assert make_plan(source, PROFILE, DECIDE).steps == ()  # nothing to do is no reason to complain


def test_a_view_of_postgresql_is_not_planned_for(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (old uuid PRIMARY KEY, new uuid)"))
        connection.execute(sa.text("CREATE VIEW m AS SELECT * FROM t"))
        connection.execute(sa.text(f"INSERT INTO t VALUES ('{A}', '{B}'), ('{B}', '{A}')"))
    assert "view" in refused(postgres_url).message
