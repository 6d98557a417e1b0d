"""Where a schedule comes from: Hypothesis draws it, or a token repeats it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from hypothesis import strategies as st

Interruptions: TypeAlias = Sequence[tuple[int, int]]
"""(how many choices the same actor goes on for, who goes on then: the first, second … of the others)."""
LONGEST_GAP: Final = 16
MOST: Final = 12


class Choices(Protocol):
    """Chooses one of several that could go on; 0 stands for the one that went last."""

    def choose(self, among: int) -> int:
        """Return a number below ``among``."""
        ...


def interruptions() -> st.SearchStrategy[Interruptions]:
    """Draw who is interrupted when; it shrinks towards nobody.

    All of it is drawn before the first statement: Hypothesis may give an example up while it draws, and a schedule
    that was half made would have been for nothing.
    """
    return st.lists(st.tuples(st.integers(0, LONGEST_GAP), st.integers(0, 2)), max_size=MOST)


class Interrupting:
    """Goes by drawn interruptions; when they have run out nobody is interrupted."""

    def __init__(self, drawn: Interruptions) -> None:
        self._left = list(drawn)[::-1]
        self._gap = self._left[-1][0] if self._left else 0

    def choose(self, among: int) -> int:
        """Count down to the next interruption."""
        if not self._left:
            return 0
        if self._gap:
            self._gap -= 1
            return 0
        _, other = self._left.pop()
        self._gap = self._left[-1][0] if self._left else 0
        return 1 + other % (among - 1)


class Recorded:
    """Repeats choices; where they have run out nobody is interrupted."""

    def __init__(self, choices: Sequence[int]) -> None:
        self._left = list(choices)[::-1]

    def choose(self, among: int) -> int:
        """Return the next choice, cut to what there is to choose from."""
        return min(self._left.pop(), among - 1) if self._left else 0
