"""Importers at work: a queue, the reference schema beside it, and a processor that runs until nothing is left to do."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from importing_samples import SOFTWARE, message

from mergeguard.core.events import NO_SOURCE, NewEvent, Queue, Registered
from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse import write
from mergeguard.processor.importers.importer import Importer
from mergeguard.processor.importers.merging import KeyMerging
from mergeguard.processor.running import Processor
from mergeguard.processor.worker import Handled
from mergeguard.resources.merge import merge, prepare_merges
from mergeguard.storage.importing.opening import import_store
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

if TYPE_CHECKING:
    from mergeguard.core.nse.message import Association, ClassData, Resource

TYPES = {COMPUTER: ("fqdn", "macaddress", "uniqueid"), SOFTWARE: ("hash",)}


@dataclass
class ImportGround:
    """A database with a queue and the reference schema, and what a test asks of it behind the importer's back."""

    ground: Any
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.profile = builtin_profile("reference")
        self.source = open_target(self.ground.url, self.profile, Options(lock_timeout=10))
        self.imports = import_store(self.source)
        self.imports.create()
        self.ready = prepare_merges(self.source, self.profile)
        self.queue = self.ground.store()
        for kind, names in TYPES.items():
            self.execute('INSERT INTO "ResourceType" ("Guid", "Name") VALUES (:a, :b)', a=kind, b=str(kind))
            for name in names:
                self.execute(
                    'INSERT INTO "ResourceTypeMergeKey" ("ResourceTypeGuid", "KeyName") VALUES (:a, :b)', a=kind, b=name
                )

    def execute(self, sql: str, **values: Any) -> Sequence[Any]:
        """Run a statement with guids as the database spells them; return its rows."""
        spelled = {name: str(each) if isinstance(each, uuid.UUID) else each for name, each in values.items()}
        with self.ground.connected() as connection:
            ran = connection.execute(sa.text(sql), spelled)
            return [tuple(row) for row in ran] if ran.returns_rows else []

    def table(self, name: str, *columns: str) -> list[tuple[Any, ...]]:
        """The rows of a table as texts, sorted."""
        listed = ", ".join(f'"{column}"' for column in columns)
        rows = self.execute(f'SELECT {listed} FROM "{name}"')
        return sorted(tuple(None if cell is None else str(cell) for cell in row) for row in rows)

    def post(self, *parts: Resource | ClassData | Association, source: uuid.UUID = NO_SOURCE) -> int:
        return self.post_body(write(message(*parts)), source=source)

    def post_body(self, body: bytes, *, source: uuid.UUID = NO_SOURCE) -> int:
        [place] = self.queue.register([NewEvent(source, 0, Queue.FAST, len(body), body)])
        assert isinstance(place, Registered)
        return place.id

    def merge(self, old: uuid.UUID, new: uuid.UUID) -> None:
        merge(self.source, self.profile, old, new)

    def importer(self) -> Importer:
        return Importer(self.imports, lambda: self.made, KeyMerging(self.ready, self.imports))

    def drain(self, left: int = 0, **settings: Any) -> None:
        """Run a processor until so many events are left that are neither done nor dead."""
        self.made = self.ground.settings(**{"retry_step_milliseconds": 1, **self.settings, **settings})
        stop = threading.Event()

        def seen(_queue: Queue, _handled: Handled) -> None:
            if self._left() <= left:
                stop.set()

        processor = Processor(self.queue, lambda: self.made, self.importer(), seen=seen)
        if self._left() > left:
            assert processor.run(stop)

    def _left(self) -> int:
        return sum(size.events for size in self.queue.sizes())

    def dead(self) -> dict[int, str]:
        return {each.event.id: each.failure.message for each in self.queue.dead()}

    def close(self) -> None:
        self.imports.close()


@pytest.fixture
def imports(ground: Any) -> Iterator[ImportGround]:
    made = ImportGround(ground)
    yield made
    made.close()
