"""Begins a transaction again that the database broke off for the sake of another."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from mergeguard.errors import Locked, MergeGuardError

if TYPE_CHECKING:
    from mergeguard.integrity.workshop import Workshop

TRIES = 5
"""How often a step is begun at most."""
Result = TypeVar("Result")


def tried(shop: Workshop, step: Callable[[], Result]) -> Result:
    """Run one step's transaction; again where the database chose this session as the victim of a deadlock.

    Raises:
        Locked: it was the victim each time, or waited for another session's lock until the lock timeout.
    """
    for left in reversed(range(TRIES)):
        began = time.monotonic()
        try:
            return step()
        except Locked:
            # A victim is told at once; who waited for the whole lock timeout has waited enough.
            if not left or time.monotonic() - began >= shop.source.options.lock_timeout / 2:
                raise
    raise AssertionError


def with_words(error: MergeGuardError, more: str) -> MergeGuardError:
    """Add to an error what was done before it."""
    error.message += f"; {more}"
    error.args = (error.message,)
    return error
