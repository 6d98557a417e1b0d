"""The event queue in SQL Server; see ``store.EventStore``."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from mergeguard.storage.queue import (
    mssql_batch,
    mssql_claiming,
    mssql_parking,
    mssql_reading,
    mssql_registering,
    mssql_tables,
)
from mergeguard.storage.queue.mssql_sessions import Sessions
from mergeguard.storage.queue.server_store import ServerEventStore

if TYPE_CHECKING:
    from mergeguard.storage.mssql.source import MssqlSource


class MssqlEventStore(ServerEventStore):
    """The queue of one database.

    Args:
        source: the database. It is given up with this store.
    """

    making: ClassVar[ModuleType] = mssql_tables
    registering: ClassVar[ModuleType] = mssql_registering
    claiming: ClassVar[ModuleType] = mssql_claiming
    finishing: ClassVar[ModuleType] = mssql_batch
    parking: ClassVar[ModuleType] = mssql_parking
    reading: ClassVar[ModuleType] = mssql_reading

    def __init__(self, source: MssqlSource) -> None:
        super().__init__(source, Sessions(source))
