"""Survivorship in the core: rows in add up, the newest stays, and of links no more than may."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.core.merging.survivors import Links, Outdated, Survived, survive
from mergeguard.core.repair.plan import Action
from mergeguard.core.repair.references import Fate, Held, Place, Unique

OLD, NEW, OTHER = guid(1), guid(2), guid(3)
KIND = guid(9)
NUMBERS = st.integers(0, 3)


def when(day: int | None) -> dt.datetime | None:
    return None if day is None else dt.datetime(2026, 1, 1 + day, tzinfo=dt.UTC)


def datum(number: int, held: uuid.UUID, day: int | None) -> Held:
    return Held({"Id": str(number), "Guid": str(held)}, {"Guid": held}, when(day))


def spelled(_column: str, value: uuid.UUID, _cell: str | None) -> str:
    return str(value)


SINGLE = Place("One", ("Guid",), unique=(Unique(("Guid",)),), names=frozenset({"Id"}))
DATA = st.lists(st.tuples(st.sampled_from([OLD, NEW, OTHER]), st.none() | NUMBERS), max_size=6)


def kept(rows: Sequence[Held], found: Survived) -> list[Held]:
    """The rows once the changes are made, each as it was before."""
    gone = [change.before for change in found.changes if change.after is None]
    return [held for held in rows if held.image not in gone]


@given(DATA)
def test_of_single_rows_the_newest_stays(drawn: Sequence[tuple[uuid.UUID, int | None]]) -> None:
    # One row at most of the survivor, as its table demands.
    seen = [each for at, each in enumerate(drawn) if each[0] == OLD or each[0] not in [one for one, _ in drawn[:at]]]
    rows = [datum(number, held, day) for number, (held, day) in enumerate(seen) if held != OTHER]
    found = survive(SINGLE, rows, OLD, NEW, spelled)
    left = kept(rows, found)
    assert len(left) == bool(rows)
    never = dt.datetime.min.replace(tzinfo=dt.UTC)
    newest = max((held.time or never for held in rows), default=never)
    if rows:
        assert (left[0].time or never) == newest
        own = [held for held in rows if held.guids["Guid"] == NEW and (held.time or never) == newest]
        assert not own or left == own


@given(DATA)
def test_each_row_of_the_old_root_has_one_fate(drawn: Sequence[tuple[uuid.UUID, int | None]]) -> None:
    rows = [datum(number, held, day) for number, (held, day) in enumerate(drawn) if held != OTHER]
    found = survive(SINGLE, rows, OLD, NEW, spelled)
    olds = [held for held in rows if held.guids["Guid"] == OLD]
    assert len(found.moved) + len(found.outnumbered) == len(olds)
    changed = [change for change in found.changes if change.action is not Action.KEEP]
    images = [str(change.before) for change in changed]
    assert len(images) == len(set(images))


def link(number: int, parent: uuid.UUID, child: uuid.UUID, day: int) -> Held:
    image = {"Id": str(number), "Kind": str(KIND), "Parent": str(parent), "Child": str(child)}
    return Held(image, {"Kind": KIND, "Parent": parent, "Child": child}, when(day))


LINKED = Place(
    "Links",
    ("Parent", "Child"),
    ends=(("Parent", "Child"),),
    unique=(Unique(("Kind", "Parent", "Child")),),
    names=frozenset({"Id"}),
)
ENDS = st.sampled_from([OLD, NEW, OTHER, guid(4)])


@given(st.lists(st.tuples(ENDS, ENDS, NUMBERS), max_size=8), st.none() | st.integers(1, 2))
def test_links_are_no_artifacts(drawn: Sequence[tuple[uuid.UUID, uuid.UUID, int]], most: int | None) -> None:
    distinct = {(parent, child): day for parent, child, day in drawn if parent != child}
    rows = [
        link(number, parent, child, day)
        for number, ((parent, child), day) in enumerate(distinct.items())
        if {OLD, NEW} & {parent, child}
    ]
    found = survive(LINKED, rows, OLD, NEW, spelled, Links("Parent", "Kind", lambda _: most))
    left = kept(rows, found)
    ends = [tuple(NEW if held.guids[end] == OLD else held.guids[end] for end in ("Parent", "Child")) for held in left]
    assert all(parent != child for parent, child in ends)
    assert len(ends) == len(set(ends))
    expected = {tuple(NEW if end == OLD else end for end in pair) for pair in distinct if {OLD, NEW} & set(pair)}
    expected = {pair for pair in expected if pair[0] != pair[1]}
    own = sum(held.guids["Parent"] == NEW for held in rows)
    arrived = [made for made in (*found.moved, *found.outnumbered) if "Parent" in made.stale]
    if most is None:
        assert set(ends) == expected
    elif any(made.fate is not Fate.DROPPED for made in arrived):
        assert sum(parent == NEW for parent, _ in ends) <= max(most, own)


KINDS = (KIND, guid(8))


@given(
    drawn=st.lists(st.tuples(st.sampled_from([OLD, NEW]), st.integers(0, 1), NUMBERS), max_size=8),
    limits=st.tuples(*[st.none() | st.integers(0, 3)] * 2),
    strangers=st.sets(st.integers(0, 1)),
    chance=st.randoms(use_true_random=False),
)
@example(drawn=[(NEW, 0, 1), (NEW, 0, 2), (NEW, 0, 2)], limits=(1, None), strangers={0}, chance=random.Random(1))
@example(drawn=[(OLD, 0, 1), (OLD, 0, 1)], limits=(1, None), strangers=set(), chance=random.Random(1))
@example(drawn=[(NEW, 0, 1), (OLD, 0, 0)], limits=(2, 1), strangers={0, 1}, chance=random.Random(1))
def test_of_each_type_the_newest_links_stay_those_of_the_survivor_first_in_any_order_of_rows(
    drawn: Sequence[tuple[uuid.UUID, int, int]],
    limits: tuple[int | None, int | None],
    strangers: set[int],
    chance: random.Random,
) -> None:
    most = dict(zip(KINDS, limits, strict=True))
    rows = []
    for number, (parent, kind, day) in enumerate(drawn):
        one = link(number, parent, guid(20 + number), day)
        rows.append(
            replace(one, image={**one.image, "Kind": str(KINDS[kind])}, guids={**one.guids, "Kind": KINDS[kind]})
        )
    gone: list[Held] = []
    for kind in KINDS:
        mine = [held for held in rows if held.guids["Kind"] == kind]
        if most[kind] and any(held.guids["Parent"] == OLD for held in mine):
            mine.sort(key=lambda held: str(held.guids["Child"]))
            mine.sort(key=lambda held: (held.time, held.guids["Parent"] == NEW), reverse=True)
            gone += mine[most[kind] :]
    # Links of another parent to the old root follow it, a link between the two goes: both count for nobody.
    for kind, parent in ((kind, parent) for kind in strangers for parent in (OTHER, NEW)):
        one = link(100 + kind, parent, OLD, 3)
        rows.append(
            replace(one, image={**one.image, "Kind": str(KINDS[kind])}, guids={**one.guids, "Kind": KINDS[kind]})
        )
    mixed = chance.sample(rows, len(rows))
    found = survive(LINKED, mixed, OLD, NEW, spelled, Links("Parent", "Kind", lambda held: most[held.guids["Kind"]]))
    taken = {OLD: found.outnumbered, NEW: found.replaced}
    for root, made in taken.items():
        assert sorted(str(one.change.before) for one in made) == sorted(
            str(held.image) for held in gone if held.guids["Parent"] == root
        )
        assert {(one.change.action, one.change.table, one.change.after) for one in made} <= {
            (Action.COLLAPSE, "Links", None)
        }
    stay = [held for held in rows if OLD in (held.guids["Parent"], held.guids["Child"]) and held not in gone]
    assert sorted(str(one.change.before) for one in found.moved) == sorted(str(held.image) for held in stay)


def test_of_links_beyond_the_most_the_oldest_go() -> None:
    rows = [link(0, NEW, OTHER, 1), link(1, OLD, guid(4), 2), link(2, OLD, guid(5), 0)]
    found = survive(LINKED, rows, OLD, NEW, spelled, Links("Parent", "Kind", lambda _: 1))
    assert kept(rows, found) == [rows[1]]
    assert [made.change.before for made in found.outnumbered] == [rows[2].image]
    assert [made.change.before for made in found.replaced] == [rows[0].image]


def test_a_link_that_stood_already_takes_no_place_among_the_most() -> None:
    """I2: it is collapsed, and counted once."""
    rows = [link(0, NEW, OTHER, 2), link(1, OLD, OTHER, 1), link(2, NEW, guid(4), 1), link(3, OLD, guid(5), 0)]
    found = survive(LINKED, rows, OLD, NEW, spelled, Links("Parent", "Kind", lambda _: 3))
    assert kept(rows, found) == [rows[0], rows[2], rows[3]]
    assert (found.outnumbered, found.replaced) == ((), ())


def test_rows_go_before_others_take_their_place() -> None:
    found = survive(SINGLE, [datum(0, NEW, 1), datum(1, OLD, 2)], OLD, NEW, spelled)
    assert [change.after is None for change in found.changes] == [True, False]


@given(st.lists(st.tuples(st.sampled_from([OLD, NEW]), st.none() | NUMBERS, st.none() | NUMBERS), max_size=6))
def test_a_number_counts_before_the_time_and_none_is_older_than_any(
    drawn: Sequence[tuple[uuid.UUID, int | None, int | None]],
) -> None:
    own = [each for each in drawn if each[0] == NEW][:1]
    rows = [
        Held({"Id": str(at), "Guid": str(held)}, {"Guid": held}, when(day), number)
        for at, (held, number, day) in enumerate([*own, *(each for each in drawn if each[0] == OLD)])
    ]
    left = kept(rows, survive(SINGLE, rows, OLD, NEW, spelled))

    def said(held: Held) -> tuple[int, int]:
        day = -1 if held.time is None else held.time.day
        return -1 if held.order is None else held.order, day

    assert [said(held) for held in left] == sorted(map(said, rows))[-1:]


TABLE = Place("Many", ("Guid", "Friend"), names=frozenset({"Id"}))


@given(
    st.lists(st.tuples(st.sampled_from([OLD, NEW, OTHER]), st.sampled_from([OLD, NEW, OTHER])), max_size=8),
    st.sampled_from([OLD, NEW]),
)
def test_of_data_that_are_loaded_as_a_whole_those_of_one_go(
    drawn: Sequence[tuple[uuid.UUID, uuid.UUID]], loser: uuid.UUID
) -> None:
    rows = [
        Held({"Id": str(at), "Guid": str(one), "Friend": str(two)}, {"Guid": one, "Friend": two})
        for at, (one, two) in enumerate(drawn)
        if OLD in {one, two} or one == NEW
    ]
    found = survive(TABLE, rows, OLD, NEW, spelled, None, Outdated("Guid", loser))
    assert kept(rows, found) == [held for held in rows if held.guids["Guid"] != loser]
    changed = {str(change.before): change.after for change in found.changes if change.after is not None}
    for held in kept(rows, found):
        now = changed.get(str(held.image), held.image)
        assert now is not None
        assert OLD not in {uuid.UUID(str(now["Guid"])), uuid.UUID(str(now["Friend"]))}
    late = [str(held.image) for held in rows if held.guids["Guid"] == loser]
    assert len(found.every) == len(changed) + len(late)
    assert sorted(str(made.change.before) for made in found.replaced) == (sorted(late) if loser == NEW else [])
    for made in found.moved:
        if str(made.change.before) in late:
            held = next(held for held in rows if held.image == made.change.before)
            assert made.stale == {column: (OLD, NEW) for column, one in held.guids.items() if one == OLD}
            assert made.guids == {*held.guids.values(), NEW}
    assert {(made.change.action, made.change.table) for made in found.every if str(made.change.before) in late} == (
        {(Action.COLLAPSE, "Many")} if late else set()
    )
