"""Scripts of plans are run as a DBA runs them, and do what the program does to the same rows, or nothing."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import sample_plan

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import Action, Image, Plan, RowChange, Step
from mergeguard.render.plan_script import plan_script
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.targets import open_target

A, B, C, D = (uuid.UUID(int=number) for number in (1, 2, 3, 4))
PROFILE = Profile(merge=Merge("m", "old", "new"))
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["it's", '"q"', "a\nGO\nb", "$(var)", "-- no", "$mergeguard$", "\\", "%s", "?", "ü漢😀", "\x1b[31m", ""]
)


def step(component: str, members: Sequence[uuid.UUID], changes: Sequence[RowChange], guard: Sequence[Image]) -> Step:
    return Step(component, ("cycle",), tuple(members), A, Confidence.CERTAIN, "why\nnot", tuple(changes), tuple(guard))


def plan_of(kind: str, rows: DatabaseRows, *, references: bool = True) -> Plan:
    """Retire each row of ``m`` that leads to B, re-point ``r`` from A to B, and drop what ``r`` has of C."""

    def images(table: str, column: str, *wanted: uuid.UUID) -> list[Image]:
        found = rows.having(table, column, wanted)
        return sorted(found, key=lambda image: sorted((k, v or "") for k, v in image.items()))

    steps = []
    for member in (A, C):
        guard = images("m", "old", member)
        gone = [image for image in guard if rows.guid("m", "new", image["new"]) == B]
        changes = [RowChange(Action.RETIRE, "m", image, None) for image in gone]
        steps += [step(f"{member.int:016x}", [member], changes, guard)] if gone else []
    if references:
        moved = [
            RowChange(Action.REPOINT, "r", image, {**image, "g": rows.cell("r", "g", B, image["g"])})
            for image in images("r", "g", A)
        ]
        dropped = [RowChange(Action.COLLAPSE, "r", image, None) for image in images("r", "g", C)]
        steps += [step("references:1", [], [*moved, *dropped], [])] if moved + dropped else []
    profile = {"name": "x", "merge": {"table": "m", "old": "old", "new": "new"}}
    return sample_plan(
        steps=tuple(steps),
        refused=(),
        tables=(rows.shape("m"), rows.shape("r")),
        target=replace(sample_plan().target, kind=kind),
        profile=profile,
    )


MERGES = st.lists(st.tuples(st.sampled_from([A, C, D]), st.sampled_from([A, B, D]), TEXTS), min_size=1, max_size=6)
REFERENCES = st.lists(st.tuples(st.sampled_from([A, C, D]), TEXTS), max_size=4)


# --- SQLite ---


def sqlite_file(path: Path, merges: Sequence[Any], references: Sequence[Any], *, keyed: bool) -> Path:
    path.unlink(missing_ok=True)
    key = "id INTEGER PRIMARY KEY," if keyed else ""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"CREATE TABLE m ({key} old TEXT, new TEXT, note COLLATE NOCASE, more REAL, raw BLOB)")
        connection.execute("CREATE TABLE r (id INTEGER, g TEXT, note, PRIMARY KEY (g, id)) WITHOUT ROWID")
        values = [(str(old), str(new), note, 0.1 * at, note.encode()) for at, (old, new, note) in enumerate(merges)]
        connection.executemany("INSERT INTO m (old, new, note, more, raw) VALUES (?, ?, ?, ?, ?)", values)
        lines = [(at, str(g), note) for at, (g, note) in enumerate(references)]
        connection.executemany("INSERT INTO r VALUES (?, ?, ?)", lines)
    return path


def sqlite_rows(path: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return [
            sorted(connection.execute(f"SELECT * FROM {what}"), key=repr) for what in ("(SELECT rowid, * FROM m)", "r")
        ]


def sqlite_plan(path: Path) -> Plan:
    with closing(open_target(str(path), PROFILE)) as source, source.snapshot() as snapshot:
        return plan_of("sqlite", source.rows(snapshot))


def applied(target: str, plan: Plan) -> None:
    with closing(open_target(target, PROFILE)) as source, source.writing() as writing:
        for one in plan.steps:
            with writing.transaction() as rows:
                rows.change(one.changes)


def executed(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(script)


def way_back(script: str) -> str:
    lines = script.partition("-- The way back")[2].splitlines()[1:]
    return "\n".join(line.removeprefix("--   ") for line in lines)


@settings(max_examples=40)
@given(merges=MERGES, references=REFERENCES, keyed=st.booleans())
def test_sqlite_does_what_the_program_does_and_back(
    tmp_path_factory: pytest.TempPathFactory, merges: Any, references: Any, keyed: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = sqlite_file(folder / "script.db", merges, references, keyed=keyed)
    other = Path(shutil.copy(path, folder / "program.db"))
    before, plan = sqlite_rows(path), sqlite_plan(path)
    script = plan_script(plan)
    executed(path, script)
    applied(str(other), plan)
    assert sqlite_rows(path) == sqlite_rows(other)
    executed(path, way_back(script))
    assert sqlite_rows(path) == before


def typed_in(path: Path, script: str, *, bail: bool) -> Iterator[str]:
    """Run a script as SQLite's shell does, which goes on after an error unless it is told to bail out."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        statement = ""
        for line in script.splitlines(keepends=True):
            statement += line
            if not sqlite3.complete_statement(statement):
                continue
            try:
                connection.execute(statement)
            except sqlite3.Error as error:
                yield str(error)
                if bail:
                    return
            statement = ""


