"""A merge by SQL is the merge of Python: the same answer, refusal and tables, and a journal that takes it back."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_model import NUMBERED, guid
from merging_world import OURS, PROFILE, World

from mergeguard.errors import MergeGuardError, MergeRefused
from mergeguard.integrity.lookup import verify_lookup
from mergeguard.integrity.sql_scripts import install_sql
from mergeguard.integrity.undo import undo_run
from mergeguard.resources.merge import merge, open_merges
from mergeguard.storage.cells.guid_spelling import usual
from mergeguard.storage.journal.writing import Journal

A, B, C, D = (guid(number) for number in range(4))
SOME = [guid(number) for number in range(9)]
ASK = "INSERT INTO mergeguard_merge (old_guid, new_guid, request_id) VALUES (?, ?, ?)"


@dataclass
class Twins:
    """The same tables twice: one is merged by Python, one by SQL."""

    python: World
    sql: World
    connection: sqlite3.Connection
    """To the second: a connection reads the triggers once, and that takes longer than a merge."""

    def begin(self) -> None:
        """Install the scripts, and let Python make its tables."""
        for world in (self.python, self.sql):
            world.reset()
            with world.opened() as source:
                install_sql(source, PROFILE)
                with open_merges(source, PROFILE):
                    pass

    def reset(self, live: Sequence[uuid.UUID], rows: Sequence[tuple[uuid.UUID, uuid.UUID]], kinds: str = "") -> None:
        """Fill both anew."""
        for world in (self.python, self.sql):
            with closing(sqlite3.connect(str(world.engine.url.database))) as connection:
                connection.execute("PRAGMA synchronous = OFF")
                for name in (*world.tables, *OURS):
                    connection.execute(f'DELETE FROM "{name}"')
                connection.executemany('INSERT INTO "Alive" VALUES (?)', [(str(one),) for one in live])
                typed = zip(SOME, kinds.ljust(len(SOME), "c"), strict=True)
                connection.executemany('INSERT INTO "Kinds" VALUES (?, ?)', [(str(one), kind) for one, kind in typed])
                pairs = [(str(old), str(new)) for old, new in rows]
                connection.executemany('INSERT INTO "Merges" ("OldGuid", "NewGuid") VALUES (?, ?)', pairs)
                connection.execute("INSERT INTO mergeguard_rebuild_lookup DEFAULT VALUES")
                connection.commit()

    def by_python(self, old: uuid.UUID, new: uuid.UUID, request: str | None = None) -> str:
        with self.python.opened() as source:
            try:
                done = merge(source, PROFILE, old, new, request_id=request)
            except MergeRefused as refused:
                return refused.reason
        return "already" if done.already or done.repeated else "merged"

    def by_sql(self, old: str, new: str, request: str | None = None) -> str:
        return merged(self.connection, old, new, request)


def by_sql(world: World, old: str, new: str, request: str | None = None) -> str:
    with closing(sqlite3.connect(str(world.engine.url.database), isolation_level=None, timeout=60)) as connection:
        return merged(connection, old, new, request)


def merged(connection: sqlite3.Connection, old: str, new: str, request: str | None) -> str:
    before = connection.execute('SELECT count(*) FROM "Merges"').fetchone()
    try:
        connection.execute(ASK, [old, new, request])
    except sqlite3.IntegrityError as error:
        name, reason, rest = str(error).split(": ", 2)
        assert name == "mergeguard"
        assert rest
        return reason
    finally:
        left = [connection.execute(f"SELECT count(*) FROM mergeguard_{name}").fetchone()[0] for name in WORK]
        assert left == [0, 0, 0]
    return "already" if connection.execute('SELECT count(*) FROM "Merges"').fetchone() == before else "merged"


WORK = ("work", "walk", "walk_rows")


def state(world: World) -> Mapping[str, Any]:
    """All that a merge may change, but for times and the ids of runs."""
    found = dict(world.picture())
    found["Merges"] = sorted(row[1:3] for row in found["Merges"])
    with closing(sqlite3.connect(str(world.engine.url.database))) as connection:
        asked = connection.execute("SELECT request_id, answer FROM mergeguard_request ORDER BY 1")
        answers = [(name, json.loads(answer)) for name, answer in asked]
    for _, answer in answers:
        answer.pop("run_id", None)
        if answer.get("row"):
            answer["row"].pop("MergedAt")
    found["answers"] = answers
    return found


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    folder = tmp_path_factory.mktemp("twins")
    with closing(sqlite3.connect(folder / "sql.db", isolation_level=None, timeout=60)) as connection:
        made = Twins(World(f"sqlite:///{folder / 'python.db'}"), World(f"sqlite:///{folder / 'sql.db'}"), connection)
        made.begin()
        yield made
    for world in (made.python, made.sql):
        world.engine.dispose()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(f"sqlite:///{tmp_path / 'world.db'}")
    made.reset([A, B, C, D])
    with made.opened() as source:
        install_sql(source, PROFILE)
    yield made
    made.engine.dispose()


merges = st.lists(
    st.tuples(st.sampled_from(SOME), st.sampled_from(SOME), st.sampled_from([None, None, "a", "b"])),
    min_size=1,
    max_size=6,
)


@settings(max_examples=max(8, settings.default.max_examples // 3))
@given(
    st.one_of(st.just([]), NUMBERED.map(lambda rows: [(old % 9, new % 9) for old, new in rows][:6])),
    st.lists(st.sampled_from(SOME), unique=True, min_size=4),
    st.text("cccp", min_size=9, max_size=9),
    merges,
    st.data(),
)
def test_it_is_the_merge_of_python(
    twins: Twins, rows: list[tuple[int, int]], live: list[uuid.UUID], kinds: str, asked: Any, data: st.DataObject
) -> None:
    twins.reset(live, [(guid(old), guid(new)) for old, new in rows], kinds)
    for old, new, request in asked:
        spelled = [data.draw(st.sampled_from(usual(one))) for one in (old, new)]
        assert twins.by_sql(*spelled, request) == twins.by_python(old, new, request), (old, new, request)
        assert state(twins.sql) == state(twins.python)


@settings(max_examples=max(6, settings.default.max_examples // 5))
@given(merges, st.data())
def test_what_sql_merged_python_takes_back(twins: Twins, asked: Any, data: st.DataObject) -> None:
    twins.reset(SOME, [])
    before = state(twins.sql)
    for old, new, request in asked:
        if data.draw(st.booleans()):
            twins.by_sql(str(old), str(new), request)
        else:
            with twins.sql.opened() as source:
                try:
                    merge(source, PROFILE, old, new, request_id=request)
                except MergeRefused:
                    continue
    with twins.sql.opened() as source:
        assert verify_lookup(source, PROFILE).drift == 0
        journal = Journal(source, PROFILE)
        made = [run.run_id for run in journal.runs()]
        assert all(len(journal.steps(run)) == 1 for run in made)
        latest = sorted(made, key=lambda run: journal.steps(run)[0].changes[0].after["Id"] or "", reverse=True)  # type: ignore[index]
        for run in latest:
            undo_run(source, PROFILE, run)
    after = state(twins.sql)
    assert {**after, "answers": []} == {**before, "answers": []}


def unmerged(connection: sqlite3.Connection, run: str) -> str:
    try:
        connection.execute("INSERT INTO mergeguard_unmerge (run_id) VALUES (?)", [run])
    except sqlite3.IntegrityError as error:
        return str(error).split(": ")[1]
    left = [connection.execute(f"SELECT count(*) FROM mergeguard_{name}").fetchone()[0] for name in WORK]
    assert left == [0, 0, 0]
    return "unmerged"


@settings(max_examples=max(6, settings.default.max_examples // 5))
@given(merges, st.data())
def test_what_either_merged_sql_takes_back_in_any_order_that_is_free(
    twins: Twins, asked: Any, data: st.DataObject
) -> None:
    twins.reset(SOME, [])
    runs: dict[uuid.UUID, str] = {}
    with twins.sql.opened() as source:
        for old, new, _ in asked:
            python = data.draw(st.booleans())
            try:
                done = merge(source, PROFILE, old, new) if python else twins.by_sql(str(old), str(new))
            except MergeRefused:
                continue
            if done != "merged" and not getattr(done, "run_id", None):
                continue
            newest = max(
                Journal(source, PROFILE).runs(), key=lambda run: (run.run_id not in runs.values(), run.started)
            )
            runs[Journal(source, PROFILE).steps(newest.run_id)[0].members[0]] = newest.run_id
        while runs:
            taken = data.draw(st.sampled_from(sorted(runs)))
            run = runs.pop(taken)
            before = twins.sql.model()
            assert unmerged(twins.connection, run) == "unmerged"
            after = twins.sql.model()
            assert after.merges == [row for row in before.merges if row[0] != taken]
            assert after.live == before.live | {taken}
            assert twins.sql.stored() == after.lookup()
            assert unmerged(twins.connection, run) == "undone"
            assert Journal(source, PROFILE).steps(run)[0].undone_by is not None


# What the tests above are worth: each planted mistake makes one fixed story come out other than Python's.

STORY = [
    (0, 1, None),
    (1, 2, "r"),
    (1, 2, "r"),
    (2, 0, None),
    (3, 4, None),
    (5, 3, None),
    (3, 6, "s"),
    (7, 8, None),
    (6, 2, None),
    (2, 7, None),
]
MISTAKES: dict[str, tuple[str, str]] = {
    "one level of the lookup": (
        "WHERE current_cell IN (SELECT spelled FROM mergeguard_work",
        "WHERE depth = 1 AND current_cell IN (SELECT spelled FROM mergeguard_work",
    ),
    "the old one stays live": (
        "DELETE FROM mergeguard_live_images WHERE",
        "DELETE FROM mergeguard_live_images WHERE 0 AND",
    ),
    "circles are closed": ("FROM mergeguard_work WHERE already AND old = old_root", "FROM mergeguard_work WHERE 0"),
    "forbidden pairs are merged": ("coalesce(one.current_guid, pair.one_guid) = ", "'x' = "),
    "types are not compared": ("other.type <> one.type", "other.type < one.type AND 0"),
    "requests are forgotten": ("FROM mergeguard_work WHERE request_id IS NOT NULL;", "FROM mergeguard_work WHERE 0;"),
    "roots are not written": ("(guid, turn) SELECT max(", "(guid, turn) SELECT 'x' || max("),
    "the digest is none": ("(SELECT digest FROM mergeguard_digest), new_root", "'0', new_root"),
    "the journal says something else": ("gone.image), 'remove'", "gone.image), 'retire'"),
}


def told(twins: Twins) -> tuple[list[bool], bool]:
    """Tell the story to both; say of each answer whether it was the same, and whether the tables and journals are."""
    twins.reset(SOME[:8], [], "ccccccccp")
    for world in (twins.python, twins.sql):
        with closing(sqlite3.connect(str(world.engine.url.database))) as connection:
            connection.execute("INSERT INTO mergeguard_never VALUES (?, ?, NULL, NULL)", [str(SOME[6]), str(SOME[0])])
            connection.execute('UPDATE "Kinds" SET "Kind" = \'p\' WHERE "Guid" = ?', [str(SOME[5])])
            connection.commit()
    answers = [
        twins.by_sql(str(SOME[old]), str(SOME[new]), request) == twins.by_python(SOME[old], SOME[new], request)
        for old, new, request in STORY
    ]
    return answers, state(twins.sql) == state(twins.python) and journals(twins.sql) == journals(twins.python)


def journals(world: World) -> list[Any]:
    with world.opened() as source:
        journal = Journal(source, PROFILE)
        try:
            steps = sorted(
                (step for run in journal.runs() for step in journal.steps(run.run_id)), key=lambda one: one.component
            )
        except MergeGuardError as damaged:
            return [damaged.message]
    with closing(sqlite3.connect(str(world.engine.url.database))) as connection:
        roots = connection.execute("SELECT guid FROM mergeguard_root ORDER BY 1").fetchall()
    return [roots, *((one.component, one.survivor, [change.action for change in one.changes]) for one in steps)]


@pytest.mark.parametrize("mistake", [None, *MISTAKES])
def test_a_planted_mistake_is_noticed(twins: Twins, mistake: str | None) -> None:
    path = str(twins.sql.engine.url.database)
    asked = "SELECT sql FROM sqlite_master WHERE name = 'mergeguard_merge_insert'"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (right,) = connection.execute(asked).fetchone()
        wrong = right
        if mistake is not None:
            assert MISTAKES[mistake][0] in right
            wrong = right.replace(*MISTAKES[mistake])
        for text in ("DROP TRIGGER mergeguard_merge_insert", wrong):
            connection.execute(text)
        try:
            answers, same = told(twins)
        finally:
            for text in ("DROP TRIGGER mergeguard_merge_insert", right):
                connection.execute(text)
    assert (all(answers) and same) == (mistake is None)
