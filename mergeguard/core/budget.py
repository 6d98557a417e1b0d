"""A time budget as a value the core can ask without knowing a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Spent: TypeAlias = Callable[[], bool]
"""Says whether the time budget is used up."""


def unlimited() -> bool:
    """Say that there is time: the budget of a scan without ``--max-duration``."""
    return False
