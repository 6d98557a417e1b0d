"""How a merge is drawn between two places: a cubic curve and the three corners of its arrow head."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mergeguard.render.places import Place, Spacing

_BULGE = 0.22
"""How far a ring's edges bend outwards, as a part of their length: two opposite merges stay apart."""
_FARTHEST = 48.0
"""The most that they bend, in pixels."""
_HEAD = 9.0


def curve(source: Place, target: Place, spacing: Spacing, *, closed: bool, others: Sequence[Place] = ()) -> list[Place]:
    """Return the points of up to three cubic curves, border to border.

    ``closed`` is an edge inside a ring; ``others`` are nodes that a long edge must not run behind.
    """
    if source == target:
        return _loop(source, spacing)
    return _bent(source, target, spacing) if closed else _onward(source, target, spacing, others)


def head(points: list[Place]) -> list[Place]:
    """Return the corners of the arrow head at a curve's end."""
    (before_x, before_y), (x, y) = points[-2:]
    angle = math.atan2(y - before_y, x - before_x)
    wings = (angle + 2.7, angle - 2.7)
    return [(x, y), *((x + _HEAD * math.cos(wing), y + _HEAD * math.sin(wing)) for wing in wings)]


def _onward(source: Place, target: Place, spacing: Spacing, others: Sequence[Place]) -> list[Place]:
    """Leave at the right and arrive at the left, or, where the picture goes on in a band below, from above."""
    start = (source[0] + spacing.width / 2, source[1])
    end = (target[0] - spacing.width / 2, target[1])
    if end[0] < start[0]:
        return _downward(source, target, spacing)
    if end[0] - start[0] < spacing.width:
        return _swung(start, end)
    lane = _lane(start, end, spacing, others)
    enter, leave = (start[0] + spacing.column_gap, lane), (end[0] - spacing.column_gap, lane)
    return [*_swung(start, enter), enter, leave, leave, *_swung(leave, end)[1:]]


def _lane(start: Place, end: Place, spacing: Spacing, others: Sequence[Place]) -> float:
    """Return the height, nearest to both ends, at which an edge passes the columns between them unhidden."""
    reach = spacing.width / 2
    between = sorted(y for x, y in others if start[0] < x + reach and x - reach < end[0])
    clear = spacing.height / 2 + 2
    beside = (spacing.height + spacing.row_gap) / 2
    wanted = [end[1], start[1], *(y - beside for y in between), *(y + beside for y in between)]
    wanted.sort(key=lambda lane: abs(lane - end[1]) + abs(lane - start[1]))
    return next(lane for lane in wanted if all(abs(lane - y) >= clear for y in between))


def _swung(start: Place, end: Place) -> list[Place]:
    middle = (start[0] + end[0]) / 2
    return [start, (middle, start[1]), (middle, end[1]), end]


def _downward(source: Place, target: Place, spacing: Spacing) -> list[Place]:
    side = 1 if target[1] > source[1] else -1
    start = (source[0], source[1] + side * spacing.height / 2)
    end = (target[0], target[1] - side * spacing.height / 2)
    pull = side * 2 * spacing.row_gap
    return [start, (start[0], start[1] + pull), (end[0], end[1] - pull), end]


def _bent(source: Place, target: Place, spacing: Spacing) -> list[Place]:
    """Bend to the left of the way, which on a clockwise ring is outwards."""
    across, down = target[0] - source[0], target[1] - source[1]
    bulge = min(_BULGE, _FARTHEST / math.hypot(across, down))
    bend = ((source[0] + target[0]) / 2 + bulge * down, (source[1] + target[1]) / 2 - bulge * across)
    start, end = _border(source, bend, spacing), _border(target, bend, spacing)
    return [start, _towards(start, bend), _towards(end, bend), end]


def _towards(point: Place, bend: Place) -> Place:
    """Two thirds of the way: a quadratic curve written as a cubic one."""
    return (point[0] + (bend[0] - point[0]) * 2 / 3, point[1] + (bend[1] - point[1]) * 2 / 3)


def _border(middle: Place, outside: Place, spacing: Spacing) -> Place:
    """Return where the straight way from a node's middle to a point leaves the node."""
    across, down = outside[0] - middle[0], outside[1] - middle[1]
    scale = max(abs(across) / (spacing.width / 2), abs(down) / (spacing.height / 2), 1.0)
    return (middle[0] + across / scale, middle[1] + down / scale)


def _loop(middle: Place, spacing: Spacing) -> list[Place]:
    x, top = middle[0], middle[1] - spacing.height / 2
    return [(x - 14, top), (x - 26, top - 24), (x + 26, top - 24), (x + 14, top)]
