"""What an agent asks ``CreateResource.aspx``: who has these keys.

The vendor's request for release 7.1 is not public. What is known of later ones is an element ``resource`` with ``guid``
and ``name``, and elements ``key`` with ``name`` and ``value``; whatever else stands there is let be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from mergeguard.core.events import NO_SOURCE
from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse.message import Key, Resource
from mergeguard.core.nse.parsing import parse, strict_parser
from mergeguard.core.nse.writer import unwritable
from mergeguard.errors import MalformedEvent
from mergeguard.processor.intake.posts import source_of
from mergeguard.processor.intake.refusals import Refused

MOST_KEYS: Final = 200
MOST_DEPTH: Final = 32
LONGEST: Final = 500
"""Characters of a name or a value."""
_HINT: Final = '<resource guid="…" name="…"><key name="uniqueid" value="…" /></resource>'


def asked_in_xml(body: bytes) -> Resource:
    """Read a question in XML.

    Raises:
        MalformedEvent: it is not well-formed, or has a document type.
        Refused: there is no resource in it, or more than one, no key, or a value that cannot be understood.
    """
    return _Reader().read(body)


def asked_in_query(query: Sequence[tuple[str, str]]) -> Resource:
    """Read a question in plain words: ``name``, ``guid``, ``typeGuid``, and any number of ``key=NAME=VALUE``.

    Raises:
        Refused: no key, or a value that cannot be understood.
    """
    said: dict[str, str] = {}
    keys = []
    for name, value in query:
        if name.lower() == "key":
            key, found, text = value.partition("=")
            keys.append(_key(key, text if found else None))
        else:
            said[name.lower()] = value
    return _resource(said, keys)


class _Reader:
    """What expat calls while it reads."""

    def __init__(self) -> None:
        self._parser = strict_parser()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._depth = 0
        self._said: dict[str, str] | None = None
        self._keys: list[Key] = []

    def read(self, body: bytes) -> Resource:
        parse(self._parser, body)
        if self._said is None:
            raise Refused("the question has no element 'resource'", hint=f"write {_HINT}")
        return _resource(self._said, self._keys)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            self._malformed(f"elements stand in each other more than {MOST_DEPTH} deep")
        said = {attribute.lower(): value for attribute, value in attributes.items()}
        if name.lower() == "resource":
            if self._said is not None:
                self._malformed("a second resource: a question is about one")
            self._said = said
        elif name.lower() == "key":
            if len(self._keys) >= MOST_KEYS:
                self._malformed(f"more than {MOST_KEYS} keys")
            self._keys.append(_key(said.get("name", ""), said.get("value")))

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _malformed(self, words: str) -> NoReturn:
        raise MalformedEvent(f"line {self._parser.CurrentLineNumber}: {words}")


def _key(name: str, value: str | None) -> Key:
    if not name.strip() or value is None or not value.strip():
        raise Refused(f"the key {name[:60]!r} has no {'name' if not name.strip() else 'value'}", hint=f"write {_HINT}")
    if max(len(name), len(value)) > LONGEST:
        raise Refused(f"the key {name[:60]!r} is longer than {LONGEST} characters")
    _require_writable("the key", name + value)
    return Key(name.strip(), value.strip())


def _resource(said: dict[str, str], keys: Sequence[Key]) -> Resource:
    if not keys:
        raise Refused("the question has no keys: nobody can tell whose guid is asked for", hint=f"write {_HINT}")
    _require_writable("the name", said.get("name", ""))
    guid, kind = source_of(said.get("guid", "")), source_of(said.get("typeguid", ""))
    return Resource(
        ref="",
        guid=None if guid == NO_SOURCE else guid,
        type=COMPUTER if kind == NO_SOURCE else kind,  # agents that name no type are computers
        name=said.get("name", "").strip()[:LONGEST],
        keys=tuple(dict.fromkeys(keys)),
        line=1,
    )


def _require_writable(what: str, text: str) -> None:
    """Require that an answer can repeat a text, and a database hold it: a query may say what XML cannot."""
    amiss = unwritable(text)
    if amiss is not None:
        raise Refused(f"{what} {text[:60]!r} {amiss}")
