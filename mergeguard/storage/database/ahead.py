"""Prepares what is to be written next while the database still works on what came before: a thread, a few items ahead.

Drivers let other threads run while they wait for SQLite or for a server, and NumPy does while it copies.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
DEPTH = 2
"""Items that are held ready: enough to hide the preparing, and memory for no more than these."""


class _End:
    """What the thread puts behind the last item, with the error that was in the way of more."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterable[Item], *, depth: int = DEPTH) -> Iterator[Item]:
    """Yield ``items`` in their order, made by a thread that is up to ``depth`` of them ahead.

    An error of the iterable is raised where its item would have come. A consumer that stops early, closing the
    generator, stops the thread before it makes another item; the iterable must not use what belongs to one thread.
    """
    ready: queue.Queue[Item | _End] = queue.Queue(depth)
    stopped = threading.Event()

    def make() -> None:
        end = _End()
        try:
            for item in items:
                ready.put(item)
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised again where the consumer is
            end = _End(error)
        ready.put(end)

    thread = threading.Thread(target=make, name="mergeguard ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        while thread.is_alive():  # a full queue would hold it for ever
            with contextlib.suppress(queue.Empty):
                ready.get_nowait()
            thread.join(0.01)
