"""Rows that are loaded as a whole are parted into those that stay and those that go, by a dictionary's word."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.repair.plan import Action
from mergeguard.core.repair.reference_sets import outdated, without_beaten, without_outdated
from mergeguard.core.repair.references import Fate, Held, Place, Rewrite, Unique, beaten

GUIDS = [uuid.UUID(int=number) for number in range(1, 8)]
OLDS, CURRENTS = GUIDS[:4], dict(zip(GUIDS[:4], [GUIDS[4], GUIDS[4], GUIDS[5], GUIDS[5]], strict=True))
DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
PLACE = Place("Inv", ("guid",), unique=(Unique(("guid", "kind")),), names=frozenset({"id"}))


def held(number: int, owner: uuid.UUID | None, kind: str, day: int) -> Held:
    cells = {"id": str(number), "guid": None if owner is None else str(owner), "kind": kind}
    return Held(cells, {} if owner is None else {"guid": owner}, DAY + dt.timedelta(day))


ROWS = st.lists(
    st.tuples(st.none() | st.sampled_from(GUIDS), st.sampled_from("ab"), st.integers(0, 2)), max_size=8
).map(lambda rows: [held(number, *row) for number, row in enumerate(rows)])


def check_gone(gone: Sequence[Rewrite], rows: Sequence[Held]) -> None:
    assert [made.change.before for made in gone] == [row.image for row in rows]
    for made in gone:
        assert (made.change.action, made.change.table, made.change.after) == (Action.COLLAPSE, "Inv", None)
        assert made.fate is Fate.COLLAPSED


@given(ROWS, st.dictionaries(st.sampled_from(GUIDS[:6]), st.tuples(st.booleans(), st.integers(0, 2), st.just(DAY))))
def test_rows_of_whom_another_was_loaded_after_go_and_all_others_stay(rows: list[Held], loads: dict) -> None:  # type: ignore[type-arg]
    gone = outdated(CURRENTS, loads)
    kept, late = without_outdated(PLACE, "guid", rows, gone)
    assert kept == [row for row in rows if row.guids.get("guid") not in gone]
    check_gone(late, [row for row in rows if row.guids.get("guid") in gone])
    for made in late:
        [(column, (old, current))] = made.stale.items()
        owner = uuid.UUID(str(made.change.before["guid"]))  # type: ignore[index]
        assert column == "guid"
        assert CURRENTS[old] == current
        assert owner in (old, current)
        assert made.guids == {owner, old, current}


@given(ROWS)
def test_rows_of_a_current_that_give_way_go_and_say_because_of_whom(rows: list[Held]) -> None:
    kept, gone = without_beaten(PLACE, rows, CURRENTS)
    numbers = beaten(PLACE, rows, CURRENTS)
    assert kept == [row for number, row in enumerate(rows) if number not in numbers]
    check_gone(gone, [rows[number] for number in sorted(numbers)])
    for made in gone:
        owner = uuid.UUID(str(made.change.before["guid"]))  # type: ignore[index]
        first = min(old for old, current in CURRENTS.items() if current == owner)
        assert made.stale == {"guid": (first, owner)}
        assert made.guids == {owner, first}


def test_a_row_that_holds_two_currents_goes_once() -> None:
    pair = Place("Inv", ("guid", "friend"), unique=(Unique(("guid", "friend")),), names=frozenset({"id"}))
    rows = [
        Held({"id": str(number), "guid": str(one), "friend": str(two)}, {"guid": one, "friend": two}, DAY + day)
        for number, (one, two, day) in enumerate(
            [(GUIDS[4], GUIDS[5], dt.timedelta(0)), (GUIDS[0], GUIDS[2], dt.timedelta(1))]
        )
    ]
    kept, [gone] = without_beaten(pair, rows, CURRENTS)
    assert kept == rows[1:]
    assert gone.change.before == rows[0].image
    assert gone.stale == {"guid": (GUIDS[0], GUIDS[4])}
