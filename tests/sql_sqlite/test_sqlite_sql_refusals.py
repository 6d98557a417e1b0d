"""What must not be merged on SQLite is refused with one word for programs, often a command, and nothing changed."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from merge_model import guid
from merging_world import PROFILE, World

from mergeguard.integrity.guard import install_guard
from mergeguard.integrity.sql_scripts import install_sql
from mergeguard.storage.merging.refusals import REASONS
from mergeguard.storage.profile import Blacklist

A, B, C, D, DEAD, USER = (guid(number) for number in range(6))
PROFILED = replace(PROFILE, merging=replace(PROFILE.merging, guarded="required"), blacklist=Blacklist("Banned", "Guid"))
ONE_AT = 'INSERT INTO "Inv_One" ("Guid", "What", "At") VALUES (?, \'x\', ?)'
LOOKUP = "INSERT INTO mergeguard_rebuild_lookup DEFAULT VALUES"
ROW = 'INSERT INTO "Merges" ("OldGuid", "NewGuid") VALUES (?, ?)'
AWAY = 'DELETE FROM "Alive" WHERE "Guid" = ?'
DIES = """CREATE TRIGGER odd BEFORE DELETE ON "Inv_One" BEGIN SELECT RAISE(IGNORE); END"""
STAYS = """CREATE TRIGGER odd AFTER UPDATE ON "Evt" BEGIN UPDATE "Evt" SET "What" = 'y' WHERE "Id" = NEW."Id"; END"""
FREES = """CREATE TRIGGER odd AFTER INSERT ON "Banned" BEGIN DELETE FROM "Banned"; END"""
Step = tuple[str, Sequence[object]]
CASES: dict[str, tuple[str, str, object, object, Sequence[Step]]] = {
    "itself": ("self-merge", "itself", A, A, ()),
    "no guid": ("usage", "no guid", "x", A, ()),
    "unknown old": ("unknown-guid", "not live", DEAD, A, ()),
    "unknown new": ("dead-target", "not live", A, DEAD, ()),
    "own descendant": ("cycle", "circle", B, A, ((AWAY, [A]), (ROW, [A, B]), (LOOKUP, []))),
    "retired target": ("dead-target", "not live", A, B, ((AWAY, [B]), (ROW, [B, DEAD]), (LOOKUP, []))),
    "two types": ("type-mismatch", "type", A, USER, ()),
    "never": ("never-merge", "never_pairs", A, B, (("INSERT INTO mergeguard_never VALUES (?, ?, '', '')", [B, A]),)),
    "drifted lookup": ("lookup-drift", "mergeguard lookup build", A, B, ((AWAY, [D]), (ROW, [D, A]))),
    "circle": ("in-cycle", "mergeguard plan", D, A, ((AWAY, [D]), (ROW, [D, C]), (AWAY, [C]), (ROW, [C, D]))),
    "two ends": ("split", "mergeguard plan", D, A, ((AWAY, [D]), (ROW, [D, C]), (ROW, [D, B]), (LOOKUP, []))),
    "half merged": ("shadowed-live", "mergeguard plan", A, B, ((ROW, [A, C]), (LOOKUP, []))),
    "no guard": ("no-guard", "mergeguard guard install", A, B, ()),
    "no order": ("unordered-time", "newest", A, B, ((ONE_AT, [A, "soon"]), (ONE_AT, [B, "2026-01-01"]))),
    "times and numbers": ("unordered-time", "newest", A, B, ((ONE_AT, [A, "7"]), (ONE_AT, [B, "2026-01-01"]))),
    "no such day": ("unordered-time", "newest", A, B, ((ONE_AT, [A, "2026-02-30"]), (ONE_AT, [B, "2026-01-01"]))),
    "a row that does not go": (
        "write", "trigger", A, B, ((ONE_AT, [A, "2026-01-01"]), (ONE_AT, [B, "2026-01-02"]), (DIES, [])),
    ),
    "a row that is changed": ("write", "trigger", A, B, (("INSERT INTO \"Evt\" VALUES (1, ?, 'x')", [A]), (STAYS, []))),
    "a list that forgets": ("write", "black list", A, B, ((FREES, []),)),
}  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all scripts and the guard in it: to copy it is quicker than to make it."""
    path = tmp_path_factory.mktemp("refusals") / "template.db"
    made = World(f"sqlite:///{path}")
    made.reset([A, B, C, D, USER])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "Banned" ("Guid" TEXT PRIMARY KEY)')
        connection.execute('UPDATE "Kinds" SET "Kind" = \'user\' WHERE "Guid" = ?', [str(USER)])
        connection.commit()
    with made.opened(profile=PROFILED) as source:
        install_sql(source, PROFILED)
        install_guard(source, PROFILED)
    made.engine.dispose()
    return path


@pytest.fixture
def connection(template: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = shutil.copy(template, tmp_path / "world.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute("PRAGMA synchronous = OFF")
        yield made


@pytest.mark.parametrize("case", CASES)
def test_a_merge_is_refused_for_its_reason_and_changes_nothing(connection: sqlite3.Connection, case: str) -> None:
    wanted, said, old, new, steps = CASES[case]
    guards = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name LIKE 'mergeguard_guard_%' AND type = 'trigger'"
    )
    texts = [text for (text,) in guards]
    for name in ("insert", "update"):  # what somebody wrote before there was a guard
        connection.execute(f"DROP TRIGGER mergeguard_guard_{name}")
    for sql, values in steps:
        connection.execute(sql, [str(value) if isinstance(value, uuid.UUID) else value for value in values])
    for text in texts[case == "no guard" :]:
        connection.execute(text)
    before = list(connection.iterdump())
    with pytest.raises(sqlite3.IntegrityError) as refused:
        connection.execute("INSERT INTO mergeguard_merge VALUES (?, ?, 'r')", [str(old), str(new)])
    assert list(connection.iterdump()) == before
    name, reason, message = str(refused.value).split(": ", 2)
    assert (name, reason) == ("mergeguard", wanted)
    assert said in message
    assert reason in REASONS


def test_with_its_guard_it_is_merged(connection: sqlite3.Connection) -> None:
    for at, value in ((A, "0001-01-01"), (B, None)):  # a time that stands for none
        connection.execute(ONE_AT, [str(at), value])
    connection.execute("INSERT INTO mergeguard_merge VALUES (?, ?, 'r')", [str(A), str(B)])
    assert connection.execute('SELECT "Guid" FROM "Banned"').fetchall() == [(str(A),)]
