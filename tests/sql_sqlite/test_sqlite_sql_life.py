"""The scripts of SQLite are installed twice, used beside Python and the guard, and leave nothing when they go."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
import sqlite3
import string
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid
from merging_world import PROFILE, World, is_forest, merge_in_turn

from mergeguard.integrity.guard import install_guard
from mergeguard.integrity.sql_scripts import install_sql, sql_scripts_of, uninstall_sql
from mergeguard.integrity.undo import undo_run
from mergeguard.resources.merge import merge
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.profile import Live, Merge, Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target
from mergeguard.testing import PlainMerge, SqliteSandbox, check_merges, rings
from mergeguard.testing.systems import Refused

A, B, C, D = (guid(number) for number in range(4))
ASK = "INSERT INTO mergeguard_merge (old_guid, new_guid, request_id) VALUES (?, ?, ?)"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(f"sqlite:///{tmp_path / 'world.db'}")
    made.reset([A, B, C, D])
    yield made
    made.engine.dispose()


def path_of(world: World) -> str:
    return str(world.engine.url.database)


def objects(world: World) -> set[tuple[str, str, str]]:
    with closing(sqlite3.connect(path_of(world))) as connection:
        return set(connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def ask(world: World, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path_of(world), isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def reason(world: World, old: object, new: object, request: str | None = None) -> str:
    before = world.picture()
    with pytest.raises(sqlite3.IntegrityError) as caught:
        ask(world, ASK, [str(old), str(new), request])
    assert world.picture() == before
    return str(caught.value).split(": ")[1]


def test_installed_twice_they_are_what_they_were_and_uninstalled_they_are_gone(world: World) -> None:
    before = objects(world)
    with world.opened() as source:
        install_sql(source, PROFILE)
        installed = objects(world)
        install_guard(source, PROFILE)
        ask(world, ASK, [str(A), str(B), "r"])
        data = world.picture()
        install_sql(source, PROFILE)
        assert {one for one in objects(world) if not one[1].startswith("mergeguard_guard")} == installed
        assert world.picture() == data, "tables with contents are kept"
        uninstall_sql(source, PROFILE)
        left = {name for _, name, _ in objects(world) - before}
        assert left <= {f"mergeguard_{name}" for name in ("run", "step", "change", "root", "never", "request")} | {
            "IX_mergeguard_lookup_current_guid"
        }
        assert world.picture() == data
        run = next(run for run in Journal(source, PROFILE).runs() if run.kind == "merge")
        undo_run(source, PROFILE, run.run_id)
        install_sql(source, PROFILE)
        uninstall_sql(source, PROFILE, data=True)
    assert objects(world) == {one for one in before if "lookup" not in one[1]}


def test_all_files_carry_their_header_and_every_mark_has_a_text(world: World) -> None:
    with world.opened() as source:
        found = sql_scripts_of(source, PROFILE)
    assert [script.number for script in found.files] == sorted(script.number for script in found.files)
    for script in found.files:
        assert script.text.startswith(f"-- MergeGuard SQL scripts, version 1: sqlite/{script.name}\n")
        assert all(each.strip() for every in script.marks.values() for each in every)


def test_python_s_tables_are_the_same_whoever_makes_them(world: World, tmp_path: Path) -> None:
    other = World(f"sqlite:///{tmp_path / 'other.db'}")
    other.reset([A, B])
    with other.opened() as source:
        merge(source, PROFILE, A, B)
    world.reset([A, B], lookup=False)
    with world.opened() as source:
        install_sql(source, PROFILE)
    ours = {"run", "step", "change", "root", "never", "request", "lookup"}

    def shape(made: World) -> dict[str, list[tuple[Any, ...]]]:
        return {name: ask(made, f"PRAGMA table_info(mergeguard_{name})") for name in ours}

    def sorted_by_name(table: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return sorted(row[1:] for row in table)

    assert {name: sorted_by_name(rows) for name, rows in shape(world).items()} == {
        name: sorted_by_name(rows) for name, rows in shape(other).items()
    }
    other.engine.dispose()


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cs"], exclude_characters="\0"), max_size=300))
def test_the_digest_is_sha_256(digests: sqlite3.Connection, said: str) -> None:
    digests.execute("DELETE FROM mergeguard_work")
    digests.execute("INSERT INTO mergeguard_work (id, said) VALUES (1, ?)", [said])
    (found,) = digests.execute("SELECT digest FROM mergeguard_digest").fetchone()
    assert found == hashlib.sha256(said.encode()).hexdigest()


@pytest.fixture(scope="module")
def digests() -> Iterator[sqlite3.Connection]:
    file = Path(__file__).parents[2] / "sql" / "sqlite" / "20_digest.sql"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(file.read_text("utf-8"))
        yield connection


@pytest.mark.parametrize("length", [0, 55, 56, 63, 64, 65, 119, 120, 128, 1000])
def test_the_digest_is_sha_256_at_the_ends_of_blocks(digests: sqlite3.Connection, length: int) -> None:
    said = "".join(random.Random(length).choices(string.ascii_letters + '"\\{}', k=length))
    digests.execute("DELETE FROM mergeguard_work")
    digests.execute("INSERT INTO mergeguard_work (id, said) VALUES (1, ?)", [said])
    assert digests.execute("SELECT digest FROM mergeguard_digest").fetchone() == (
        hashlib.sha256(said.encode()).hexdigest(),
    )


def test_rows_that_refer_to_a_merged_guid_move(world: World) -> None:
    world.insert("Evt", [(A, "x")])
    with world.opened() as source:
        install_sql(source, PROFILE)
    ask(world, ASK, [str(A), str(B), None])
    assert world.model().events == [(B, "x")]
    ask(world, ASK, [str(B), str(C), None])
    assert world.model().events == [(C, "x")]
    assert world.stored() == world.model().lookup()


def test_what_is_strange_is_journalled_as_python_would(world: World) -> None:
    """A name and a value beyond ASCII, quotes, and a control character: Python reads the step, and takes it back."""
    with closing(sqlite3.connect(path_of(world))) as connection:
        connection.executescript('CREATE TABLE "Lé""be" ("Gü" TEXT PRIMARY KEY, "Na\'me" TEXT, "n" INTEGER, "b" BLOB)')
        rows = [(str(A), 'å\U0001f600\x01"\\', 2**62, None), (str(B), None, None, None)]
        connection.executemany('INSERT INTO "Lé""be" VALUES (?, ?, ?, ?)', rows)
        connection.commit()
    profile = replace(PROFILE, live=Live('Lé"be', "Gü"), types=None)
    with world.opened(profile=profile) as source:
        install_sql(source, profile)
        before = ask(world, 'SELECT rowid, * FROM "Lé""be" ORDER BY 1')
        ask(world, ASK, [str(A), str(B), "r"])
        journal = Journal(source, profile)
        (run,) = journal.runs()
        (step,) = journal.steps(run.run_id)
        assert [change.table for change in step.changes] == ["Merges", 'Lé"be']
        answer = merge(source, profile, A, B, request_id="r")
        assert (answer.repeated, answer.run_id, answer.live_rows) == (True, run.run_id, 1)
        ask(world, "INSERT INTO mergeguard_unmerge (run_id) VALUES (?)", [run.run_id])
        assert ask(world, 'SELECT rowid, * FROM "Lé""be" ORDER BY 1') == before
        ask(world, ASK, [str(A), str(B), None])
        undo_run(source, profile, max(journal.runs(), key=lambda one: (one.kind == "merge", one.started)).run_id)
    assert ask(world, 'SELECT rowid, * FROM "Lé""be" ORDER BY 1') == before


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE mergeguard_step SET survivor = 'x'",
        "UPDATE mergeguard_change SET after_image = replace(after_image, 'null', '\"t:x\"')",
        "DELETE FROM mergeguard_change WHERE action = 'remove'",
    ],
)
@pytest.mark.parametrize("python", [False, True])
def test_an_altered_journal_takes_nothing_back(world: World, harm: str, python: bool) -> None:
    with world.opened() as source:
        install_sql(source, PROFILE)
        if python:
            merge(source, PROFILE, A, B)
        else:
            ask(world, ASK, [str(A), str(B), None])
        ((run,),) = ask(world, "SELECT run_id FROM mergeguard_run WHERE kind = 'merge'")
        with closing(sqlite3.connect(path_of(world))) as connection:
            connection.execute(harm)
            connection.commit()
        before = world.picture()
        with pytest.raises(sqlite3.IntegrityError, match="mergeguard: journal-damaged: "):
            ask(world, "INSERT INTO mergeguard_unmerge (run_id) VALUES (?)", [run])
        assert world.picture() == before


@pytest.mark.parametrize(
    ("old", "new", "request_id"),
    [
        ("no guid", str(A), None),
        (None, str(A), None),
        (str(A), "{" + A.hex[1:], None),
        (str(A), str(B), ""),
        (str(A), str(B), "r" * 65),
    ],
)
def test_what_makes_no_sense_is_told_as_such(world: World, old: object, new: object, request_id: str | None) -> None:
    with world.opened() as source:
        install_sql(source, PROFILE)
    assert reason(world, old, new, request_id) == "usage"
    with pytest.raises(sqlite3.IntegrityError, match="mergeguard: unknown-run: "):
        ask(world, "INSERT INTO mergeguard_unmerge (run_id) VALUES (?)", ["0" * 32])


def test_what_changed_since_is_not_taken_back(world: World) -> None:
    with world.opened() as source:
        install_sql(source, PROFILE)
    ask(world, ASK, [str(A), str(B), None])
    ((run,),) = ask(world, "SELECT run_id FROM mergeguard_run")
    ask(world, 'UPDATE "Merges" SET "MergeKey" = ?', ["somebody's"])
    with pytest.raises(sqlite3.IntegrityError, match="mergeguard: stale: "):
        ask(world, "INSERT INTO mergeguard_unmerge (run_id) VALUES (?)", [run])


@pytest.mark.parametrize("packed", [False, True])
def test_guids_that_no_index_finds_are_read_and_not_merged(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "packed.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "Merges" ("OldGuid" BLOB, "NewGuid" BLOB)')
        cells = (A.bytes_le, str(B)) if packed else (f" {A}", str(B))
        connection.execute('INSERT INTO "Merges" VALUES (?, ?)', cells)
        connection.commit()
    profile = Profile(merge=Merge("Merges", byte_order="sqlserver" if packed else "text"))
    source = open_target(str(path), profile, Options())
    install_sql(source, profile)
    source.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM mergeguard_current_guids").fetchall() == [(str(A), str(B), 1, "ok")]
        for sql, values in (
            (ASK, [str(B), str(C), None]),
            ("INSERT INTO mergeguard_rebuild_lookup DEFAULT VALUES", []),
        ):
            with pytest.raises(sqlite3.IntegrityError, match="mergeguard: spelling: "):
                connection.execute(sql, values)


def by_sql(url: str, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]], start: Any) -> list[str]:
    """Merge some pairs by SQL in a process of its own."""
    found = []
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=60)) as connection:
        start.wait(60)
        for old, new in pairs:
            try:
                connection.execute(ASK, [str(old), str(new), None])
                found.append("merged")
            except sqlite3.IntegrityError as error:
                found.append(str(error).split(": ")[1])
    return found


@pytest.mark.parametrize("guarded", [False, True])
def test_processes_of_either_kind_merge_at_once_and_keep_the_forest(world: World, guarded: bool) -> None:
    some = [guid(number) for number in range(12)]
    world.reset(some)
    with world.opened() as source:
        install_sql(source, PROFILE)
        if guarded:
            install_guard(source, PROFILE)
        merge(source, PROFILE, some[0], some[1])
    chance = random.Random(7)
    pairs = [[tuple(chance.sample(some, 2)) for _ in range(8)] for _ in range(4)]
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(4) as pool:
        start = manager.Barrier(4)
        programs = [merge_in_turn, by_sql, merge_in_turn, by_sql]
        waiting = [
            pool.apply_async(program, (world.url, each, start)) for program, each in zip(programs, pairs, strict=True)
        ]
        outcomes = [each.get(200) for each in waiting]
    model = world.model()
    assert is_forest(model.merges)
    assert world.stored() == model.lookup()
    assert {outcome for each in outcomes for outcome in each} <= {"merged", "already", "cycle"}
    assert len(model.merges) == len(some) - len(model.live)
    assert ask(world, "SELECT count(*) FROM mergeguard_work") == [(0,)]


def as_the_kit_calls(session: Any, old: str, new: str) -> None:
    try:
        session.execute(ASK, [old, new, None])
        session.commit()
    except sqlite3.IntegrityError as error:
        session.rollback()
        raise Refused(str(error)) from None


def test_rings_of_sql_merges_pass_the_checks_of_the_kit(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    schedules = 500 if pytestconfig.getoption("--long") else 20
    with SqliteSandbox(tmp_path) as sandbox:
        source = open_target(sandbox.url, sandbox.profile, Options())
        install_sql(source, sandbox.profile)
        source.close()
        tally = check_merges(PlainMerge(sandbox, as_the_kit_calls), drawn=rings(["SERIALIZABLE"]), schedules=schedules)
    assert tally.outcomes["made"] > schedules
    assert tally.outcomes["refused"] > 0


def test_a_chain_of_many_thousands_is_merged(world: World) -> None:
    chain = [uuid.UUID(int=number) for number in range(1000, 11_000)]
    with closing(sqlite3.connect(path_of(world))) as connection:
        connection.executemany(
            'INSERT INTO "Merges" ("OldGuid", "NewGuid") VALUES (?, ?)',
            [(str(old), str(new)) for old, new in zip(chain, [*chain[1:], A], strict=True)],
        )
        connection.commit()
    with world.opened() as source:
        install_sql(source, PROFILE)
        install_guard(source, PROFILE)
    ask(world, "INSERT INTO mergeguard_rebuild_lookup DEFAULT VALUES")
    ask(world, ASK, [str(chain[0]), str(B), "r"])
    assert ask(world, "SELECT current_guid, depth FROM mergeguard_lookup WHERE old_guid = ?", [str(chain[0])]) == [
        (str(B), len(chain) + 1)
    ]
    ((answer,),) = ask(world, "SELECT answer FROM mergeguard_request")
    assert json.loads(answer)["lookup_rows"] == len(chain) + 1
    assert reason(world, B, chain[5]) == "cycle"
