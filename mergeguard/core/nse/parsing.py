"""A parser of XML that fetches, expands and builds nothing, and what it says about XML that is none.

A document type is refused before its first entity. The body is given to expat in one piece: the versions that take
quadratic time over a long token do so only where it comes in many.
"""

from __future__ import annotations

from typing import Final, NoReturn
from xml.parsers import expat

from mergeguard.errors import MalformedEvent

_INVALID_TOKEN: Final = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]
_UTF_16: Final = (b"\xfe\xff", b"\xff\xfe")
_WIDE: Final = {b"\xfe\xff": "utf-16-be", b"\xff\xfe": "utf-16-le", b"\0<": "utf-16-be", b"<\0": "utf-16-le"}
"""How a document of UTF-16 begins, with its mark and without."""
_LONGEST_CHARACTER: Final = 4
"""Bytes of UTF-8."""


class Amiss(Exception):
    """What is wrong with an element or a value, told without its place, which the caller knows."""


class _DocumentType(Exception):
    """A document type begins."""


def strict_parser() -> expat.XMLParserType:
    """Return a parser that refuses a document type."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _doctype
    return parser


def _doctype(*_declared: object) -> NoReturn:
    raise _DocumentType


def parse(parser: expat.XMLParserType, body: bytes) -> None:
    """Read a whole body through, and let go of the handlers of elements and texts.

    Who hears the parser mostly knows it, too; all that was read would wait for the collector otherwise.

    Raises:
        MalformedEvent: it is not well-formed XML, its encoding is not understood, or a handler has refused it.
    """
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat takes it by position only
        _require_pairs(body)
    except _DocumentType:
        raise MalformedEvent(f"line {parser.CurrentLineNumber}: it has a document type (DOCTYPE)") from None
    except expat.ExpatError as error:
        words = expat.ErrorString(error.code)
        if error.code == _INVALID_TOKEN:
            words += _culprit(body, parser.ErrorByteIndex)
        raise MalformedEvent(f"line {error.lineno}, column {error.offset + 1}: {words}") from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know or cannot follow
        raise MalformedEvent(f"its encoding is not understood: {error}") from None
    finally:
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None


def _require_pairs(body: bytes) -> None:
    """Require that no half of a pair stands alone in UTF-16: expat makes one character of it and the next one."""
    codec = _WIDE.get(body[:2])
    if codec is None:
        return
    try:
        body.decode(codec)
    except UnicodeDecodeError as error:
        before = body[: error.start].decode(codec)
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise MalformedEvent(f"line {line}, column {column}: half of a character of UTF-16 stands alone") from None


def _culprit(body: bytes, at: int) -> str:
    """Name the character that may not stand there, as far as its bytes tell it."""
    byte = body[at : at + 1]
    if body[at - 1 : at] == b"&":
        return ": '&' is written &amp;"
    if byte == b"<":
        return ": in a text '<' is written &lt;"
    if byte < b" " and byte not in b"\t\n\r":
        return f": the character U+{byte[0]:04X} may not stand in XML"
    return f": {_high(body, at)}" if byte > b"~" and body[:2] not in _UTF_16 else ""


def _high(body: bytes, at: int) -> str:
    """Name a character beyond ASCII, or the byte that is part of none."""
    character = body[at : at + _LONGEST_CHARACTER].decode("utf-8", "ignore")[:1]
    if character and body.startswith(character.encode(), at):
        return f"the character U+{ord(character):04X} may not stand here"
    return f"the byte 0x{body[at]:02X} does not fit the encoding"
