"""Rows of a database as exact images, on a transaction that is already open.

A row is changed only where its image still equals what was seen, compared as text in Python: collations, blanks at the
end and types without an equality cannot hide a difference. A row that is written is read back and must be as asked.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, ClassVar, TypeVar, cast

from mergeguard.core import guids
from mergeguard.core.repair.plan import Image, RowChange, TableShape
from mergeguard.errors import PermissionDenied, UnknownSchema, Unsupported
from mergeguard.storage.cells import guid_spelling
from mergeguard.storage.cells.database_cells import as_text
from mergeguard.storage.cells.ids import Deleted
from mergeguard.storage.database.snapshot import DatabaseSnapshot, nearest
from mergeguard.storage.database.stored_table import Address, Asking, Condition, StoredTable, distinct
from mergeguard.storage.rows import changing as row_changing
from mergeguard.storage.rows.travelling import TravellingStatements

Fact = TypeVar("Fact")
VERBS = ("INSERT", "UPDATE", "DELETE")


class KnownTables(dict[str, StoredTable]):
    """The tables that were described on one connection, by the names under which they were asked for."""

    version: object = None
    """What tells whether tables were altered since, where the database has such a thing."""
    lock: object = None
    """How the database knows the merge lock."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: dict[Hashable, Any] = {}
        """What else was found out about the tables on this connection, by whoever asked."""

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self.facts.clear()

    def fact(self, key: Hashable, find: Callable[[], Fact]) -> Fact:
        """Return what is known under a key, found out at the first time."""
        if key not in self.facts:
            self.facts[key] = find()
        return cast("Fact", self.facts[key])


