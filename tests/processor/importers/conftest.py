"""Importers at work: a queue, the reference schema beside it, and a processor that runs until nothing is left to do."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from importing_samples import OWNED, SOFTWARE, USES, message

from mergeguard.core.events import NO_SOURCE, NewEvent, Queue, Registered
from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse import write
from mergeguard.processor.importers.importer import Importer
from mergeguard.processor.importers.merging import KeyMerging
from mergeguard.processor.running import Processor
from mergeguard.processor.settings import Settings
from mergeguard.processor.worker import Handled
from mergeguard.resources.merge import merge, prepare_merges
from mergeguard.storage.importing.opening import import_store
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

if TYPE_CHECKING:
    from mergeguard.core.nse.message import Association, ClassData, Resource

QUICK = {
    "idle_milliseconds": 5,
    "sweep_milliseconds": 10,
    "retry_step_milliseconds": 1,
    "priority_threads": 0,
    "fast_threads": 2,
    "normal_threads": 0,
    "slow_threads": 0,
    "large_threads": 0,
}
TYPES = {COMPUTER: ("fqdn", "macaddress", "uniqueid"), SOFTWARE: ("hash",)}


CLEARED = ("Item", "ItemResource", "ResourceKey", "ResourceMerge", "ResourceAssociation", "ResourceUpdateSummary")


@dataclass
class ImportGround:
    """A database with a queue and the reference schema, and what a test asks of it behind the importer's back."""

    url: str
    folder: Path
    made: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.engine = sa.create_engine(self.url, poolclass=sa.pool.NullPool)
        self.profile = builtin_profile("reference")
        self.source = open_target(self.url, self.profile, Options(lock_timeout=10))
        self.imports = import_store(self.source)
        self.imports.create()
        self.ready = prepare_merges(self.source, self.profile)
        self.queue = open_store(self.url)
        self.queue.create()
        for kind, names in TYPES.items():
            self.execute('INSERT INTO "ResourceType" ("Guid", "Name") VALUES (:a, :b)', a=kind, b=str(kind))
            for name in names:
                self.execute(
                    'INSERT INTO "ResourceTypeMergeKey" ("ResourceTypeGuid", "KeyName") VALUES (:a, :b)', a=kind, b=name
                )
        for link in (USES, OWNED):
            self.execute(
                'INSERT INTO "ResourceAssociationType" ("Guid", "Name", "MinimumCardinality", "MaximumCardinality")'
                " VALUES (:a, :b, 0, :c)",
                a=link.guid,
                b=link.name,
                c=link.maximum,
            )

    def clear(self) -> None:
        """Leave the catalogue alone."""
        for each in self.queue.dead():
            self.queue.drop(each.event.id)
        tables = [row[0] for row in self.execute('SELECT "TableName" FROM "DataClass"')]
        for table in (*CLEARED, *tables):
            self.execute(f'DELETE FROM "{table}"')

    def execute(self, sql: str, **values: Any) -> Sequence[Any]:
        """Run a statement with guids as the database spells them; return its rows."""
        spelled = {name: str(each) if isinstance(each, uuid.UUID) else each for name, each in values.items()}
        with self.engine.begin() as connection:
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
        self.made = Settings(event_queue_path=self.folder, **{**QUICK, **settings})
        self.made.queue_folder.mkdir(parents=True, exist_ok=True)
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
        self.queue.close()
        self.imports.close()
        self.engine.dispose()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def import_ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportGround]:
    folder = tmp_path_factory.mktemp("importers")
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{folder / 'queue.db'}" if is_sqlite else request.getfixturevalue("postgres_url")
    made = ImportGround(url, folder / "EventQueue")
    yield made
    made.close()


@pytest.fixture
def imports(import_ground: ImportGround) -> Iterator[ImportGround]:
    """One database a module, empty but for its catalogue before each test."""
    yield import_ground
    import_ground.clear()
