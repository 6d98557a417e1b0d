"""The outside of a notification-server event: is it XML that may be read, and to whom is it addressed.

The parser fetches, expands and builds nothing: a document type is refused before its first entity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mergeguard.core.nse.parsing import parse, strict_parser
from mergeguard.errors import MalformedEvent

MOST_DEPTH: Final = 1000
"""Elements that may stand in each other."""
MOST_RECIPIENT: Final = 200
"""Characters of the recipient that are kept."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands on an event."""

    root: str
    """Name of the outermost element; ``message`` for what agents send."""
    recipient: str
    """The text of its first ``to``: the guid or alias of who handles it; empty where there is none."""


class _TooDeep(Exception):
    """Its elements stand in each other without end."""


@dataclass(slots=True)
class _Reader:
    """What expat calls while it reads."""

    root: str = ""
    recipient: str = ""
    _path: list[str] = field(default_factory=list)
    _has_recipient: bool = False
    """Whether the first ``to`` has ended: a second one says nothing."""

    def start(self, name: str, _attributes: object) -> None:
        if not self._path:
            self.root = name
        if len(self._path) >= MOST_DEPTH:
            raise _TooDeep(f"its elements stand in each other more than {MOST_DEPTH} deep")
        self._path.append(name)

    def text(self, text: str) -> None:
        if self._is_recipient() and len(self.recipient) < MOST_RECIPIENT:
            self.recipient += text

    def end(self, _name: str) -> None:
        self._has_recipient = self._has_recipient or self._is_recipient()
        self._path.pop()

    def _is_recipient(self) -> bool:
        return not self._has_recipient and len(self._path) == 2 and self._path[1].casefold() == "to"


def envelope(body: bytes) -> Envelope:
    """Read an event's body through and return what stands on it.

    Raises:
        MalformedEvent: it is not well-formed XML, its encoding is not understood, or it has a document type.
    """
    parser, reader = strict_parser(), _Reader()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parse(parser, body)
    except _TooDeep as refused:
        raise MalformedEvent(f"line {parser.CurrentLineNumber}: {refused}") from None
    return Envelope(reader.root[:MOST_RECIPIENT], reader.recipient.strip()[:MOST_RECIPIENT])
