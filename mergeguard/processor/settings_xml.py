"""Small XML files of configuration, read with suspicion: no document type, no entities, bounded size and depth.

``CoreSettings.config`` and ``BadNSEFolders.config`` are files that many hands touch. Anything in them that could make
the parser fetch, expand or nest is refused before it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.parsers import expat

from mergeguard.errors import UsageError

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_DEPTH: Final = 32
MOST_ELEMENTS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Element:
    """One element's start, as it stands in a file."""

    name: str
    attributes: Mapping[str, str]
    line: int


class _Refused(Exception):
    """What a file holds that is not allowed in it."""


def read_elements(path: Path) -> tuple[Element, ...]:
    """Return the elements of a file in document order.

    Raises:
        UsageError: the file cannot be read, is no XML, is too large or too deep, or has a document type.
    """
    content = _content(path)
    parser = expat.ParserCreate()
    collected = _Collector(parser)
    try:
        parser.Parse(content, True)  # noqa: FBT003 - expat takes it by position only
    except _Refused as refused:
        raise UsageError(f"{path}:{parser.CurrentLineNumber}: {refused}", hint=_HINT) from None
    except expat.ExpatError as error:
        words = expat.ErrorString(error.code)
        raise UsageError(f"{path}:{error.lineno}: not well-formed XML: {words}", hint=_HINT) from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know or cannot follow
        raise UsageError(f"{path}: its encoding is not understood: {error}", hint="save it as UTF-8") from None
    return tuple(collected.elements)


_HINT: Final = 'settings stand in it as <customSetting key="NAME" type="local" value="VALUE" />'


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as failure:
        raise UsageError(
            f"{path} cannot be read: {failure.strerror}", hint="check the path, and that this account may read it"
        ) from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES:,} bytes", hint="is it the right file?")
    return content


class _Collector:
    """Keeps the elements that expat meets, and refuses what has no place in such a file."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.elements: list[Element] = []
        self._parser = parser
        self._depth = 0
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.ExternalEntityRefHandler = self._entity

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise _Refused(f"elements stand in each other more than {MOST_DEPTH} deep")
        if len(self.elements) >= MOST_ELEMENTS:
            raise _Refused(f"more than {MOST_ELEMENTS:,} elements")
        self.elements.append(Element(name, attributes, self._parser.CurrentLineNumber))

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _doctype(self, *_declared: object) -> None:
        raise _Refused("a document type (DOCTYPE) is not allowed in a file of settings")

    def _entity(self, *_declared: object) -> int:
        raise _Refused("an entity declaration is not allowed in a file of settings")
