"""Merging by procedure on a real SQL Server, beside Python: decided, written, raced, taken back."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from merge_model import answers, guid
from mssql_scripts_world import A, B, C, D, World, grant, installed, make_tables, reason_of
from rule_model import Case

from mergeguard.errors import MergeRefused
from mergeguard.integrity.lookup import verify_lookup
from mergeguard.integrity.undo import undo_run
from mergeguard.resources.merge import merge, preview_merge
from mergeguard.storage.journal.writing import Journal

pytestmark = pytest.mark.mssql


@pytest.fixture
def world(place: Any) -> Iterator[World]:
    with installed(place) as made:
        yield made


@pytest.mark.parametrize("seed", range(4))
def test_merges_of_both_kinds_go_on_from_one_another(world: World, seed: int) -> None:
    chance = Random(seed)
    guids = [guid(number) for number in range(7)]
    world.fill(Case((), (), live=frozenset(guids), types=tuple((each, "AB"[at == 6]) for at, each in enumerate(guids))))
    world.rows("INSERT INTO [mergeguard].[never_pairs] VALUES (?, ?, NULL, N'twins')", (str(guids[0]), str(guids[1])))
    start, runs, olds = world.picture(), [], []
    with closing(world.source()) as source:
        for _ in range(14):
            old, new = chance.choice(guids), chance.choice(guids)
            seen = preview_merge(source, world.profile, old, new)
            wanted = "already" if seen.already else "merged" if seen.refused is None else seen.refused.reason
            assert world.outcome(old, new, preview=1) == wanted
            if wanted != "merged":
                continue
            by_sql = bool(chance.getrandbits(1))
            run = world.merge(old, new)["run_id"] if by_sql else merge(source, world.profile, old, new).run_id
            runs.append(run)
            olds.append(seen.old_root)
        checked = verify_lookup(source, world.profile)
        assert (checked.rows, checked.drift) == (len(olds), 0)
        for at, run in enumerate(reversed(runs)):
            if (at + seed) % 2:
                undo_run(source, world.profile, str(run))
            else:
                world.rows("EXEC [mergeguard].[unmerge_run] @run_id = ?", (run,))
        assert verify_lookup(source, world.profile).drift == 0
    left = world.picture()
    assert left[1:] == start[1:]
    assert left[0] == start[0]


def test_a_row_of_every_type_comes_back_as_it_was(world: World) -> None:
    listed = (
        "nvarchar(50)|varchar(50)|datetime|datetime2(7)|float|money|varbinary(20)|decimal(20,5)|bit|xml|datetimeoffset(3)|"
        "nvarchar(max)|char(9)|real|time(4)|rowversion|hierarchyid|uniqueidentifier"
    )
    types = dict(zip("abcdefghijklmnopqr", listed.split("|"), strict=True))
    make_tables(world.place, live=", " + ", ".join(f"[{name}] {kind} NULL" for name, kind in types.items()))
    world.install()
    wild = "N'it''s \"q\" \\\\ ' + NCHAR(233) + NCHAR(10) + NCHAR(55357) + NCHAR(56832)"
    values = (
        f"{wild}, 'x', '2024-02-03T04:05:06.007', '2024-02-03T04:05:06.1234567', 1e0/3, 12.3456, 0x00FF10, 123.45, 1, "
        f"N'<a> <b/></a>', '2024-02-03T04:05:06.123+02:30', {wild} + NCHAR(0), 'pad', 0.1, '04:05:06.1234', "
        "CAST('/1/2/' AS hierarchyid), NEWID()"
    )
    names = ", ".join(f"[{name}]" for name in types if name != "p")
    alive = world.place.name("alive")
    for each in (A, B):
        world.rows(f"INSERT INTO {alive} ([guid], {names}) SELECT ?, {values}", (str(each),))
    compared = names.replace("[j], ", "")
    whole = f"SELECT CHECKSUM_AGG(BINARY_CHECKSUM([guid], {compared})) AS c, COUNT(*) AS n FROM {alive}"
    start = world.rows(whole)
    with closing(world.source()) as source:
        with source.snapshot() as snapshot:
            rows = source.rows(snapshot)
            (image,) = rows.having(f"{world.place.schema}.alive", "guid", [A])
        run = world.merge(A, B)["run_id"]
        (step,) = Journal(source, world.profile).steps(run)  # Python's digest fits, too
        assert [change.action.value for change in step.changes] == ["merge", "remove"]
        assert step.changes[1].before == image
        assert world.rows(whole) != start
        world.rows("EXEC [mergeguard].[unmerge_run] @run_id = ?", (run,))
        assert world.rows(whole) == start
        undo_run(source, world.profile, world.merge(A, B)["run_id"])
    assert world.rows(whole) == start


def test_a_request_is_answered_once_by_whoever_is_asked(world: World) -> None:
    world.fill(Case((), (), live=frozenset((A, B, C, D))))
    first = world.merge(A, B, "one")
    with closing(world.source()) as source:
        again = merge(source, world.profile, A, B, request_id="one")
        assert (again.repeated, again.run_id) == (True, first["run_id"])
        made = merge(source, world.profile, C, D, request_id="two")
        repeated = world.merge(C, D, "two")
        assert (bool(repeated["repeated"]), repeated["run_id"]) == (True, made.run_id)
        assert world.reason(A, D, "two") == "request-reused"
        with pytest.raises(MergeRefused, match="request one"):
            merge(source, world.profile, A, C, request_id="one")
    assert world.rows(f"SELECT COUNT(*) AS n FROM {world.place.name('merges')}") == [{"n": 2}]


def test_requests_are_refused_rather_than_cut(world: World) -> None:
    world.fill(Case((), (), live=frozenset((A, B, C, D))))
    longest = "r" * 64
    world.merge(A, B, longest)
    assert world.merge(A, B, longest)["repeated"]
    assert world.reason(C, D, longest + "s") == "usage"
    sql = "EXEC [mergeguard].[merge_guids] @old = NULL, @new = ?, @request_id = ?"
    with pytest.raises(sa.exc.DBAPIError, match="request-reused"):
        world.rows(sql, (str(B), longest))
    key = "EXEC [mergeguard].[merge_guids] @old = ?, @new = ?, @merge_key = ?"
    with pytest.raises(sa.exc.DBAPIError, match="mergeguard: usage"):
        world.rows(key, (str(C), str(D), "k" * 4001))


def test_one_request_for_two_pairs_at_once_is_refused_once(world: World) -> None:
    for number in range(6):
        first, second = ([guid(100 * number + at) for at in pair] for pair in ((0, 1), (2, 3)))
        world.fill(Case((), (), live=frozenset((*first, *second))))
        barrier = threading.Barrier(2, timeout=60)

        def one(pair: list[uuid.UUID], name: str = f"both {number}", barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            try:
                return "merged" if world.merge(*pair, name)["run_id"] else "nothing"
            except sa.exc.DBAPIError as refused:
                return reason_of(refused)

        with ThreadPoolExecutor(2) as pool:
            done = sorted(future.result(120) for future in [pool.submit(one, pair) for pair in (first, second)])
        assert done == ["merged", "request-reused"]
        world.rows("DELETE FROM [mergeguard].[lookup_rows]")


def test_a_refusal_says_percent_signs_as_they_were_written(world: World) -> None:
    world.fill(Case((), (), live=frozenset((A, B))))
    for why, said in (("100% sure, %d of %s", "100% sure, %d of %s"), ("%" * 3000, "%" * 400)):
        world.rows("DELETE FROM [mergeguard].[never_pairs]")
        world.rows("INSERT INTO [mergeguard].[never_pairs] VALUES (?, ?, NULL, ?)", (str(A), str(B), why))
        with pytest.raises(sa.exc.DBAPIError) as refused:
            world.merge(A, B)
        assert f"must never be merged: {said}" in str(refused.value.orig)


def test_a_run_is_taken_back_by_its_id_with_hyphens_too(world: World) -> None:
    world.fill(Case((), (), live=frozenset((A, B))))
    start = world.picture()
    run = str(uuid.UUID(world.merge(A, B)["run_id"]))
    for wrong in (run + "-0", run.replace("-", "") + "zz", "100%d"):
        with pytest.raises(sa.exc.DBAPIError, match="mergeguard: unknown-run") as refused:
            world.rows("EXEC [mergeguard].[unmerge_run] @run_id = ?", (wrong,))
        assert f"no merge {wrong.replace('-', '')};" in str(refused.value.orig)
    world.rows("EXEC [mergeguard].[unmerge_run] @run_id = ?", (run.upper(),))
    assert world.picture() == start


@pytest.mark.parametrize("kind", ["char(36)", "binary(16)"])
def test_a_lookup_in_another_form_is_read_and_merging_refused(world: World, kind: str) -> None:
    world.fill(Case.of((0, 1), live=frozenset((B, C))))
    lookup = world.place.name("mergeguard_lookup")
    world.rows(f"DROP TABLE {lookup}")
    world.rows(
        f"CREATE TABLE {lookup} ([old_guid] {kind} NOT NULL PRIMARY KEY, [current_guid] {kind} NULL, "
        "[depth] int NULL, [status] varchar(16) NOT NULL)"
    )
    world.install()
    assert world.rows("SELECT * FROM [mergeguard].[lookup_rows]") == []
    (found,) = world.rows("SELECT [status] FROM [mergeguard].[current_guid](?)", (str(A),))
    assert found["status"] == "ok"
    assert world.reason(C, B) == "unsupported"
    with pytest.raises(sa.exc.DBAPIError, match="mergeguard: unsupported"):
        world.rows("EXEC [mergeguard].[rebuild_lookup]")


def test_what_is_not_committed_by_its_caller_is_gone(world: World) -> None:
    world.fill(Case((), (), live=frozenset((A, B, C))))
    start = world.picture()
    with closing(world.source()) as source, source.engine.connect() as connection:
        sql = "EXEC [mergeguard].[merge_guids] @old = ?, @new = ?"
        for work in ("", f"INSERT INTO {world.place.name('held')} VALUES (NEWID())"):
            if work:
                connection.exec_driver_sql(work)
            connection.exec_driver_sql(sql, (str(A), str(B))).all()
            connection.rollback()
            assert world.picture() == start
        # A refusal takes the work of the caller with it: nothing is half written.
        connection.exec_driver_sql(work)
        with pytest.raises(sa.exc.DBAPIError, match="mergeguard: self-merge"):
            connection.exec_driver_sql(sql, (str(A), str(A))).all()
        connection.rollback()
    assert world.picture() == start


@pytest.mark.parametrize("guarded", [False, True])
def test_rings_that_close_at_the_same_time_do_not(world: World, guarded: bool) -> None:
    sets = 6
    for number in range(sets):
        ring = [guid(100 * number + at) for at in range(4)]
        world.fill(Case((), (), live=frozenset(ring)))
        if guarded and number == 0:
            grant(world)
        world.merge(ring[1], ring[2])
        world.merge(ring[3], ring[0])
        barrier = threading.Barrier(2, timeout=60)

        def one(pair: tuple[uuid.UUID, uuid.UUID], barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            return world.outcome(*pair)

        with ThreadPoolExecutor(2) as pool:
            pairs = [(ring[0], ring[1]), (ring[2], ring[3])]
            done = sorted(future.result(120) for future in [pool.submit(one, pair) for pair in pairs])
        assert done == ["cycle", "merged"]
        kept = [
            (uuid.UUID(str(r["o"])), uuid.UUID(str(r["n"])))
            for r in world.rows(f"SELECT [old] AS o, [new] AS n FROM {world.place.name('merges')}")
        ]
        assert {status for status, *_ in answers(kept).values()} == {"ok"}
        world.rows("DELETE FROM [mergeguard].[lookup_rows]")


def test_a_lookup_that_has_drifted_is_refused_until_it_is_built(world: World) -> None:
    world.fill(Case.of((5, 6), live=frozenset((A, B, guid(6)))))
    assert world.reason(guid(6), A) == "lookup-drift"
    world.rows("EXEC [mergeguard].[rebuild_lookup]")
    assert world.merge(guid(6), A)["lookup_rows"] == 2
