"""Stale references on a real SQL Server: its unique indexes are found, and re-pointing keeps them."""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import Any

import pytest

from mergeguard.core.repair.plan import Action
from mergeguard.core.repair.references import Unique
from mergeguard.integrity.reading import read_facts
from mergeguard.integrity.stale import stale_references
from mergeguard.storage.database.table_indexes import is_indexed, unique_keys
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Merge, Profile, Reference
from mergeguard.storage.source import Options

pytestmark = pytest.mark.mssql
OLD, NOW, OTHER = (uuid.UUID(int=number << 96 | 7) for number in (1, 2, 3))


@pytest.fixture
def held(place: Any) -> str:
    columns = {"id": "int NOT NULL PRIMARY KEY", "g": "uniqueidentifier", "v": "nvarchar(9)"}
    rows = [(1, OLD, "a"), (2, OLD, "b"), (3, NOW, "a"), (4, OTHER, None)]
    name = place.fill("held", columns, rows)
    place.run(f"CREATE UNIQUE INDEX once ON {place.name('held')} (g, v)")
    place.run(f"CREATE UNIQUE INDEX some_rows ON {place.name('held')} (v) WHERE v = N'c'")
    return str(name)


def source(place: Any, profile: Profile) -> mssql.MssqlSource:
    return mssql.MssqlSource(place.url, profile, Options(lock_timeout=30))


def test_unique_indexes_of_whole_rows_are_found(place: Any, held: str) -> None:
    with closing(source(place, Profile(merge=Merge(held, "g", "g")))) as opened, opened.snapshot() as snapshot:
        rows = opened.rows(snapshot)
        assert set(unique_keys(rows, held)) == {Unique(("g", "v")), Unique(("id",))}
        assert is_indexed(rows, held, "G")
        assert not is_indexed(rows, held, "v")


def test_rows_are_re_pointed_and_collapsed_and_go_back(place: Any, held: str) -> None:
    merges = place.fill("merges", {"old": "uniqueidentifier", "new": "uniqueidentifier"}, [(OLD, NOW)])
    profile = Profile(merge=Merge(merges, "old", "new"), references=(Reference(held, "g"),))
    with closing(source(place, profile)) as opened:
        with opened.snapshot() as snapshot:
            facts = read_facts(snapshot, profile, needs=()).facts
            (step,) = stale_references(snapshot, opened.rows(snapshot), profile, facts).steps
        assert {change.action for change in step.changes} == {Action.KEEP, Action.COLLAPSE, Action.REPOINT}
        with opened.writing() as writing:
            with writing.transaction() as rows:
                rows.change(step.changes)
            assert place.value(f"SELECT COUNT(*) FROM {place.name('held')} WHERE g = '{NOW}'") == 2
            with writing.transaction() as rows:
                rows.change([change.reversed() for change in reversed(step.changes)])
        assert place.value(f"SELECT COUNT(*) FROM {place.name('held')} WHERE g = '{OLD}'") == 2
