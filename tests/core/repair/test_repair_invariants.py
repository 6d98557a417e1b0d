"""Every invariant of a repair, on drawn tables with drawn evidence; the names are those of the invariants R1 to R9."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import repair_model
from hypothesis import given
from repair_model import Run, Sick


@pytest.mark.parametrize("holds", repair_model.INVARIANTS, ids=lambda holds: holds.__name__)
@given(sick=repair_model.sick_tables())
def test_a_repair_keeps_what_it_promises(holds: Callable[[Run], None], sick: Sick) -> None:
    holds(Run.of(sick))
