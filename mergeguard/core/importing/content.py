"""A message, checked against the catalogue: what is left has the right columns, types and labels, or there is nothing.

Guids are still as they were sent. What is meant is either a resource of the message, by its number, or a guid.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from mergeguard.core import guids
from mergeguard.core.importing.blocks import Meant, SentBlock, blocks_of
from mergeguard.core.importing.catalogue import Catalogue
from mergeguard.core.importing.keys import KeyRules, require_matching, usable
from mergeguard.core.nse.message import Key, Message, Resource, Target
from mergeguard.errors import MalformedEvent

LONGEST: Final = 250
"""Characters of a name, of a key's name and of its value."""
_Find: TypeAlias = Callable[[Target, str], Meant]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A resource of the message."""

    number: int
    """Its place in the message, from 0."""
    place: str
    """Where it stands, for people: ``line 3, <resource>``."""
    sent: uuid.UUID | None
    type: uuid.UUID | None
    name: str
    keys: tuple[Key, ...]
    """Those that tell anything."""


@dataclass(frozen=True, slots=True)
class Link:
    """An association of the message."""

    place: str
    type: uuid.UUID
    parent: Meant
    child: Meant


@dataclass(frozen=True, slots=True)
class Content:
    """All that a message says."""

    resources: tuple[Incoming, ...]
    blocks: tuple[SentBlock, ...]
    links: tuple[Link, ...]

    @property
    def guids(self) -> frozenset[uuid.UUID]:
        """All guids in it, foreign keys included."""
        found = {each.sent for each in self.resources if each.sent is not None}
        for link in self.links:
            found.update(meant for meant in (link.parent, link.child) if isinstance(meant, uuid.UUID))
        for block in self.blocks:
            found.update(block.foreign)
            if isinstance(block.meant, uuid.UUID):
                found.add(block.meant)
        return frozenset(found)


def checked(message: Message, catalogue: Catalogue, rules: KeyRules) -> Content:
    """Check a message against the catalogue, all but the cells of its rows: those are checked when they are read.

    Raises:
        MalformedEvent: it does not fit; the text names the line and the element.
    """
    resources = tuple(_incoming(each, number, catalogue, rules) for number, each in enumerate(message.resources))
    find = _finder(message.resources, resources)
    links = tuple(
        Link(
            place,
            _known(each.type, catalogue.associations, place, "association type"),
            find(each.parent, f"{place}: the parent"),
            find(each.child, f"{place}: the child"),
        )
        for each in message.associations
        for place in (f"line {each.line}, <resourceAssociation>",)
    )
    for each in message.data:
        _known(each.data_class, catalogue.classes, f"line {each.line}, <resource>", "data class of its rows")
    return Content(resources, blocks_of(message.data, catalogue, find), links)


def unknown_classes(message: Message, catalogue: Catalogue) -> bool:
    """Say whether a message names something that is not in the catalogue, as far as it has been read."""
    return (
        any(each.data_class not in catalogue.classes for each in message.data)
        or any(each.type not in catalogue.associations for each in message.associations)
        or any(each.type is not None and each.type not in catalogue.types for each in message.resources)
    )


def _incoming(resource: Resource, number: int, catalogue: Catalogue, rules: KeyRules) -> Incoming:
    place = f"line {resource.line}, <resource>"
    if resource.type is not None:
        _known(resource.type, catalogue.types, place, "resource type")
    sent = None if resource.guid == guids.EMPTY else resource.guid
    if sent is None and not resource.keys:
        raise MalformedEvent(f"{place}: it has neither a guid nor a key, so nothing says which resource it is")
    _fit(f"{place}: its name", resource.name)
    for key in resource.keys:
        _fit(f"{place}: the name of a key", key.name)
        _fit(f"{place}: the value of its key {key.name}", key.value)
    keys = usable(resource.keys, rules)
    if sent is None and resource.type is not None:
        require_matching(place, keys, resource.type, catalogue, rules)
    return Incoming(number, place, sent, resource.type, resource.name, keys)


def _fit(what: str, text: str) -> None:
    if len(text) > LONGEST:
        raise MalformedEvent(f"{what} has {len(text)} characters, and at most {LONGEST} are kept")


def _known(guid: uuid.UUID, known: Container[uuid.UUID], place: str, what: str) -> uuid.UUID:
    if guid not in known:
        raise MalformedEvent(f"{place}: the {what} {guid} is not in the catalogue")
    return guid


def _finder(resources: Iterable[Resource], incoming: Sequence[Incoming]) -> _Find:
    """Return what tells which resource is meant by a label or a guid."""
    by_ref: dict[str, int] = {}
    by_guid: dict[uuid.UUID, int] = {}
    for each, known in zip(resources, incoming, strict=True):
        if each.ref and by_ref.setdefault(each.ref, known.number) != known.number:
            raise MalformedEvent(f"{known.place}: another resource of the message has the ref {each.ref!r}, too")
        if known.sent is not None:
            by_guid.setdefault(known.sent, known.number)

    def find(target: Target, what: str) -> Meant:
        if target.ref is not None:
            number = by_ref.get(target.ref)
            if number is None:
                raise MalformedEvent(f"{what} is {target.ref!r}, the ref of no resource of the message")
            sent = incoming[number].sent
            return number if sent is None else by_guid[sent]
        if target.guid is None or target.guid == guids.EMPTY:
            raise MalformedEvent(f"{what} is no resource: it has neither a ref nor a guid")
        return by_guid.get(target.guid, target.guid)

    return find
