"""Which columns a row gives, worked out once for all rows that give the same ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, TypeAlias

from mergeguard.core.nse.limits import MOST_COLUMNS
from mergeguard.core.nse.parsing import Amiss

Cells: TypeAlias = tuple[str | None, ...]
_COLUMN: Final = re.compile(r"[cC](0|[1-9][0-9]{0,8})", re.ASCII)
COLUMNS: Final = tuple(f"c{number}" for number in range(MOST_COLUMNS))
"""Names of the cells, by position."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the attributes of a row make of its values."""

    pick: Callable[[list[str]], Cells]
    gaps: int
    """Cells that it leaves out before its last one: ``<row c1000="x"/>`` is short to send and long to keep."""


def shape_of(names: tuple[str, ...]) -> Shape:
    """Return what becomes of a row with these attributes.

    Raises:
        Amiss: one of them is no column, or stands there twice; the caller says where.
    """
    at: dict[int, int] = {}
    for place, name in enumerate(names):
        number = _number(name)
        if at.setdefault(number, place) != place:
            raise Amiss(f"column c{number} stands there twice")
    if list(at) == list(range(len(at))):
        return Shape(tuple, 0)
    picked = [at.get(number, -1) for number in range(max(at) + 1)]
    pick = itemgetter(*picked)
    return Shape(lambda values: pick([*values, None]), len(picked) - len(at))


def _number(name: str) -> int:
    match = _COLUMN.fullmatch(name)
    number = MOST_COLUMNS if match is None else int(match[1])
    if number >= MOST_COLUMNS:
        raise Amiss(f"{name[:80]!r} is no column; they are c0, c1 and so on up to c{MOST_COLUMNS - 1}")
    return number
