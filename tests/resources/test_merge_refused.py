"""What is no merge is refused with its reason, on a file and on PostgreSQL, and nothing is written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from merge_model import guid
from merging_world import ANY, PROFILE, World

from mergeguard.core.guids import from_uuids
from mergeguard.errors import ExitCode, MergeRefused, UnknownSchema, Unsupported, UsageError, WriteFailed
from mergeguard.integrity.lookup import build_lookup
from mergeguard.integrity.undo import undo_run
from mergeguard.integrity.unmerge import propose_unmerge, unmerge_guid
from mergeguard.resources.current import current, currents
from mergeguard.resources.merge import merge, open_merges
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.merging.store import MergingStore
from mergeguard.storage.profile import Live, Merge, Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

A, B, C, D = (guid(number) for number in range(4))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if request.param == "sqlite":
        made = World(f"sqlite:///{tmp_path_factory.mktemp('refused') / 'world.db'}")
    else:
        made = World(request.getfixturevalue("postgres_url"))
    yield made
    made.engine.dispose()


@pytest.fixture
def world(kept: World) -> World:
    kept.reset([A, B, C, D])
    return kept


def refused(world: World, old: uuid.UUID, new: uuid.UUID, profile: Profile = PROFILE) -> MergeRefused:
    """Ask for a merge that is to be refused; a preview must say the same, and nothing may change."""
    before = world.picture()
    with world.opened(profile=profile) as source:
        seen = merge(source, profile, old, new, preview=True)
        with pytest.raises(MergeRefused) as caught:
            merge(source, profile, old, new)
    assert world.picture() == before
    assert seen.refused is not None
    assert (seen.refused.reason, seen.refused.message) == (caught.value.reason, caught.value.message)
    assert caught.value.exit_code == ExitCode.PLAN_REFUSED
    return caught.value


def rebuilt(world: World) -> None:
    with world.opened() as source:
        build_lookup(source, PROFILE)


def test_types_differ(world: World) -> None:
    with world.engine.begin() as connection:
        table = world.tables["Kinds"]
        connection.execute(table.update().where(table.c.Guid == world.told("Guid", A)).values(Kind="printer"))
    assert refused(world, A, B).reason == "type-mismatch"
    with world.opened() as source:
        assert not merge(source, PROFILE, C, B).already


def test_a_target_that_is_gone_and_guids_that_nobody_knows(world: World) -> None:
    assert refused(world, A, guid(9)).reason == "dead-target"
    assert refused(world, guid(9), A).reason == "unknown-guid"
    assert refused(world, guid(8), guid(9)).reason == "dead-target"


@pytest.mark.parametrize("pair", [(A, B), (B, A)])
def test_a_pair_that_people_forbade_holds_for_what_they_became(world: World, pair: tuple[uuid.UUID, uuid.UUID]) -> None:
    with world.opened() as source, open_merges(source, PROFILE) as merges:
        merges.merge(A, C)
    with world.engine.begin() as connection:
        values = [str(one) if world.kind == "sqlite" else one for one in pair]
        sql = sa.text("INSERT INTO mergeguard_never VALUES (:one, :other, 'ann', 'two machines, one name')")
        connection.execute(sql, dict(zip(("one", "other"), values, strict=True)))
    error = refused(world, C, B)
    assert error.reason == "never-merge"
    assert "two machines, one name" in error.message
    assert refused(world, B, A).reason == "never-merge"


def test_circles_splits_and_unfinished_merges_are_for_a_repair(world: World) -> None:
    world.insert("Merges", [(guid(5), guid(6), 0, None), (guid(6), guid(5), 0, None)])
    world.insert("Merges", [(guid(7), A, 0, None), (guid(7), B, 0, None), (D, C, 0, None)])
    rebuilt(world)
    assert refused(world, guid(5), A).reason == "in-cycle"
    assert refused(world, A, guid(6)).reason == "in-cycle"
    assert refused(world, guid(7), C).reason == "split"
    assert refused(world, D, A).reason == "shadowed-live"
    assert refused(world, A, D).reason == "shadowed-live"


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM mergeguard_lookup",
        "UPDATE mergeguard_lookup SET depth = 7",
        "UPDATE mergeguard_lookup SET status = 'split'",
        "UPDATE mergeguard_lookup SET current_guid = old_guid",
    ],
)
@pytest.mark.parametrize("pair", [(A, C), (C, A)])
def test_a_lookup_that_has_drifted_is_not_made_worse(
    world: World, harm: str, pair: tuple[uuid.UUID, uuid.UUID]
) -> None:
    with world.opened() as source:
        merge(source, PROFILE, A, B)
    with world.engine.begin() as connection:
        connection.execute(sa.text(harm))
    error = refused(world, *pair)
    assert error.reason == "lookup-drift"
    assert "mergeguard lookup build" in str(error.hint)
    rebuilt(world)
    with world.opened() as source:
        merge(source, PROFILE, *pair)
    assert world.stored() == world.model().lookup()


def test_a_request_is_answered_once_and_is_of_one_merge(world: World) -> None:
    with world.opened() as source:
        first = merge(source, PROFILE, A, B, request_id="r", key="serial")
        again = merge(source, PROFILE, A, B, request_id="r")
        assert replace(again, repeated=False) == first
        with pytest.raises(MergeRefused) as caught:
            merge(source, PROFILE, A, C, request_id="r")
        assert caught.value.reason == "request-reused"
        with pytest.raises(UsageError):
            merge(source, PROFILE, A, C, request_id="r" * 65)
        runs = [run for run in Journal(source, PROFILE).runs() if run.kind == "merge"]
    assert [run.run_id for run in runs] == [first.run_id]
    assert world.rows("Merges")[0][3] == "serial"


def test_a_failure_at_the_end_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.insert("Evt", [(A, "x")])
    world.insert("Links", [(ANY, A, B, 1)])
    with world.opened() as source, open_merges(source, PROFILE):
        before = world.picture()

    def failing(*_: object) -> None:
        raise WriteFailed("the disk is full")

    monkeypatch.setattr(MergingStore, "write_request", failing)
    with world.opened() as source:
        with pytest.raises(WriteFailed):
            merge(source, PROFILE, A, B, request_id="r")
        assert Journal(source, PROFILE).runs() == []
    assert world.picture() == before


def test_an_undo_puts_the_resource_back(world: World) -> None:
    world.insert("Links", [(ANY, A, B, 1), (ANY, A, C, 1), (ANY, B, C, 2)])
    before = world.picture()
    with world.opened() as source:
        merged = merge(source, PROFILE, A, B)
        assert merged.columns["Links.Parent"].dropped == 1
        assert merged.columns["Links.Parent"].collapsed == 1
        undo_run(source, PROFILE, merged.run_id or "")
    assert world.picture() == before


def test_an_unmerge_makes_the_resource_live_again_with_its_rows(world: World) -> None:
    world.insert("Evt", [(A, "x"), (B, "y")])
    before = world.model()
    with world.opened() as source:
        merge(source, PROFILE, A, B)
        merge(source, PROFILE, B, C)
        unmerge_guid(source, PROFILE, propose_unmerge(source, PROFILE, str(A)))
    after = world.model()
    assert (after.merges, after.live) == ([(B, C)], before.live - {B})
    assert sorted(after.events) == sorted([(A, "x"), (C, "y")])
    assert world.stored() == after.lookup()


def test_without_a_lookup_or_liveness_a_merge_needs_neither(kept: World) -> None:
    kept.reset([A], lookup=False)
    bare = Profile(merge=Merge("Merges", row_id="Id"))
    with kept.opened(profile=bare) as source:
        done = merge(source, bare, guid(20), guid(21))
        assert (done.lookup_rows, done.live_rows) == (0, 0)
        assert current(source, bare, guid(20)).current == guid(21)
        found = currents(source, bare, from_uuids([guid(20), guid(21), guid(22)]))
        assert [answer.current for answer in found] == [guid(21), guid(21), guid(22)]
        with pytest.raises(MergeRefused) as caught:
            merge(source, bare, guid(21), guid(20))
    assert caught.value.reason == "cycle"


def test_liveness_by_a_query_counts(world: World) -> None:
    asked = replace(PROFILE, live=Live(query='SELECT "Guid" FROM "Alive"'), types=None)
    with world.opened(profile=asked) as source:
        done = merge(source, asked, A, B)
        assert done.live_rows == 0
        with pytest.raises(MergeRefused) as caught:
            merge(source, asked, C, guid(30))
    assert caught.value.reason == "dead-target"


def test_bulk_answers_are_those_of_single_walks(world: World) -> None:
    with world.opened() as source, open_merges(source, PROFILE) as merges:
        merges.merge(A, B)
        merges.merge(B, C)
        asked = [A, B, C, D, guid(40)]
        found = list(currents(source, PROFILE, from_uuids(asked)))
        assert [(one.guid, one.current, one.depth, one.status) for one in found] == [
            (A, C, 2, "ok"), (B, C, 1, "ok"), (C, C, 0, "ok"), (D, D, 0, "ok"), (guid(40), guid(40), 0, "ok"),
        ]  # fmt: skip
    with world.opened() as source:
        for one in found[:4]:
            assert current(source, PROFILE, one.guid) == one
        assert current(source, PROFILE, guid(40)).status == "dangling"


def test_bulk_answers_of_an_empty_lookup_and_of_damage(world: World) -> None:
    with world.opened() as source:
        assert [one.current for one in currents(source, PROFILE, from_uuids([A, B]))] == [A, B]
        assert list(currents(source, PROFILE, from_uuids([]))) == []
    world.insert("Merges", [(guid(5), guid(6), 0, None), (guid(6), guid(5), 0, None)])
    rebuilt(world)
    with world.opened() as source:
        damaged, fine = currents(source, PROFILE, from_uuids([guid(5), A]))
    assert (damaged.current, damaged.depth, damaged.status) == (None, None, "cycle")
    assert (fine.current, fine.depth, fine.status) == (A, 0, "ok")


def test_a_long_chain_is_walked_by_the_help_of_the_lookup(world: World) -> None:
    chain = [guid(number) for number in range(100, 160)]
    world.insert("Merges", [(old, new, 0, None) for old, new in zip(chain, [*chain[1:], A], strict=True)])
    rebuilt(world)
    with world.opened() as source:
        done = merge(source, PROFILE, chain[0], B)
    assert done.lookup_rows == len(chain) + 1
    assert world.stored() == world.model().lookup()


def test_tables_without_what_is_needed_are_refused(world: World, tmp_path: Path) -> None:
    if world.kind == "postgresql":  # every row of a file has its row id
        keyless = replace(PROFILE, merge=Merge("Keyless", "OldGuid", "NewGuid"))
        refuse_keyless(world, keyless)
    absent = replace(PROFILE, merge=Merge("Absent"))
    with world.opened(profile=absent) as source, pytest.raises(UnknownSchema):
        merge(source, absent, A, B)
    file = tmp_path / "merges.csv"
    file.write_text("OldGuid,NewGuid\n")
    with pytest.raises(Unsupported):
        merge(open_target(str(file), PROFILE, Options()), PROFILE, A, B)


def refuse_keyless(world: World, keyless: Profile) -> None:
    with world.engine.begin() as connection:
        connection.execute(sa.text('CREATE TABLE IF NOT EXISTS "Keyless" ("OldGuid" uuid, "NewGuid" uuid)'))
    with world.opened(profile=keyless) as source, pytest.raises(MergeRefused) as caught:
        merge(source, keyless, A, B)
    assert caught.value.reason == "no-key"
