"""What a plan says of itself: by what rows it leaves, by its least sure step, and by rows in any order."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import plan_samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import LEADS_INTO, Action, Plan, Refused, RowChange, Step, TargetIdentity, images_hash

IMAGES = st.lists(st.integers(1, 3).map(lambda number: plan_samples.merge(number, 1, 2)), max_size=6)


def step(*changes: RowChange, guard: Any = (), confidence: Confidence = Confidence.STRONG) -> Step:
    return Step("c", (), (), None, confidence, "", changes, tuple(guard))


def frozen(images: Any) -> Counter[Any]:
    return Counter(frozenset(image.items()) for image in images)


@given(IMAGES, st.data())
def test_a_step_leaves_the_rows_that_it_does_not_retire_each_as_often_as_it_is_left(
    guard: list[Any], data: st.DataObject
) -> None:
    """R5, R6: of exact copies only as many go as are retired, and a change of another kind takes none."""
    retired = data.draw(st.lists(st.sampled_from(guard), max_size=len(guard))) if guard else []
    retired = [*(frozen(guard) & frozen(retired)).elements()]
    changes = [RowChange(Action.RETIRE, "M", dict(image), None) for image in retired]
    others = [RowChange(Action.KEEP, "M", image, image) for image in guard]
    left = step(*changes, *others, guard=guard).guard_after
    assert frozen(left) == frozen(guard) - Counter(retired)


@given(IMAGES, IMAGES, st.randoms(use_true_random=False))
def test_a_fingerprint_is_of_all_rows_in_any_order_and_of_no_others(
    one: list[Any], two: list[Any], random: Any
) -> None:
    """R8."""
    shuffled = one[:]
    random.shuffle(shuffled)
    shuffled = [dict(reversed(image.items())) for image in shuffled]
    assert images_hash(one) == images_hash(shuffled)
    assert (images_hash(one) == images_hash(two)) == (frozen(one) == frozen(two))
    changes = [RowChange(Action.RETIRE, "M", image, None) for image in two]
    added = RowChange(Action.RESTORE, "M", None, plan_samples.merge(9, 1, 2))
    assert step(*changes, added, guard=one).fingerprint == images_hash([*two, *one])


@given(st.lists(st.sampled_from(Confidence)))
def test_a_plan_is_as_sure_as_its_least_sure_step(all_: list[Confidence]) -> None:
    now = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    target = TargetIdentity("", "sqlite", "", "", "")
    plan = Plan("p", now, now, "1", target, {}, (), tuple(step(confidence=each) for each in all_))
    assert plan.confidence == (min(all_, key=lambda each: each.rank) if all_ else None)


@pytest.mark.parametrize(
    ("reason", "waits_for"),
    [(f"{LEADS_INTO}c7, which is refused: both, alas", "c7"), ("nobody knows", None), ("", None)],
)
def test_a_refused_component_names_the_one_that_it_waits_for(reason: str, waits_for: str | None) -> None:
    assert Refused("c", (), (), reason, "").waits_for == waits_for
