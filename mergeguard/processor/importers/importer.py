"""The importer: an event's message becomes rows that only point at live resources, or nothing is left of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mergeguard.core import guids
from mergeguard.core.events import NO_SOURCE, Event
from mergeguard.core.importing.blocks import SentBlock
from mergeguard.core.importing.catalogue import Catalogue
from mergeguard.core.importing.claims import Claimed, Claims, Pair
from mergeguard.core.importing.content import Incoming, checked, unknown_classes
from mergeguard.core.importing.identify import Judge
from mergeguard.core.importing.unchanged import claims_of, confirmed
from mergeguard.core.nse import read
from mergeguard.core.nse.message import Message
from mergeguard.errors import MalformedEvent
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.importers.content import ContentWriter, expectations
from mergeguard.processor.importers.memory import Memory, Said
from mergeguard.processor.importers.resources import Resolver
from mergeguard.processor.importers.rules import key_rules
from mergeguard.processor.settings import Settings
from mergeguard.storage.importing.store import Expected, ImportStore, ImportTransaction

if TYPE_CHECKING:
    import sqlalchemy as sa


class Merging(Protocol):
    """Merges by key, in the transaction of a batch."""

    def merge(self, batch: EventBatch, old: uuid.UUID, new: uuid.UUID, key: str, /) -> object:
        """Merge ``old`` into ``new``.

        Raises:
            MergeRefused: it must not be made; nothing is written.
            Locked: somebody else merges the same.
        """


@dataclass(frozen=True, slots=True)
class _Read:
    """An event's message, read and checked, and by what."""

    body: bytes
    said: Said
    catalogue: Catalogue
    settings: Settings
    guids: frozenset[uuid.UUID]
    """Of the message and its sender."""

    @property
    def expected(self) -> Expected:
        """What will be asked of a database."""
        return self.said.expected if self.guids is self.said.guids else replace(self.said.expected, guids=self.guids)

    def claims(self, written: AbstractSet[Pair]) -> Claims | None:
        """Return what it claims, if it came before, and none of it is among what is about to be written."""
        said = self.said
        return None if said.whole or not said.expected.pairs.isdisjoint(written) else said.claims

    def again(self, block: SentBlock) -> SentBlock:
        """Return a block with its rows, which are read once more where they were not kept."""
        if self.said.whole:
            return block
        content = checked(read(self.body), self.catalogue, key_rules(self.settings))
        return content.blocks[self.said.content.blocks.index(block)]


@dataclass(frozen=True, slots=True)
class _Together:
    """Events that are handled through one transaction; a ``processor.handlers.Prepared``."""

    transaction: ImportTransaction
    read: dict[int, _Read] = field(default_factory=dict)
    """By event, until it is handled."""

    def settle(self) -> None:
        """Add what the transaction holds back."""
        self.transaction.settle()


class Importer:
    """Handles every event as a message; a ``processor.handlers.Handler``. Shared by threads.

    Args:
        store: the reference schema, in the database of the queue.
        settings: those in force.
        merging: merges by key.
        memory: of messages that were read; one of its own by default.
    """

    def __init__(
        self, store: ImportStore, settings: Callable[[], Settings], merging: Merging, *, memory: Memory | None = None
    ) -> None:
        self._store = store
        self._settings = settings
        self._merging = merging
        self._memory = Memory() if memory is None else memory

    def handle(self, event: Event, body: bytes, batch: EventBatch) -> None:
        """Import one event.

        Raises:
            MalformedEvent: it is no message, or it does not fit the catalogue; the text names line and element.
            EventParked: a guid in it leads into a circle or a split.
            EventRefused: of an agent that is not heard.
            GuidNotFound: it refers to a resource that nobody knows, yet.
            Locked: others are merging what it writes to.
        """
        together = batch.prepared if isinstance(batch.prepared, _Together) else None
        known = together.read.pop(event.id, None) if together is not None else None
        if known is None:
            known = self._read(event, body, batch.connection)
        transaction = self._store.within(batch) if together is None else together.transaction
        if known.said.claims is not None:
            if together is not None and transaction.agree(event.id):
                return
            same = confirmed(known.said.claims, transaction.answers, known.guids, event.id)
            if same is not None:
                transaction.confirm(same.pairs, event.id)
                transaction.link(same.links)
                return
        judge = Judge(known.catalogue, key_rules(known.settings), partial(_fresh, event))
        resolver = Resolver(transaction, partial(self._merging.merge, batch), event.source, known.expected)
        content = known.said.content
        resolved = resolver.resolve(content.resources, known.guids, judge)
        ContentWriter(event, known.settings, known.catalogue, transaction, known.again).write(content, resolved)

    def prepare(self, events: Sequence[tuple[Event, bytes]], batch: EventBatch) -> None:
        """Read messages; hold all that they name, and ask what will be asked of it, at once.

        Raises:
            Locked: others are merging what one of them writes to.
        """
        together = _Together(self._store.within(batch))
        connection = batch.connection
        for event, body in events:
            with suppress(MalformedEvent):  # it is told when this one is handled
                together.read[event.id] = self._read(event, body, connection)
        if together.read:
            self._expect(together)
            together.transaction.hold_back()
            batch.prepared = together

    @staticmethod
    def _expect(together: _Together) -> None:
        """Ask of messages that came before only whether all stands; of the others, and where it does not, what does.

        What a new message is about to write may stand no longer when an older one has its turn.
        """
        read, transaction = together.read, together.transaction
        written = frozenset().union(*(each.said.expected.pairs for each in read.values() if each.said.whole))
        claims = [(event, each.claims(written)) for event, each in read.items()]
        claimed = [Claimed(event, known, read[event].guids) for event, known in claims if known is not None]
        new = [read[event].expected for event, known in claims if known is None]
        transaction.expect(replace(Expected.of(new), claimed=tuple(claimed)))
        standing = transaction.answers.standing
        disputed = [read[each.event].expected for each in claimed if each.event not in standing]
        if disputed:
            transaction.expect(Expected.of(disputed))

    def _read(self, event: Event, body: bytes, connection: sa.Connection) -> _Read:
        settings = self._settings()
        rules = key_rules(settings)
        catalogue = self._store.catalogue(connection)
        said = self._memory.said(body, catalogue, rules)
        if said is None:
            message = read(body)
            catalogue = self._catalogue(message, connection)
            content = checked(message, catalogue, rules)
            guids = content.guids
            expected = Expected(guids, *expectations(content, catalogue))
            said = Said(content, guids, expected, claims_of(content, catalogue))
            self._memory.keep(body, catalogue, rules, said)
        own = event.source == NO_SOURCE or event.source in said.guids
        return _Read(body, said, catalogue, settings, said.guids if own else said.guids | {event.source})

    def _catalogue(self, message: Message, connection: sa.Connection) -> Catalogue:
        """Return the catalogue, read again where the message names something that is not in it."""
        catalogue = self._store.catalogue(connection)
        if unknown_classes(message, catalogue):
            self._store.forget()
            catalogue = self._store.catalogue(connection)
        return catalogue


def _fresh(event: Event, resource: Incoming) -> uuid.UUID:
    """Make a guid for a resource that came without one: the same at each try of the event, and no other event's."""
    name = f"event {event.id} {event.received.isoformat()} {event.source} resource {resource.number}"
    return uuid.uuid5(guids.NAMESPACE, name)
