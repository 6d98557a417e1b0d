"""Reads the rows of one message: what nearly all of a large one is, so that each step here is a step a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias
from xml.parsers.expat import XMLParserType

from mergeguard.core.nse.limits import Limits
from mergeguard.core.nse.message import Row
from mergeguard.core.nse.parsing import Amiss
from mergeguard.core.nse.shapes import Cells, Shape, shape_of

Start: TypeAlias = Callable[[str, list[str]], None]
End: TypeAlias = Callable[[str], None]
_MOST_SHAPES: Final = 256
"""Shapes that are kept: a message may be made so that each of its rows has one of its own."""


class Rows:
    """All rows of a message in their order, of which each block takes those that came since the last."""

    def __init__(self, parser: XMLParserType, limits: Limits) -> None:
        self._rows: list[Row] = []
        self._taken = 0
        self._parser = parser
        self._limits = limits
        self._gaps = 0
        self._shapes: dict[tuple[str, ...], Shape] = {}

    def take(self) -> tuple[Row, ...]:
        """Return the rows since the last time."""
        rows, self._taken = tuple(self._rows[self._taken :]), len(self._rows)
        return rows

    def handlers(self, refuse: Callable[[str], NoReturn], around: End) -> tuple[Start, End]:
        """Return what reads rows, to be called between the tags of an element that holds nothing else.

        Args:
            refuse: is told what is wrong with a row, and raises.
            around: is called when the element ends that holds the rows.
        """
        rows, parser, most, counted = self._rows, self._parser, self._limits.rows, self._counted
        append, new, kind = rows.append, tuple.__new__, Row  # what Row(...) does, without its step of Python
        inside = False
        last: list[str] | None = None
        pick: Callable[[list[str]], Cells] = tuple

        def start(name: str, attributes: list[str]) -> None:
            nonlocal inside, last, pick
            if inside or (name != "row" and name.casefold() != "row"):
                refuse(f"<{name[:80]}> may not stand in <{'row' if inside else 'resource'}>")
            inside = True
            names = attributes[::2]
            if names != last:  # most rows give the columns that the one before gave
                try:
                    shape = counted(tuple(names))
                except Amiss as problem:
                    refuse(str(problem))
                pick, last = shape.pick, None if shape.gaps else names
            append(new(kind, (pick(attributes[1::2]), parser.CurrentLineNumber)))
            if len(rows) > most:
                refuse(f"the message has more than {most:,} rows")

        def end(name: str) -> None:
            nonlocal inside
            if inside:
                inside = False
            else:
                around(name)

        return start, end

    def _counted(self, names: tuple[str, ...]) -> Shape:
        if len(names) > self._limits.attributes:
            raise Amiss(f"it has more than {self._limits.attributes:,} attributes")
        shape = self._shapes.get(names) or shape_of(names)
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes[names] = shape
        self._gaps += shape.gaps
        if self._gaps > self._limits.gaps:
            raise Amiss(f"the rows so far leave out more than {self._limits.gaps:,} cells before others")
        return shape
