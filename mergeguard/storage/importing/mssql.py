"""What importers read and write in SQL Server: lists travel as tables of parameters."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mergeguard.core.importing.catalogue import DataClass
from mergeguard.core.importing.standing import KeyOwner, Linked, Summary
from mergeguard.core.nse.message import Key
from mergeguard.errors import Locked
from mergeguard.storage.importing.database_store import DatabaseImportStore, DatabaseTransaction, Pair, folded
from mergeguard.storage.importing.spelling import MSSQL, Spelling, parts, read_guid
from mergeguard.storage.queue.mssql_lists import PARAMETERS, pieces

if TYPE_CHECKING:
    import datetime as dt

    import sqlalchemy as sa

    from mergeguard.storage.importing.store import OpenBatch

GUIDS = ("uniqueidentifier",)
PAIRS = ("uniqueidentifier", "uniqueidentifier")
KEYS = ("nvarchar(250)", "nvarchar(250)")
ROWS_AT_ONCE = (64, 16, 4, 1)
"""Rows of one INSERT: few numbers, so that the server keeps few plans."""
WALK = """
    SET NOCOUNT ON;
    DECLARE @way TABLE (g uniqueidentifier NOT NULL PRIMARY KEY, hop int NOT NULL);
    DECLARE @hop int = 0;
    INSERT INTO @way (g, hop) SELECT DISTINCT k.g, 0 FROM {given} AS k (g);
    WHILE @@ROWCOUNT > 0
    BEGIN
        SET @hop = @hop + 1;
        INSERT INTO @way (g, hop)
        SELECT DISTINCT m.[NewGuid], @hop FROM @way AS w JOIN [dbo].[ResourceMerge] AS m ON m.[OldGuid] = w.g
        WHERE w.hop = @hop - 1 AND NOT EXISTS (SELECT 1 FROM [dbo].[ItemResource] AS i WHERE i.[Guid] = w.g)
            AND NOT EXISTS (SELECT 1 FROM @way AS known WHERE known.g = m.[NewGuid]);
    END;
    SELECT w.g, CASE WHEN i.[Guid] IS NULL THEN 0 ELSE 1 END, i.[IsManaged], i.[Status], t.[ResourceTypeGuid],
        t.[CreatedDate], CASE WHEN b.[Guid] IS NULL THEN 0 ELSE 1 END, m.[NewGuid]
    FROM @way AS w LEFT JOIN [dbo].[ItemResource] AS i ON i.[Guid] = w.g
    LEFT JOIN [dbo].[Item] AS t ON t.[Guid] = w.g LEFT JOIN [dbo].[AgentBlacklist] AS b ON b.[Guid] = w.g
    LEFT JOIN [dbo].[ResourceMerge] AS m ON m.[OldGuid] = w.g AND i.[Guid] IS NULL;
"""
"""It ends on any table: a guid is walked from once."""
# The column's collation says what is equal; by default it minds no case.
OWNERS = """
    SELECT r.[KeyName], r.[KeyValue], r.[ResourceGuid] FROM {given} AS k (n, v)
    JOIN [dbo].[ResourceKey] AS r ON r.[KeyName] = k.n AND r.[KeyValue] = k.v
"""
HOLD_KEY = """
    EXEC @got = sp_getapplock @Resource = ?, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = ?;
    IF @got < 0 SET @worst = @got;
"""
HOLD_KEYS = (
    "SET NOCOUNT ON; DECLARE @begun int, @got int, @worst int = 0; SELECT TOP (1) @begun = 1 FROM sys.objects; "
    "{keys} SELECT @worst;"
)
"""A SELECT stands before the locks because it begins the transaction to which they belong."""
KEY = "mergeguard key {}"
"""The application lock of a key, with its hash."""
SUMMARIES = """
    SELECT s.[InventoryClassGuid], s.[ResourceGuid], s.[DataHash], s.[LastEventId], s.[RowCount]
    FROM {given} AS k (one, other) INNER LOOP JOIN [dbo].[ResourceUpdateSummary] AS s WITH (UPDLOCK, ROWLOCK)
    ON s.[InventoryClassGuid] = k.one AND s.[ResourceGuid] = k.other