class DatabaseRows(TravellingStatements, ABC):
    """The rows of one open transaction; see ``rows.RowStore``.

    Args:
        snapshot: names and introspection within the transaction.
        writing: whether rows that are read in order to be changed are locked.
        known: tables described before on this connection.

    Attributes:
        labels: the text of each guid that stands for a text id (``profile.merge.ids = "text"``); to be set by whoever
            knows them, for no guid can be turned back into such a text.
    """

    guids_at_once: ClassVar[int] = 64
    """For how many guids one statement asks."""

    def __init__(self, snapshot: DatabaseSnapshot, *, writing: bool = False, known: KnownTables | None = None) -> None:
        self.snapshot = snapshot
        self.connection = snapshot.connection
        self.source = snapshot.source
        self.writing = writing
        self.labels: Mapping[uuid.UUID, str] = {}
        self.known = KnownTables() if known is None else known
        merge = self.source.profile.merge
        self._texts = merge.ids == "text"
        self._news: dict[tuple[str, str], bool] = {}
        self._deleted = Deleted(merge.deleted_values)
        self._cursor: Any = self.connection.connection.cursor()

    # What a dialect says.

    @abstractmethod
    def describe(self, table: str) -> StoredTable:
        """Introspect a table."""

    @abstractmethod
    def asked(self, table: StoredTable, column: str, wanted: Sequence[uuid.UUID]) -> Condition | None:
        """Return the condition that a column holds one of some guids in a usual spelling.

        ``None`` where only ``normalised`` can tell.
        """

    @abstractmethod
    def normalised(self, table: StoredTable, column: str, wanted: Sequence[uuid.UUID]) -> Condition:
        """Return the condition for any spelling; it may hold for some other rows, too."""

    @abstractmethod
    def value(self, table: StoredTable, column: str, cell: str) -> bytes | str | None:
        """Return what a cell holds as ``core.guids.parse`` takes it: a text, or bytes."""

    @abstractmethod
    def written(self, table: StoredTable, column: str, value: bytes | str) -> str:
        """Return the cell that holds bytes or a text."""

    @abstractmethod
    def is_binary(self, table: StoredTable, column: str) -> bool:
        """Say whether a column stores guids as 16 bytes where no cell shows it."""

    @abstractmethod
    def lock_merges(self, *, exclusively: bool) -> None:
        """Take the merge lock until the transaction ends; see ``merging.lock``."""

    def lock_merge_table(self) -> None:
        """Keep programs that do not know the merge lock from writing merges until the transaction ends."""

    def refresh(self) -> None:
        """Make the transaction fit to be read, and forget tables that are known to have been altered since."""

    def begin(self, *, lock: bool, asking: Asking) -> None:  # noqa: ARG002 - a hook's parameter, where ``ahead`` is one
        """Begin the work of a transaction that changes rows; ``lock`` takes the merge lock alone.

        A guard on the merge table is told to let it put rows back that it would refuse. ``asking`` goes ``ahead``.
        """
        self.refresh()
        if lock:
            self.lock_merges(exclusively=True)
        self.lock_merge_table()

    def end(self) -> None:
        """End the work that ``begin`` began; the caller commits."""

    def asking(self, table: str, column: str, guids: Sequence[uuid.UUID]) -> Sequence[Condition]:
        """Return the question that ``having`` would ask; none where it would ask several, or scan."""
        stored = self.table(table)
        condition = self.asked(stored, self._column(stored, column), guids) if guids else None
        if condition is None or len(guids) > self.guids_at_once:
            return ()
        return ((stored.select(condition[0]), condition[1]),)

    def begin_merge(self) -> None:
        """Begin the work of a transaction that merges: others may do so at the same time, repairs may not."""
        self.refresh()
        self.lock_merges(exclusively=False)

    @abstractmethod
    def denied(self, table: StoredTable, verbs: Collection[str]) -> Sequence[str]:
        """Return which of ``verbs`` this login may not use on a table, and what else it lacks for them."""

    def at_once(self, table: StoredTable, column: str, wanted: int) -> int:  # noqa: ARG002 - a hook's parameters
        """Return for how many of ``wanted`` guids one statement is to ask; more, where each of them reads all rows."""
        return self.guids_at_once

    def is_key(self, table: StoredTable, column: str) -> bool:
        """Say whether a column alone finds a row: a primary or unique key, or an id that the database gives."""
        return len(table.address) == 1 and self.snapshot.same_name(table.address[0], column)

    # Reading.

    def shape(self, table: str) -> TableShape:
        """Describe a table.

        Raises:
            UnknownSchema: it does not exist.
        """
        return self.table(table).shape

    def table(self, table: str) -> StoredTable:
        """Return the statements on a table, introspected once a connection."""
        if table not in self.known:
            with self.source.translated():
                self.known[table] = self.describe(table)
        return self.known[table]

    def column(self, table: str, name: str) -> str:
        """Return the name under which images hold a column, which the profile may spell in another case.

        Raises:
            UnknownSchema: there is no such column.
        """
        return self._column(self.table(table), name)

    def having(self, table: str, column: str, guids: Sequence[uuid.UUID], *, thorough: bool = False) -> Iterator[Image]:
        """Yield the image of every row whose ``column`` holds one of ``guids``; see ``rows.RowStore.having``.

        By indexes only the usual spellings are found: either case, with braces and hyphens or without. ``thorough``
        finds each spelling that ``core.guids.parse`` reads, and scans the whole table for it.
        """
        stored = self.table(table)
        name = self._column(stored, column)
        everything = distinct(guids)
        wanted = set(everything)
        size = self.at_once(stored, name, len(everything))
        for start in range(0, len(everything), size):
            some = everything[start : start + size]
            condition = None if thorough else self.asked(stored, name, some)
            scanned = condition is None
            if condition is None:
                condition = self.normalised(stored, name, some)
            # All at once: the consumer may use the connection before the next row.
            with self.source.translated(writing=self.writing):
                images = self.fetch(stored, stored.select(condition[0]), condition[1])
            for image in images:
                if not scanned or self.guid(table, name, image[name]) in wanted:
                    yield image

    def guid(self, table: str, column: str, cell: str | None) -> uuid.UUID | None:
        """Read the guid that a cell of an image holds; ``None`` for NULL or what is no guid.

        As in ``core.MergeTable``, a text id has the guid of its text, and in the column of the news what the profile
        calls deleted is the tombstone.
        """
        stored = self.table(table)
        value = None if cell is None else self.value(stored, column, cell)
        guid = self._parsed(value)
        if self._is_new(table, column) and (guid is None or self._texts or guid.bytes in self._deleted.guids):
            gone = self._deleted.holds(as_text(value)) or (guid is not None and guid.bytes in self._deleted.guids)
            return guids.TOMBSTONE if gone else guid
        return guid

    def is_plain(self, table: StoredTable, column: str, cell: str) -> bool:
        """Say whether ``having`` finds a cell that holds a guid without being thorough; to be called with its label."""
        value = self.value(table, column, cell)
        if isinstance(value, bytes):
            return len(value) == 16
        guid = self._parsed(value)
        return guid is not None and (value == str(guid) or value in self.spellings([guid]))

    def cell(self, table: str, column: str, guid: uuid.UUID, like: str | None) -> str:
        """Spell a guid as a cell of an image, in the spelling of ``like`` (the cell it is to replace)."""
        stored = self.table(table)
        if guid in self.labels:
            return self.written(stored, column, self.labels[guid])
        value = None if like is None else self.value(stored, column, like)
        if isinstance(value, bytes) and len(value) != 16 and guids.parse(value) is not None:
            return self.written(stored, column, guid_spelling.alike(guid, value.decode("ascii")).encode())
        if isinstance(value, bytes) or (value is None and self.is_binary(stored, column)):
            return self.written(stored, column, self.packed(guid))
        return self.written(stored, column, guid_spelling.alike(guid, as_text(value)))

    def holds(self, table: str, image: Image) -> bool:
        """Say whether a row that equals ``image`` in all its columns stands in the table."""
        stored = self.table(table)
        if not stored.has_all(image):
            return False
        with self.source.translated(writing=self.writing):
            if not stored.address:
                return self.single(stored, image) is not None
            address = stored.address_of(image)
            return self.standing(stored, [address], locking=False).get(address) == dict(image)

    # Writing.

    def change(self, changes: Sequence[RowChange]) -> None:
        """Make the changes in their order, all or none (the transaction's caller rolls back).

        Raises:
            Stale: a ``before`` is not there any more, or a row that is to be put back stands there already.
            WriteFailed: the database refused, or stored something else than was asked.
        """
        with self.source.translated(writing=True):
            row_changing.change(self, changes)

    def check_rights(self, tables: Collection[str], verbs: Collection[str] = VERBS) -> None:
        """Make sure that this login may change the rows of some tables; the caller rolls back.

        Raises:
            PermissionDenied: it may not; the message names the tables and what is missing.
        """
        lacks = []
        for table in tables:
            stored = self.table(table)
            with self.source.translated(writing=True):
                missing = self.denied(stored, verbs)
            if missing:
                lacks.append(f"{', '.join(missing)} on {table}")
        if lacks:
            raise PermissionDenied(
                f"{self.source.info.target}: this login may not write: it lacks {'; '.join(lacks)}",
                hint="grant it, or log in as somebody who may; nothing was changed",
            )

    # Shared by the dialects.

    def without_parameters(self, quoted: str) -> str:
        """Return a quoted name as it is spelled where no driver looks for parameters: in a value, for one."""
        return quoted

    def packed(self, guid: uuid.UUID) -> bytes:
        """Return a guid as the 16 bytes that the profile's tables store."""
        return guid.bytes_le if self.source.profile.merge.byte_order == "sqlserver" else guid.bytes

    def spellings(self, wanted: Sequence[uuid.UUID]) -> list[str]:
        """Return the texts that columns of text may hold for some guids: usual spellings, and texts of text ids."""
        texts = [text for guid in wanted for text in guid_spelling.usual(guid)]
        return texts + [self.labels[guid] for guid in wanted if guid in self.labels]

    def bare(self, wanted: Sequence[uuid.UUID]) -> list[str]:
        """Return the texts that remain of any spelling once blanks and ``guid_spelling.NOISE`` are taken out."""
        labels = (self.labels[guid].strip().lower() for guid in wanted if guid in self.labels)
        return [guid.hex for guid in wanted] + [guid_spelling.without_noise(label) for label in labels]

    def run(self, sql: str, values: Sequence[object] = ()) -> Any:  # noqa: ANN401 - the drivers' cursors share no type
        """Send a statement of the dialect's own; return the driver's cursor, which is good until the next statement.

        A transaction of a repair is a handful of short statements: SQLAlchemy's own results would double their cost.
        """
        self._cursor.execute(sql, tuple(values))
        return self._cursor

    def tuples(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Fetch all that a statement of the dialect's own gives."""
        return cast("list[tuple[Any, ...]]", self.run(sql, values).fetchall())

    def scalar(self, sql: str, values: Sequence[object] = ()) -> Any:  # noqa: ANN401 - a value of any type
        """Return the first value that a statement gives, ``None`` where it gives no row."""
        return next((row[0] for row in self.tuples(sql, values)), None)

    def send(self, statements: Sequence[Condition]) -> int:
        """Send statements; return how many rows they changed. Those of one text go together."""
        changed = 0
        for sql, some in groupby(statements, key=itemgetter(0)):
            values = [given for _, given in some]
            if len(values) == 1:
                self._cursor.execute(sql, values[0])
            else:
                self._cursor.executemany(sql, values)
            changed += self._cursor.rowcount
        return changed

    def fetch(self, table: StoredTable, sql: str, values: Sequence[object]) -> list[dict[str, str | None]]:
        """Read the images that a statement selects."""
        return [table.image(row) for row in self.tuples(sql, values)]

    def single(self, table: StoredTable, image: Image) -> Condition | None:  # noqa: ARG002 - a hook's parameters
        """Return the condition that holds for one row that equals ``image``, in a table without a key.

        ``None`` where there is no such row.

        Raises:
            Unsupported: rows of such a table cannot be told apart here.
        """
        raise Unsupported(
            f"{table.shape.table}: nothing tells its rows apart",
            hint="a table needs a primary key or a unique key; if this is a view, name the table itself in the profile",
        )

    def take_out(self, table: StoredTable, addresses: Sequence[Address]) -> dict[Address, dict[str, str | None]] | None:  # noqa: ARG002 - a hook's parameters
        """Delete the rows at some addresses and return what they were; ``None`` where no statement does both."""
        return None

    def put_in(self, table: StoredTable, images: Sequence[Image]) -> int:
        """Insert rows with their ids as they were; return how many went in."""
        return self.send([table.insert(image) for image in images])

    def standing(
        self, table: StoredTable, addresses: Sequence[Address], *, locking: bool
    ) -> dict[Address, dict[str, str | None]]:
        """Return the rows that stand at some addresses now."""
        found = {}
        for some in table.batches(addresses):
            where, values = table.at(some)
            for image in self.fetch(table, table.select(where, locking=locking and self.writing), values):
                found[table.address_of(image)] = image
        return found

    def _is_new(self, table: str, column: str) -> bool:
        known = self._news.get((table, column))
        if known is None:
            merge, same = self.source.profile.merge, self.snapshot.same_name
            known = self._news[table, column] = same(column, merge.new) and same(table, merge.table)
        return known

    def _parsed(self, value: bytes | str | None) -> uuid.UUID | None:
        if isinstance(value, bytes) and len(value) == 16:
            return uuid.UUID(bytes_le=value) if self._swaps else uuid.UUID(bytes=value)
        guid = guids.parse(value)
        if guid is None and self._texts and (text := (as_text(value) or "").strip()):
            return guids.text_id(text)
        return guid

    @property
    def _swaps(self) -> bool:
        return self.source.profile.merge.byte_order == "sqlserver"

    def _column(self, table: StoredTable, name: str) -> str:
        if name in table.by_name:
            return name
        for known in table.by_name:
            if self.snapshot.same_name(known, name):
                return known
        raise UnknownSchema(
            f"table {table.shape.table} has no column {name}", hint=nearest(name, list(table.by_name), "columns")
        )
