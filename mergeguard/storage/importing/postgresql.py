"""What importers read and write in PostgreSQL: lists travel as arrays or JSON, locks along with what they are for."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mergeguard.core.importing.answers import Loaded
from mergeguard.core.importing.catalogue import DataClass
from mergeguard.core.importing.standing import KeyOwner, Linked, Standing, Summary
from mergeguard.core.nse.message import Key
from mergeguard.storage.importing.database_store import DatabaseImportStore, DatabaseTransaction, Pair, folded
from mergeguard.storage.importing.postgresql_arrays import array, columns, taught
from mergeguard.storage.importing.spelling import POSTGRESQL, Spelling
from mergeguard.storage.importing.walks import standings_of
from mergeguard.storage.queue.statements import with_percents

if TYPE_CHECKING:
    import datetime as dt

    import sqlalchemy as sa

    from mergeguard.storage.importing.store import OpenBatch
    from mergeguard.storage.profile import Profile

Statement = tuple[str, Sequence[Any]]
_SHARED: Final = "mergeguard: shared guids"
WALK = """
    WITH RECURSIVE way (g) AS (
        SELECT unnest(CAST(? AS uuid[]))
        UNION
        SELECT m."NewGuid" FROM way AS w JOIN "ResourceMerge" AS m ON m."OldGuid" = w.g
        WHERE (SELECT i."Guid" FROM "ItemResource" AS i WHERE i."Guid" = w.g) IS NULL
    )
    SELECT w.g, i."Guid" IS NOT NULL, i."IsManaged", i."Status", t."ResourceTypeGuid", t."CreatedDate",
        (SELECT b."Guid" FROM "AgentBlacklist" AS b WHERE b."Guid" = w.g) IS NOT NULL, m."NewGuid"
    FROM way AS w
    LEFT JOIN LATERAL (
        SELECT "Guid", "IsManaged", "Status" FROM "ItemResource" WHERE "Guid" = w.g OFFSET 0
    ) AS i ON true
    LEFT JOIN LATERAL (
        SELECT "ResourceTypeGuid", "CreatedDate" FROM "Item" WHERE "Guid" = w.g OFFSET 0
    ) AS t ON true
    LEFT JOIN LATERAL (
        SELECT "NewGuid" FROM "ResourceMerge" WHERE "OldGuid" = w.g AND i."Guid" IS NULL OFFSET 0
    ) AS m ON true
"""
"""It ends on any table: a guid is walked from once.

Every table is asked by index for one guid after the other. Written as plain joins, the planner takes the few guids for
hundreds and reads whole tables instead.
"""
OWNERS = """
    SELECT k.at, r."KeyName", r."KeyValue", r."ResourceGuid"
    FROM unnest(CAST(? AS text[]), CAST(? AS text[])) WITH ORDINALITY AS k (n, v, at)
    CROSS JOIN LATERAL (
        SELECT * FROM "ResourceKey" WHERE lower("KeyName") = lower(k.n) AND lower("KeyValue") = lower(k.v) OFFSET 0
    ) AS r
"""
"""Key by key, for the reason that ``WALK`` has."""
# What is inserted and deleted at once leaves nothing, and whoever inserts the same waits until this transaction ends.
HOLD_KEYS = "INSERT INTO mergeguard_key (key) SELECT unnest(CAST(? AS bigint[])) ON CONFLICT DO NOTHING"
FREE_KEYS = "DELETE FROM mergeguard_key WHERE key = ANY (CAST(? AS bigint[]))"
# Who waits behind a merge that waits goes on behind it; of the locks nothing is kept, for there may be thousands.
TURNS = "SELECT pg_advisory_lock_shared(k), pg_advisory_unlock_shared(k) FROM unnest(CAST(? AS bigint[])) AS k"
ROOTS = "INSERT INTO {roots} (guid, turn) SELECT g, 1 FROM unnest(CAST(? AS uuid[])) AS g ON CONFLICT DO NOTHING"
SHARE = "SELECT 1 FROM {roots} WHERE guid = ANY (CAST(? AS uuid[])) ORDER BY guid FOR SHARE"
_PAIRS = "unnest(CAST(? AS uuid[]), CAST(? AS uuid[])) WITH ORDINALITY AS k (one, other, at)"
SUMMARIES = f"""
    SELECT k.at, s."DataHash", s."LastEventId", s."RowCount"
    FROM {_PAIRS} JOIN "ResourceUpdateSummary" AS s
    ON s."InventoryClassGuid" = k.one AND s."ResourceGuid" = k.other
    ORDER BY s."InventoryClassGuid", s."ResourceGuid" FOR NO KEY UPDATE OF s
