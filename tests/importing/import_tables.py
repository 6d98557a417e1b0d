"""The tables of the reference schema as tests/importing put rows into them and read them back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from import_oracle import Guid, Model
from importing.import_cases import CATALOGUE, COMPUTER
from importing.import_state import State
from merge_model import guid

from mergeguard.core.importing.catalogue import CellType

EMPTY = uuid.UUID(int=0)
EMPTIED = (
    *(data_class.table for data_class in CATALOGUE.classes.values()),
    "ResourceUpdateSummary",
    "ResourceAssociation",
    "ResourceKey",
    "ResourceMerge",
    "AgentBlacklist",
    "ItemResource",
    "Item",
)
OURS = (
    "mergeguard_change",
    "mergeguard_step",
    "mergeguard_run",
    "mergeguard_root",
    "mergeguard_never",
    "mergeguard_request",
    "mergeguard_lookup",
)
QUEUE = ("mergeguard_event", "mergeguard_dead_event", "mergeguard_parked", "mergeguard_chain")
COUNTERS = ("events", "inline_bytes", "file_bytes", "registered", "done", "dead", "dead_bytes", "retries")


class Tables:
    """One database whose schema stands.

    Args:
        engine: of connections that belong to nobody else.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.is_lite = engine.dialect.name == "sqlite"
        self._known = set(sa.inspect(engine).get_table_names())

    def reset(self, model: Model) -> None:
        """Empty all tables and put the resources of a model into them; sessions of others are outside a transaction."""
        self._known |= set(sa.inspect(self.engine).get_table_names()) if not set(OURS) <= self._known else set()
        counters = ", ".join(f"{name} = 0" for name in COUNTERS)
        with self.engine.begin() as connection:
            for table in (*EMPTIED, *OURS, *QUEUE):
                if table in self._known:
                    connection.exec_driver_sql(f'DELETE FROM "{table}"')
            if "mergeguard_queue" in self._known:
                connection.exec_driver_sql(f"UPDATE mergeguard_queue SET {counters}")
            self._begin(connection, model)
            if "mergeguard_root" in self._known:  # who is the first to hold a guid lets others wait, which hides races
                self.insert(connection, "mergeguard_root", ("guid", "turn"), [(one, 1) for one in model.types])

    def _begin(self, connection: sa.Connection, model: Model) -> None:
        for table, columns, rows in (
            ("Item", ("Guid", "Name", "ResourceTypeGuid", "CreatedDate", "ModifiedDate"), _items(model)),
            ("ItemResource", ("Guid", "IsManaged"), [(one, False) for one in model.types]),
            ("ResourceKey", ("ResourceGuid", "KeyName", "KeyValue"), sorted(model.keys)),
        ):
            self.insert(connection, table, columns, rows)

    def insert(
        self, connection: sa.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        """Insert rows; guids as the database takes them."""
        marks = ", ".join(f":c{at}" for at in range(len(columns)))
        names = ", ".join(f'"{column}"' for column in columns)
        values = [{f"c{at}": self.told(cell) for at, cell in enumerate(row)} for row in rows]
        if values:
            connection.execute(sa.text(f'INSERT INTO "{table}" ({names}) VALUES ({marks})'), values)

    def told(self, cell: object) -> object:
        """Spell a value for the driver."""
        return str(cell) if self.is_lite and isinstance(cell, uuid.UUID) else cell

    def state(self) -> State:
        """Read what is committed, as of one moment."""
        level = {} if self.is_lite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**level) as connection, connection.begin():
            return self._read(connection)

    def _read(self, connection: sa.Connection) -> State:
        def rows(sql: str) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.exec_driver_sql(sql).all()]

        data = {}
        for data_class in CATALOGUE.classes.values():
            names = ", ".join(f'"{column.name}"' for column in data_class.columns)
            found = rows(f'SELECT "_ResourceGuid", {names} FROM "{data_class.table}" ORDER BY "_id"')
            guids = [True, *(column.type is CellType.GUID for column in data_class.columns)]
            cells = [
                [_guid(cell) if is_guid else cell for cell, is_guid in zip(row, guids, strict=True)] for row in found
            ]
            data[data_class.guid] = [(cell[0] or EMPTY, tuple(cell[1:])) for cell in cells]
        lookup = rows("SELECT old_guid, current_guid, depth, status FROM mergeguard_lookup")
        links = 'SELECT "ResourceAssociationTypeGuid", "ParentResourceGuid", "ChildResourceGuid", "EventId"'
        sums = 'SELECT "InventoryClassGuid", "ResourceGuid", "DataHash", "LastEventId", "RowCount"'
        return State(
            types={_known(guid): _guid(kind) for guid, kind in rows('SELECT "Guid", "ResourceTypeGuid" FROM "Item"')},
            live=frozenset(_known(guid) for (guid,) in rows('SELECT "Guid" FROM "ItemResource"')),
            merges=tuple(
                (_known(old), _known(new))
                for old, new in rows('SELECT "OldGuid", "NewGuid" FROM "ResourceMerge" ORDER BY "Id"')
            ),
            lookup={_known(old): (_guid(now), depth, status.strip()) for old, now, depth, status in lookup},
            keys=[
                (_known(guid), name, value)
                for guid, name, value in rows('SELECT "ResourceGuid", "KeyName", "KeyValue" FROM "ResourceKey"')
            ],
            data=data,
            links=[
                (_known(kind), _known(parent), _known(child), event)
                for kind, parent, child, event in rows(f'{links} FROM "ResourceAssociation"')
            ],
            summaries={
                (_known(kind), _known(guid)): tuple(rest)
                for kind, guid, *rest in rows(f'{sums} FROM "ResourceUpdateSummary"')
            },
            waiting=frozenset(number for (number,) in rows("SELECT id FROM mergeguard_event")),
            parked=frozenset(number for (number,) in rows("SELECT event FROM mergeguard_parked")),
            dead=frozenset(number for (number,) in rows("SELECT id FROM mergeguard_dead_event")),
        )


def tangle(tables: Tables, splits: Sequence[tuple[int, int, int]]) -> None:
    """Merge each first guid into two others at once, as somebody without a guard does; the later row is the second."""
    with tables.engine.begin() as connection:
        for old, *news in splits:
            for column, table in (("Guid", "ItemResource"), ("ResourceGuid", "ResourceKey")):
                gone = sa.text(f'DELETE FROM "{table}" WHERE "{column}" = :guid')
                connection.execute(gone, {"guid": tables.told(guid(old))})
            for minute, new in enumerate(news):
                row = (guid(old), guid(new), f"2026-01-02T00:{minute:02}:00Z")
                tables.insert(connection, "ResourceMerge", ("OldGuid", "NewGuid", "MergedAt"), [row])


def _items(model: Model) -> list[tuple[object, ...]]:
    """Items are made one after the other: who was made first survives a merge by keys."""
    times = [f"2026-01-01T00:{at // 60:02}:{at % 60:02}Z" for at in range(len(model.types))]
    return [(guid, f"name {guid}", COMPUTER, time, time) for guid, time in zip(model.types, times, strict=True)]


def _guid(cell: object) -> Guid | None:
    return cell if cell is None or isinstance(cell, uuid.UUID) else uuid.UUID(str(cell))


def _known(cell: object) -> Guid:
    found = _guid(cell)
    assert found is not None
    return found
