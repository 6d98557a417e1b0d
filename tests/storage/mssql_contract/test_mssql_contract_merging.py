"""Merges on a real SQL Server: a ring that two sessions close, the lookup, an undo."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from mergeguard.errors import MergeRefused
from mergeguard.integrity.lookup import build_lookup, verify_lookup
from mergeguard.integrity.undo import undo_run
from mergeguard.resources.merge import merge, open_merges, prepare_merges
from mergeguard.resources.one_merge import OneMerge
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Association, Journal, Live, Lookup, Merge, Merging, Profile
from mergeguard.storage.rows.within import rows_in
from mergeguard.storage.source import Options

pytestmark = pytest.mark.mssql
A, B, C, D = (uuid.UUID(int=number << 120 | 7) for number in (1, 2, 3, 4))
OURS = ("lookup", "run", "step", "change", "root", "guard", "never", "request")


@pytest.fixture
def profile(place: Any) -> Profile:
    schema = place.schema
    for name in OURS:
        place.run(f"IF OBJECT_ID('{schema}.mergeguard_{name}') IS NOT NULL DROP TABLE [{schema}].[mergeguard_{name}]")
    guid = "uniqueidentifier NOT NULL"
    merges = {"id": "int IDENTITY NOT NULL PRIMARY KEY", "old": guid, "new": guid}
    place.run(f"IF OBJECT_ID('{schema}.merges') IS NOT NULL DROP TABLE [{schema}].[merges]")
    declared = ", ".join(f"[{name}] {kind}" for name, kind in merges.items())
    place.run(f"CREATE TABLE [{schema}].[merges] ({declared})", f"CREATE INDEX [ix] ON [{schema}].[merges] ([old])")
    place.fill("alive", {"guid": f"{guid} PRIMARY KEY"}, [(one,) for one in (A, B, C, D)])
    links = {"id": "int NOT NULL PRIMARY KEY", "parent": guid, "child": guid}
    place.fill("links", links, [(1, A, D), (2, C, B)])
    ours = [f"{schema}.mergeguard_{name}" for name in OURS]
    return Profile(
        merge=Merge(f"{schema}.merges", "old", "new", row_id="id"),
        lookup=Lookup(ours[0]),
        journal=Journal(*ours[1:4]),
        merging=Merging(*ours[4:8]),
        live=Live(f"{schema}.alive", "guid"),
        associations=(Association(f"{schema}.links", "parent", "child"),),
    )


def raced(place: Any, profile: Profile, pairs: list[tuple[uuid.UUID, uuid.UUID]]) -> list[str]:
    def one(pair: tuple[uuid.UUID, uuid.UUID]) -> str:
        with closing(mssql.MssqlSource(place.url, profile, Options(lock_timeout=30))) as source:
            try:
                return "already" if merge(source, profile, *pair).already else "merged"
            except MergeRefused as refused:
                return refused.reason

    with ThreadPoolExecutor(len(pairs)) as pool:
        return [done.result(90) for done in [pool.submit(one, pair) for pair in pairs]]


def test_a_half_merged_ring_is_not_closed(place: Any, profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier, seen, look = threading.Barrier(2, timeout=60), threading.local(), OneMerge._look
    with closing(mssql.MssqlSource(place.url, profile, Options())) as source:
        build_lookup(source, profile)
        with open_merges(source, profile) as merges:
            merges.merge(B, C)
            merges.merge(D, A)

    def looked(*given: Any) -> Any:
        found = look(*given)
        if not hasattr(seen, "once"):
            seen.once = True
            barrier.wait()
        return found

    monkeypatch.setattr(OneMerge, "_look", looked)
    assert sorted(raced(place, profile, [(A, B), (C, D)])) == ["cycle", "merged"]
    with closing(mssql.MssqlSource(place.url, profile, Options())) as source:
        checked = verify_lookup(source, profile)
    assert (checked.missing, checked.extra, checked.different) == (0, 0, 0)


def test_a_merge_is_taken_back(place: Any, profile: Profile) -> None:
    def picture() -> list[object]:
        names = ("merges", "alive", "links")
        return [place.value(f"SELECT COUNT(*), MAX(CAST(guid AS char(36))) FROM {place.name('alive')}")] + [
            place.value(f"SELECT CHECKSUM_AGG(BINARY_CHECKSUM(*)) FROM {place.name(name)}") for name in names
        ]

    with closing(mssql.MssqlSource(place.url, profile, Options())) as source:
        build_lookup(source, profile)
        before = picture()
        merged = merge(source, profile, A, B, request_id="once")
        assert merge(source, profile, A, B, request_id="once").repeated
        assert (merged.live_rows, merged.lookup_rows) == (1, 1)
        assert picture() != before
        undo_run(source, profile, merged.run_id or "")
    assert picture() == before


def test_a_merge_in_somebodys_transaction_is_true_with_its_commit(place: Any, profile: Profile) -> None:
    with closing(mssql.MssqlSource(place.url, profile, Options())) as source:
        ready = prepare_merges(source, profile)
        found = []
        for commits in (False, True):
            with source.engine.connect() as connection, connection.begin() as transaction:
                connection.exec_driver_sql("SET XACT_ABORT OFF")
                with connection.begin_nested():
                    found.append(ready.merge_within(rows_in(source, connection), A, B))
                with pytest.raises(MergeRefused):
                    ready.merge_within(rows_in(source, connection), B, A)
                if not commits:
                    transaction.rollback()
            with source.snapshot() as snapshot:
                rows = list(source.rows(snapshot).having(profile.merge.table, "old", [A]))
            assert len(rows) == int(commits)
        undo_run(source, profile, found[1].run_id or "")