"""  # noqa: S608 - a list of parameters
FIRST = f"""
    INSERT INTO "ResourceUpdateSummary"
        ("InventoryClassGuid", "ResourceGuid", "CreatedDate", "ModifiedDate", "RowCount")
    SELECT k.one, k.other, clock_timestamp(), clock_timestamp(), 0 FROM {_PAIRS} ON CONFLICT DO NOTHING
    RETURNING "InventoryClassGuid", "ResourceGuid"
"""  # noqa: S608 - a list of parameters
PARENTS = 'SELECT 1 FROM "ItemResource" WHERE "Guid" = ANY (CAST(? AS uuid[])) ORDER BY "Guid" FOR NO KEY UPDATE'
LINKED = f"""
    SELECT k.at, a."ChildResourceGuid", a."EventId"
    FROM {_PAIRS} JOIN "ResourceAssociation" AS a
    ON a."ResourceAssociationTypeGuid" = k.one AND a."ParentResourceGuid" = k.other FOR NO KEY UPDATE OF a
"""  # noqa: S608 - a list of parameters
CREATE = """
    WITH item AS (
        INSERT INTO "Item" ("Guid", "Name", "ResourceTypeGuid", "CreatedDate", "ModifiedDate")
        VALUES (?, ?, ?, clock_timestamp(), clock_timestamp()) ON CONFLICT DO NOTHING
    )
    INSERT INTO "ItemResource" ("Guid", "IsManaged", "Status") VALUES (?, ?, 'active') ON CONFLICT DO NOTHING
"""
ACTIVATE = 'UPDATE "ItemResource" SET "Status" = \'active\' WHERE "Guid" = ?'
ADD_KEYS = """
    INSERT INTO "ResourceKey" ("ResourceGuid", "KeyName", "KeyValue")
    SELECT CAST(? AS uuid), k.n, k.v FROM unnest(CAST(? AS text[]), CAST(? AS text[])) AS k (n, v)
    WHERE NOT EXISTS (SELECT 1 FROM "ResourceKey" AS r WHERE r."ResourceGuid" = CAST(? AS uuid)
                      AND lower(r."KeyName") = lower(k.n) AND lower(r."KeyValue") = lower(k.v))
"""
SUMMARISE = """
    INSERT INTO "ResourceUpdateSummary" AS s ("InventoryClassGuid", "ResourceGuid", "CreatedDate", "ModifiedDate",
        "RowCount", "DataHash", "DataLastChangedDate", "LastEventId")
    VALUES (?, ?, clock_timestamp(), clock_timestamp(), {rows}, ?, clock_timestamp(), ?)
    ON CONFLICT ("InventoryClassGuid", "ResourceGuid") DO UPDATE SET "ModifiedDate" = excluded."ModifiedDate",
        "RowCount" = excluded."RowCount", "DataHash" = excluded."DataHash",
        "DataLastChangedDate" = excluded."DataLastChangedDate",
        "LastEventId" = greatest(s."LastEventId", excluded."LastEventId")
"""
CONFIRM = """
    UPDATE "ResourceUpdateSummary" AS s
    SET "LastEventId" = greatest(s."LastEventId", k.event), "ModifiedDate" = clock_timestamp()
    FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS bigint[])) AS k (one, other, event)
    WHERE s."InventoryClassGuid" = k.one AND s."ResourceGuid" = k.other
