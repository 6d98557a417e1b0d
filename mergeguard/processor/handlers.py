"""What handles events: one method, inside the transaction that also marks its event as done.

A handler is shared by the threads of a processor. It may be called again for the same event, after all that it wrote
for it was rolled back: when a neighbour of its batch failed, when the event itself is retried, after an outage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from mergeguard.core.events import Event
from mergeguard.storage.queue.store import Batch


class Handler(Protocol):
    """What an event does. To raise is to fail the try; ``errors.MalformedEvent`` says that no other try can help."""

    def handle(self, event: Event, body: bytes, batch: EventBatch, /) -> None:
        """Take one event; write through the batch only, so that the effect and *done* are one commit."""


class EventBatch:
    """The transaction of a batch as its handlers see it; a handler may as well ask for a plain ``Batch``.

    Args:
        batch: the store's own.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._effects: list[tuple[Event, Callable[[str], object]]] = []
        self._event: Event | None = None

    @property
    def connection(self) -> Any:  # noqa: ANN401 - a sqlalchemy.Connection; workers start without importing it
        """The ``sqlalchemy.Connection`` in the open transaction, with all that was added before."""
        return self._batch.connection

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        """Add a statement, with a ``?`` for each value, to the unit of work: the quickest way to write."""
        self._batch.add(statement, row)

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what the block did if it raises."""
        return self._batch.savepoint()

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

    def forget_effects(self) -> None:
        """Drop the effects that were declared, because their transaction is rolled back so far."""
        self._effects.clear()

    def make_effects(self) -> Iterator[Event]:
        """Make the declared effects in order; yields each event before its effect."""
        waiting, self._effects = self._effects, []
        if waiting:
            _ = self.connection  # statements that fail do so before anything outside happens
        for event, call in waiting:
            yield event
            call(str(event.id))
