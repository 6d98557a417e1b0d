"""Comparing a stored lookup with the closure: what is wrong, missing and too many, for any order of its rows."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import rule_model
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid
from rule_model import Case

from mergeguard.core import drift, guids
from mergeguard.core.drift import compare
from mergeguard.core.guids import Guids


def told(column: Guids, places: np.ndarray) -> list[str]:
    return [str(found) for found in guids.to_uuids(np.ascontiguousarray(column[places]))]


@pytest.fixture(autouse=True, scope="module", params=[2, drift._CHUNK], ids=["small chunks", "one chunk"])
def chunks(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "_CHUNK", request.param)
        yield


@given(rule_model.cases("stored"), st.randoms(use_true_random=False))
def test_drift_is_the_same_for_any_order_of_the_stored_rows(case: Case, chance: random.Random) -> None:
    for each in (case, case.shuffled(chance)):
        facts = each.facts()
        stored = facts.declared.stored
        assert stored is not None
        found = compare(facts, stored)
        olds = facts.table.old
        assert told(olds, found.leads) == told(stored.olds, found.places) == sorted(wrong(case))
        assert set(told(olds, found.missing)) == {str(old) for old in case.olds - {row[0] for row in case.stored or ()}}
        kept = case.olds & {row[0] for row in case.stored or ()}
        assert told(stored.olds, found.extra) == sorted(told(stored.olds, found.extra))
        assert len(found.extra) == len(case.stored or ()) - len(kept)
        assert len(found) == len(found.leads) + len(found.missing) + len(found.extra)


def wrong(case: Case) -> list[str]:
    """The olds that have rows, none of them right."""
    right = {row[0]: row for row in rule_model.right_lookup(case)}
    stored = set(case.stored or ())
    return [str(old) for old in {row[0] for row in stored} if old in right and right[old] not in stored]


def test_a_lookup_of_no_rows_misses_every_old() -> None:
    facts = Case.of((1, 2), (3, 4), stored=()).facts()
    assert facts.declared.stored is not None
    found = compare(facts, facts.declared.stored)
    assert (len(found.leads), len(found.missing), len(found.extra)) == (0, 2, 0)


def test_a_current_where_there_should_be_none_is_drift_whatever_it_is() -> None:
    """NULL is stored as zeros, so the all-zero guid must not pass for it."""
    case = Case.of((1, 1), stored=((guid(1), guids.EMPTY, None, "cycle"),))
    facts = case.facts()
    assert facts.declared.stored is not None
    assert len(compare(facts, facts.declared.stored).leads) == 1