"""
_LINKS = """(
    SELECT kind, parent, child, max(event) AS event
    FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS bigint[]))
        AS l (kind, parent, child, event)
    GROUP BY kind, parent, child
)"""
_SAME = """a."ResourceAssociationTypeGuid" = k.kind AND a."ParentResourceGuid" = k.parent
    AND a."ChildResourceGuid" = k.child"""
LINK = f"""
    WITH k AS MATERIALIZED {_LINKS}, again AS (
        UPDATE "ResourceAssociation" AS a SET "EventId" = greatest(a."EventId", k.event) FROM k WHERE {_SAME}
    )
    INSERT INTO "ResourceAssociation" ("ResourceAssociationTypeGuid", "ParentResourceGuid", "ChildResourceGuid",
        "CreatedDate", "EventId")
    SELECT k.kind, k.parent, k.child, clock_timestamp(), k.event FROM k
    WHERE NOT EXISTS (SELECT 1 FROM "ResourceAssociation" AS a WHERE {_SAME})
"""  # noqa: S608 - names of columns
RELINK = f"""
    WITH again AS (
        UPDATE "ResourceAssociation" AS a SET "EventId" = greatest(a."EventId", k.event)
        FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS bigint[])) WITH ORDINALITY
            AS k (kind, parent, child, event, at)
        WHERE {_SAME} RETURNING k.at
    )
    SELECT missing FROM generate_series(1, CAST(? AS bigint)) AS missing EXCEPT SELECT at FROM again
"""  # noqa: S608 - names of columns
"""Tells the numbers of those that do not stand."""
# Two events must not write the same new link at once; of one that stands the row itself is locked by its update.
HOLD_LINKS = f"""
    INSERT INTO mergeguard_key (key)
    SELECT k.number FROM unnest(CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS uuid[]), CAST(? AS bigint[]))
        AS k (kind, parent, child, number)
    WHERE NOT EXISTS (SELECT 1 FROM "ResourceAssociation" AS a WHERE {_SAME})
    ORDER BY k.number ON CONFLICT DO NOTHING
