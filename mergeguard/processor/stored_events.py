"""The plain handler: it reads an event through, and stores what stands on it and the hash of what is in it."""

from __future__ import annotations

import hashlib

from mergeguard.core.events import Event
from mergeguard.core.nse import envelope
from mergeguard.processor.handlers import EventBatch
from mergeguard.storage.queue.handled import INSERT


class StoreHandler:
    """Stores each event in ``mergeguard_handled``; one that is no XML is malformed, and dead at once.

    The table is made by ``storage.queue.handled.create_handled``.
    """

    def handle(self, event: Event, body: bytes, batch: EventBatch, /) -> None:
        """Store one event.

        Raises:
            MalformedEvent: its body is not well-formed XML, or has a document type.
        """
        read = envelope(body)
        row = (
            event.id,
            str(event.source),
            event.priority,
            int(event.queue),
            event.size,
            event.tries,
            read.root,
            read.recipient,
            hashlib.sha256(body).hexdigest(),
        )
        batch.add(INSERT, row)
