"""Re-pointing held against what a dictionary says, and against what must never come of it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.repair.plan import Action, Image
from mergeguard.core.repair.reference_steps import account
from mergeguard.core.repair.references import Fate, Held, Place, Rewrite, Unique, rewrite

GUIDS = [uuid.UUID(int=number) for number in range(1, 9)]
OLDS, OTHERS = GUIDS[:4], GUIDS[4:]
CURRENTS = dict(zip(OLDS, [OTHERS[0], OTHERS[0], OTHERS[1], OTHERS[2]], strict=True))
ONE_LINK = (Unique(("kind", "parent", "child")),)
DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Row:
    """One row of a table of links, as a test means it."""

    parent: uuid.UUID | None
    child: uuid.UUID | None
    kind: str | None = None
    day: int | None = None
    id: int = 0

    @property
    def held(self) -> Held:
        sides = {"parent": self.parent, "child": self.child}
        cells = {name: None if guid is None else str(guid) for name, guid in sides.items()}
        image: Image = {"id": str(self.id), **cells, "kind": self.kind}
        guids = {name: guid for name, guid in sides.items() if guid is not None}
        return Held(image, guids, None if self.day is None else DAY + dt.timedelta(self.day))


ENDS = st.none() | st.sampled_from(GUIDS)
ROWS = st.lists(
    st.builds(Row, ENDS, ENDS, st.sampled_from([None, "a", "b"]), st.none() | st.integers(0, 2)), max_size=9
)
UNIQUE = st.sampled_from(
    [
        (),
        ONE_LINK,
        (Unique(("kind", "parent", "child"), nulls_equal=False),),
        (Unique(("parent",)),),
        (Unique(("parent", "kind")), Unique(("child",))),
    ]
)


def numbered(rows: Sequence[Row]) -> list[Row]:
    return [Row(row.parent, row.child, row.kind, row.day, number) for number, row in enumerate(rows)]


def place(unique: tuple[Unique, ...] = (), *, linking: bool = True) -> Place:
    ends = (("parent", "child"),) if linking else ()
    return Place("Links", ("parent", "child"), ends, unique, frozenset({"id"}))


def spell(_column: str, guid: uuid.UUID, _like: str | None) -> str:
    return str(guid)


def done(where: Place, rows: Sequence[Row]) -> tuple[Rewrite, ...]:
    return rewrite(where, [row.held for row in rows], CURRENTS, spell)


def result(rows: Sequence[Row], made: Sequence[Rewrite]) -> list[Row]:
    """The table once the rewrites are done: each change must meet exactly one row."""
    left = {row.held.image["id"]: row for row in rows}
    for each in made:
        before, after = each.change.before, each.change.after
        assert before is not None
        row = left.pop(before["id"])
        assert before == row.held.image
        if after is not None:
            left[after["id"]] = Row(_guid(after["parent"]), _guid(after["child"]), after["kind"], row.day, row.id)
    return sorted(left.values(), key=lambda row: row.id)


def _guid(cell: str | None) -> uuid.UUID | None:
    return None if cell is None else uuid.UUID(cell)


def mapped(row: Row) -> Row:
    parent, child = (None if end is None else CURRENTS.get(end, end) for end in (row.parent, row.child))
    return Row(parent, child, row.kind, row.day, row.id)


def is_stale(row: Row) -> bool:
    return mapped(row) != row


def becomes_its_own(row: Row) -> bool:
    after = mapped(row)
    return row.parent != row.child and after.parent == after.child


def says(row: Row) -> tuple[object, ...]:
    return row.kind, row.parent, row.child


@given(ROWS)
def test_without_anything_unique_every_row_is_mapped_by_the_dictionary(rows: list[Row]) -> None:
    rows = numbered(rows)
    made = done(place(linking=False), rows)
    assert result(rows, made) == [mapped(row) for row in rows]
    assert {each.fate for each in made} <= {Fate.CHANGED}


@given(ROWS)
def test_links_say_after_what_the_dictionary_makes_of_them(rows: list[Row]) -> None:
    rows = numbered(rows)
    left = result(rows, done(place(ONE_LINK), rows))
    assert {says(row) for row in left} == {says(mapped(row)) for row in rows if not becomes_its_own(row)}


@given(ROWS, UNIQUE)
def test_rows_are_conserved(rows: list[Row], unique: tuple[Unique, ...]) -> None:
    rows = numbered(rows)
    made = done(place(unique), rows)
    assert Counter(each.change.before["id"] for each in made if each.change.before) == Counter(
        str(row.id) for row in rows if is_stale(row)
    )
    fates = Counter(each.fate for each in made)
    assert len(result(rows, made)) == len(rows) - fates[Fate.DROPPED] - fates[Fate.COLLAPSED]


@given(ROWS, UNIQUE)
def test_the_account_adds_up_by_column(rows: list[Row], unique: tuple[Unique, ...]) -> None:
    columns = account(done(place(unique), numbered(rows)))
    for end in ("parent", "child"):
        there = sum(getattr(row, end) in CURRENTS for row in rows)
        counted = columns.get(f"Links.{end}", {"rows": 0})
        assert counted["rows"] == there
        assert sum(counted.values()) == 2 * there


@given(ROWS, UNIQUE)
def test_no_artefact_comes_of_it(rows: list[Row], unique: tuple[Unique, ...]) -> None:
    rows = numbered(rows)
    left = result(rows, done(place(unique), rows))
    before = {row.id: row for row in rows}
    for row in left:
        if row.parent is not None and row.parent == row.child:
            assert before[row.id].parent == before[row.id].child, "it links a guid with itself since"
    for one in unique:
        groups: dict[tuple[object, ...], list[Row]] = {}
        for row in left:
            key = tuple(getattr(row, column) for column in one.columns)
            if one.nulls_equal or None not in key:
                groups.setdefault(key, []).append(row)
        for group in groups.values():
            assert len(group) == 1 or not any(is_stale(before[row.id]) for row in group)


@given(ROWS, UNIQUE)
def test_a_row_is_collapsed_only_into_one_that_says_the_same_and_stays(
    rows: list[Row], unique: tuple[Unique, ...]
) -> None:
    rows = numbered(rows)
    made = done(place(unique), rows)
    left = {row.id: row for row in result(rows, made)}
    for each in made:
        if each.fate is not Fate.COLLAPSED:
            assert each.into is None
            continue
        assert each.into is not None
        assert each.into.action in {Action.KEEP, Action.REPOINT}
        assert each.into.before is not None
        assert each.change.before is not None
        kept, gone = left[int(each.into.before["id"] or -1)], mapped(rows[int(each.change.before["id"] or -1)])
        assert any(all(getattr(kept, column) == getattr(gone, column) for column in one.columns) for one in unique), (
            "nothing unique would have been broken"
        )


@given(ROWS, UNIQUE)
def test_a_second_time_there_is_nothing_to_do(rows: list[Row], unique: tuple[Unique, ...]) -> None:
    rows = numbered(rows)
    where = place(unique)
    assert done(where, result(rows, done(where, rows))) == ()


@given(ROWS, UNIQUE, st.randoms())
def test_the_order_of_the_rows_decides_nothing(rows: list[Row], unique: tuple[Unique, ...], random: object) -> None:
    rows = numbered(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert done(place(unique), shuffled) == done(place(unique), rows)


@given(ROWS, UNIQUE, st.randoms())
def test_ids_decide_nothing_but_between_rows_that_say_the_same(
    rows: list[Row], unique: tuple[Unique, ...], random: object
) -> None:
    rows = numbered(rows)
    ids = [row.id for row in rows]
    random.shuffle(ids)  # type: ignore[attr-defined]
    renamed = [Row(row.parent, row.child, row.kind, row.day, name) for row, name in zip(rows, ids, strict=True)]

    def content(table: list[Row]) -> Counter[tuple[object, ...]]:
        return Counter((*says(row), row.day) for row in result(table, done(place(unique), table)))

    assert content(renamed) == content(rows)


@given(ROWS, UNIQUE)
def test_what_stays_comes_before_what_is_collapsed_into_it(rows: list[Row], unique: tuple[Unique, ...]) -> None:
    made = done(place(unique), numbered(rows))
    changes = [each.change for each in made]
    for number, each in enumerate(made):
        if each.into is not None and each.into.action is Action.REPOINT:
            assert changes.index(each.into) < number


A, B, C = OLDS[0], OLDS[1], OTHERS[0]


def fates(made: Sequence[Rewrite]) -> Mapping[str, Fate]:
    return {str(each.change.before["id"]): each.fate for each in made if each.change.before}


def test_a_row_with_two_stale_ends_is_changed_once() -> None:
    (made,) = done(place(ONE_LINK), [Row(OLDS[2], OLDS[3])])
    assert made.change.after == {"id": "0", "parent": str(OTHERS[1]), "child": str(OTHERS[2]), "kind": None}
    assert made.stale == {"parent": (OLDS[2], OTHERS[1]), "child": (OLDS[3], OTHERS[2])}


def test_a_link_between_two_that_became_one_is_dropped() -> None:
    (made,) = done(place(ONE_LINK), [Row(A, B)])
    assert (made.change.action, made.change.after, made.fate) == (Action.DROP_SELF, None, Fate.DROPPED)


def test_a_link_of_a_guid_with_itself_stays_one() -> None:
    (made,) = done(place(ONE_LINK), [Row(A, A)])
    assert made.fate is Fate.CHANGED


def test_the_row_that_holds_the_current_guid_stays_however_old() -> None:
    made = done(place(ONE_LINK), [Row(A, None, day=2, id=1), Row(C, None, day=0, id=2)])
    assert fates(made) == {"1": Fate.COLLAPSED}
    assert made[0].into is not None
    assert (made[0].into.action, made[0].into.before) == (Action.KEEP, made[0].into.after)


def test_of_several_stale_rows_the_newest_stays() -> None:
    rows = [Row(A, None, day=0, id=1), Row(B, None, day=2, id=2), Row(A, None, day=None, id=3)]
    assert fates(done(place(ONE_LINK), rows)) == {"1": Fate.COLLAPSED, "2": Fate.CHANGED, "3": Fate.COLLAPSED}


def test_of_equally_new_rows_the_last_in_text_order_stays() -> None:
    made = done(place(ONE_LINK), [Row(B, None, day=1, id=1), Row(A, None, day=1, id=2)])
    assert fates(made) == {"1": Fate.CHANGED, "2": Fate.COLLAPSED}


@pytest.mark.parametrize(("nulls_equal", "gone"), [(True, 1), (False, 0)])
def test_null_is_equal_to_null_where_that_is_so(nulls_equal: bool, gone: int) -> None:
    unique = (Unique(("parent", "child"), nulls_equal),)
    made = done(place(unique), [Row(A, None, id=1), Row(B, None, id=2)])
    assert Counter(each.fate for each in made)[Fate.COLLAPSED] == gone


def test_a_hash_beside_the_guid_goes_when_the_row_is_re_pointed() -> None:
    where = Place("Summary", ("parent",), cleared=("kind",))
    (made,) = done(where, [Row(A, None, "hash")])
    assert made.change.after is not None
    assert made.change.after["kind"] is None


def test_the_guids_of_a_rewrite_are_all_that_stand_in_the_row_before_and_after() -> None:
    (made,) = done(place(), [Row(A, OTHERS[3])])
    assert made.guids == {A, C, OTHERS[3]}