CHANGES = (
    "UPDATE m SET note = upper(note) || 'x' WHERE rowid = 1",
    "DELETE FROM m WHERE rowid = 1",
    f"INSERT INTO m (old, new) VALUES ('{{{str(A).upper()}}}', 'anything')",
    "UPDATE m SET note = CAST(note AS BLOB) WHERE rowid = 2",
    "UPDATE m SET note = 'NOTE' WHERE rowid = 2",
)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("bail", [True, False])
def test_sqlite_changes_nothing_of_a_component_whose_rows_changed_even_if_the_shell_goes_on(
    tmp_path: Path, change: str, bail: bool
) -> None:
    path = sqlite_file(tmp_path / "m.db", [(A, B, "note"), (A, D, "note"), (C, B, "n")], [(A, "r")], keyed=True)
    script = plan_script(sqlite_plan(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    before = sqlite_rows(path)
    errors = list(typed_in(path, script, bail=bail))
    assert "rows_changed_since_the_plan" in errors[0]
    merges, references = sqlite_rows(path)
    assert [row for row in merges if row[2] != str(C)] == [row for row in before[0] if row[2] != str(C)]
    # With -bail nothing comes after the component that failed; without, only what is as planned.
    assert (merges == before[0]) == bail
    assert (references == before[1]) == bail


def test_a_script_run_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path / "m.db", [(A, B, "note"), (A, D, "note")], [(A, "r")], keyed=True)
    script = plan_script(sqlite_plan(path))
    executed(path, script)
    once = sqlite_rows(path)
    with pytest.raises(sqlite3.IntegrityError, match="rows_changed_since_the_plan"):
        executed(path, script)
    assert sqlite_rows(path) == once


# --- PostgreSQL ---


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def postgres_tables(connection: psycopg.Connection, merges: Any, references: Any, *, keyed: bool) -> None:
    key = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY," if keyed else ""
    connection.execute(f"""
        DROP TABLE IF EXISTS m, r;
        CREATE TABLE m ({key} old uuid, new text, note varchar(40), more numeric, at timestamptz, doc json);
        CREATE TABLE r (id int, g uuid, note text, PRIMARY KEY (g, id));
    """)  # type: ignore[call-overload]
    with connection.cursor() as cursor:
        for at, (old, new, note) in enumerate(merges):
            values = (old, str(new), note, at / 7, at, '{"a":  1}')
            cursor.execute(
                "INSERT INTO m (old, new, note, more, at, doc) VALUES (%s, %s, %s, %s, to_timestamp(%s), %s)", values
            )
        for at, (g, note) in enumerate(references):
            cursor.execute("INSERT INTO r VALUES (%s, %s, %s)", (at, g, note))


def postgres_rows(connection: psycopg.Connection) -> list[list[tuple[object, ...]]]:
    connection.execute("SET timezone = 'UTC'")
    return [
        sorted(connection.execute(f"SELECT {table}::text FROM {table}").fetchall())  # type: ignore[call-overload]
        for table in ("m", "r")
    ]


def postgres_plan(url: str) -> Plan:
    with closing(open_target(url, PROFILE)) as source, source.snapshot() as snapshot:
        return plan_of("postgresql", source.rows(snapshot))


@settings(max_examples=25)
@given(merges=MERGES, references=REFERENCES, keyed=st.booleans())
def test_postgresql_does_what_the_program_does_and_back(
    postgres_url: str, merges: Any, references: Any, keyed: bool
) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        postgres_tables(connection, merges, references, keyed=keyed)
        before, plan = postgres_rows(connection), postgres_plan(postgres_url)
        script = plan_script(plan)
        applied(postgres_url, plan)
        after = postgres_rows(connection)
        postgres_tables(connection, merges, references, keyed=keyed)
        connection.execute("DROP TABLE IF EXISTS " + ", ".join(copies(plan)))  # type: ignore[call-overload]
        connection.execute(script)  # type: ignore[call-overload]
        assert postgres_rows(connection) == after
        connection.execute(way_back(script) or "SELECT 1")  # type: ignore[call-overload]
        assert postgres_rows(connection) == before


def copies(plan: Plan) -> list[str]:
    name = f"mergeguard_retired_{plan.plan_id[:12]}"
    return [name, f"{name}_2"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE m SET note = note || ' ' WHERE id = 1",
        "DELETE FROM m WHERE id = 1",
        f"INSERT INTO m (old, new) VALUES ('{A}', 'anything')",
        """UPDATE m SET doc = '{"a": 1}' WHERE id = 2""",
    ],
)
def test_postgresql_changes_nothing_of_a_component_whose_rows_changed(
    postgres: psycopg.Connection, postgres_url: str, change: str
) -> None:
    postgres_tables(postgres, [(A, B, "note"), (A, D, "note"), (C, B, "n")], [(A, "r")], keyed=True)
    script = plan_script(postgres_plan(postgres_url))
    postgres.execute(change)  # type: ignore[call-overload]
    before = postgres_rows(postgres)
    first = script.partition("COMMIT;")[0] + "COMMIT;"
    with pytest.raises(psycopg.errors.RaiseException, match="changed since the plan; nothing was done"):
        postgres.execute(first)  # type: ignore[call-overload]
    postgres.execute("ROLLBACK")
    assert postgres_rows(postgres) == before


def test_postgresql_waits_for_nobody_for_ever_and_keeps_merges_out(
    postgres: psycopg.Connection, postgres_url: str
) -> None:
    postgres_tables(postgres, [(A, B, "note")], [], keyed=True)
    script = plan_script(postgres_plan(postgres_url)).replace("'10s'", "'50ms'")
    with (
        closing(open_target(postgres_url, PROFILE)) as source,
        source.writing() as writing,
        writing.transaction(),
        pytest.raises(psycopg.errors.LockNotAvailable),
    ):
        postgres.execute(script)  # type: ignore[call-overload]
    postgres.execute("ROLLBACK")
