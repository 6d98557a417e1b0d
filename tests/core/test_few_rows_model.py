"""A handful of rows without arrays answers as the oracle does, wherever it answers."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from hypothesis import event, given
from merge_model import Pair, answers, guid, with_live

from mergeguard.core.closure import Status
from mergeguard.core.few_rows import plain_answers, plain_steps
from mergeguard.core.guids import TOMBSTONE


@given(with_live())
def test_plain_rows_get_the_oracles_answers_and_tangled_ones_none(
    case: tuple[list[Pair], Collection[uuid.UUID] | None],
) -> None:
    pairs, live = case
    wanted = answers(pairs, None)
    news = {old: {new for one, new in pairs if one == old} for old in wanted}
    tangled = any(len(found) > 1 for found in news.values()) or any(one[0] == "cycle" for one in wanted.values())
    steps = plain_steps(pairs)
    event(f"tangled: {tangled}")
    assert (steps is None) == tangled
    if steps is not None:
        found = {
            old: (status.text, current, None if depth < 0 else depth)
            for old, (current, depth, status) in plain_answers(steps, live).items()
        }
        assert found == answers(pairs, live)


def test_a_long_chain_is_walked_once() -> None:
    pairs = [(guid(number), guid(number + 1)) for number in range(20_000)]
    steps = plain_steps(pairs)
    assert steps is not None
    found = plain_answers(steps, None)
    assert found[guid(0)][:2] == (guid(20_000), 20_000)
    assert found[guid(19_999)][:2] == (guid(20_000), 1)


@given(with_live())
def test_who_has_no_current_has_no_depth_and_nobody_else_lacks_one(
    case: tuple[list[Pair], Collection[uuid.UUID] | None],
) -> None:
    pairs, live = case
    gone = [(old, TOMBSTONE if number % 3 == 0 else new) for number, (old, new) in enumerate(pairs)]
    steps = plain_steps(gone)
    for current, depth, status in () if steps is None else plain_answers(steps, live).values():
        assert (current is None) == (depth == -1) == (status is Status.DELETED)
        assert depth >= -1
