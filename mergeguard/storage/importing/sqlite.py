"""What importers read and write in SQLite: who writes there is alone, so that nothing has to be locked."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mergeguard.core.importing.catalogue import DataClass
from mergeguard.core.importing.standing import KeyOwner, Linked, Summary
from mergeguard.core.nse.message import Key
from mergeguard.storage.importing.database_store import DatabaseImportStore, DatabaseTransaction, Pair, folded
from mergeguard.storage.importing.spelling import SQLITE, Spelling, read_guid

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mergeguard.storage.importing.store import OpenBatch

_NOW = SQLITE.clock
WALK = """
    WITH RECURSIVE way (g) AS (
        SELECT value FROM json_each(?)
        UNION
        SELECT m."NewGuid" FROM way AS w JOIN "ResourceMerge" AS m ON m."OldGuid" = w.g
        WHERE NOT EXISTS (SELECT 1 FROM "ItemResource" AS i WHERE i."Guid" = w.g)
    )
    SELECT w.g, i."Guid" IS NOT NULL, i."IsManaged", i."Status", t."ResourceTypeGuid", t."CreatedDate",
        b."Guid" IS NOT NULL, m."NewGuid"
    FROM way AS w LEFT JOIN "ItemResource" AS i ON i."Guid" = w.g LEFT JOIN "Item" AS t ON t."Guid" = w.g
    LEFT JOIN "AgentBlacklist" AS b ON b."Guid" = w.g
    LEFT JOIN "ResourceMerge" AS m ON m."OldGuid" = w.g AND i."Guid" IS NULL
"""
"""It ends on any table: a guid is walked from once."""
OWNERS = """
    SELECT r."KeyName", r."KeyValue", r."ResourceGuid" FROM json_each(?) AS k CROSS JOIN "ResourceKey" AS r
    WHERE r."KeyName" = json_extract(k.value, '$[0]') COLLATE NOCASE
    AND r."KeyValue" = json_extract(k.value, '$[1]') COLLATE NOCASE
"""
SUMMARIES = """
    SELECT s."InventoryClassGuid", s."ResourceGuid", s."DataHash", s."LastEventId"
    FROM json_each(?) AS k CROSS JOIN "ResourceUpdateSummary" AS s
    WHERE s."InventoryClassGuid" = json_extract(k.value, '$[0]') AND s."ResourceGuid" = json_extract(k.value, '$[1]')
"""
LINKED = """
    SELECT a."ResourceAssociationTypeGuid", a."ParentResourceGuid", a."ChildResourceGuid", a."EventId"
    FROM json_each(?) AS k CROSS JOIN "ResourceAssociation" AS a
    WHERE a."ParentResourceGuid" = json_extract(k.value, '$[1]')
    AND a."ResourceAssociationTypeGuid" = json_extract(k.value, '$[0]')
"""
ITEM = f"""
    INSERT INTO "Item" ("Guid", "Name", "ResourceTypeGuid", "CreatedDate", "ModifiedDate")
    VALUES (?, ?, ?, {_NOW}, {_NOW}) ON CONFLICT DO NOTHING
"""  # noqa: S608 - the clock
LIVE = 'INSERT INTO "ItemResource" ("Guid", "IsManaged", "Status") VALUES (?, ?, \'active\') ON CONFLICT DO NOTHING'
ACTIVATE = 'UPDATE "ItemResource" SET "Status" = \'active\' WHERE "Guid" = ?'
ADD_KEY = """
    INSERT INTO "ResourceKey" ("ResourceGuid", "KeyName", "KeyValue") SELECT ?1, ?2, ?3
    WHERE NOT EXISTS (SELECT 1 FROM "ResourceKey" WHERE "ResourceGuid" = ?1
                      AND "KeyName" = ?2 COLLATE NOCASE AND "KeyValue" = ?3 COLLATE NOCASE)
"""
SUMMARISE = f"""
    INSERT INTO "ResourceUpdateSummary" ("InventoryClassGuid", "ResourceGuid", "CreatedDate", "ModifiedDate",
        "RowCount", "DataHash", "DataLastChangedDate", "LastEventId")
    VALUES (?, ?, {_NOW}, {_NOW}, {{rows}}, ?, {_NOW}, ?)
    ON CONFLICT ("InventoryClassGuid", "ResourceGuid") DO UPDATE SET "ModifiedDate" = excluded."ModifiedDate",
        "RowCount" = excluded."RowCount", "DataHash" = excluded."DataHash",
        "DataLastChangedDate" = excluded."DataLastChangedDate",
        "LastEventId" = max(coalesce("LastEventId", 0), excluded."LastEventId")
"""  # noqa: S608 - the clock
CONFIRM = f"""
    UPDATE "ResourceUpdateSummary" SET "LastEventId" = max(coalesce("LastEventId", 0), ?), "ModifiedDate" = {_NOW}
    WHERE "InventoryClassGuid" = ? AND "ResourceGuid" = ?
