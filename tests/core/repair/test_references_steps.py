"""Steps hold all rewrites, in bounded batches, and a hash is cleared once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import Action, Image, RowChange, Step
from mergeguard.core.repair.reference_steps import account, make_steps, total
from mergeguard.core.repair.references import Fate, Held, Place, Rewrite, Unique, rewrite

OLDS = [uuid.UUID(int=number) for number in range(1, 7)]
CURRENT = uuid.UUID(int=99)
CURRENTS = dict.fromkeys(OLDS, CURRENT)
PLACE = Place("Data", ("guid",), unique=(Unique(("guid", "value")),), names=frozenset({"id"}))
GUIDS = st.sampled_from([*OLDS, CURRENT])
TABLES = st.lists(st.tuples(GUIDS, st.sampled_from("ab")), max_size=25)


def rewrites(rows: Sequence[tuple[uuid.UUID, str]]) -> tuple[Rewrite, ...]:
    held = [
        Held({"id": str(number), "guid": str(guid), "value": value}, {"guid": guid})
        for number, (guid, value) in enumerate(rows)
    ]
    return rewrite(PLACE, held, CURRENTS, lambda _column, guid, _like: str(guid))


def nothing(_part: Sequence[Rewrite]) -> Sequence[RowChange]:
    return ()


def hash_of_everything(_part: Sequence[Rewrite]) -> Sequence[RowChange]:
    image: Image = {"guid": str(CURRENT), "hash": "0123"}
    return (RowChange(Action.CLEAR_HASH, "Summary", image, {**image, "hash": None}),)


def changes(steps: Sequence[Step], *, kept: bool = False) -> list[RowChange]:
    return [change for step in steps for change in step.changes if kept or change.action is not Action.KEEP]


@given(TABLES, st.integers(1, 7))
def test_every_rewrite_stands_in_one_step_and_none_is_too_large(rows: list[tuple[uuid.UUID, str]], batch: int) -> None:
    made = rewrites(rows)
    steps = list(make_steps(made, nothing, batch=batch))
    assert changes(steps) == [each.change for each in made]
    assert all(0 < len(changes([step])) <= batch for step in steps)
    assert [step.component for step in steps] == [f"references:{number + 1:04d}" for number in range(len(steps))]


@given(TABLES, st.integers(1, 7))
def test_the_accounts_of_the_steps_add_up_to_the_whole(rows: list[tuple[uuid.UUID, str]], batch: int) -> None:
    made = rewrites(rows)
    summed = total(make_steps(made, nothing, batch=batch))
    assert summed == account(made)
    assert sum(columns["rows"] for columns in summed.values()) == sum(guid in CURRENTS for guid, _ in rows)
    for columns in summed.values():
        assert columns["rows"] == sum(columns[fate.value] for fate in Fate)


@given(TABLES, st.integers(1, 7))
def test_a_row_that_others_are_collapsed_into_is_kept_once_a_step(
    rows: list[tuple[uuid.UUID, str]], batch: int
) -> None:
    for step in make_steps(rewrites(rows), nothing, batch=batch):
        kept = [change for change in step.changes if change.action is Action.KEEP]
        assert all(change.before == change.after for change in kept)
        assert len({str(change.before) for change in kept}) == len(kept)
        assert step.changes[: len(kept)] == tuple(kept)


@given(TABLES, st.integers(1, 7))
def test_a_hash_is_cleared_in_the_first_step_that_moves_its_data_and_never_again(
    rows: list[tuple[uuid.UUID, str]], batch: int
) -> None:
    steps = list(make_steps(rewrites(rows), hash_of_everything, batch=batch))
    clearing = [step for step in steps if any(change.action is Action.CLEAR_HASH for change in step.changes)]
    assert clearing == steps[:1]


def test_a_kept_row_whose_hash_an_earlier_step_cleared_is_kept_as_that_leaves_it() -> None:
    place = Place("Summary", ("guid",), unique=(Unique(("guid",)),), cleared=("hash",))
    held = [Held({"guid": str(guid), "hash": "0123"}, {"guid": guid}) for guid in (OLDS[0], OLDS[1], CURRENT)]
    made = rewrite(place, held, CURRENTS, lambda _column, guid, _like: str(guid))
    first, second = make_steps(made, hash_of_everything, batch=1)
    bare = {"guid": str(CURRENT), "hash": None}
    assert first.changes[-1].after == bare
    assert second.changes[0] == RowChange(Action.KEEP, "Summary", bare, bare)


def test_a_row_whose_hash_is_cleared_is_not_kept_besides() -> None:
    place = Place("Summary", ("guid",), unique=(Unique(("guid",)),), cleared=("hash",))
    held = [Held({"guid": str(guid), "hash": "0123"}, {"guid": guid}) for guid in (OLDS[0], CURRENT)]
    (step,) = make_steps(rewrite(place, held, CURRENTS, lambda _column, guid, _like: str(guid)), hash_of_everything)
    assert [change.action for change in step.changes] == [Action.COLLAPSE, Action.CLEAR_HASH]


def test_a_step_says_what_it_does_and_that_it_is_certain() -> None:
    (step,) = make_steps(rewrites([(OLDS[0], "a"), (OLDS[0], "b"), (CURRENT, "b")]), nothing)
    assert step.confidence is Confidence.CERTAIN
    assert step.why == "2 rows hold 1 merged-away guid; where each leads is certain"
    assert step.evidence == {
        "columns": {
            "Data.guid": {"rows": 2, "changed": 1, "self-references dropped": 0, "duplicates collapsed": 1},
        },
        "currents": {str(OLDS[0]): str(CURRENT)},
    }
    assert (step.members, step.guard, step.survivor) == ((), (), None)


@given(TABLES)
def test_taking_the_steps_back_in_reverse_restores_every_row(rows: list[tuple[uuid.UUID, str]]) -> None:
    steps = list(make_steps(rewrites(rows), nothing, batch=3))
    before = {
        str(number): {"id": str(number), "guid": str(guid), "value": value} for number, (guid, value) in enumerate(rows)
    }
    table: dict[str, Image] = dict(before)
    for change in changes(steps, kept=True):
        apply(table, change)
    for change in reversed(changes(steps, kept=True)):
        apply(table, change.reversed())
    assert table == before


def apply(table: dict[str, Image], change: RowChange) -> None:
    if change.before is not None:
        assert table.pop(str(change.before["id"])) == change.before
    if change.after is not None:
        assert str(change.after["id"]) not in table
        table[str(change.after["id"])] = change.after
