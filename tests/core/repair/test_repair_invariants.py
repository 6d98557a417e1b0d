"""Every invariant of a repair, on drawn tables with drawn evidence; the names are those of the invariants R1 to R9."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import repair_model
from hypothesis import example, given
from merge_model import guid
from repair_model import Run, Sick

from mergeguard.core.repair.evidence import ReadFrom

BESIDE, AWAY, NEAR, FAR = map(guid, range(4))
LED_ON = Sick(
    ((AWAY, BESIDE), (AWAY, NEAR), (NEAR, FAR), (FAR, NEAR), (NEAR, FAR), (BESIDE, AWAY)),
    row_ids=(1, 2, 3, 4, 5, 6),
    live=frozenset({AWAY, NEAR, FAR}),
    read_from=ReadFrom(live="vResource.Guid", row_id="Merge.Id"),
)
"""The one cycle is decided for a live guid outside, which itself is merged away when the other one is decided."""


@pytest.mark.parametrize("holds", repair_model.INVARIANTS, ids=lambda holds: holds.__name__)
@given(sick=repair_model.sick_tables())
@example(sick=LED_ON)
def test_a_repair_keeps_what_it_promises(holds: Callable[[Run], None], sick: Sick) -> None:
    holds(Run.of(sick))
