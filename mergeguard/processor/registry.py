"""Who a computer is by its keys, asked by the agent itself and answered in a transaction of its own."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Final

from mergeguard.core.events import Claim, Queue
from mergeguard.core.importing.content import checked
from mergeguard.core.importing.identify import Judge
from mergeguard.core.nse.message import Message, Resource
from mergeguard.errors import Locked, MergeGuardError
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.importers.importer import Merging
from mergeguard.processor.importers.resources import Resolver
from mergeguard.processor.importers.rules import key_rules
from mergeguard.processor.settings import Settings
from mergeguard.storage import failures
from mergeguard.storage.importing.store import ImportStore
from mergeguard.storage.queue.store import EventStore

_TRIES: Final = 5
"""Times that a question is asked when others are at the same resources; each waits as long as a lock is waited for."""
_NO_EVENTS: Final = Claim("CreateResource.aspx", Queue.PRIORITY, (), dt.datetime.max.replace(tzinfo=dt.UTC))


@contextmanager
def _translated() -> Iterator[None]:
    """Say in MergeGuard's words what the driver says of statements that were sent together, at the end."""
    try:
        yield
    except MergeGuardError:
        raise
    except Exception as error:
        known = failures.as_error(error, "the reference schema", writing=True)
        if known is None:
            raise
        raise known from error


class ResourceRegistry:
    """Finds and makes resources by their keys, as importers do; an ``intake.creation.Registry``. Shared by threads.

    Args:
        store: the reference schema.
        events: the queue of the same database; its transactions are used, without an event.
        settings: those in force.
        merging: merges by key.
    """

    def __init__(
        self, store: ImportStore, events: EventStore, settings: Callable[[], Settings], merging: Merging
    ) -> None:
        self._store = store
        self._events = events
        self._settings = settings
        self._merging = merging
        self._turn = threading.Lock()

    def register(self, asked: Resource) -> Resource:
        """Return the resource that has one of the keys, as it stands now; make it where there is none.

        Raises:
            EventParked: the keys, or the guid, lead into a cycle or a split; nothing is made.
            MalformedEvent: the type is not known, or the keys are those of a resource of another type.
            MergeGuardError: the database does not take it now.
        """
        mine = replace(asked, guid=asked.guid or uuid.uuid4())  # the same at each try
        for left in reversed(range(_TRIES)):
            try:
                # Those that were in each other's way go on one by one: together they would be so again.
                with self._turn if left < _TRIES - 1 else nullcontext(), _translated():
                    return self._once(mine)
            except Locked:
                if not left:
                    raise
        raise AssertionError

    def _once(self, asked: Resource) -> Resource:
        with self._events.batch(_NO_EVENTS) as within:
            batch = EventBatch(within)
            catalogue = self._store.catalogue(batch.connection)
            judge = Judge(catalogue, key_rules(self._settings()), lambda _incoming: uuid.uuid4())
            content = checked(Message("", (asked,)), catalogue, judge.rules)
            # Only agents ask, so what is made is managed.
            resolver = Resolver(self._store.within(within), partial(self._merging.merge, batch), asked.guid)
            resolved = resolver.resolve(content.resources, content.guids, judge)
            within.finish([])
        return replace(asked, guid=resolved.found[0].guid)