"""
FIRST = """
    INSERT INTO [dbo].[ResourceUpdateSummary]
        ([InventoryClassGuid], [ResourceGuid], [CreatedDate], [ModifiedDate], [RowCount])
    SELECT k.one, k.other, SYSUTCDATETIME(), SYSUTCDATETIME(), 0 FROM {given} AS k (one, other)
    WHERE NOT EXISTS (
        SELECT 1 FROM [dbo].[ResourceUpdateSummary] AS s WITH (UPDLOCK, HOLDLOCK)
        WHERE s.[InventoryClassGuid] = k.one AND s.[ResourceGuid] = k.other
    )
"""
PARENTS = """
    SELECT COUNT(*) FROM {given} AS k (g) INNER LOOP JOIN [dbo].[ItemResource] AS i WITH (UPDLOCK, ROWLOCK)
    ON i.[Guid] = k.g
"""
LINKED = """
    SELECT a.[ResourceAssociationTypeGuid], a.[ParentResourceGuid], a.[ChildResourceGuid], a.[EventId]
    FROM {given} AS k (one, other) INNER LOOP JOIN [dbo].[ResourceAssociation] AS a WITH (UPDLOCK, ROWLOCK)
    ON a.[ParentResourceGuid] = k.other AND a.[ResourceAssociationTypeGuid] = k.one
"""
ITEM = """
    INSERT INTO [dbo].[Item] ([Guid], [Name], [ResourceTypeGuid], [CreatedDate], [ModifiedDate])
    SELECT ?, ?, ?, SYSUTCDATETIME(), SYSUTCDATETIME()
    WHERE NOT EXISTS (SELECT 1 FROM [dbo].[Item] WITH (UPDLOCK, HOLDLOCK) WHERE [Guid] = ?)
"""
LIVE = """
    INSERT INTO [dbo].[ItemResource] ([Guid], [IsManaged], [Status]) SELECT ?, ?, N'active'
    WHERE NOT EXISTS (SELECT 1 FROM [dbo].[ItemResource] WITH (UPDLOCK, HOLDLOCK) WHERE [Guid] = ?)
"""
ACTIVATE = "UPDATE [dbo].[ItemResource] SET [Status] = N'active' WHERE [Guid] = ?"
ADD_KEY = """
    INSERT INTO [dbo].[ResourceKey] ([ResourceGuid], [KeyName], [KeyValue]) SELECT ?, ?, ?
    WHERE NOT EXISTS (
        SELECT 1 FROM [dbo].[ResourceKey] WHERE [ResourceGuid] = ? AND [KeyName] = ? AND [KeyValue] = ?
    )
"""
SUMMARISE = """
    SET NOCOUNT ON;
    DECLARE @class uniqueidentifier = ?, @guid uniqueidentifier = ?, @rows int = {rows};
    DECLARE @hash char(32) = ?, @event bigint = ?, @now datetime = SYSUTCDATETIME();
    UPDATE [dbo].[ResourceUpdateSummary]
    SET [ModifiedDate] = @now, [RowCount] = @rows, [DataHash] = @hash, [DataLastChangedDate] = @now,
        [LastEventId] = CASE WHEN [LastEventId] > @event THEN [LastEventId] ELSE @event END
    WHERE [InventoryClassGuid] = @class AND [ResourceGuid] = @guid;
    IF @@ROWCOUNT = 0
        INSERT INTO [dbo].[ResourceUpdateSummary] ([InventoryClassGuid], [ResourceGuid], [CreatedDate],
            [ModifiedDate], [RowCount], [DataHash], [DataLastChangedDate], [LastEventId])
        VALUES (@class, @guid, @now, @now, @rows, @hash, @now, @event);
"""
CONFIRM = """
    UPDATE s SET [LastEventId] = CASE WHEN s.[LastEventId] > k.event THEN s.[LastEventId] ELSE k.event END,
        [ModifiedDate] = SYSUTCDATETIME()
    FROM [dbo].[ResourceUpdateSummary] AS s JOIN {given} AS k (one, other, event)
    ON s.[InventoryClassGuid] = k.one AND s.[ResourceGuid] = k.other
"""
LINKS = ("uniqueidentifier", "uniqueidentifier", "uniqueidentifier", "bigint")
_SAME = """a.[ResourceAssociationTypeGuid] = k.kind AND a.[ParentResourceGuid] = k.parent
    AND a.[ChildResourceGuid] = k.child"""
RELINK = f"""
    UPDATE a SET [EventId] = CASE WHEN a.[EventId] > k.event THEN a.[EventId] ELSE k.event END
    FROM [dbo].[ResourceAssociation] AS a JOIN {{given}} AS k (kind, parent, child, event) ON {_SAME}
