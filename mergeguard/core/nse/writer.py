"""Writes a message as a notification-server event: UTF-8, each element on a line of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mergeguard.core.nse.limits import MOST_COLUMNS
from mergeguard.core.nse.message import Association, ClassData, Message, Resource, Row, Target
from mergeguard.core.nse.shapes import COLUMNS
from mergeguard.errors import MalformedEvent

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write, not even as a number."""
_ESCAPED: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
"""Line breaks and tabs too: a reader of attributes makes blanks of them otherwise."""


def write(message: Message) -> bytes:
    """Write a message as ``read`` reads it; cells at the end of a row that are ``None`` are left out.

    Whether it makes sense is not looked into: to read it back tells.

    Raises:
        MalformedEvent: a text holds a character that XML has no way to write, or a row has too many cells.
    """
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<message>", f"<to>{_text(message.recipient, 'to')}</to>"]
    lines += ["<body>", "<inventory>"]
    lines += _within("resources", (line for each in message.resources for line in _resource(each)))
    lines += _within("resourceAssociations", (_association(each) for each in message.associations))
    for data in message.data:
        lines += _class(data)
    lines += ["</inventory>", "</body>", "</message>", ""]
    return "\n".join(lines).encode()


def _within(name: str, lines: Iterable[str]) -> list[str]:
    inside = list(lines)
    return [f"<{name}>", *inside, f"</{name}>"] if inside else []


def _resource(resource: Resource) -> Iterator[str]:
    opened = f"<resource{_given('ref', resource.ref or None)}{_given('guid', resource.guid)}"
    opened += f"{_given('typeGuid', resource.type)}{_given('name', resource.name)}"
    if not resource.keys:
        yield f"{opened}/>"
        return
    yield f"{opened}>"
    for key in resource.keys:
        yield f"<key{_given('name', key.name)}{_given('value', key.value)}/>"
    yield "</resource>"


def _association(association: Association) -> str:
    ends = f"{_target('parentResource', association.parent)}{_target('childResource', association.child)}"
    return f"<resourceAssociation{_given('typeGuid', association.type)}{ends}/>"


def _class(data: ClassData) -> Iterator[str]:
    yield f"<inventoryClass{_given('guid', data.data_class)}>"
    yield "<data>"
    partial = _given("partialUpdate", "true" if data.partial else None)
    yield f"<resource{_target('resource', data.resource)}{partial}>"
    for row in data.rows:
        yield f"<row{_cells(row)}/>"
    yield "</resource>"
    yield "</data>"
    yield "</inventoryClass>"


def _cells(row: Row) -> str:
    if len(row.cells) > MOST_COLUMNS:
        raise MalformedEvent(f"a row of {len(row.cells):,} cells; an event has room for {MOST_COLUMNS:,}")
    return "".join(_given(name, cell) for name, cell in zip(COLUMNS, row.cells, strict=False))


def _target(side: str, target: Target) -> str:
    return f"{_given(side + 'Ref', target.ref)}{_given(side + 'Guid', target.guid)}"


def _given(name: str, value: object) -> str:
    """Write an attribute; nothing where its value is ``None``."""
    return "" if value is None else f' {name}="{_text(str(value), name)}"'


def _text(text: str, name: str) -> str:
    amiss = unwritable(text)
    if amiss is not None:
        raise MalformedEvent(f"{name} {text[:80]!r} {amiss}")
    return text.translate(_ESCAPED)


def unwritable(text: str) -> str | None:
    """Say of a text which character it holds that XML has no way to write; ``None`` where there is none."""
    found = _FORBIDDEN.search(text)
    return None if found is None else f"holds U+{ord(found[0]):04X}, which XML has no way to write"
