"""The reference schema of a database, for importers; a dialect brings its transaction."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from mergeguard.core.importing.answers import Answers
from mergeguard.core.importing.catalogue import Catalogue, DataClass
from mergeguard.core.importing.standing import Linked, Standing
from mergeguard.core.nse.message import Key
from mergeguard.storage.importing.class_statements import ClassStatements
from mergeguard.storage.importing.purging import purge
from mergeguard.storage.importing.reading import read_catalogue, read_entries
from mergeguard.storage.importing.spelling import Spelling

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.importing.catalogue_file import CatalogueFile
    from mergeguard.storage.importing.store import Expected, ImportTransaction, OpenBatch


_NOTHING: Final = Answers()
Pair: TypeAlias = tuple[uuid.UUID, uuid.UUID]


class DatabaseImportStore(ABC):
    """See ``store.ImportStore``.

    Args:
        source: the database, with the profile of the reference schema.
    """

    spelling: ClassVar[Spelling]

    def __init__(self, source: DatabaseSource) -> None:
        self.source = source
        self._catalogue: Catalogue | None = None
        self._statements: dict[uuid.UUID, ClassStatements] = {}
        self._reading = threading.Lock()

    # What a dialect says.

    @abstractmethod
    def ask(self, connection: sa.Connection, sql: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """Send a statement with a ``?`` for each value; return its rows."""

    def tell(self, connection: sa.Connection, sql: str, values: Sequence[Any] = ()) -> None:
        """Send a statement with a ``?`` for each value that returns no rows."""
        self.ask(connection, sql, values)

    @abstractmethod
    def within(self, batch: OpenBatch) -> ImportTransaction:
        """Return the reads and writes of the transaction that is open in a batch."""

    @abstractmethod
    def walk(self, connection: sa.Connection, guids: Sequence[uuid.UUID]) -> Sequence[Sequence[Any]]:
        """Return what ``walks.standings_of`` wants of some guids."""

    # What is the same everywhere.

    def create(self) -> None:
        """Bring the schema up to date, and make the tables that merges lock."""
        from mergeguard.storage import schema  # noqa: PLC0415 - a worker whose schema stands does without
        from mergeguard.storage.merging import store as merging_store  # noqa: PLC0415 - a worker whose schema stands does without

        schema.migrate(self._database)
        with self.source.snapshot() as snapshot:
            stands = merging_store.stand(self.source.rows(snapshot), self.source.profile)
        if not stands:
            merging_store.create(self.source, self.source.profile)

    def catalogue(self, connection: sa.Connection) -> Catalogue:
        """Return the catalogue, as it was read last."""
        with self._reading:
            if self._catalogue is None:
                self._catalogue = self.read(connection)
            return self._catalogue

    def read(self, connection: sa.Connection) -> Catalogue:
        """Read the catalogue, and keep nothing of it.

        Raises:
            UnknownSchema: the database has none, or one of an earlier version.
        """
        with self.source.translated():
            return read_catalogue(lambda sql: self.ask(connection, sql), self.spelling)

    def entries(self) -> CatalogueFile:
        """Read the catalogue as people write it down.

        Raises:
            UnknownSchema: as ``read``.
        """
        with self.source.snapshot() as snapshot, self.source.translated():
            return read_entries(lambda sql: self.ask(snapshot.connection, sql), self.spelling)

    @contextmanager
    def changing(self) -> Iterator[sa.Connection]:
        """Begin a transaction that may make tables, alone with the lock of the schema; commit it at the end."""
        from mergeguard.storage import schema  # noqa: PLC0415 - as above

        with schema.changing(self._database) as connection:
            yield connection

    @property
    def _database(self) -> sa.Engine | sa.URL:
        """The database as ``schema`` takes it; how SQL Server is connected to, only its source knows."""
        return self.source.engine if self.source.kind == "mssql" else self.source.url

    def forget(self) -> None:
        """Read the catalogue again next time."""
        with self._reading:
            self._catalogue = None

    def standings(self, connection: sa.Connection, guids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Standing]:
        """Say where guids lead."""
        from mergeguard.storage.importing.walks import standings_of  # noqa: PLC0415 - rules of merging

        asked = sorted(set(guids))
        with self.source.translated():
            return standings_of(asked, self.walk(connection, asked)) if asked else {}

    def purge(self, connection: sa.Connection, rows: int = 10_000) -> int:
        """Delete rows of event classes that are too old or too many, at most so many."""
        with self.source.translated(writing=True):
            return purge(lambda sql, values: self.ask(connection, sql, values), self.spelling, rows)

    def close(self) -> None:
        """Give up the database."""
        self.source.close()

    def statements(self, data_class: DataClass) -> ClassStatements:
        """Return the statements on the table of a class."""
        known = self._statements.get(data_class.guid)
        if known is None or (known.data_class is not data_class and known.data_class != data_class):
            known = self._statements[data_class.guid] = ClassStatements(data_class, self.spelling)
        return known


class DatabaseTransaction(ABC):
    """See ``store.ImportTransaction``: what all dialects write in the same way.

    Args:
        store: of the database.
        batch: whose transaction it is.
    """

    def __init__(self, store: DatabaseImportStore, batch: OpenBatch) -> None:
        self.store = store
        self.spelling = store.spelling
        self._batch = batch

    def ask(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """Send a question; what was added before stands."""
        connection = self._batch.connection  # fails in the driver's words where a statement does that was added before
        with self.store.source.translated(writing=True):
            return self.store.ask(connection, sql, values)

    def add(self, sql: str, *values: Any) -> None:  # noqa: ANN401 - what the driver takes
        """Add a statement to the unit of work."""
        self._batch.add(sql, values)

    @property
    def answers(self) -> Answers:
        """Nothing: questions are answered when they are asked."""
        return _NOTHING

    def expect(self, expected: Expected) -> Collection[uuid.UUID]:  # noqa: ARG002 - of the protocol
        """Do nothing: questions are answered when they are asked."""
        return ()

    def hold_back(self) -> None:  # noqa: B027 - a dialect may have its own
        """Do nothing: what travels together anyway is not held back."""

    def agree(self, event: int) -> bool:  # noqa: ARG002 - as above
        """Say no: it was not asked whether all stands."""
        return False

    def settle(self) -> None:  # noqa: B027 - as above
        """Do nothing: nothing is held back."""

    def standings(self, guids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Standing]:
        """Say of each guid where it leads now and what stands there."""
        return self.store.standings(self._batch.connection, guids)

    def replace_rows(self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Sequence[Any]]) -> None:
        """Write the rows of a resource in place of those that stand there."""
        known, resource = self.store.statements(data_class), self.spelling.guid(guid)
        self.add(known.delete, resource)
        for row in rows:
            self.add(known.insert, resource, *known.cells(row))

    def update_rows(self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Mapping[str, Any]]) -> None:
        """Change the given columns of the rows with the same key columns; a row that is not there is inserted."""
        known, resource = self.store.statements(data_class), self.spelling.guid(guid)
        for row in rows:
            for sql, values in known.change(resource, row):
                self.add(sql, *values)

    def append_rows(
        self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Sequence[Any]], time: dt.datetime
    ) -> None:
        """Add rows of an event class."""
        known, own = self.store.statements(data_class), (self.spelling.guid(guid), self.spelling.time(time))
        for row in rows:
            self.add(known.append, *own, *known.cells(row))

    # What a dialect says.

    @abstractmethod
    def hold(self, guids: Collection[uuid.UUID]) -> None:
        """Keep merges of these guids waiting until the batch ends."""

    @abstractmethod
    def hold_keys(self, keys: Collection[Key]) -> None:
        """Keep other events from giving these keys to a resource until the batch ends."""

    @abstractmethod
    def link(self, links: Collection[Linked]) -> None:
        """Write associations."""


def folded(keys: Collection[Key]) -> list[tuple[str, str]]:
    """Return names and values of keys without those that differ in case alone, in an order that all keep."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for key in keys:
        found.setdefault((key.name.casefold(), key.value.casefold()), (key.name, key.value))
    return [found[one] for one in sorted(found)]