"""  # noqa: S608 - names of columns
LINK = f"""
    INSERT INTO [dbo].[ResourceAssociation] ([ResourceAssociationTypeGuid], [ParentResourceGuid],
        [ChildResourceGuid], [CreatedDate], [EventId])
    SELECT k.kind, k.parent, k.child, SYSUTCDATETIME(), MAX(k.event) FROM {{given}} AS k (kind, parent, child, event)
    WHERE NOT EXISTS (SELECT 1 FROM [dbo].[ResourceAssociation] AS a WITH (UPDLOCK, HOLDLOCK) WHERE {_SAME})
    GROUP BY k.kind, k.parent, k.child
"""  # noqa: S608 - names of columns
UNLINK = f"""
    DELETE a FROM [dbo].[ResourceAssociation] AS a JOIN {{given}} AS k (kind, parent, child) ON {_SAME}
"""


class MssqlImportStore(DatabaseImportStore):
    """The reference schema of one database."""

    spelling: ClassVar[Spelling] = MSSQL

    def ask(self, connection: sa.Connection, sql: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """Send a statement; return its rows."""
        cursor: Any = connection.connection.cursor()
        try:
            cursor.execute(sql, *values)
            return cursor.fetchall() if cursor.description else []
        finally:
            cursor.close()

    def walk(self, connection: sa.Connection, guids: Sequence[uuid.UUID]) -> Sequence[Sequence[Any]]:
        """Walk from so many guids as a statement takes."""
        found: list[Sequence[Any]] = []
        for sql, values in pieces(WALK, GUIDS, [(str(guid),) for guid in guids]):
            found += self.ask(connection, sql, values)
        return found

    def within(self, batch: OpenBatch) -> MssqlTransaction:
        """Return the reads and writes of the transaction that is open in a batch."""
        return MssqlTransaction(self, batch)


class MssqlTransaction(DatabaseTransaction):
    """One event's reads and writes."""

    def owners(self, keys: Collection[Key]) -> Sequence[KeyOwner]:
        """Return who has any of these keys."""
        found = self._ask_each(OWNERS, KEYS, folded(keys))
        return [KeyOwner(name, value, read_guid(guid)) for name, value, guid in found]

    def hold_keys(self, keys: Collection[Key]) -> None:
        """Keep other events from giving these keys to a resource until the batch ends."""
        wait = max(1, int(self.store.source.options.lock_timeout * 1000))
        for some in parts(sorted({_resource(key) for key in folded(keys)}), PARAMETERS // 2):
            sql = HOLD_KEYS.format(keys=HOLD_KEY * len(some))
            ((worst,),) = self.ask(sql, [value for resource in some for value in (resource, wait)])
            if worst < 0:
                raise Locked(f"{self.store.source.info.target}: another event has held the same keys for too long")

    def hold(self, guids: Collection[uuid.UUID]) -> None:
        """Share the merge lock, and the rows by which merges lock these guids."""
        from mergeguard.storage.merging.store import MergingStore  # noqa: PLC0415 - most of storage
        from mergeguard.storage.rows.within import rows_in  # noqa: PLC0415 - as above

        source = self.store.source
        rows = rows_in(source, self._batch.connection)
        if guids:
            merging = rows.known.fact(("import",), lambda: MergingStore(rows, source.profile))
            merging.share_roots(rows, guids)

    def summaries(self, pairs: Collection[Pair]) -> Mapping[Pair, Summary]:
        """Return what was loaded last, by (data class, resource); a row that nobody has yet is made to be locked."""
        asked = sorted(set(pairs))
        found = self._locked(asked)
        missing = [pair for pair in asked if pair not in found]
        if missing:
            self._ask_each(FIRST, PAIRS, _texts(missing))
            found |= self._locked(missing)
        return {pair: summary for pair, summary in found.items() if summary is not None}

    def _locked(self, pairs: Sequence[Pair]) -> dict[Pair, Summary | None]:
        """Lock and read; ``None`` for what was made to be locked, and never loaded."""
        found: dict[Pair, Summary | None] = {}
        for one, other, hash_, event, rows in self._ask_each(SUMMARIES, PAIRS, _texts(pairs)):
            pair = read_guid(one), read_guid(other)
            loaded = rows or hash_ is not None or event is not None
            found[pair] = Summary(*pair, hash_, event) if loaded else None
        return found

    def linked(self, ends: Collection[Pair]) -> Sequence[Linked]:
        """Return all associations of some (type, parent), the parents locked first."""
        asked = sorted(set(ends))
        self._ask_each(PARENTS, GUIDS, [(str(parent),) for parent in sorted({parent for _, parent in asked})])
        found = self._ask_each(LINKED, PAIRS, _texts(asked))
        return [Linked(read_guid(kind), read_guid(one), read_guid(other), event) for kind, one, other, event in found]

    def create(self, guid: uuid.UUID, kind: uuid.UUID, name: str, *, managed: bool = False) -> None:
        """Write a new resource."""
        self.add(ITEM, str(guid), name, str(kind), str(guid))
        self.add(LIVE, str(guid), managed, str(guid))

    def activate(self, guid: uuid.UUID) -> None:
        """Make a retired resource active again."""
        self.add(ACTIVATE, str(guid))

    def add_keys(self, guid: uuid.UUID, keys: Collection[Key]) -> None:
        """Give a resource keys that it does not have yet."""
        for name, value in folded(keys):
            self.add(ADD_KEY, *(str(guid), name, value) * 2)

    def replace_rows(self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Sequence[Any]]) -> None:
        """Write the rows of a resource in place of those that stand there."""
        known = self.store.statements(data_class)
        self.add(known.delete, str(guid))
        self._insert(known.insert, [(str(guid), *known.cells(row)) for row in rows])

    def append_rows(
        self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Sequence[Any]], time: dt.datetime
    ) -> None:
        """Add rows of an event class."""
        known = self.store.statements(data_class)
        when = self.spelling.time(time)
        self._insert(known.append, [(str(guid), when, *known.cells(row)) for row in rows])

    def summarise(
        self, data_class: DataClass, guid: uuid.UUID, rows: int | None, hash_: str | None, event: int
    ) -> None:
        """Write down what is loaded now."""
        counted = self.store.statements(data_class).count if rows is None else "?"
        count = str(guid) if rows is None else rows
        self.add(SUMMARISE.format(rows=counted), str(data_class.guid), str(guid), count, hash_, event)

    def confirm(self, pairs: Collection[Pair], event: int) -> None:
        """Write down that newer events said the same."""
        self._add_each(CONFIRM, (*PAIRS, "bigint"), [(*pair, event) for pair in _texts(sorted(set(pairs)))])

    def link(self, links: Collection[Linked]) -> None:
        """Write associations; one that stands gets the newer event."""
        rows = [(str(one.type), str(one.parent), str(one.child), one.event) for one in links]
        self._add_each(RELINK, LINKS, rows)
        self._add_each(LINK, LINKS, rows)

    def unlink(self, links: Collection[Linked]) -> None:
        """Remove associations."""
        self._add_each(UNLINK, LINKS[:3], [(str(one.type), str(one.parent), str(one.child)) for one in links])

    def _insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add an INSERT of one row for all rows, many rows at a time."""
        head, _, row = statement.rpartition("VALUES ")
        for some in _sized(rows):
            self.add(f"{head}VALUES {', '.join([row] * len(some))}", *(value for one in some for value in one))

    def _ask_each(self, sql: str, types: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        found: list[Sequence[Any]] = []
        if rows:
            for piece, values in pieces(sql, types, rows):
                found += self.ask(piece, values)
        return found

    def _add_each(self, sql: str, types: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            for piece, values in pieces(sql, types, rows):
                self.add(piece, *values)


def _texts(pairs: Collection[Pair]) -> list[tuple[str, str]]:
    return [(str(one), str(other)) for one, other in pairs]


def _sized(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Yield rows in numbers of ``ROWS_AT_ONCE`` that a statement takes."""
    start = 0
    while start < len(rows):
        most = max(1, PARAMETERS // len(rows[start]))
        size = next(size for size in ROWS_AT_ONCE if size <= max(1, min(most, len(rows) - start)))
        yield rows[start : start + size]
        start += size


def _resource(key: tuple[str, str]) -> str:
    name, value = (part.casefold() for part in key)
    return KEY.format(hashlib.blake2b(f"{len(name)}:{name}{value}".encode(), digest_size=16).hexdigest())
