"""Reads a notification-server event: one pass over its XML, with caps on all of which there may be many."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn

from mergeguard.core.nse import grammar
from mergeguard.core.nse.attributes import NAMES, Attributes, guid, needed, spelled, switch
from mergeguard.core.nse.envelope import MOST_RECIPIENT
from mergeguard.core.nse.grammar import Place
from mergeguard.core.nse.limits import DEFAULT, Limits
from mergeguard.core.nse.links import Links
from mergeguard.core.nse.message import ClassData, Key, Message, Resource
from mergeguard.core.nse.parsing import Amiss, parse, strict_parser
from mergeguard.core.nse.rows import Rows
from mergeguard.core.nse.targets import Targets
from mergeguard.errors import MalformedEvent

_RESOURCE: Final = ("resourceRef", "resourceGuid")


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
        self._parser = parser = strict_parser()
        self._rows = Rows(parser, limits)
        self._row_handlers = self._rows.handlers(partial(self._refuse_in, "row"), self._end_rows)
        self._between = between or self._refuse_text
        parser.buffer_text = between is not None  # a text that is kept back is told where the next element stands
        self._open: list[Place] = [grammar.OUTSIDE]
        self._line = 1
        self._to: list[str] | None = None
        self._targets = Targets()
        self._links = Links(parser, self._targets)
        self._link_handlers = self._links.handlers(self._count, self._refuse_in, self._end_links)
        self._resources: list[Resource] = []
        self._data: list[ClassData] = []
        self._parts = 0
        self._resource: tuple[Attributes, int]
        self._keys: list[Key] = []
        self._class: uuid.UUID
        self._block: tuple[Attributes, int]
        self._begin: dict[Place, Callable[[Attributes], None]] = {
            grammar.MESSAGE: self._begin_message,
            grammar.TO: self._begin_to,
            grammar.RESOURCE: self._begin_resource,
            grammar.KEY: self._add_key,
            grammar.ASSOCIATIONS: self._begin_links,
            grammar.DATA_CLASS: self._begin_class,
            grammar.ROWS: self._begin_rows,
        }
        self._handlers = self._any_handlers()

    def read(self, body: bytes) -> Message:
        """Read a body; a reader reads one."""
        self._hear(self._handlers)
        self._parser.CharacterDataHandler = self._between
        try:
            parse(self._parser, body)
            return self._message()
        finally:
            vars(self).clear()  # what calls it knows it, and it knows them: nothing would go before a collection

    def _message(self) -> Message:
        self._targets.check()
        return Message(
            "".join(self._to or ()).strip()[:MOST_RECIPIENT],
            tuple(self._resources),
            tuple(self._links.links),
            tuple(self._data),
            self._line,
        )

    # Any element

    def _hear(self, handlers: tuple[Callable[..., None], Callable[[str], None]], *, ordered: bool = False) -> None:
        parser = self._parser
        parser.StartElementHandler, parser.EndElementHandler = handlers
        parser.ordered_attributes = ordered

    def _any_handlers(self) -> tuple[Callable[[str, dict[str, str]], None], Callable[[str], None]]:
        """Return what is called for elements that are no rows; bound to names, for it is called often."""
        opened, begins, other, spelt, known = self._open, self._begin, self._other, self._spelled, NAMES
        push, pop = opened.append, opened.pop

        def start(name: str, attributes: dict[str, str]) -> None:
            around = opened[-1]
            place = around.inside.get(name) or other(name, around)
            push(place)
            begin = begins.get(place)
            try:
                if begin is not None:
                    begin(attributes if attributes.keys() <= known else spelt(attributes))
                elif attributes:
                    spelt(attributes)
            except Amiss as problem:
                self._refuse(str(problem))

        def end(_name: str) -> None:
            place = pop()
            if place is grammar.RESOURCE:
                self._add_resource()
            elif place is grammar.TO or place is grammar.LET_BE:
                self._parser.CharacterDataHandler = None if opened[-1] is grammar.LET_BE else self._between

        return start, end

    def _other(self, name: str, around: Place) -> Place:
        """Return the place of an element whose name is written in another way, or is none of ours."""
        known = around.inside.get(name.casefold())
        if known is not None:
            return known
        if around is grammar.OUTSIDE:
            raise MalformedEvent(f"line {self._parser.CurrentLineNumber}: it is no message but <{name[:80]}>")
        if not around.lenient:
            self._refuse(f"<{name[:80]}> may not stand in it")
        if len(self._open) > self._limits.depth:  # what is known stands in each other seven deep at most
            self._refuse_in(name[:80], f"elements stand in each other more than {self._limits.depth:,} deep")
        self._parser.CharacterDataHandler = None
        return grammar.LET_BE

    def _spelled(self, attributes: dict[str, str]) -> Attributes:
        if len(attributes) > self._limits.attributes:
            raise Amiss(f"it has more than {self._limits.attributes:,} attributes")
        return spelled(attributes)

    # The envelope

    def _begin_message(self, _attributes: Attributes) -> None:
        self._line = self._parser.CurrentLineNumber

    def _begin_to(self, _attributes: Attributes) -> None:
        texts: list[str] = []
        self._to = texts if self._to is None else self._to  # a second one says nothing
        self._parser.CharacterDataHandler = texts.append

    # Resources and associations

    def _begin_resource(self, attributes: Attributes) -> None:
        self._count()
        self._resource, self._keys = (attributes, self._parser.CurrentLineNumber), []

    def _add_key(self, attributes: Attributes) -> None:
        self._count()
        name, value = attributes.get("name", "").strip(), attributes.get("value")
        if not name:
            raise Amiss("it has no name")
        if value is None:
            raise Amiss(f"the key {name[:80]!r} has no value")
        if value.strip():  # an empty one is what everybody has who has none
            self._keys.append(Key(name, value.strip()))

    def _add_resource(self) -> None:
        attributes, line = self._resource
        try:
            self._resources.append(self._described(attributes, line))
        except Amiss as problem:
            raise MalformedEvent(f"line {line}, <resource>: {problem}") from None

    def _described(self, attributes: Attributes, line: int) -> Resource:
        ref, found = attributes.get("ref", ""), guid(attributes, "guid")
        if found is None and not self._keys:
            raise Amiss("it has neither a guid nor a key: nothing says which resource it is")
        self._targets.name(ref)
        kind, name = guid(attributes, "typeGuid"), attributes.get("name", "")
        return Resource(ref, found, kind, name, tuple(self._keys), line)

    def _begin_links(self, _attributes: Attributes) -> None:
        self._hear(self._link_handlers, ordered=True)

    def _end_links(self, _name: str) -> None:
        self._hear(self._handlers)
        self._open.pop()

    # Data

    def _begin_class(self, attributes: Attributes) -> None:
        self._class = needed("guid", attributes.get("guid"))

    def _begin_rows(self, attributes: Attributes) -> None:
        self._count()
        self._block = attributes, self._parser.CurrentLineNumber
        self._hear(self._row_handlers, ordered=True)

    def _end_rows(self, _name: str) -> None:
        attributes, line = self._block
        try:
            target = self._targets.find(attributes, _RESOURCE, line, "resource")
            partial = "partialUpdate" in attributes and switch(attributes, "partialUpdate")
        except Amiss as problem:
            raise MalformedEvent(f"line {line}, <resource>: {problem}") from None
        self._data.append(ClassData(self._class, target, self._rows.take(), partial, line))
        self._hear(self._handlers)
        self._open.pop()

    # What is wrong

    def _count(self) -> None:
        self._parts += 1
        if self._parts > self._limits.parts:
            raise Amiss(f"the message has more than {self._limits.parts:,} resources, keys, associations and blocks")

    def _refuse_text(self, text: str) -> None:
        if text.strip():
            self._refuse(f"the text {text.strip()[:80]!r} may not stand in it")

    def _refuse(self, what: str) -> NoReturn:
        self._refuse_in(self._open[-1].name, what)

    def _refuse_in(self, element: str, what: str) -> NoReturn:
        raise MalformedEvent(f"line {self._parser.CurrentLineNumber}, <{element}>: {what}")
