"""Where the members of one ring stand, and how large and how far apart nodes are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[float, float]
"""The middle of a node, x to the right and y downwards."""

_LARGEST_ELLIPSE = 12
_FRAME_PART = 0.8
"""How much of the widest drawing a large ring may take; the rest is for what leads in and out."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """How large a node is and how far apart nodes stand, in pixels."""

    width: float
    height: float
    column_gap: float
    row_gap: float
    widest: float
    """A drawing wider than this goes on in a band below."""

    @property
    def row(self) -> float:
        """Height of a node with the gap below it."""
        return self.height + self.row_gap


def ring_places(count: int, spacing: Spacing) -> list[Place]:
    """Place a ring's members clockwise from the left around (0, 0): no two of them overlap, in either axis or both."""
    if count == 2:
        reach = (spacing.width + spacing.column_gap) / 2
        return [(-reach, 0.0), (reach, 0.0)]
    return _ellipse(count, spacing) if count <= _LARGEST_ELLIPSE else _frame(count, spacing)


def _ellipse(count: int, spacing: Spacing) -> list[Place]:
    across = spacing.width + spacing.row_gap
    # In units of a node, neighbours whose distance is the square root of two overlap in neither axis.
    radius = max(math.sqrt(2) / (2 * math.sin(math.pi / count)), 1.0)
    angles = [math.pi + 2 * math.pi * at / count for at in range(count)]
    return [
        (round(radius * across * math.cos(angle), 3), round(radius * spacing.row * math.sin(angle), 3))
        for angle in angles
    ]


def _frame(count: int, spacing: Spacing) -> list[Place]:
    """Place a large ring along a rectangle, which takes a third of an ellipse's width."""
    most = int(_FRAME_PART * spacing.widest / (spacing.width + spacing.column_gap))
    columns = min(math.ceil(count / 4) + 1, max(most, 2))
    rows = math.ceil(count / 2) + 2 - columns
    right, bottom = (columns - 1) / 2, (rows - 1) / 2
    top_side = [(x - right, -bottom) for x in range(columns)]
    right_side = [(right, y - bottom) for y in range(1, rows - 1)]
    left_side = [(-right, y - bottom) for y in range(rows - 2, 0, -1)]
    around = [*top_side, *right_side, *((x, bottom) for x, _ in reversed(top_side)), *left_side]
    # From the middle of the left side on; where the count is odd, the last place stays empty.
    first = len(around) - (rows - 2) + (rows - 2) // 2
    turned = (around[first:] + around[:first])[:count]
    return [(x * (spacing.width + spacing.column_gap), y * spacing.row) for x, y in turned]