"""  # noqa: S608 - the clock
_LINK = '"ResourceAssociationTypeGuid" = ?{} AND "ParentResourceGuid" = ?{} AND "ChildResourceGuid" = ?{}'
RELINK = f"""
    UPDATE "ResourceAssociation" SET "EventId" = max(coalesce("EventId", 0), ?4) WHERE {_LINK.format(1, 2, 3)}
"""  # noqa: S608 - names of columns
LINK = f"""
    INSERT INTO "ResourceAssociation" ("ResourceAssociationTypeGuid", "ParentResourceGuid", "ChildResourceGuid",
        "CreatedDate", "EventId")
    SELECT ?1, ?2, ?3, {_NOW}, ?4
    WHERE NOT EXISTS (SELECT 1 FROM "ResourceAssociation" WHERE {_LINK.format(1, 2, 3)})
"""  # noqa: S608 - names of columns
UNLINK = f'DELETE FROM "ResourceAssociation" WHERE {_LINK.format(1, 2, 3)}'  # noqa: S608 - names of columns


class SqliteImportStore(DatabaseImportStore):
    """The reference schema of one file."""

    spelling: ClassVar[Spelling] = SQLITE

    def ask(self, connection: sa.Connection, sql: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """Send a statement; return its rows."""
        driver: Any = connection.connection.driver_connection
        return driver.execute(sql, tuple(values)).fetchall()  # type: ignore[no-any-return]

    def walk(self, connection: sa.Connection, guids: Sequence[uuid.UUID]) -> Sequence[Sequence[Any]]:
        """Walk from all guids in one statement."""
        return self.ask(connection, WALK, [json.dumps([str(guid) for guid in guids])])

    def within(self, batch: OpenBatch) -> SqliteTransaction:
        """Return the reads and writes of the transaction that is open in a batch."""
        return SqliteTransaction(self, batch)


class SqliteTransaction(DatabaseTransaction):
    """One event's reads and writes."""

    def owners(self, keys: Collection[Key]) -> Sequence[KeyOwner]:
        """Return who has any of these keys; letters beyond ASCII are compared with their case."""
        if not keys:
            return []
        found = self.ask(OWNERS, [json.dumps(folded(keys))])
        return [KeyOwner(name, value, read_guid(guid)) for name, value, guid in found]

    def hold(self, guids: Collection[uuid.UUID]) -> None:  # noqa: ARG002 - of the protocol
        """Begin the transaction, if it has not begun: nobody merges beside it."""
        _ = self._batch.connection

    def hold_keys(self, keys: Collection[Key]) -> None:  # noqa: ARG002 - of the protocol
        """Begin the transaction, if it has not begun: nobody writes beside it."""
        _ = self._batch.connection

    def summaries(self, pairs: Collection[Pair]) -> Mapping[Pair, Summary]:
        """Return what was loaded last, by (data class, resource)."""
        found = self.ask(SUMMARIES, [_json(pairs)]) if pairs else []
        read = [Summary(read_guid(one), read_guid(other), hash_, event) for one, other, hash_, event in found]
        return {(summary.data_class, summary.resource): summary for summary in read}

    def linked(self, ends: Collection[Pair]) -> Sequence[Linked]:
        """Return all associations of some (type, parent)."""
        found = self.ask(LINKED, [_json(ends)]) if ends else []
        return [Linked(read_guid(kind), read_guid(one), read_guid(other), event) for kind, one, other, event in found]

    def create(self, guid: uuid.UUID, kind: uuid.UUID, name: str, *, managed: bool = False) -> None:
        """Write a new resource."""
        self.add(ITEM, str(guid), name, str(kind))
        self.add(LIVE, str(guid), int(managed))

    def activate(self, guid: uuid.UUID) -> None:
        """Make a retired resource active again."""
        self.add(ACTIVATE, str(guid))

    def add_keys(self, guid: uuid.UUID, keys: Collection[Key]) -> None:
        """Give a resource keys that it does not have yet."""
        for name, value in folded(keys):
            self.add(ADD_KEY, str(guid), name, value)

    def summarise(
        self, data_class: DataClass, guid: uuid.UUID, rows: int | None, hash_: str | None, event: int
    ) -> None:
        """Write down what is loaded now."""
        known = self.store.statements(data_class)
        counted = known.count if rows is None else "?"
        count = str(guid) if rows is None else rows
        self.add(SUMMARISE.format(rows=counted), str(data_class.guid), str(guid), count, hash_, event)

    def confirm(self, pairs: Collection[Pair], event: int) -> None:
        """Write down that newer events said the same."""
        for data_class, guid in sorted(set(pairs)):
            self.add(CONFIRM, event, str(data_class), str(guid))

    def link(self, links: Collection[Linked]) -> None:
        """Write associations; one that stands gets the newer event."""
        for sql in (RELINK, LINK):
            for one in links:
                self.add(sql, str(one.type), str(one.parent), str(one.child), one.event or 0)

    def unlink(self, links: Collection[Linked]) -> None:
        """Remove associations."""
        for one in links:
            self.add(UNLINK, str(one.type), str(one.parent), str(one.child))


def _json(pairs: Collection[Pair]) -> str:
    return json.dumps([[str(one), str(other)] for one, other in sorted(set(pairs))])
