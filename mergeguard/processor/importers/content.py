"""Writes what a message says, when it is known who its resources are."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mergeguard.core.events import NO_SOURCE, Event
from mergeguard.core.importing.blocks import Meant, SentBlock
from mergeguard.core.importing.catalogue import Catalogue
from mergeguard.core.importing.content import Content, Link
from mergeguard.core.importing.links import SentLink
from mergeguard.core.nse.message import Key
from mergeguard.errors import GuidNotFound
from mergeguard.processor.importers.agents import Returning, require_listed, returning
from mergeguard.processor.importers.associations import write_links
from mergeguard.processor.importers.data import DataImporter, Placed
from mergeguard.processor.importers.resources import Resolved
from mergeguard.processor.importers.rules import logon_classes
from mergeguard.processor.settings import Settings
from mergeguard.storage.importing.store import ImportTransaction

Pair: TypeAlias = tuple[uuid.UUID, uuid.UUID]


def expectations(content: Content, catalogue: Catalogue) -> tuple[tuple[Key, ...], frozenset[Pair], frozenset[Pair]]:
    """Return the keys, the (data class, resource) and the (association type, parent) that will be asked for.

    As sent: where a guid leads elsewhere, or where there is none yet, it will be asked again.
    """

    def sent(meant: Meant) -> uuid.UUID | None:
        return content.resources[meant].sent if isinstance(meant, int) else meant

    pairs = ((block.data_class.guid, sent(block.meant)) for block in content.blocks if not block.data_class.event)
    types = catalogue.associations
    ends = ((link.type, sent(link.parent)) for link in content.links if types[link.type].maximum)
    return (
        tuple(key for each in content.resources for key in each.keys),
        frozenset((kind, guid) for kind, guid in pairs if guid is not None),
        frozenset((kind, guid) for kind, guid in ends if guid is not None),
    )


@dataclass(frozen=True, slots=True)
class ContentWriter:
    """The writing of one event, through its transaction."""

    event: Event
    settings: Settings
    catalogue: Catalogue
    transaction: ImportTransaction
    again: Callable[[SentBlock], SentBlock]
    """Returns a block with its rows, where they were not kept."""

    def write(self, content: Content, resolved: Resolved) -> None:
        """Write rows and associations, if the sender may send them.

        Raises:
            EventRefused: it may not.
            GuidNotFound: something refers to a resource that nobody knows, yet.
        """
        places = _Places(content, resolved)
        blocks = [
            Placed(block, *places.of(block.meant, f"{block.place}: its rows are for {block.meant}"))
            for block in content.blocks
        ]
        self._hear(blocks, resolved)
        links = [places.link(each) for each in content.links]
        DataImporter(self.transaction, places.foreign, self.again, self.event.id, self.event.received).write(blocks)
        if links:
            write_links(self.transaction, links, self.catalogue.associations, self.event.id)

    def _hear(self, blocks: Sequence[Placed], resolved: Resolved) -> None:
        """Require that the sender may send this; a retired computer that sends its inventory is active again."""
        source = None if self.event.source == NO_SOURCE else resolved.standings[self.event.source]
        if source is None:
            return
        require_listed(source, self.settings.black_listed_agents)
        if not source.retired or source.current is None:
            return
        own = [each.block.data_class for each in blocks if each.resource == source.current]
        sent = [each.block.data_class for each in blocks]
        if returning(source, own, sent, logon_classes(self.settings)) is Returning.ACTIVE:
            self.transaction.activate(source.current)


class _Places:
    """Where the guids and labels of a message lead."""

    def __init__(self, content: Content, resolved: Resolved) -> None:
        self._content = content
        self._resolved = resolved
        self._sent = {
            resource.sent: found.guid for resource, found in zip(content.resources, resolved.found, strict=True)
        }

    def of(self, meant: Meant, what: str) -> tuple[uuid.UUID, bool]:
        """Return the current guid of what is meant, and whether it was sent with just that one."""
        if isinstance(meant, int):
            guid = self._resolved.found[meant].guid
            return guid, guid == self._content.resources[meant].sent
        guid = self._current(meant, what)
        return guid, guid == meant

    def foreign(self, guid: uuid.UUID, line: int) -> uuid.UUID:
        """Return the current guid of a foreign key."""
        return self._current(guid, f"line {line}, <row>: it refers to {guid}")

    def link(self, link: Link) -> SentLink:
        """Return an association between current guids."""
        parent, direct = self.of(link.parent, f"{link.place}: the parent is {link.parent}")
        child, _ = self.of(link.child, f"{link.place}: the child is {link.child}")
        return SentLink(link.type, parent, child, direct)

    def _current(self, guid: uuid.UUID, what: str) -> uuid.UUID:
        current = self._sent.get(guid) or self._resolved.alive(guid)
        if current is None:
            raise GuidNotFound(
                f"{what}, and there is no such resource", hint="send that resource first, or in the same message"
            )
        return current
