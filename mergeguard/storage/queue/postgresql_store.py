"""The event queue in PostgreSQL; see ``store.EventStore``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from mergeguard.core.events import Claim, Denied, NewEvent, Queue, Registered
from mergeguard.storage.queue import (
    postgresql_batch,
    postgresql_claiming,
    postgresql_parking,
    postgresql_reading,
    postgresql_registering,
    postgresql_tables,
)
from mergeguard.storage.queue.postgresql_floors import Floors
from mergeguard.storage.queue.postgresql_sessions import Sessions
from mergeguard.storage.queue.server_batch import ReleasingBatch, ServerBatch
from mergeguard.storage.queue.server_store import ServerEventStore

if TYPE_CHECKING:
    from mergeguard.storage.postgresql.source import PostgresqlSource


class PostgresqlEventStore(ServerEventStore):
    """The queue of one database.

    Args:
        source: the database. It is given up with this store.
    """

    making: ClassVar[ModuleType] = postgresql_tables
    registering: ClassVar[ModuleType] = postgresql_registering
    claiming: ClassVar[ModuleType] = postgresql_claiming
    finishing: ClassVar[ModuleType] = postgresql_batch
    parking: ClassVar[ModuleType] = postgresql_parking
    reading: ClassVar[ModuleType] = postgresql_reading
    batches: ClassVar[type[ServerBatch]] = ReleasingBatch

    def __init__(self, source: PostgresqlSource) -> None:
        super().__init__(source, Sessions(source))
        self._floors = Floors()
        self._busy: set[Queue] = set()
        """Queues whose last claim found something: most likely the next one does, and it is not asked before."""

    def claim(
        self, queue: Queue, worker: str, lease: dt.timedelta, *, events: int = 512, chains: int = 128
    ) -> Claim | None:
        """Lease the longest-waiting chains whose head is of ``queue``."""
        if queue not in self._busy:
            with self._sessions.single() as run:
                if not postgresql_claiming.is_offered(run, queue, self._floors.of(queue)):
                    return None
        limits = {"events": events, "chains": chains}
        with self._sessions.transaction() as run:
            found = postgresql_claiming.claim(run, queue, worker, lease, **limits, floors=self._floors)
        if found is None:
            self._busy.discard(queue)
        else:
            self._busy.add(queue)
        return found

    def register(self, events: Sequence[NewEvent], *, file_limit: int = 0) -> Sequence[Registered | Denied]:
        """Register events in one transaction, which is one statement where that is enough."""
        if not events:
            return []
        if postgresql_registering.is_short(events, file_limit):
            with self._sessions.single() as run:
                return postgresql_registering.register(run, events)
        return super().register(events, file_limit=file_limit)
