"""What a server does besides its queue when it works on the reference schema: import, tell agents their guids, wake.

Everything waits for ``prepare``: until the schema is there, nothing can be merged and nobody can be found.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from mergeguard.core.importing.keys import COMPUTER
from mergeguard.errors import Locked, UnknownSchema, WriteFailed
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.importers.importer import Importer
from mergeguard.processor.importers.merging import KeyMerging
from mergeguard.processor.registry import ResourceRegistry
from mergeguard.processor.settings import Settings
from mergeguard.processor.waking import LeadSomewhere, leads
from mergeguard.resources.merge import prepare_merges
from mergeguard.storage import schema
from mergeguard.storage.importing.opening import import_store
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.queue.store import EventStore
from mergeguard.storage.targets import open_target

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.source import Options

COMPUTER_KEYS: Final = ("name.domain", "fqdn", "uniqueid", "macaddress")
"""What computers are found by, as the vendor documents it."""
FIRST_TYPES: Final[Mapping[str, schema.Rows]] = {
    "ResourceType": [{"Guid": str(COMPUTER), "Name": "Computer"}],
    "ResourceTypeMergeKey": [{"ResourceTypeGuid": str(COMPUTER), "KeyName": name} for name in COMPUTER_KEYS],
}
_HINT: Final = (
    "importers write the reference schema, in a database of its own; with --handler store events are only kept"
)

_log = logging.getLogger(__name__)


class ReferenceServer:
    """The reference schema of one database, as a server needs it; its attributes are for ``serving.Server``.

    Args:
        target: the database.
        options: how to connect.
        events: the queue, in the same database.
        settings: those in force.
    """

    def __init__(self, target: str, options: Options, events: EventStore, settings: Callable[[], Settings]) -> None:
        self._source = _opened(target, options)
        self._store = import_store(self._source)
        self._merging: KeyMerging | None = None
        self._leads: LeadSomewhere | None = None
        self.handler = Importer(self._store, settings, self)
        self.registry = ResourceRegistry(self._store, events, settings, self)

    def prepare(self) -> None:
        """Bring the schema to the newest version, say so, and make what merges need.

        Raises:
            UnknownSchema: the tables are another schema's, or a newer version's.
            MergeGuardError: the database does not take it, or not now.
        """
        if self._merging is not None:
            return
        self._migrate()
        self._store.create()
        with self._source.translated(writing=True), self._source.connect_to_write() as connection:
            new = not self._store.catalogue(connection).types
        if new:
            self._begin()
        ready = prepare_merges(self._source, self._source.profile)
        self._leads = leads(self._source, ready.profile)
        self._merging = KeyMerging(ready, self._store)

    def merge(self, batch: EventBatch, old: uuid.UUID, new: uuid.UUID, key: str, /) -> None:
        """Merge by key, for importers.

        Raises:
            MergeRefused: it must not be made.
            Locked: somebody else merges the same, or the server is not prepared yet.
        """
        if self._merging is None:
            raise Locked("the server is starting")
        self._merging.merge(batch, old, new, key)

    def lead_somewhere(self, guids: Collection[uuid.UUID]) -> AbstractSet[uuid.UUID]:
        """Return those of some guids that have a current one now, for whoever wakes parked events."""
        return frozenset[uuid.UUID]() if self._leads is None else self._leads(guids)

    def close(self) -> None:
        """Give back the connections."""
        self._source.close()

    @property
    def _database(self) -> sa.Engine | sa.URL:
        """The database as ``schema`` takes it; how SQL Server is connected to, only its source knows."""
        return self._source.engine if self._source.kind == "mssql" else self._source.url

    def _migrate(self) -> None:
        try:
            applied = schema.migrate(self._database)
        except WriteFailed as failure:
            raise UnknownSchema(
                f"{self._source.info.target} cannot get the reference schema: {failure.message}", hint=_HINT
            ) from failure
        for migration in applied:
            about = {"version": migration.version, "migration": migration.name}
            _log.info("the reference schema is brought up to date", extra=about)

    def _begin(self) -> None:
        """Give a new database the type of computers and its enforcement keys: without any, no resource can be made."""
        try:
            schema.fill(self._database, FIRST_TYPES)
        except WriteFailed:
            with self._source.translated(writing=True), self._source.connect_to_write() as connection:
                self._store.forget()
                if not self._store.catalogue(connection).types:  # else another server was quicker
                    raise
        self._store.forget()
        _log.info("computers are known now, by these keys", extra={"keys": list(COMPUTER_KEYS)})


def _opened(target: str, options: Options) -> DatabaseSource:
    # An URL in any case: to tell what kind of file it is, the file itself would be opened, and with that its locks go.
    url = target if "://" in target else schema.sqlite_url(Path(target)).render_as_string()
    return cast("DatabaseSource", open_target(url, builtin_profile("reference"), options))
