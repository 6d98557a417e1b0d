"""A small catalogue and messages for tests of importers: computers and software, one data class of each kind."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from importing_model import BEGIN, Batch, Merging, Store, Tables

from mergeguard.core.events import NO_SOURCE, Event, Queue
from mergeguard.core.importing.catalogue import AssociationType, Catalogue, CellType, DataClass, DataColumn
from mergeguard.core.importing.keys import COMPUTER
from mergeguard.core.nse import write
from mergeguard.core.nse.message import Association, ClassData, Key, Message, Resource, Row, Target
from mergeguard.processor.importers.importer import Importer
from mergeguard.processor.settings import Settings


def guid(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


SERVER = guid(0x5E)
"""A type derived from that of computers."""
SOFTWARE = guid(0x50)
IDENTIFICATION = DataClass(
    guid(0xC1),
    "Identification",
    "Inv_Identification",
    multi_row=False,
    event=False,
    columns=(
        DataColumn("Name", CellType.TEXT, 20),
        DataColumn("Disk", CellType.INTEGER),
        DataColumn("Owner", CellType.GUID, resource=True),
    ),
)
INSTALLED = DataClass(
    guid(0xC2),
    "Installed software",
    "Inv_Installed",
    multi_row=True,
    event=False,
    columns=(
        DataColumn("Software", CellType.GUID, nullable=False, key=True, resource=True),
        DataColumn("Version", CellType.TEXT),
    ),
)
RUN = DataClass(
    guid(0xE1),
    "Software execution",
    "Evt_Run",
    multi_row=True,
    event=True,
    columns=(
        DataColumn("Program", CellType.TEXT, nullable=False),
        DataColumn("Software", CellType.GUID, resource=True),
    ),
)
LOGON = DataClass(
    guid(0xE2),
    "AeX Client LogOn",
    "Evt_AeX_Client_LogOn",
    multi_row=True,
    event=True,
    columns=(DataColumn("User", CellType.TEXT),),
)
NOTES = DataClass(
    guid(0xC3), "Notes", "Inv_Notes", multi_row=True, event=False, columns=(DataColumn("Note", CellType.TEXT),)
)
"""Rows that nothing tells apart."""
SIZES = DataClass(
    guid(0xC4),
    "Sizes",
    "Inv_Sizes",
    multi_row=True,
    event=False,
    columns=(
        DataColumn("Disk", CellType.TEXT, nullable=False, key=True),
        DataColumn("Size", CellType.INTEGER, nullable=False),
    ),
)
USES = AssociationType(guid(0xA1), "uses")
OWNED = AssociationType(guid(0xA2), "owned by", maximum=1)
SEATS = AssociationType(guid(0xA3), "seats", maximum=2)
CATALOGUE = Catalogue(
    classes={each.guid: each for each in (IDENTIFICATION, INSTALLED, RUN, LOGON, NOTES, SIZES)},
    associations={each.guid: each for each in (USES, OWNED, SEATS)},
    merge_keys={COMPUTER: frozenset({"fqdn", "macaddress", "uniqueid"}), SOFTWARE: frozenset({"hash"})},
    types=frozenset({COMPUTER, SERVER, SOFTWARE}),
    bases={
        COMPUTER: frozenset({COMPUTER}),
        SERVER: frozenset({SERVER, COMPUTER}),
        SOFTWARE: frozenset({SOFTWARE}),
    },
)


def computer(ref: str, number: int | None, *keys: str, kind: uuid.UUID | None = COMPUTER, name: str = "") -> Resource:
    """Return a resource; a key is ``name=value``."""
    return Resource(ref, None if number is None else guid(number), kind, name, tuple(map(key, keys)))


def key(text: str) -> Key:
    name, _, value = text.partition("=")
    return Key(name, value)


def meant(which: str | int) -> Target:
    return Target(ref=which) if isinstance(which, str) else Target(guid=guid(which))


def rows(data_class: DataClass, which: str | int, *cells: Sequence[object], partial: bool = False) -> ClassData:
    """Return the rows of a resource; ``None`` is a cell that is not given."""
    made = tuple(Row(tuple(None if cell is None else str(cell) for cell in row), 0) for row in cells)
    return ClassData(data_class.guid, meant(which), made, partial)


def link(kind: AssociationType, parent: str | int, child: str | int) -> Association:
    return Association(kind.guid, meant(parent), meant(child))


def message(*parts: Resource | ClassData | Association) -> Message:
    def of(kind: type) -> tuple[Any, ...]:
        return tuple(part for part in parts if isinstance(part, kind))

    return Message("inventory", of(Resource), of(Association), of(ClassData))


class World:
    """An importer on dictionaries."""

    def __init__(self, tables: Tables | None = None, **settings: Any) -> None:
        self.tables = tables or Tables(CATALOGUE)
        self.store = Store(self.tables)
        self.settings = Settings(**settings)
        self.merging = Merging(self.tables)
        self.importer = Importer(self.store, lambda: self.settings, self.merging)
        self.events = 0

    def send(
        self, *parts: Resource | ClassData | Association, event: int | None = None, source: uuid.UUID = NO_SOURCE
    ) -> None:
        """Import a message as the next event, or as one with a registration id of its own; all of it or nothing."""
        self.post(write(message(*parts)), event=event, source=source)

    def post(self, body: bytes, *, event: int | None = None, source: uuid.UUID = NO_SOURCE) -> None:
        self.events = self.events + 1 if event is None else event
        batch = Batch(self.tables)
        with batch.savepoint():
            self.importer.handle(event_of(self.events, source, body), body, batch)  # type: ignore[arg-type]

    @property
    def calls(self) -> list[str]:
        """What was asked since this was asked last."""
        found = [name for name, _ in self.tables.calls]
        self.tables.calls.clear()
        return found

    def rows(self, data_class: DataClass, number: int) -> list[tuple[Any, ...]]:
        if data_class.event:
            return [row for _, row in self.tables.events.get((data_class.guid, guid(number)), [])]
        return self.tables.rows.get((data_class.guid, guid(number)), [])

    def links(self, kind: AssociationType) -> set[tuple[int, int]]:
        return {(parent.int, child.int) for one, parent, child in self.tables.links if one == kind.guid}

    def keys(self, number: int) -> set[str]:
        return {f"{each.name}={each.value}" for each in self.tables.keys.get(guid(number), [])}


def event_of(number: int, source: uuid.UUID = NO_SOURCE, body: bytes = b"") -> Event:
    return Event(number, source, 0, Queue.FAST, len(body), BEGIN + dt.timedelta(minutes=number), 0, body)
