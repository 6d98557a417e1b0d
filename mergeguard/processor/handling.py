"""What a server gives its events to, and all that comes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergeguard.processor.handlers import Handler
from mergeguard.processor.settings import Settings
from mergeguard.processor.stored_events import StoreHandler
from mergeguard.processor.waking import LeadSomewhere
from mergeguard.storage.queue.handled import open_handled
from mergeguard.storage.queue.store import EventStore
from mergeguard.storage.source import Options

if TYPE_CHECKING:
    from mergeguard.processor.intake.creation import Registry  # comes with the extra `serve`


@dataclass(frozen=True, slots=True)
class Handling:
    """A handler, and what a server needs beside it."""

    handler: Handler
    prepare: Callable[[], None] = lambda: None
    """Makes the tables that are missing; called until the database answers."""
    registry: Registry | None = None
    lead_somewhere: LeadSomewhere | None = None
    integrity: bool = False
    """Whether the database is one that a server looks after."""


@contextmanager
def importing(
    target: str, options: Options, events: EventStore, settings: Callable[[], Settings]
) -> Iterator[Handling]:
    """Import events into the reference schema of the queue's database."""
    from mergeguard.processor.reference_server import ReferenceServer  # noqa: PLC0415 - imports NumPy

    with closing(ReferenceServer(target, options, events, settings)) as server:
        yield Handling(server.handler, server.prepare, server.registry, server.lead_somewhere, integrity=True)


@contextmanager
def storing(target: str, options: Options) -> Iterator[Handling]:
    """Read events through, and store what stands on them."""
    with closing(open_handled(target, options)) as table:
        yield Handling(StoreHandler(), table.create)
