"""Which data have a hash that the next message is compared with: whole states alone, and the cells decide it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from importing_samples import CATALOGUE, NOTES, RUN, SIZES, computer, message, rows

from mergeguard.core.importing.blocks import SentBlock
from mergeguard.core.importing.catalogue import CellType, DataColumn
from mergeguard.core.importing.cells import value_of
from mergeguard.core.importing.content import checked
from mergeguard.core.importing.hashing import data_hash
from mergeguard.core.importing.keys import KeyRules
from mergeguard.errors import MalformedEvent

PC = computer("pc", 1, "fqdn=a")
CELLS = st.lists(st.sampled_from(["a", "b", None]), max_size=4)


def sent(*parts: object) -> SentBlock:
    [block] = checked(message(PC, *parts), CATALOGUE, KeyRules()).blocks  # type: ignore[arg-type]
    return block


@given(CELLS, CELLS)
def test_whole_states_have_the_hash_of_all_their_cells_in_all_their_parts(
    one: Sequence[str | None], two: Sequence[str | None]
) -> None:
    block = sent(*(rows(NOTES, "pc", *((cell,) for cell in part)) for part in (one, two)))
    assert block.hash == data_hash(block.data_class, [(cell,) for cell in (*one, *two)])
    assert block.read().given == ()


def test_events_and_partial_updates_are_compared_with_nothing() -> None:
    assert sent(rows(RUN, "pc", ("program",))).hash is None
    partial = sent(rows(SIZES, "pc", ("a",), partial=True))
    assert (partial.partial, partial.hash) == (True, None)
    assert partial.read().given != ()


@given(CELLS)
def test_cells_beyond_the_columns_may_stand_there_if_none_is_given(beyond: Sequence[str | None]) -> None:
    block = sent(rows(NOTES, "pc", ("a", *beyond)))
    if any(cell is not None for cell in beyond):
        with pytest.raises(MalformedEvent, match=f"it has a cell c{len(beyond)}, and Notes ends at c0"):
            block.read()
    else:
        assert block.read().rows == (("a",),)


@pytest.mark.parametrize(("spelled", "value"), [("1 true YES", True), ("0 False no", False)])
def test_each_spelling_of_yes_and_no_is_understood(spelled: str, value: bool) -> None:
    column = DataColumn("c", CellType.BOOLEAN)
    assert [value_of(column, text) for text in spelled.split()] == [value] * 3
