"""Many guids looked up at once: what a dictionary says of each, in the order in which they were asked for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import answers, guid

from mergeguard.core.closure import STATUS_TEXTS, Status
from mergeguard.core.columns import StoredLookup
from mergeguard.core.facts import Declared, Facts
from mergeguard.core.guids import TOMBSTONE, from_uuids, to_uuids
from mergeguard.core.lookup import lookup_of
from mergeguard.core.table import MergeTable
from mergeguard.resources.current import Answer, look_up

KNOWN = [guid(number) for number in range(8)]
OLDS, NEWS = st.sampled_from(KNOWN), st.sampled_from([*KNOWN, TOMBSTONE])
PAIRS = st.lists(st.tuples(OLDS, NEWS), max_size=12)
LIVE = st.none() | st.sets(st.sampled_from(KNOWN))


def stored(pairs: Sequence[tuple[uuid.UUID, uuid.UUID]], live: set[uuid.UUID] | None) -> StoredLookup:
    """The lookup of some merges, as a table of it would be read."""
    declared = Declared() if live is None else Declared(live=from_uuids(sorted(live)))
    made = lookup_of(Facts(MergeTable.from_pairs(pairs), declared))
    return StoredLookup(made.olds, made.currents, made.has_current, made.depths, made.statuses, STATUS_TEXTS)


@given(pairs=PAIRS, live=LIVE, asked=st.lists(st.sampled_from([*KNOWN, guid(99)]), max_size=12))
def test_each_guid_is_what_a_dictionary_says(
    pairs: list[tuple[uuid.UUID, uuid.UUID]], live: set[uuid.UUID] | None, asked: list[uuid.UUID]
) -> None:
    known = answers(pairs, live)
    found = look_up(stored(pairs, live), from_uuids(asked))
    assert len(found) == len(asked)
    expected = []
    for each in asked:
        # Who is no old is himself: whether he is live is not asked where nothing leads on.
        status, current, depth = known.get(each, ("ok", each, 0))
        expected.append(Answer(each, current, depth, status))
    assert list(found) == expected


@given(pairs=PAIRS, live=LIVE, asked=st.lists(st.sampled_from(KNOWN), max_size=12))
def test_the_columns_hold_nothing_where_there_is_no_current(
    pairs: list[tuple[uuid.UUID, uuid.UUID]], live: set[uuid.UUID] | None, asked: list[uuid.UUID]
) -> None:
    found = look_up(stored(pairs, live), from_uuids(asked))
    assert to_uuids(found.guids) == asked
    assert found.currents.shape == (len(asked), 16)
    assert not found.currents[~found.has_current].any()
    assert (found.depths[~found.has_current] == -1).all()
    assert (found.depths[found.has_current] >= 0).all()


def test_an_empty_lookup_knows_everybody_as_himself() -> None:
    found = look_up(stored([], None), from_uuids(KNOWN))
    assert list(found) == [Answer(each, each, 0, "ok") for each in KNOWN]
    found.currents[0] = 0
    assert to_uuids(found.guids) == KNOWN, "the answer is a copy of the question"


@pytest.mark.parametrize("turned", [list, lambda names: list(reversed(names))], ids=["in order", "reversed"])
def test_statuses_are_told_by_their_names_and_not_by_their_numbers(
    turned: Callable[[tuple[str, ...]], list[str]],
) -> None:
    a, b, c = KNOWN[:3]
    read = stored([(a, b), (b, a), (c, KNOWN[3])], None)
    names = turned(tuple(STATUS_TEXTS))
    numbers = np.array([names.index(STATUS_TEXTS[number]) for number in read.statuses.tolist()], np.uint8)
    other = StoredLookup(read.olds, read.currents, read.has_current, read.depths, numbers, names)
    found = [answer.status for answer in look_up(other, from_uuids([a, b, c, KNOWN[4]]))]
    assert found == ["cycle", "cycle", "ok", Status.OK.text]
