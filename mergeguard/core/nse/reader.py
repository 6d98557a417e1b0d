"""Reads a notification-server event: one pass over its XML, with caps on all of which there may be many."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final, NoReturn

from mergeguard.core.nse import grammar
from mergeguard.core.nse.attributes import Attributes
from mergeguard.core.nse.grammar import Place
from mergeguard.core.nse.limits import DEFAULT, Limits
from mergeguard.core.nse.message import Association, ClassData, Key, Message, Resource, Target
from mergeguard.core.nse.parsing import Amiss, parse, strict_parser
from mergeguard.core.nse.rows import Rows
from mergeguard.core.nse.shapes import COLUMNS
from mergeguard.errors import MalformedEvent

_MOST_RECIPIENT: Final = 200
"""Characters of the recipient that are kept."""
_INTERNED: Final = {name: name for name in COLUMNS[:64]}


def read(body: bytes, limits: Limits = DEFAULT) -> Message:
    """Read an event's body, decompressed, into what it says; guids are as they were sent.

    Raises:
        MalformedEvent: it is not well-formed XML, it is no message, or something in it cannot be meant; the text begins
            with the line and, where one is to blame, the element.
    """
    if len(body) > limits.size:
        raise MalformedEvent(f"it has {len(body):,} bytes; at most {limits.size:,} are read")
    strays: set[str] = set()
    message = _Reader(limits, strays.add).read(body)
    if any(text.strip() for text in strays):
        # Where a text stands is looked for only where there is one that may not: it would slow down every event.
        return _Reader(limits, None).read(body)
    return message


class _Reader:
    """What expat calls while it reads."""

    def __init__(self, limits: Limits, between: Callable[[str], object] | None) -> None:
        """Give texts between elements, line breaks for the most part, to ``between``; ``None`` refuses all others."""
        self._limits = limits
        self._parser = parser = strict_parser(interned=_INTERNED.copy())
        self._rows = Rows(parser, limits)
        self._handlers = self._rows.handlers(self._refuse_row, self._end_rows)
        self._between = between or self._refuse_text
        self._open: list[Place] = [grammar.OUTSIDE]
        self._line = 1
        self._to: list[str] | None = None
        self._resources: list[Resource] = []
        self._associations: list[Association] = []
        self._data: list[ClassData] = []
        self._parts = 0
        self._labels: set[str] = set()
        self._meant: dict[str, tuple[int, str]] = {}
        """The labels that are used, with the line and the element that used each first."""
        self._resource: tuple[Attributes, int]
        self._keys: list[Key] = []
        self._class: uuid.UUID
        self._block: tuple[Attributes, int]
        self._begin: dict[Place, Callable[[Attributes, int], None]] = {
            grammar.MESSAGE: self._begin_message,
            grammar.RESOURCE: self._begin_resource,
            grammar.KEY: self._add_key,
            grammar.ASSOCIATION: self._add_association,
            grammar.DATA_CLASS: self._begin_class,
            grammar.ROWS: self._begin_rows,
        }

    def read(self, body: bytes) -> Message:
        parser = self._parser
        parser.ordered_attributes = True
        self._hear()
        parse(parser, body)
        for label, (line, name) in self._meant.items():
            if label in self._labels:
                continue
            raise MalformedEvent(f"line {line}, <{name}>: {label[:80]!r} is the ref of no resource of the message")
        return Message(
            "".join(self._to or ()).strip()[:_MOST_RECIPIENT],
            tuple(self._resources),
            tuple(self._associations),
            tuple(self._data),
            self._line,
        )

    # Any element

    def _hear(self) -> None:
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._start, self._end
        self._parser.CharacterDataHandler = self._between

    def _start(self, name: str, attributes: list[str]) -> None:
        around = self._open[-1]
        place = around.inside.get(name) or around.inside.get(name.casefold()) or self._unknown(name, around)
        self._open.append(place)
        if len(self._open) > self._limits.depth:
            self._refuse(f"elements stand in each other more than {self._limits.depth:,} deep")
        if len(attributes) > 2 * self._limits.attributes:
            self._refuse(f"it has more than {self._limits.attributes:,} attributes")
        begin = self._begin.get(place)
        if begin is not None:
            try:
                begin(Attributes(attributes), self._parser.CurrentLineNumber)
            except Amiss as problem:
                self._refuse(str(problem))
        elif place is grammar.TO:
            self._begin_to()

    def _end(self, _name: str) -> None:
        place = self._open.pop()
        if place is grammar.RESOURCE:
            self._add_resource()
        elif place is grammar.TO or place is grammar.LET_BE:
            self._parser.CharacterDataHandler = None if self._open[-1] is grammar.LET_BE else self._between

    def _unknown(self, name: str, around: Place) -> Place:
        if around is grammar.OUTSIDE:
            raise MalformedEvent(f"line {self._parser.CurrentLineNumber}: it is no message but <{name[:80]}>")
        if not around.lenient:
            self._refuse(f"<{name[:80]}> may not stand in it")
        self._parser.CharacterDataHandler = None
        return grammar.LET_BE

    # The envelope

    def _begin_message(self, _attributes: Attributes, line: int) -> None:
        self._line = line

    def _begin_to(self) -> None:
        texts: list[str] = []
        self._to = texts if self._to is None else self._to  # a second one says nothing
        self._parser.CharacterDataHandler = texts.append

    # Resources and associations

    def _begin_resource(self, attributes: Attributes, line: int) -> None:
        self._count()
        self._resource, self._keys = (attributes, line), []

    def _add_key(self, attributes: Attributes, _line: int) -> None:
        self._count()
        name, value = (attributes.text(part) for part in ("name", "value"))
        if not name or not name.strip():
            raise Amiss("it has no name")
        if value is None:
            raise Amiss(f"the key {name[:80]!r} has no value")
        if value.strip():  # an empty one is what everybody has who has none
            self._keys.append(Key(name.strip(), value.strip()))

    def _add_resource(self) -> None:
        attributes, line = self._resource
        try:
            resource = self._described(attributes, line)
        except Amiss as problem:
            raise MalformedEvent(f"line {line}, <resource>: {problem}") from None
        self._resources.append(resource)
        self._labels |= {resource.ref} - {""}

    def _described(self, attributes: Attributes, line: int) -> Resource:
        ref, guid = attributes.text("ref") or "", attributes.guid("guid")
        if guid is None and not self._keys:
            raise Amiss("it has neither a guid nor a key: nothing says which resource it is")
        if ref in self._labels:
            raise Amiss(f"a second resource has the ref {ref[:80]!r}")
        kind, name = attributes.guid("typeGuid"), attributes.text("name") or ""
        return Resource(ref, guid, kind, name, tuple(self._keys), line)

    def _add_association(self, attributes: Attributes, line: int) -> None:
        self._count()
        kind = attributes.needed("typeGuid")
        parent = attributes.target("parentResourceRef", "parentResourceGuid")
        child = attributes.target("childResourceRef", "childResourceGuid")
        self._mean(parent, line)
        self._mean(child, line)
        self._associations.append(Association(kind, parent, child, line))

    # Data

    def _begin_class(self, attributes: Attributes, _line: int) -> None:
        self._class = attributes.needed("guid")

    def _begin_rows(self, attributes: Attributes, line: int) -> None:
        self._count()
        self._block = attributes, line
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._handlers

    def _end_rows(self, name: str) -> None:
        attributes, line = self._block
        try:
            target = attributes.target("resourceRef", "resourceGuid")
            partial = attributes.switch("partialUpdate")
        except Amiss as problem:
            raise MalformedEvent(f"line {line}, <resource>: {problem}") from None
        self._mean(target, line)
        self._data.append(ClassData(self._class, target, self._rows.take(), partial, line))
        self._hear()
        self._end(name)

    # What is wrong

    def _count(self) -> None:
        self._parts += 1
        if self._parts > self._limits.parts:
            raise Amiss(f"the message has more than {self._limits.parts:,} resources, keys, associations and blocks")

    def _mean(self, target: Target, line: int) -> None:
        if target.ref is not None:
            self._meant.setdefault(target.ref, (line, self._open[-1].name))

    def _refuse_row(self, what: str) -> NoReturn:
        raise MalformedEvent(f"line {self._parser.CurrentLineNumber}, <row>: {what}")

    def _refuse_text(self, text: str) -> None:
        if text.strip():
            self._refuse(f"the text {text.strip()[:80]!r} may not stand in it")

    def _refuse(self, what: str) -> NoReturn:
        raise MalformedEvent(f"line {self._parser.CurrentLineNumber}, <{self._open[-1].name}>: {what}")