"""  # noqa: S608 - names of columns
UNLINK = f'DELETE FROM "ResourceAssociation" AS a USING {_LINKS} AS k WHERE {_SAME}'  # noqa: S608 - as above


class PostgresqlImportStore(DatabaseImportStore):
    """The reference schema of one database."""

    spelling: ClassVar[Spelling] = POSTGRESQL

    def ask(self, connection: sa.Connection, sql: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """Send a statement; return its rows."""
        found = taught(connection).execute(with_percents(sql).encode(), tuple(values))
        return found.fetchall() if found.description else []

    def ask_all(self, connection: sa.Connection, statements: Sequence[Statement]) -> Sequence[Sequence[Any]]:
        """Send several statements, all on one way to the server; return the rows of the last one."""
        driver = taught(connection)
        with driver.pipeline():
            sent = [driver.execute(with_percents(sql).encode(), tuple(values)) for sql, values in statements]
        return sent[-1].fetchall() if sent[-1].description else []

    def walk(self, connection: sa.Connection, guids: Sequence[uuid.UUID]) -> Sequence[Sequence[Any]]:
        """Walk from all guids in one statement."""
        return self.ask(connection, WALK, [array(guids)])

    def within(self, batch: OpenBatch) -> PostgresqlTransaction:
        """Return the reads and writes of the transaction that is open in a batch."""
        from mergeguard.storage.importing.postgresql_ahead import AheadTransaction  # noqa: PLC0415 - built on this module

        taught(batch.connection)
        return AheadTransaction(self, batch)


class PostgresqlTransaction(DatabaseTransaction):
    """One event's reads and writes."""

    store: PostgresqlImportStore

    def __init__(self, store: PostgresqlImportStore, batch: OpenBatch) -> None:
        super().__init__(store, batch)
        self._asked: frozenset[uuid.UUID] = frozenset()
        self._ahead: tuple[frozenset[uuid.UUID], Sequence[Sequence[Any]]] | None = None
        """What was read behind the locks of ``hold``, good until anything else is asked or written."""

    def standings(self, guids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Standing]:
        """Say of each guid where it leads now; ``hold`` has asked along the way for those asked before."""
        self._asked = frozenset(guids)
        if self._ahead is None or not self._asked <= self._ahead[0]:
            return super().standings(guids)
        return standings_of(self._asked, self._ahead[1])

    def add(self, sql: str, *values: Any) -> None:  # noqa: ANN401 - what the driver takes
        """Add a statement to the unit of work."""
        self._ahead = None
        super().add(sql, *values)

    def ask(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """Send a question."""
        self._ahead = None
        return super().ask(sql, values)

    def owners(self, keys: Collection[Key]) -> Sequence[KeyOwner]:
        """Return who has any of these keys."""
        found = self.ask(OWNERS, columns(folded(keys))) if keys else []
        return [KeyOwner(*owner) for _, *owner in found]

    def hold_keys(self, keys: Collection[Key]) -> None:
        """Keep other events from giving these keys to a resource until the batch ends."""
        numbers = sorted(map(_number, folded(keys)))
        if numbers:
            held = [array(numbers)]
            self.ask_all((HOLD_KEYS, held), (FREE_KEYS, held))

    def hold(self, guids: Collection[uuid.UUID]) -> None:
        """Share the merge lock, and the rows by which merges lock these guids; then look where they lead."""
        from mergeguard.storage.rows.within import rows_in  # noqa: PLC0415 - most of storage

        source = self.store.source
        connection = self._batch.connection
        rows_in(source, connection)
        asked = sorted(set(guids))
        if asked:
            known = self._asked.union(asked)
            locks = locking(connection, source.profile, asked)
            self._ahead = known, self.ask_all(*locks, (WALK, [array(sorted(known))]))

    def summaries(self, pairs: Collection[Pair]) -> Mapping[Pair, Summary]:
        """Return what was loaded last, by (data class, resource); a row that nobody has yet is made to be locked."""
        asked = sorted(set(pairs))
        found = self._locked(asked)
        missing = [pair for pair in asked if pair not in found]
        if missing:
            made = {(one, other) for one, other in self.ask(FIRST, columns(missing))}
            found |= self._locked([pair for pair in missing if pair not in made])
        return {pair: Summary(*pair, *loaded) for pair, loaded in found.items() if loaded is not None}

    def _locked(self, pairs: Sequence[Pair]) -> dict[Pair, Loaded | None]:
        """Lock and read; ``None`` for what was made to be locked, and never loaded."""
        if not pairs:
            return {}
        return summaries_of(pairs, self.ask(SUMMARIES, columns(pairs)))

    def linked(self, ends: Collection[Pair]) -> Sequence[Linked]:
        """Return all associations of some (type, parent), the parents locked first."""
        asked = sorted(set(ends))
        if not asked:
            return []
        parents = sorted({parent for _, parent in asked})
        found = self.ask_all((PARENTS, [array(parents)]), (LINKED, columns(asked)))
        return [Linked(asked[number - 1][0], asked[number - 1][1], child, event) for number, child, event in found]

    def create(self, guid: uuid.UUID, kind: uuid.UUID, name: str, *, managed: bool = False) -> None:
        """Write a new resource."""
        self.add(CREATE, guid, name, kind, guid, managed)

    def activate(self, guid: uuid.UUID) -> None:
        """Make a retired resource active again."""
        self.add(ACTIVATE, guid)

    def add_keys(self, guid: uuid.UUID, keys: Collection[Key]) -> None:
        """Give a resource keys that it does not have yet."""
        if keys:
            self.add(ADD_KEYS, guid, *columns(folded(keys)), guid)

    def replace_rows(self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Sequence[Any]]) -> None:
        """Write the rows of a resource in place of those that stand there, in one statement."""
        known = self.store.statements(data_class)
        if not rows:
            return self.add(known.delete, guid)
        return self.add(known.replace_all, guid, guid, known.document(rows))

    def append_rows(
        self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Sequence[Any]], time: dt.datetime
    ) -> None:
        """Add rows of an event class, in one statement."""
        known = self.store.statements(data_class)
        if rows:
            self.add(known.append_all, guid, self.spelling.time(time), known.document(rows))

    def summarise(
        self, data_class: DataClass, guid: uuid.UUID, rows: int | None, hash_: str | None, event: int
    ) -> None:
        """Write down what is loaded now."""
        counted = self.store.statements(data_class).count if rows is None else "?"
        count = guid if rows is None else rows
        self.add(SUMMARISE.format(rows=counted), data_class.guid, guid, count, hash_, event)

    def confirm(self, pairs: Collection[Pair], event: int) -> None:
        """Write down that newer events said the same."""
        if pairs:
            self.add(CONFIRM, *columns([(*pair, event) for pair in sorted(set(pairs))]))

    def link(self, links: Collection[Linked]) -> None:
        """Write associations; one that stands gets the newer event."""
        if links:
            ends = sorted({(one.type, one.parent, one.child) for one in links})
            numbers = array([_number((str(kind), f"{parent} {child}")) for kind, parent, child in ends])
            self.add(HOLD_LINKS, *columns(ends), numbers)
            self.add(FREE_KEYS, numbers)
            self.add(LINK, *_link_columns(links))

    def unlink(self, links: Collection[Linked]) -> None:
        """Remove associations."""
        if links:
            self.add(UNLINK, *_link_columns(links))

    def ask_all(self, *statements: Statement) -> Sequence[Sequence[Any]]:
        """Send several statements; return the rows of the last one."""
        self._ahead = None
        connection = self._batch.connection
        with self.store.source.translated(writing=True):
            return self.store.ask_all(connection, statements)


