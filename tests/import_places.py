"""The reference schema in a database, with a batch of the real queue in which importers read and write."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from mergeguard.core.events import NewEvent, Queue, Ran
from mergeguard.core.importing.catalogue import AssociationType, CellType, DataClass, DataColumn
from mergeguard.storage.importing.catalogue_file import CatalogueFile, ResourceType
from mergeguard.storage.importing.making import add_to_catalogue
from mergeguard.storage.importing.opening import open_import_store
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.store import Batch
from mergeguard.storage.source import Options


def named(name: str) -> uuid.UUID:
    """A guid that is the same in every run."""
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.import-places.test")


COMPUTER, NOTEBOOK = named("computer"), named("notebook")
OWNER = named("owner")
EVERYTHING = DataClass(
    named("everything"),
    "Everything",
    "Inv_Every_thing",
    multi_row=True,
    event=False,
    columns=(
        DataColumn("Key", CellType.TEXT, 40, nullable=False, key=True),
        DataColumn('a "column" % ?', CellType.TEXT),
        DataColumn("Count", CellType.INTEGER),
        DataColumn("Share", CellType.NUMBER),
        DataColumn("Is", CellType.BOOLEAN),
        DataColumn("When", CellType.TIME),
        DataColumn("Other", CellType.GUID, resource=True),
    ),
)
EVENTS = DataClass(
    named("events"),
    "Log on",
    "Evt_Log_on",
    multi_row=True,
    event=True,
    columns=(DataColumn("User", CellType.TEXT, 100), DataColumn("Where", CellType.GUID, resource=True)),
    keep_days=30,
    keep_rows=5,
)
ENTRIES = CatalogueFile(
    types=tuple(
        sorted(
            (
                ResourceType(COMPUTER, "Computer", merge_keys=("name.domain", "uniqueid")),
                ResourceType(NOTEBOOK, "Notebook", bases=(COMPUTER,)),
            ),
            key=lambda one: one.guid,
        )
    ),
    associations=(AssociationType(OWNER, "owner", maximum=1),),
    classes=(EVERYTHING, EVENTS),
)


class _Undone(Exception):
    pass


class ImportPlace:
    """One database with the catalogue of ``ENTRIES``."""

    def __init__(self, url: str, *, lock_timeout: float = 10.0) -> None:
        self.url = url
        options = Options(lock_timeout=lock_timeout)
        self.events = open_store(url, options)
        self.events.create()
        self.store = open_import_store(url, options)
        self.store.create()
        add_to_catalogue(self.store, ENTRIES)
        self.spelling = self.store.spelling
        self._claims: list[Any] = []

    def claim(self) -> Any:
        """Lease an event of a source of its own."""
        self.events.register([NewEvent(uuid.uuid4(), 1, Queue.FAST, 1, b"x")])
        return self.events.claim(Queue.FAST, uuid.uuid4().hex, dt.timedelta(hours=1), chains=1)

    @contextmanager
    def trying(self) -> Iterator[Batch]:
        """A batch that is rolled back, so that the next one finds nothing of it."""
        if not self._claims:
            self._claims.append(self.claim())
        with suppress(_Undone), self.events.batch(self._claims[0]) as batch:
            yield batch
            raise _Undone

    @contextmanager
    def doing(self) -> Iterator[Batch]:
        """A batch that is committed."""
        claim = self.claim()
        with self.events.batch(claim) as batch:
            yield batch
            batch.finish([Ran(lease, 1) for lease in claim.leases])

    def ask(self, batch: Batch, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Send a statement of the dialect, with a ``?`` for each value."""
        return [tuple(row) for row in self.store.ask(batch.connection, sql, values)]

    def rows(self, batch: Batch, data_class: DataClass) -> dict[uuid.UUID, list[tuple[Any, ...]]]:
        """The cells that stand in a table, by resource."""
        names = ["_ResourceGuid", *(column.name for column in data_class.columns)]
        listed = ", ".join(map(self.spelling.name, names))
        found: dict[uuid.UUID, list[tuple[Any, ...]]] = {}
        for guid, *cells in self.ask(batch, f"SELECT {listed} FROM {self.spelling.table(data_class.table)}"):
            row = tuple(read(column, cell) for column, cell in zip(data_class.columns, cells, strict=True))
            found.setdefault(uuid.UUID(str(guid)), []).append(row)
        return found

    def fill(self, batch: Batch, table: str, columns: Sequence[str], *rows: Sequence[Any]) -> None:
        """Insert rows as another program would."""
        names = ", ".join(map(self.spelling.name, columns))
        for row in rows:
            marks = ", ".join("?" * len(row))
            batch.add(
                f"INSERT INTO {self.spelling.table(table)} ({names}) VALUES ({marks})",
                tuple(map(self.spelling.value, row)),
            )

    def close(self) -> None:
        self.store.close()
        self.events.close()


def read(column: DataColumn, cell: Any) -> Any:
    """A cell as it was written."""
    if cell is None:
        return None
    if column.type is CellType.GUID:
        return uuid.UUID(str(cell))
    if column.type is CellType.TIME:
        time = dt.datetime.fromisoformat(cell) if isinstance(cell, str) else cell
        return time if time.tzinfo else time.replace(tzinfo=dt.UTC)
    return bool(cell) if column.type is CellType.BOOLEAN else cell
