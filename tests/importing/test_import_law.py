"""The oracles themselves: one operation after the other comes to what the law says, in any order of the operations."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from import_oracle import Facts, Model, Operation, law
from importing.import_cases import CATALOGUE, MANY, ONE, Case, Sent, cases, operations, start


def after(model: Model, *made: Operation) -> Facts:
    copy = model.copy()
    for operation in made:
        copy.make(operation)
    return copy.facts()


def prepared(case: Case) -> tuple[Model, list[Operation]]:
    model = start(case.guids)
    before, now = case.operations()
    for operation in before:
        model.make(operation)
    return model, now


@given(cases(keys=True), st.randoms(use_true_random=False))
def test_any_order_comes_to_what_the_law_says(case: Case, shuffled: object) -> None:
    model, now = prepared(case)
    said = law(model, now)
    shuffled.shuffle(now)  # type: ignore[attr-defined]
    assert after(model, *now).difference(said) is None


@given(cases(keys=True))
def test_an_operation_made_twice_changes_nothing_more(case: Case) -> None:
    """But rows of event classes: the queue sees to it that an event is taken once."""
    model, now = prepared(case)
    now = [one for one in now if not any(data.data_class != MANY.guid for data in _data(one))]
    assert after(model, *now).difference(after(model, *now, *now)) is None


def _data(operation: Operation) -> tuple:
    return operation.message.data if hasattr(operation, "message") else ()


CHANGED = {
    "a foreign key": (Sent(0, single=1), Sent(0, single=2)),
    "an end of a link": (Sent(0, any_=(1,)), Sent(0, any_=(2,))),
    "a link the other way": (Sent(0, any_=(1,)), Sent(0, from_=(1,))),
    "a row": (Sent(0, many=((1, 2),)), Sent(0, many=((1, 2), (0, 2)))),
    "a second foreign key": (Sent(0, many=((1, 2),), other=1), Sent(0, many=((1, 2),), other=2)),
    "whose data": (Sent(0, single=1), Sent(2, single=1)),
    "an event's row": (Sent(0, happened=1), Sent(0, happened=2)),
    "a key": (Sent(0), Sent(0, shared=1)),
}


@pytest.mark.parametrize("what", CHANGED)
def test_facts_tell_one_difference(what: str) -> None:
    one, other = ([operations([each])[0]] for each in CHANGED[what])
    model = start(3)
    assert after(model, *one).difference(after(model, *other)) is not None
    assert law(model, one).difference(law(model, other)) is not None


def test_facts_tell_who_is_one() -> None:
    model = start(3)
    merged = operations([(0, 1)])
    assert after(model, *merged).difference(after(model)) is not None
    assert after(model, *merged).difference(after(model, *operations([(1, 0)]))) is None, "whichever of them survives"


# --- What is promised with exceptions: docs/explanation/import-properties.md ---


@given(cases(counted=True, before=0, most=4))
def test_a_most_of_one_commutes_while_no_merge_touches_its_children(case: Case) -> None:
    apart = [
        replace(one, one=one.one + case.guids) if isinstance(one, Sent) and one.one is not None else one
        for one in case.now
    ]
    model = start(2 * case.guids)
    found = {after(model, *order).links for order in itertools.permutations(operations(apart))}
    assert len(found) == 1


def test_a_link_that_was_outnumbered_does_not_come_back_when_the_one_that_stays_collapses() -> None:
    first, second, merge = operations([Sent(0, one=1), Sent(0, one=2), (2, 0)])
    model = start(3)
    assert {kind for kind, *_ in after(model, first, second, merge).links} == set()
    assert {kind for kind, *_ in after(model, merge, first, second).links} == {ONE.guid}


def test_a_partial_update_may_meet_other_rows_after_a_merge() -> None:
    part = Sent(0, many=((1, 1),), partial=True)
    whole, update, merge = operations([Sent(1, many=((0, 2), (0, 3))), part, (0, 1)])
    model = start(4)
    assert after(model, whole, update, merge).difference(after(model, whole, merge, update)) is not None


def test_the_catalogue_has_a_foreign_key_in_every_kind_of_class() -> None:
    kinds = {(one.multi_row, one.event) for one in CATALOGUE.classes.values() if any(c.resource for c in one.columns)}
    assert kinds == {(False, False), (True, False), (True, True)}
