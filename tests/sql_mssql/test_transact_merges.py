"""merge_guids of SQL Server's scripts, run on PostgreSQL, decides what the merge in Python decides.

What it writes is written with images of rows, which only SQL Server can take; here a stand-in writes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from case_targets import profile_of, write_database
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from merge_model import guid
from rule_model import Case, cases
from sql_world import plain
from transact_sql import Refused, Transact, Values
from transact_world import ask, make

from mergeguard.core.guids import TOMBSTONE
from mergeguard.resources.merge import preview_merge
from mergeguard.resources.merged import merged_of
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

FILES = ["10_current_guid.sql", "30_closure.sql", "40_lookup.sql", "45_survival.sql", "50_merge.sql"]
A, B, C, D = (guid(number) for number in range(4))


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain(postgres_url)) as opened:
        yield opened
        opened.rollback()


class World:
    """A case in which merges are made."""

    def __init__(self, connection: psycopg.Connection, case: Case) -> None:
        make(connection, case)
        self.connection = connection
        self.locked: list[uuid.UUID] = []
        self.in_one_order: list[tuple[uuid.UUID, uuid.UUID]] = []
        self.scripts = Transact(
            connection,
            FILES,
            take_merge_lock=lambda _: {},
            require_fit=lambda _: {},
            write_root=self.lock,
            write_merge=self.write,
            move_references=self.move,
        )

    def merge(self, old: uuid.UUID, new: uuid.UUID, **more: object) -> dict[str, Any]:
        self.scripts.call("merge_guids", old, new, **more)
        ((answer,),) = self.scripts.results[-1:]
        return answer

    def reason(self, old: uuid.UUID, new: uuid.UUID, **more: object) -> str:
        with pytest.raises(Refused) as refused:
            self.merge(old, new, **more)
        return refused.value.reason

    def lock(self, given: Values) -> Mapping[str, Any]:
        self.locked.append(given["root"])
        return {}

    def move(self, given: Values) -> Mapping[str, Any]:
        if given.get("lock_only"):
            self.in_one_order.append((given["old_root"], given["new_root"]))
            self.locked += [given["old_root"], given["new_root"]]
        return {"columns": "{}", "moved": 0, "cleared": 0}

    def write(self, given: Values) -> Mapping[str, Any]:
        old, new = given["old_root"], given["new_root"]
        ask(self.connection, "INSERT INTO transact.merge_rows (old_guid, new_guid) VALUES (%s, %s)", (old, new))
        ask(self.connection, "DELETE FROM transact.live_guids WHERE guid = %s", [old])
        moved = "UPDATE transact.lookup_rows SET current_guid = %s, depth = depth + 1 WHERE current_guid = %s"
        ask(self.connection, moved, (new, old))
        ask(self.connection, "INSERT INTO transact.lookup_rows VALUES (%s, %s, 1, 'ok')", (old, new))
        said = {"run_id": "f" * 32, "lookup_rows": 1, "live_rows": 1, "row": '{"Id":"1"}'}
        return {**said, "columns": '{"t.c":{"rows":1,"changed":1}}', "moved": 1, "cleared": 0}


def by_python(folder: Path, case: Case, old: uuid.UUID, new: uuid.UUID) -> str:
    url = f"sqlite:///{folder / 'case.db'}"
    (folder / "case.db").unlink(missing_ok=True)
    write_database(case, url, sa.Text(), str)
    engine = sa.create_engine(url)
    with engine.begin() as made:  # a merge table without a key is refused before all else
        made.exec_driver_sql('CREATE UNIQUE INDEX "named" ON "Merges" ("Id")')
        made.exec_driver_sql('CREATE INDEX "by_new" ON "Merges" ("NewGuid")')  # as on the other side
    engine.dispose()
    profile: Profile = profile_of(case)
    with closing(open_target(url, profile, Options())) as source:
        found = preview_merge(source, profile, old, new)
    return "already" if found.already else "merged" if found.refused is None else found.refused.reason


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(), data=st.data())
def test_it_refuses_what_python_refuses(
    connection: psycopg.Connection, tmp_path: Path, case: Case, data: st.DataObject
) -> None:
    # References are refused here, and moved by Python; of a guid with two types, or two answers, each takes another.
    types = None if case.types is None else tuple(dict(case.types).items())
    stored = None if case.stored is None else tuple({row[0]: row for row in case.stored}.values())
    case = replace(case, references=None, types=types, stored=stored)
    known = sorted({each for pair in case.pairs for each in pair} - {TOMBSTONE} | set(case.live or ()) | {guid(999)})
    old, new = data.draw(st.sampled_from(known)), data.draw(st.sampled_from(known))
    world = World(connection, case)
    if case.stored is None:
        world.scripts.call("rebuild_lookup")
    try:
        found = "already" if world.merge(old, new, preview=1)["already"] else "merged"
    except Refused as refused:
        found = refused.reason
    event(found)
    assert found == by_python(tmp_path, case, old, new)
    assert not world.locked


def live(*numbers: int) -> Case:
    return Case((), (), live=frozenset(map(guid, numbers)))


@settings(max_examples=10)
@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_merges_one_after_the_other_make_a_forest(connection: psycopg.Connection, pairs: list[tuple[int, int]]) -> None:
    world = World(connection, live(*range(6)))
    root = {guid(number): guid(number) for number in range(6)}
    for old, new in ((guid(old), guid(new)) for old, new in pairs):
        if old == new:
            assert world.reason(old, new) == "self-merge"
        elif root[old] == root[new] == old:
            assert world.reason(old, new) == "cycle"
        else:
            answer = world.merge(old, new)
            assert (answer["old_root"], answer["new_root"]) == (root[old], root[new])
            assert bool(answer["already"]) == (root[old] == root[new])
            root = {each: root[new] if at == root[old] else at for each, at in root.items()}
    found = dict(ask(connection, "SELECT old_guid, current_guid FROM transact.lookup_rows"))
    assert found == {each: at for each, at in root.items() if each != at}


def test_roots_are_locked_in_the_order_of_their_texts(connection: psycopg.Connection) -> None:
    world = World(connection, live(0, 1, 2, 3))
    world.merge(A, B)
    world.merge(C, A)
    assert world.locked == [*sorted((A, B), key=str), *sorted((C, B), key=str)]


def test_a_request_is_answered_once(connection: psycopg.Connection) -> None:
    world = World(connection, live(0, 1, 2, 3))
    first = world.merge(A, B, request_id="once")
    again = world.merge(A, B, request_id="once")
    assert (first["repeated"], again["repeated"]) == (0, 1)
    assert {**again, "repeated": 0} == first
    assert world.reason(C, D, request_id="once") == "request-reused"
    assert ask(connection, "SELECT count(*) FROM transact.merge_rows") == [(1,)]
    ((answer,),) = ask(connection, "SELECT answer FROM transact.requests")
    read = merged_of(answer)
    assert (read.old, read.new_root, read.request_id, read.repeated, read.lookup_rows) == (A, B, "once", True, 1)
    assert (read.columns["t.c"].changed, read.hashes_cleared) == (1, 0)


def test_references_and_forbidden_pairs_are_refused(connection: psycopg.Connection) -> None:
    world = World(connection, live(0, 1, 2, 3))
    world.merge(A, B)
    ask(connection, "INSERT INTO transact.never_pairs VALUES (%s, %s, NULL, 'twins')", (A, C))
    assert world.reason(C, B) == "never-merge"
    assert world.reason(B, C) == "never-merge"
    ask(connection, "INSERT INTO transact.moving_guids VALUES ('Keys.Guid', %s)", [C])
    assert world.reason(C, D) == "references"
    assert not world.merge(D, C)["already"]


def test_roots_that_move_are_locked_anew(connection: psycopg.Connection) -> None:
    world = World(connection, live(0, 1, 2, 3))
    lock, moved = world.lock, iter([True])

    def overtaken(given: Values) -> Mapping[str, Any]:
        if next(moved, False):  # another session merges what this one is about to lock
            world.write({"old_root": B, "new_root": C})
        return lock(given)

    world.scripts.stubs["write_root"] = overtaken
    answer = world.merge(A, B)
    assert (answer["old_root"], answer["new_root"]) == (A, C)
    assert {A, B, C} == set(world.locked)
    assert world.in_one_order == [(A, C)], "with what the rows refer to beside them"


def test_what_looks_like_damage_is_refused_behind_the_locks_alone(connection: psycopg.Connection) -> None:
    world = World(connection, live(0, 1, 2, 3))
    insert = "INSERT INTO transact.merge_rows (old_guid, new_guid) VALUES (%s, %s)"

    def overtaken(given: Values) -> Mapping[str, Any]:
        if not world.locked:  # one merge is made, and of another it is read by halves
            world.write({"old_root": A, "new_root": D})
            ask(connection, insert, (B, C))
            ask(connection, "INSERT INTO transact.lookup_rows VALUES (%s, %s, 1, 'ok')", (B, C))
        return world.lock(given)

    def locked(given: Values) -> Mapping[str, Any]:
        ask(connection, "DELETE FROM transact.live_guids WHERE guid = %s", [B])
        return world.move(given)

    world.scripts.stubs |= {"write_root": overtaken, "move_references": locked}
    answer = world.merge(A, B)
    assert (answer["old_root"], answer["new_root"]) == (D, C)
    assert world.in_one_order == [(D, B), (D, C)]


@given(beside=st.sets(st.integers(0, 6)), pair=st.permutations(range(7)), roots=st.booleans())
def test_roots_and_neighbours_are_locked_in_the_order_of_their_texts(
    connection: psycopg.Connection, beside: set[int], pair: list[int], roots: bool
) -> None:
    world = World(connection, live())
    old, new = map(guid, pair[:2])
    around = {guid(number) for number in beside} - {old, new}
    ask(connection, 'CREATE TEMP TABLE "#around" (guid uuid, shared int) ON COMMIT DROP')
    ask(connection, 'CREATE TEMP TABLE "#held" (table_no int, stale int, guids text) ON COMMIT DROP')
    ask(connection, 'CREATE TEMP TABLE "#piece" (n int) ON COMMIT DROP')
    ask(connection, "CREATE TABLE transact.moved_unique (table_no int, unique_no int, column_name text)")
    ask(connection, "CREATE TABLE transact.moved_columns (table_no int, column_name text, moves int)")
    for each in around:
        ask(connection, 'INSERT INTO "#around" VALUES (%s, 0)', [each])
    done: list[uuid.UUID | None] = []

    def share(_given: Values) -> Mapping[str, Any]:
        done.append(None)
        return {}

    world.scripts.stubs |= {"sp_executesql": share, "write_root": lambda given: done.append(given["root"]) or {}}
    found = world.scripts.call("share_roots", old_root=old, new_root=new, roots=int(roots), more=0)

    every = sorted({*around, old, new} if roots else around, key=str)
    assert done == [each if each in {old, new} else None for each in every]
    assert found["more"] == int(bool(every))
    assert ask(connection, 'SELECT count(*) FROM "#around" WHERE shared = 0') == [(0,)]


def test_a_request_is_not_cut_and_takes_two_guids(connection: psycopg.Connection) -> None:
    world = World(connection, live(0, 1, 2, 3))
    longest = "r" * 64
    assert not world.merge(A, B, request_id=longest)["repeated"]
    assert world.merge(A, B, request_id=longest)["repeated"]
    for request in ("", "r" * 129, "r" * 4000):  # here a letter has one byte, there two
        assert world.reason(A, B, request_id=request) == "usage"
        assert world.reason(C, D, request_id=request) == "usage"
    missing: Any = None
    for pair in ((missing, B), (A, missing), (missing, missing)):
        assert world.reason(*pair, request_id=longest) == "request-reused"
        assert world.reason(*pair) == "unknown-guid"


def test_what_people_wrote_is_said_with_its_percent_signs(connection: psycopg.Connection) -> None:
    world = World(connection, live(0, 1, 2, 3))
    why = "100% sure, %d of %s"
    ask(connection, "INSERT INTO transact.never_pairs VALUES (%s, %s, NULL, %s)", (A, B, why))
    ask(connection, "INSERT INTO transact.moving_guids VALUES (%s, %s)", ["50%.Guid", C])
    world.merge(B, D, request_id="%s")
    found = []
    for old, new, request in ((A, D, None), (C, D, None), (C, D, "%s")):
        with pytest.raises(Refused) as refused:
            world.merge(old, new, request_id=request)
        found.append(str(refused.value) % ())  # as THROW forms a message, which has no values
    assert found[0].endswith(f"must never be merged: {why}")
    assert "rows of 50%.Guid hold" in found[1]
    assert "request %s merged" in found[2]


def test_a_long_reason_keeps_a_message_within_bounds(connection: psycopg.Connection) -> None:
    world = World(connection, live(0, 1))
    ask(connection, "INSERT INTO transact.never_pairs VALUES (%s, %s, NULL, %s)", (A, B, "%" * 3000))
    with pytest.raises(Refused) as refused:
        world.merge(A, B)
    assert 800 < len(str(refused.value)) < 2048
    assert str(refused.value) % ()


def test_a_lookup_in_another_form_is_not_written(connection: psycopg.Connection) -> None:
    world = World(connection, Case.of((0, 1)))
    ask(connection, "UPDATE sys.columns SET system_type_id = 175 WHERE name = 'new'")
    with pytest.raises(Refused) as refused:
        world.scripts.call("rebuild_lookup")
    assert (refused.value.number, refused.value.reason) == (51925, "unsupported")
    assert ask(connection, "SELECT * FROM transact.lookup_rows") == []
    ask(connection, "UPDATE sys.columns SET system_type_id = 36")
    world.scripts.call("rebuild_lookup")
    assert ask(connection, "SELECT old_guid FROM transact.lookup_rows") == [(A,)]
