"""What handles events: one method, inside the transaction that also marks its event as done.

A handler may have a second one, ``prepare``, which is shown several events before they are handled: what all of them
ask a database for may be asked for at once.

A handler is shared by the threads of a processor. It may be called again for the same event, after all that it wrote
for it was rolled back: when a neighbour of its batch failed, when the event itself is retried, after an outage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, runtime_checkable

from mergeguard.core.events import Event
from mergeguard.storage.queue.store import Batch


class Handler(Protocol):
    """What an event does. To raise is to fail the try; ``errors.MalformedEvent`` says that no other try can help."""

    def handle(self, event: Event, body: bytes, batch: EventBatch, /) -> None:
        """Take one event; write through the batch only, so that the effect and *done* are one commit."""


@runtime_checkable
class Preparing(Protocol):
    """A handler that wants to see events before they are handled."""

    def prepare(self, events: Sequence[tuple[Event, bytes]], batch: EventBatch, /) -> None:
        """Get ready for events that are handled next, in this order; what is kept goes into ``batch.prepared``.

        It is made anew after a rollback. Not every event is prepared, and none has failed here: what is wrong with one
        is told when that one is handled.
        """


class Prepared(Protocol):
    """What a handler keeps for the events that it has prepared."""

    def settle(self) -> None:
        """Add what was held back so far to the unit of work: somebody is about to read, or the last one is handled."""


class EventBatch:
    """The transaction of a batch as its handlers see it; a handler may as well ask for a plain ``Batch``.

    Args:
        batch: the store's own.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._effects: list[tuple[Event, Callable[[str], object]]] = []
        self._event: Event | None = None
        self.prepared: Prepared | None = None
        """Of the events that share a savepoint; forgotten where that is undone, or the next one begins."""

    @property
    def connection(self) -> Any:  # noqa: ANN401 - a sqlalchemy.Connection; workers start without importing it
        """The ``sqlalchemy.Connection`` in the open transaction, with all that was added before."""
        self.settle()
        return self._batch.connection

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        """Add a statement, with a ``?`` for each value, to the unit of work: the quickest way to write."""
        self._batch.add(statement, row)

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what the block did if it raises."""
        self.settle()
        return self._batch.savepoint()

    def settle(self) -> None:
        """Have added what was held back for prepared events."""
        if self.prepared is not None:
            self.prepared.settle()

    def effect(self, call: Callable[[str], object]) -> None:
        """Declare an effect outside the database, made before the commit if neither the event nor its SQL fails.

        ``call`` gets the idempotency key: the event's id, the same at each repetition. What is rolled back afterwards
        is repeated, so the receiver must know the key again. If it raises, the try has failed.
        """
        if self._event is None:
            raise RuntimeError("an effect belongs to an event that is being handled")
        self._effects.append((self._event, call))

    @contextmanager
    def handling(self, event: Event) -> Iterator[None]:
        """Name the event that effects belong to."""
        self._event = event
        try:
            yield
        finally:
            self._event = None

    def forget(self) -> None:
        """Drop what was declared and prepared, because its transaction is rolled back so far."""
        self._effects.clear()
        self.prepared = None

    def make_effects(self) -> Iterator[Event]:
        """Make the declared effects in order; yields each event before its effect."""
        waiting, self._effects = self._effects, []
        if waiting:
            _ = self.connection  # statements that fail do so before anything outside happens
        for event, call in waiting:
            yield event
            call(str(event.id))
