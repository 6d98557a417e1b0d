"""The peer of the importer: the same work by SQLAlchemy's ORM, with one flush an event.

It runs in the queue's own batches as the importer does, reads messages with the same reader, and works on the same
tables. For each event it finds the resource by its keys, asks where every guid leads, keeps the resources from being
merged (``FOR SHARE``), skips classes with an equal hash and older data, replaces rows, unites keys and associations,
and writes down what it loaded. ``bulk`` deletes the rows of a class with one statement; otherwise they are loaded and
deleted by the unit of work, as a collection of an ORM does it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from importing_work import CLASSES, COMPUTER, TYPES
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from mergeguard.core.events import Event
from mergeguard.core.importing.catalogue import CellType, DataClass
from mergeguard.core.nse import read
from mergeguard.core.nse.message import ClassData, Message, Resource, Target
from mergeguard.processor.handlers import EventBatch

TYPES_OF_CELLS = {CellType.TEXT: sa.Text, CellType.INTEGER: sa.BigInteger, CellType.GUID: sa.Uuid}
MAXIMA = {each.guid: each.maximum for each in TYPES}


class Base(DeclarativeBase):
    type_annotation_map = {dt.datetime: sa.DateTime(timezone=True)}  # noqa: RUF012 - as the ORM wants it


class Item(Base):
    __tablename__ = "Item"
    guid: Mapped[uuid.UUID] = mapped_column("Guid", primary_key=True)
    name: Mapped[str] = mapped_column("Name")
    kind: Mapped[uuid.UUID] = mapped_column("ResourceTypeGuid")
    created: Mapped[dt.datetime] = mapped_column("CreatedDate")
    modified: Mapped[dt.datetime] = mapped_column("ModifiedDate")


class ItemResource(Base):
    __tablename__ = "ItemResource"
    guid: Mapped[uuid.UUID] = mapped_column("Guid", primary_key=True)
    managed: Mapped[bool] = mapped_column("IsManaged")
    status: Mapped[str] = mapped_column("Status", default="active")


class ResourceKey(Base):
    __tablename__ = "ResourceKey"
    guid: Mapped[uuid.UUID] = mapped_column("ResourceGuid", primary_key=True)
    name: Mapped[str] = mapped_column("KeyName", primary_key=True)
    value: Mapped[str] = mapped_column("KeyValue", primary_key=True)


class Association(Base):
    __tablename__ = "ResourceAssociation"
    kind: Mapped[uuid.UUID] = mapped_column("ResourceAssociationTypeGuid", primary_key=True)
    parent: Mapped[uuid.UUID] = mapped_column("ParentResourceGuid", primary_key=True)
    child: Mapped[uuid.UUID] = mapped_column("ChildResourceGuid", primary_key=True)
    created: Mapped[dt.datetime] = mapped_column("CreatedDate")
    event: Mapped[int | None] = mapped_column("EventId", sa.BigInteger)


class Summary(Base):
    __tablename__ = "ResourceUpdateSummary"
    data_class: Mapped[uuid.UUID] = mapped_column("InventoryClassGuid", primary_key=True)
    guid: Mapped[uuid.UUID] = mapped_column("ResourceGuid", primary_key=True)
    created: Mapped[dt.datetime] = mapped_column("CreatedDate")
    modified: Mapped[dt.datetime] = mapped_column("ModifiedDate")
    rows: Mapped[int] = mapped_column("RowCount")
    hash: Mapped[str | None] = mapped_column("DataHash", sa.CHAR(32))
    changed: Mapped[dt.datetime | None] = mapped_column("DataLastChangedDate")
    event: Mapped[int | None] = mapped_column("LastEventId", sa.BigInteger)


class Lookup(Base):
    __tablename__ = "mergeguard_lookup"
    old: Mapped[uuid.UUID] = mapped_column("old_guid", primary_key=True)
    current: Mapped[uuid.UUID | None] = mapped_column("current_guid")
    status: Mapped[str] = mapped_column("status")


def _mapped(data_class: DataClass) -> Any:  # noqa: ANN401 - a class made here
    columns: dict[str, Any] = {
        "__tablename__": data_class.table,
        "id": mapped_column("_id", sa.BigInteger, primary_key=True),
        "guid": mapped_column("_ResourceGuid", sa.Uuid),
    }
    for column in data_class.columns:
        columns[column.name.lower()] = mapped_column(column.name, TYPES_OF_CELLS[column.type], nullable=column.nullable)
    return type(data_class.table, (Base,), columns)


ROWS = {data_class.guid: _mapped(data_class) for data_class in CLASSES}
CATALOGUE = {data_class.guid: data_class for data_class in CLASSES}


class OrmImporter:
    """A handler.

    Args:
        bulk: delete the rows of a class with one statement.
    """

    def __init__(self, *, bulk: bool) -> None:
        self._bulk = bulk

    def handle(self, event: Event, body: bytes, batch: EventBatch, /) -> None:
        """Import one event."""
        message = read(body)
        with Session(batch.connection, autoflush=False, join_transaction_mode="rollback_only") as session:
            _One(session, event, message, bulk=self._bulk).run()
            session.flush()


class _One:
    """One event."""

    def __init__(self, session: Session, event: Event, message: Message, *, bulk: bool) -> None:
        self._session = session
        self._event = event
        self._message = message
        self._bulk = bulk
        self._now = dt.datetime.now(dt.UTC)
        self._current: Mapping[uuid.UUID, uuid.UUID] = {}

    def run(self) -> None:
        named = {resource.ref: self._identified(resource) for resource in self._message.resources}
        self._hold(named.values())

        def meant(target: Target) -> uuid.UUID:
            guid = named[target.ref or ""] if target.guid is None else target.guid
            return self._current.get(guid, guid)

        self._load([(data, meant(data.resource)) for data in self._message.data])
        self._link([(each.type, meant(each.parent), meant(each.child)) for each in self._message.associations])

    def _identified(self, resource: Resource) -> uuid.UUID:
        wanted = [(key.name.lower(), key.value.lower()) for key in resource.keys]
        pair = sa.tuple_(sa.func.lower(ResourceKey.name), sa.func.lower(ResourceKey.value))
        owned = self._session.scalars(sa.select(ResourceKey).where(pair.in_(wanted))).all()
        owners = {key.guid for key in owned}
        if len(owners) > 1:
            raise NotImplementedError("the benchmark merges nothing")
        guid = next(iter(owners), resource.guid or uuid.uuid4())
        if not owners and self._session.get(Item, guid) is None:
            self._session.add(Item(guid=guid, name=resource.name, kind=COMPUTER, created=self._now, modified=self._now))
            self._session.add(ItemResource(guid=guid, managed=True))
        there = {(key.name.lower(), key.value.lower()) for key in owned}
        missing = [key for key in resource.keys if (key.name.lower(), key.value.lower()) not in there]
        self._session.add_all([ResourceKey(guid=guid, name=key.name, value=key.value) for key in missing])
        return guid

    def _hold(self, named: Iterable[uuid.UUID]) -> None:
        guids = {*named, *_guids(self._message)}
        found = self._session.execute(sa.select(Lookup.old, Lookup.current).where(Lookup.old.in_(guids)))
        self._current = {old: current for old, current in found if current is not None}
        held = sorted({self._current.get(guid, guid) for guid in guids})
        locked = sa.select(ItemResource).where(ItemResource.guid.in_(held)).order_by(ItemResource.guid)
        self._session.scalars(locked.with_for_update(read=True)).all()

    def _load(self, data: Sequence[tuple[ClassData, uuid.UUID]]) -> None:
        classes = {part.data_class for part, _ in data}
        chosen = sa.select(Summary).where(Summary.guid.in_({guid for _, guid in data}), Summary.data_class.in_(classes))
        known = {(each.data_class, each.guid): each for each in self._session.scalars(chosen)}
        for part, guid in data:
            self._load_one(part, guid, known.get((part.data_class, guid)))

    def _load_one(self, part: ClassData, guid: uuid.UUID, known: Summary | None) -> None:
        digest = hashlib.blake2b(repr(sorted(row.cells for row in part.rows)).encode(), digest_size=16).hexdigest()
        if known is not None and known.event is not None and known.event > self._event.id:
            return
        if known is not None and known.hash == digest:
            known.event = self._event.id
            return
        row_of = ROWS[part.data_class]
        if self._bulk:
            gone = sa.delete(row_of).where(row_of.guid == guid)
            self._session.execute(gone, execution_options={"synchronize_session": False})
        else:
            for row in self._session.scalars(sa.select(row_of).where(row_of.guid == guid)):
                self._session.delete(row)
        data_class = CATALOGUE[part.data_class]
        self._session.add_all([row_of(guid=guid, **self._cells(data_class, row.cells)) for row in part.rows])
        if known is None:
            known = Summary(data_class=part.data_class, guid=guid, created=self._now)
            self._session.add(known)
        known.modified, known.changed = self._now, self._now
        known.rows, known.hash, known.event = len(part.rows), digest, self._event.id

    def _cells(self, data_class: DataClass, texts: Sequence[str | None]) -> dict[str, object]:
        found: dict[str, object] = {}
        for column, text in zip(data_class.columns, texts, strict=True):
            value: object = text
            if text is not None and column.type is CellType.INTEGER:
                value = int(text)
            elif text is not None and column.type is CellType.GUID:
                guid = uuid.UUID(text)
                value = self._current.get(guid, guid)
            found[column.name.lower()] = value
        return found

    def _link(self, ends: Sequence[tuple[uuid.UUID, uuid.UUID, uuid.UUID]]) -> None:
        own = sa.tuple_(Association.kind, Association.parent)
        chosen = sa.select(Association).where(own.in_({(kind, parent) for kind, parent, _ in ends}))
        known = {(each.kind, each.parent, each.child): each for each in self._session.scalars(chosen)}
        for kind, parent, child in dict.fromkeys(ends):
            if parent == child:
                continue
            link = known.get((kind, parent, child))
            if link is None:
                link = Association(kind=kind, parent=parent, child=child, created=self._now)
                known[kind, parent, child] = link
                self._session.add(link)
            link.event = max(link.event or 0, self._event.id)
            self._limit(kind, [each for each in known.values() if (each.kind, each.parent) == (kind, parent)])

    def _limit(self, kind: uuid.UUID, links: list[Association]) -> None:
        most = MAXIMA[kind]
        if most is not None:
            for link in sorted(links, key=lambda each: each.event or 0, reverse=True)[most:]:
                self._session.delete(link)


def _guids(message: Message) -> Iterable[uuid.UUID]:
    for data in message.data:
        places = [at for at, column in enumerate(CATALOGUE[data.data_class].columns) if column.resource]
        for row in data.rows:
            yield from (uuid.UUID(row.cells[at]) for at in places if row.cells[at] is not None)
    for link in message.associations:
        yield from (target.guid for target in (link.parent, link.child) if target.guid is not None)
