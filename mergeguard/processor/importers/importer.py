"""The importer: an event's message becomes rows that only point at live resources, or nothing is left of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Protocol

from mergeguard.core import guids
from mergeguard.core.events import NO_SOURCE, Event
from mergeguard.core.importing.catalogue import Catalogue
from mergeguard.core.importing.content import Incoming, checked, unknown_classes
from mergeguard.core.importing.identify import Judge
from mergeguard.core.nse import read
from mergeguard.core.nse.message import Message
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.importers.content import ContentWriter, expectations
from mergeguard.processor.importers.resources import Resolver
from mergeguard.processor.importers.rules import key_rules
from mergeguard.processor.settings import Settings
from mergeguard.storage.importing.store import Expected, ImportStore


class Merging(Protocol):
    """Merges by key, in the transaction of a batch."""

    def merge(self, batch: EventBatch, old: uuid.UUID, new: uuid.UUID, key: str, /) -> object:
        """Merge ``old`` into ``new``.

        Raises:
            MergeRefused: it must not be made; nothing is written.
            Locked: somebody else merges the same.
        """


class Importer:
    """Handles every event as a message; a ``processor.handlers.Handler``. Shared by threads.

    Args:
        store: the reference schema, in the database of the queue.
        settings: those in force.
        merging: merges by key.
    """

    def __init__(self, store: ImportStore, settings: Callable[[], Settings], merging: Merging) -> None:
        self._store = store
        self._settings = settings
        self._merging = merging

    def handle(self, event: Event, body: bytes, batch: EventBatch) -> None:
        """Import one event.

        Raises:
            MalformedEvent: it is no message, or it does not fit the catalogue; the text names line and element.
            EventParked: a guid in it leads into a circle or a split.
            EventRefused: of an agent that is not heard.
            GuidNotFound: it refers to a resource that nobody knows, yet.
            Locked: others are merging what it writes to.
        """
        message = read(body)
        catalogue = self._catalogue(message, batch)
        settings = self._settings()
        judge = Judge(catalogue, key_rules(settings), partial(_fresh, event))
        content = checked(message, catalogue, judge.rules)
        transaction = self._store.within(batch)
        others = content.guids | ({event.source} - {NO_SOURCE})
        expected = Expected(others, *expectations(content, catalogue))
        resolver = Resolver(transaction, partial(self._merging.merge, batch), event.source, expected)
        resolved = resolver.resolve(content.resources, others, judge)
        ContentWriter(event, settings, catalogue, transaction).write(content, resolved)

    def _catalogue(self, message: Message, batch: EventBatch) -> Catalogue:
        """Return the catalogue, read again where the message names something that is not in it."""
        catalogue = self._store.catalogue(batch.connection)
        if unknown_classes(message, catalogue):
            self._store.forget()
            catalogue = self._store.catalogue(batch.connection)
        return catalogue


def _fresh(event: Event, resource: Incoming) -> uuid.UUID:
    """Make a guid for a resource that came without one: the same at each try of the event, and no other event's."""
    name = f"event {event.id} {event.received.isoformat()} {event.source} resource {resource.number}"
    return uuid.uuid5(guids.NAMESPACE, name)
