"""Makes text from a database harmless: shown to people, never obeyed by a terminal, a browser or a parser.

Every label, value, row id and target passes through here before it reaches a format's own quoting.
"""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Iterable

_ELLIPSIS = "..."
_PARTING = frozenset(" '\"$`&;|<>()?[]{}#!~")
"""What a shell takes for more than a letter."""
_EXPANDED = frozenset('"$`!')
"""What it does so even in double quotes."""


def visible(text: object, limit: int | None = None) -> str:
    r"""Spell out what does not print (control, bidi and zero-width characters, lone surrogates) as ``\x1b``.

    The result is one line that encodes in UTF-8, cut to ``limit`` characters where one is given.
    """
    plain = str(text)
    if not plain.isprintable():
        plain = "".join(char if char.isprintable() else _spelt(char) for char in plain)
    return plain if limit is None else cut(plain, limit)


def argument(text: object) -> str:
    """Return a text as one word of a command that people paste into a shell; ``visible`` as well."""
    plain = visible(text)
    escaping = "\\" in plain and os.name == "posix"  # Windows has it in each path, and no shell that minds
    if _PARTING.isdisjoint(plain) and not escaping:
        return plain
    # Double quotes mean the same to a Unix shell, to cmd and to PowerShell.
    return f'"{plain}"' if _EXPANDED.isdisjoint(plain) and not escaping else shlex.quote(plain)


def _spelt(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def sound(text: object) -> str:
    """Replace lone surrogates, which no encoding can carry, by U+FFFD; leave all else as it is."""
    plain = str(text)
    if plain.isascii():
        return plain
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def cut(text: str, limit: int) -> str:
    """Shorten a text to ``limit`` characters, the last three being dots where something was lost."""
    return text if len(text) <= limit else text[: max(limit - len(_ELLIPSIS), 0)] + _ELLIPSIS


def columns(text: str) -> int:
    """Return how many terminal columns a visible text takes: wide letters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fold(words: Iterable[str], width: int, indent: str, gap: str = " ") -> list[str]:
    """Set words into lines of at most ``width`` columns, each behind ``indent``; a word is never broken.

    ``gap`` stands between two words and, at a line's end, keeps all but its trailing blanks.
    """
    lines: list[str] = []
    line = ""
    several = list(words)
    for number, word in enumerate(several, 1):
        longer = f"{line}{gap}{word}" if line else word
        mark = gap.rstrip() if number < len(several) else ""  # it has to fit too, should the line end here
        if line and columns(indent) + columns(longer + mark) > width:
            lines.append(indent + (line + gap).rstrip())
            longer = word
        line = longer
    return [*lines, indent + line] if line else lines
