"""Builds XML and HTML from elements, so that no value reaches a page or a file unescaped.

A ``Markup`` is text that is markup already; every other string is data, and is escaped where it is put in.
"""

from __future__ import annotations

import html
from collections.abc import Mapping

from mergeguard.render.text import visible

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Markup(str):
    """Text that is markup already. Only this module and constants of this package make one."""

    __slots__ = ()


def escaped(data: object) -> Markup:
    """Turn data into markup that shows it: unprintable characters spelt out, the five special ones as entities."""
    return Markup(html.escape(visible(data), quote=True))


def element(name: str, attributes: Mapping[str, object] | None = None, *children: str) -> Markup:
    """Build an element; attributes and plain children are escaped, ``Markup`` children stand as they are."""
    written = "".join(f' {key}="{escaped(value)}"' for key, value in (attributes or {}).items() if value is not None)
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: str, gap: str = "") -> Markup:
    """Put markup and data one behind the other; ``gap`` is white space between them."""
    return Markup(gap.join(child if isinstance(child, Markup) else escaped(child) for child in children))
