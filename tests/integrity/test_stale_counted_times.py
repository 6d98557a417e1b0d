"""Of stale rows that become equal the newest stays, by times or numbers; where nobody can tell, none is touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from apply_world import World
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_model import guid
from stale_case import KINDS, StaleCase

from mergeguard.core.repair.plan import Plan

OLD, OLDER, NOW, OTHER = (guid(number) for number in range(4))
MERGES = [(OLD, NOW), (OLDER, NOW)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """SQLite: its columns hold anything."""
    made = World(f"sqlite:///{tmp_path_factory.mktemp('counted') / 'world.db'}")
    yield made
    made.engine.dispose()


def planned(file: World, *links: tuple[object, object]) -> Plan:
    """Plan links of some guids with OTHER; each a guid and its time."""
    file.put(StaleCase(MERGES, None, [(KINDS[0], one, OTHER, made) for one, made in links]))
    return file.plan()


def applied(file: World, *links: tuple[object, object]) -> list[tuple[object, ...]]:
    file.apply(planned(file, *links))
    return [(row[1], row[3]) for row in file.rows("Links")]


@settings(max_examples=8)
@given(times=st.lists(st.integers(0, 2 * 10**18), min_size=2, max_size=2, unique=True))
def test_the_greater_number_is_the_newer_row(file: World, times: list[int]) -> None:
    found = applied(file, (OLD, times[0]), (OLDER, times[1]))
    assert [(one, int(str(made))) for one, made in found] == [(str(NOW), max(times))]


def test_numbers_are_compared_as_numbers_and_not_as_texts(file: World) -> None:
    assert [made for _, made in applied(file, (OLD, "900"), (OLDER, "1000"))] == ["1000"]


def test_rows_that_nobody_can_order_are_left_alone_and_told(file: World) -> None:
    plan = planned(file, (OLD, "yesterday"), (OLDER, "1718000000"))
    assert plan.steps == ()
    (told,) = [note for note in plan.notes if "yesterday" in note]
    assert told.startswith("Links.Parent: 2 rows hold merged-away guids and are left alone, because Links.Made holds")


def test_where_none_gives_way_the_times_do_not_matter(file: World) -> None:
    file.put(StaleCase(MERGES, None, [(KINDS[0], OLD, OTHER, "yesterday"), (KINDS[1], OLDER, OTHER, "1718000000")]))
    file.apply(file.plan())
    assert {row[1] for row in file.rows("Links")} == {str(NOW)}


def test_where_one_that_needs_no_change_stays_the_times_do_not_matter(file: World) -> None:
    assert applied(file, (OLD, "yesterday"), (NOW, "1718000000")) == [(str(NOW), "1718000000")]


def test_a_declared_order_counts_before_the_time(file: World) -> None:
    file.put(StaleCase(MERGES, None, [], [(OLD, None, "31"), (OLDER, None, "7")]))
    first, *others = file.profile.references
    by_value = replace(first, unique=("Guid",), order="Value", time="Id")
    other = replace(others[0], unique=("Guid",))
    file.profile = replace(file.profile, references=(by_value, other, *others[1:]), hashes=None)
    file.apply(file.plan())
    assert [row[3] for row in file.rows("Inv")] == ["31"]


def test_without_a_declared_time_nothing_is_asked(file: World) -> None:
    file.put(StaleCase(MERGES, None, [(KINDS[0], one, OTHER, "soon") for one in (OLD, OLDER)]))
    links = replace(file.profile.associations[0], time=None)
    file.profile = replace(file.profile, associations=(links,))
    file.apply(file.plan())
    assert len(file.rows("Links")) == 1