def locking(
    connection: sa.Connection, profile: Profile, guids: Sequence[uuid.UUID], *, make: bool = True
) -> list[Statement]:
    """Return what shares the rows by which merges lock some guids, which come in text order.

    The last statement returns a row for each; without ``make`` there may be less, for none is made. A guid that this
    transaction shares already is not queued for again: a merge may be waiting for just this one.
    """
    from mergeguard.storage.merging.store import turn_of  # noqa: PLC0415 - most of storage

    transaction, shared = connection.info.get(_SHARED, (None, set()))
    if transaction is None or transaction is not connection.get_transaction():
        shared = set()
        connection.info[_SHARED] = connection.get_transaction(), shared
    turns = [turn_of(guid) for guid in guids if guid not in shared]
    shared.update(guids)
    roots = connection.dialect.identifier_preparer.quote_identifier(profile.merging.roots)
    asked = [array(guids)]
    return [
        *([(TURNS, [array(turns)])] if turns else []),
        *([(ROOTS.format(roots=roots), asked)] if make else []),
        (SHARE.format(roots=roots), asked),
    ]


def summaries_of(pairs: Sequence[Pair], rows: Iterable[Sequence[Any]]) -> dict[Pair, Loaded | None]:
    """Read what ``SUMMARIES`` tells of some pairs; ``None`` for a row that was made to be locked: nothing is loaded."""
    return {
        pairs[number - 1]: (hash_, event) if count or hash_ is not None or event is not None else None
        for number, hash_, event, count in rows
    }


def _link_columns(links: Collection[Linked]) -> list[list[Any]]:
    return columns([(one.type, one.parent, one.child, one.event) for one in links])


def _number(key: tuple[str, str]) -> int:
    """Return the number that stands for a key while it is held."""
    name, value = (part.casefold() for part in key)
    text = f"{len(name)}:{name}{value}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
