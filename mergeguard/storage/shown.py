"""How a value that does not fit is shown in an error."""

from __future__ import annotations

from typing import Final

MOST: Final = 60
"""Characters of a value that are shown."""


def shown(value: object) -> str:
    """Return a text, a number or a truth value as it was given, cut where it is long; of all else its type."""
    try:
        text = repr(value) if isinstance(value, str | int | float) else repr(type(value).__name__)
    except ValueError:  # Python writes no number of more than 4,300 digits, and TOML may hold one
        text = "a number of thousands of digits"
    return text if len(text) <= MOST else text[:MOST] + "…"
