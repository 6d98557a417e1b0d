"""Plan, apply, undo and unmerge on a real SQL Server: as on the other databases."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from mergeguard.core.repair.plan import Plan
from mergeguard.errors import Stale, Unsupported
from mergeguard.integrity.apply import apply_plan
from mergeguard.integrity.lookup import build_lookup, verify_lookup
from mergeguard.integrity.planning import make_plan
from mergeguard.integrity.undo import undo_run
from mergeguard.integrity.unmerge import propose_unmerge, unmerge_guid
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.mssql import source as mssql
from mergeguard.storage.profile import Journal as Names
from mergeguard.storage.profile import Lookup, Merge, Profile, Reference
from mergeguard.storage.source import Options

pytestmark = pytest.mark.mssql
A, B, C, D, E = (uuid.UUID(int=number << 96 | number) for number in range(1, 6))
MERGES = [(1, A, B, "2024-01-01"), (2, B, C, "2024-01-02"), (3, C, A, "2024-01-03"), (4, D, A, "2024-01-04")]
USES = [(1, D, "x"), (2, B, "y"), (3, E, "z")]


@dataclass(frozen=True)
class Site:
    """A ring of three with an old that leads into it, a table that refers to them, and a stored lookup."""

    place: Any
    profile: Profile

    @contextmanager
    def opened(self) -> Iterator[mssql.MssqlSource]:
        with closing(mssql.MssqlSource(self.place.url, self.profile, Options(lock_timeout=30))) as source:
            yield source

    def plan(self) -> Plan:
        with self.opened() as source:
            return make_plan(source, self.profile)

    def everything(self) -> list[list[tuple[Any, ...]]]:
        tables = (self.profile.merge.table, self.profile.references[0].table, self.profile.lookup.table)
        with self.place.engine.connect() as connection:
            read = [connection.exec_driver_sql(f"SELECT * FROM {table}").all() for table in tables]
        return [sorted((tuple(map(str, row)) for row in rows), key=repr) for rows in read]

    def drift(self) -> int:
        with self.opened() as source:
            return verify_lookup(source, self.profile).drift


@pytest.fixture
def site(place: Any) -> Site:
    columns = {"id": "int PRIMARY KEY", "old": "uniqueidentifier", "new": "uniqueidentifier", "at": "datetime2(7)"}
    merges = place.fill("applied_merges", columns, MERGES)
    uses = place.fill(
        "applied_uses", {"id": "int PRIMARY KEY", "guid": "uniqueidentifier", "what": "nvarchar(10)"}, USES
    )
    mark = secrets.token_hex(4)
    profile = Profile(
        merge=Merge(merges, "old", "new", "id", "at"),
        lookup=Lookup(f"{place.schema}.lookup_{mark}"),
        references=(Reference(uses, "guid"),),
        journal=Names(*(f"{place.schema}.{kind}_{mark}" for kind in ("run", "step", "change"))),
    )
    made = Site(place, profile)
    with made.opened() as source:
        build_lookup(source, profile)
    return made


def test_a_plan_is_applied_and_taken_back_to_the_byte(site: Site) -> None:
    before, plan = site.everything(), site.plan()
    assert [step.survivor for step in plan.steps][:1] == [A]
    with site.opened() as source:
        done = apply_plan(source, site.profile, plan)
    assert (done.left, done.lookup_mended, site.drift()) == (0, 0, 0)
    assert site.plan().steps == ()
    with site.opened() as source:
        undo_run(source, site.profile, plan.plan_id[:8])
    assert site.everything() == before


def test_a_row_that_changed_makes_it_stale(site: Site) -> None:
    plan = site.plan()
    site.place.run(f"UPDATE {site.profile.merge.table} SET at = '2030-01-01' WHERE id = 2")
    before = site.everything()
    with site.opened() as source, pytest.raises(Stale):
        apply_plan(source, site.profile, plan)
    assert site.everything() == before


def test_rows_that_would_go_along_are_named_and_nothing_is_planned(site: Site) -> None:
    merges, notes = site.profile.merge.table, f"{site.place.schema}.notes_{secrets.token_hex(4)}"
    site.place.run(f"CREATE TABLE {notes} (m int NULL REFERENCES {merges} (id) ON DELETE SET NULL)")
    try:
        with pytest.raises(Unsupported, match=notes):
            site.plan()
    finally:
        site.place.run(f"DROP TABLE {notes}")
    assert site.plan().steps


def test_a_second_call_goes_on_with_nothing(site: Site) -> None:
    plan = site.plan()
    for _ in range(2):
        with site.opened() as source:
            done = apply_plan(source, site.profile, plan)
    assert (done.applied, done.skipped) == (0, len(plan.steps))


def test_a_merge_is_taken_back_with_its_references(site: Site) -> None:
    with site.opened() as source:
        apply_plan(source, site.profile, site.plan())
    before = site.everything()
    with site.opened() as source:
        found = propose_unmerge(source, site.profile, str(D))
        assert (found.current, len(found.references)) == (A, 1)
        done = unmerge_guid(source, site.profile, found, reason="two machines")
    assert site.drift() == 0
    with site.opened() as source:
        assert Journal(source, site.profile).runs()[0].kind == "unmerge"
        undo_run(source, site.profile, done.run_id)
    assert site.everything() == before
