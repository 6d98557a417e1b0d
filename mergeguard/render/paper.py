"""How a page for a terminal is set: its width in columns, and whether it may use colour."""

from __future__ import annotations

from dataclasses import dataclass

from mergeguard.render.text import fold

NARROWEST = 40
_RESET = "\x1b[0m"
_ANSI = {"bold": "\x1b[1m", "dim": "\x1b[2m", "red": "\x1b[31m", "yellow": "\x1b[33m", "green": "\x1b[32m"}


@dataclass(frozen=True, slots=True)
class Paper:
    """A page of ``width`` columns."""

    colour: bool
    width: int

    def paint(self, text: str, *styles: str) -> str:
        """Put a text in bold, dim, red, yellow or green, where colour is used at all."""
        if not self.colour or not text:
            return text
        return "".join(_ANSI[style] for style in styles) + text + _RESET

    def prose(self, text: str, indent: str) -> list[str]:
        """Set a text in lines behind ``indent``."""
        return fold(text.split(" "), self.width, indent)

    def walk(self, text: str, indent: str) -> list[str]:
        """Set a walk ``A -> B`` in lines that break at its arrows."""
        return fold(text.split(" -> "), self.width, indent, gap=" -> ")

    def item(self, mark: str, text: str) -> list[str]:
        """Set a text in lines behind a mark, the further ones below the first."""
        indent = " " * len(mark)
        first, *more = self.prose(text, indent) or [indent]
        return [(mark + first[len(mark) :]).rstrip(), *more]
