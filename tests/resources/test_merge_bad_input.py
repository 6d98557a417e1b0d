"""Whatever a merge is refused for, no row of any table is other than before, ours included; what helps then helps."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from merge_model import guid
from merging_world import ANY, OURS, PROFILE, World

from mergeguard.core.guids import from_uuids
from mergeguard.errors import MergeRefused, Unsupported
from mergeguard.integrity.guard import install_guard
from mergeguard.integrity.lookup import build_lookup
from mergeguard.integrity.sql_scripts import sql_scripts_of
from mergeguard.integrity.undo import undo_run
from mergeguard.resources.current import current, currents
from mergeguard.resources.merge import merge, open_merges
from mergeguard.storage.profile import Merge, Merging, Profile, Reference

A, B, C, D = (guid(number) for number in range(4))
Pair = tuple[uuid.UUID, uuid.UUID]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if request.param == "sqlite":
        made = World(f"sqlite:///{tmp_path_factory.mktemp('bad') / 'world.db'}")
    else:
        made = World(request.getfixturevalue("postgres_url"))
    yield made
    made.engine.dispose()


@pytest.fixture
def world(kept: World) -> World:
    """Rows in every table, a class of two, and all of our own tables."""
    kept.reset([A, B, C, D])
    kept.insert("Evt", [(A, "x"), (B, "y")])
    kept.insert("Links", [(ANY, A, B, 1), (ANY, C, A, 2)])
    with kept.opened() as source, open_merges(source, PROFILE) as merges:
        merges.merge(D, C, request_id="made")
    return kept


def everything(world: World) -> dict[str, list[tuple[Any, ...]]]:
    with world.engine.connect() as connection:
        names = [*world.tables, *OURS]
        return {
            name: sorted((tuple(row) for row in connection.execute(sa.text(f'SELECT * FROM "{name}"'))), key=repr)
            for name in names
        }


def tell(world: World, sql: str, **values: object) -> None:
    with world.engine.begin() as connection:
        connection.execute(sa.text(sql), {name: world.told("Guid", value) for name, value in values.items()})


def other_type(world: World) -> Pair:
    tell(world, 'UPDATE "Kinds" SET "Kind" = \'printer\' WHERE "Guid" = :one', one=A)
    return A, B


def forbidden(world: World) -> Pair:
    tell(world, "INSERT INTO mergeguard_never VALUES (:one, :other, NULL, NULL)", one=B, other=A)
    return A, B


def circle(world: World) -> Pair:
    world.insert("Merges", [(guid(5), guid(6), 0, None), (guid(6), guid(5), 0, None)])
    return A, guid(5)


def split(world: World) -> Pair:
    world.insert("Merges", [(guid(7), A, 0, None), (guid(7), B, 0, None)])
    return guid(7), C


def unfinished(world: World) -> Pair:
    world.insert("Merges", [(B, C, 0, None)])
    return B, A


def drifted(world: World) -> Pair:
    tell(world, "UPDATE mergeguard_lookup SET depth = 9")
    return D, A


def retired(world: World) -> Pair:
    tell(world, 'DELETE FROM "Alive" WHERE "Guid" = :one', one=B)
    return A, B


BAD: dict[str, Callable[[World], Pair]] = {
    "self-merge": lambda _world: (A, A),
    "cycle": lambda _world: (C, D),
    "unknown-guid": lambda _world: (guid(50), A),
    "dead-target": retired,
    "type-mismatch": other_type,
    "never-merge": forbidden,
    "in-cycle": circle,
    "split": split,
    "shadowed-live": unfinished,
    "lookup-drift": drifted,
}


@pytest.mark.parametrize("reason", BAD)
def test_nothing_is_half_written(world: World, reason: str) -> None:
    pair = BAD[reason](world)
    before = everything(world)
    with world.opened() as source, open_merges(source, PROFILE) as merges:
        for request in (None, "new"):
            with pytest.raises(MergeRefused) as caught:
                merges.merge(*pair, request_id=request)
            assert caught.value.reason == reason
        assert everything(world) == before
        if reason not in {"in-cycle", "split", "shadowed-live", "lookup-drift", "dead-target", "type-mismatch"}:
            assert merges.merge(A, C).row is not None, "the next merge on the same connection is made"


def test_a_request_of_another_merge_writes_nothing(world: World) -> None:
    before = everything(world)
    with world.opened() as source, pytest.raises(MergeRefused) as caught:
        merge(source, PROFILE, A, B, request_id="made")
    assert caught.value.reason == "request-reused"
    assert everything(world) == before


def test_a_wanted_guard_that_is_missing_writes_nothing_and_its_command_helps(world: World) -> None:
    wanted = replace(PROFILE, merging=Merging(guard="other_guard", guarded="required"))
    before = everything(world)
    with world.opened(profile=wanted) as source:
        with pytest.raises(MergeRefused) as caught:
            merge(source, wanted, A, B)
        assert caught.value.reason == "no-guard"
        assert everything(world) == before
        install_guard(source, wanted)
        assert merge(source, wanted, A, B).row is not None


def test_a_lookup_that_drifted_is_built_anew_and_then_it_goes(world: World) -> None:
    pair = drifted(world)
    with world.opened() as source:
        build_lookup(source, PROFILE)
        assert merge(source, PROFILE, *pair).row is not None
    assert world.stored() == world.model().lookup()


def test_ids_that_are_no_guids_are_refused_plainly_and_read_all_the_same(world: World) -> None:
    texts = Profile(merge=Merge("Merges", "OldGuid", "NewGuid", row_id="Id", ids="text"))
    before = everything(world)
    with world.opened(profile=texts) as source:
        for asked in (
            lambda: merge(source, texts, A, B),
            lambda: merge(source, texts, A, B, preview=True),
            lambda: current(source, texts, A),
            lambda: sql_scripts_of(source, texts),
            lambda: install_guard(source, texts),
        ):
            with pytest.raises(Unsupported, match="no guids"):
                asked()
        (found,) = currents(source, texts, from_uuids([D]))
        assert (found.current, found.status) == (C, "ok")
    assert everything(world) == before


def test_references_in_a_table_without_a_key_move_and_come_back(world: World) -> None:
    guid_type = "text" if world.kind == "sqlite" else "uuid"
    with world.engine.begin() as connection:
        connection.execute(sa.text('DROP TABLE IF EXISTS "Loose"'))
        connection.execute(sa.text(f'CREATE TABLE "Loose" ("Guid" {guid_type}, "What" varchar(9))'))
    for one, what in [(A, "same"), (A, "same"), (A, None), (B, "same"), (C, "c")]:
        tell(world, f'INSERT INTO "Loose" VALUES (:one, {"NULL" if what is None else repr(what)})', one=one)
    profile = replace(PROFILE, references=(*PROFILE.references[:4], Reference("Loose", "Guid")))

    def loose() -> list[tuple[str, str]]:
        with world.engine.connect() as connection:
            return sorted((str(one), str(what)) for one, what in connection.execute(sa.text('SELECT * FROM "Loose"')))

    before = loose()
    with world.opened(profile=profile) as source:
        done = merge(source, profile, A, B)
        assert done.columns["Loose.Guid"].changed == done.columns["Loose.Guid"].rows == 3
        assert loose() == sorted((str(B) if one == str(A) else one, what) for one, what in before)
        undo_run(source, profile, done.run_id or "")
    assert loose() == before
