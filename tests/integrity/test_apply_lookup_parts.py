"""The part of the stored lookup that a step changes is right when the step commits, however many olds it has.

And however the lookup spells them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from apply_world import World, member, rings
from case_targets import in_any_spelling
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from merge_model import guid
from stale_case import StaleCase, stale_cases

from mergeguard.core.lookup import Lookup
from mergeguard.integrity import large_part
from mergeguard.integrity.large_part import LargePart
from mergeguard.integrity.lookup import build_lookup
from mergeguard.storage.lookup.part import LookupPartWriter

EACH = settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
SPELLINGS: dict[str, Callable[[uuid.UUID], str]] = {
    "upper case": lambda one: str(one).upper(),
    "braces": lambda one: f"{{{one}}}",
    "any": in_any_spelling,
    "as written": str,
}
BEHIND = StaleCase([*rings(3), *((guid(1 + number), member(0, number % 3)) for number in range(7))])
"""A ring, and olds that lead into it: their answers change with it."""


@pytest.fixture(params=[0, large_part.LARGE], ids=["large", "small"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Beyond how many guids a part counts as large."""
    monkeypatch.setattr(large_part, "LARGE", request.param)
    return int(request.param)


def by_text(world: World, spell: Callable[[uuid.UUID], str]) -> None:
    """Store the lookup as texts, and spell the olds in some way."""
    world.execute(
        'DROP TABLE IF EXISTS "mergeguard_lookup"',
        'CREATE TABLE "mergeguard_lookup" ("old_guid" varchar(60) PRIMARY KEY, "current_guid" varchar(60), '
        '"depth" integer, "status" varchar(16) NOT NULL)',
    )
    with world.opened() as source:
        build_lookup(source, world.profile)
    with world.engine.begin() as connection:
        for (old,) in connection.execute(sa.text('SELECT "old_guid" FROM "mergeguard_lookup"')).all():
            change = 'UPDATE "mergeguard_lookup" SET "old_guid" = :spelled WHERE "old_guid" = :old'
            connection.execute(sa.text(change), {"old": old, "spelled": spell(uuid.UUID(old))})


@EACH
@given(case=stale_cases(), way=st.sampled_from(sorted(SPELLINGS)))
@example(case=BEHIND, way="upper case")
@example(case=BEHIND, way="any")
def test_each_step_leaves_the_lookup_right_however_it_is_spelled(
    world: World, size: int, case: StaleCase, way: str
) -> None:
    world.put(case)
    by_text(world, SPELLINGS[way])
    plan = world.plan()
    done = world.apply(plan)
    assert done.applied == len(plan.steps)
    assert done.lookup_mended == 0, f"the steps left rows of the lookup wrong (large from {size})"
    assert world.drift() == 0


@EACH
@given(case=stale_cases())
@example(case=BEHIND)
def test_a_large_part_is_what_a_small_one_is(world: World, case: StaleCase) -> None:
    world.put(case, lookup=True)
    before, plan, found = world.everything(), world.plan(), []
    for beyond in (0, large_part.LARGE):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(large_part, "LARGE", beyond)
            world.put(case, lookup=True)
            done = world.apply(plan)
            found.append(({**world.everything()}, done.lookup_rows, done.lookup_mended))
            if plan.steps:
                world.undo(plan.plan_id)
            assert world.everything() == before
    assert found[0] == found[1]
    assert found[0][2] == 0


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """Of what type the answers are that are written."""
    found: list[type] = []
    replace = LookupPartWriter.replace

    def noted(writer: LookupPartWriter, rows: object, olds: object, answers: object) -> None:
        found.append(type(answers))
        replace(writer, rows, olds, answers)  # type: ignore[arg-type]

    monkeypatch.setattr(LookupPartWriter, "replace", noted)
    return found


def test_many_olds_behind_a_ring_are_written_as_columns(
    world: World, monkeypatch: pytest.MonkeyPatch, written: list[type]
) -> None:
    monkeypatch.setattr(large_part, "LARGE", 9)
    # Two rings, so that one connection writes two large parts.
    olds = [*((guid(1 + number), member(number % 2, 0)) for number in range(40)), *rings(2, 3)]
    world.put(StaleCase(olds), lookup=True)
    done = world.apply(world.plan())
    assert written == [Lookup, Lookup]
    assert (done.lookup_mended, world.drift(), done.lookup_rows) == (0, 0, 40 + 1 + 2)


def test_a_step_that_is_rolled_back_leaves_the_lookup_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_part, "LARGE", 0)
    world.put(BEHIND, lookup=True)
    before, plan = world.everything(), world.plan()
    replace = LookupPartWriter.replace

    def fails(writer: LookupPartWriter, rows: object, olds: object, answers: object) -> None:
        replace(writer, rows, olds, answers)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LookupPartWriter, "replace", fails)
        with pytest.raises(KeyboardInterrupt):
            world.apply(plan)
    assert world.everything() == before
    world.apply(plan)
    assert world.drift() == 0


def test_what_a_large_part_says_of_single_guids(world: World) -> None:
    world.put(BEHIND)
    with world.opened() as source:
        from mergeguard.integrity.workshop import open_workshop  # noqa: PLC0415 - only here
        from mergeguard.storage.database.source import DatabaseSource  # noqa: PLC0415 - as above

        assert isinstance(source, DatabaseSource)
        shop = open_workshop(source, world.profile, "0" * 32, lambda *_: None)
        olds = [guid(1), member(0, 0)]
        with source.snapshot() as snapshot:
            part = LargePart.read(shop.merges(source.rows(snapshot)), shop.around, olds, shop.around.ahead(olds))
    assert part.current(guid(1)) is None, "it leads into a ring"
    assert part.current(guid(99)) == guid(99), "nothing merges it away"
    assert len(part.images([member(0, 0), guid(1)])) == 2
    assert part.problems([member(0, 0), member(0, 1), member(0, 2)], None)
