"""A small database of resources of every kind of reference, its profile, and what a dictionary says a merge makes."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from merge_model import answers

from mergeguard.errors import MergeRefused
from mergeguard.integrity.lookup import build_lookup
from mergeguard.resources.merge import merge
from mergeguard.storage.profile import (
    Association,
    AssociationTypes,
    Keys,
    Live,
    Merge,
    Profile,
    Reference,
    Types,
)
from mergeguard.storage.source import Options, Source
from mergeguard.storage.targets import open_target

OURS = (
    "mergeguard_lookup",
    "mergeguard_change",
    "mergeguard_step",
    "mergeguard_run",
    "mergeguard_root",
    "mergeguard_never",
    "mergeguard_request",
)
DAY = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - the tables hold times without a zone, in UTC
PROFILE = Profile(
    name="world",
    merge=Merge("Merges", "OldGuid", "NewGuid", row_id="Id", time="MergedAt", merge_key="MergeKey"),
    live=Live("Alive", "Guid"),
    types=Types("Kinds", "Guid", "Kind"),
    keys=Keys("ResourceKeys", "Guid", "Name", "Text"),
    references=(
        Reference("Inv_One", "Guid", ("Guid",), "At"),
        Reference("Inv_Many", "Guid", ("Guid", "What")),
        Reference("Inv_Owner", "OwnerGuid"),
        Reference("Evt", "Guid"),
    ),
    associations=(Association("Links", "Parent", "Child", "Kind", "At"),),
    association_types=AssociationTypes("LinkKinds", "Guid", "Most"),
)
ANY, ONE = uuid.uuid5(uuid.NAMESPACE_OID, "any"), uuid.uuid5(uuid.NAMESPACE_OID, "one")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Merges": ("OldGuid", "NewGuid", "MergedAt", "MergeKey"),
    "Alive": ("Guid",),
    "Kinds": ("Guid", "Kind"),
    "ResourceKeys": ("Guid", "Name", "Text"),
    "Inv_One": ("Guid", "What", "At"),
    "Inv_Many": ("Guid", "What"),
    "Inv_Owner": ("OwnerGuid", "What"),
    "Evt": ("Guid", "What"),
    "Links": ("Kind", "Parent", "Child", "At"),
    "LinkKinds": ("Guid", "Most"),
}
GUIDS = {"OldGuid", "NewGuid", "Guid", "OwnerGuid", "Parent", "Child"}
Link = tuple[uuid.UUID, uuid.UUID, uuid.UUID, int]
"""(kind, parent, child, day)"""


@dataclass
class Model:
    """What the tables hold, by dictionaries and lists."""

    merges: list[tuple[uuid.UUID, uuid.UUID]] = field(default_factory=list)
    live: set[uuid.UUID] = field(default_factory=set)
    one: dict[uuid.UUID, tuple[str, int]] = field(default_factory=dict)
    many: set[tuple[uuid.UUID, str]] = field(default_factory=set)
    keys: set[tuple[uuid.UUID, str, str]] = field(default_factory=set)
    owner: list[tuple[uuid.UUID, str]] = field(default_factory=list)
    events: list[tuple[uuid.UUID, str]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def root(self, guid: uuid.UUID) -> uuid.UUID:
        """Follow the merges to their end."""
        steps = dict(self.merges)
        while guid in steps:
            guid = steps[guid]
        return guid

    def merge(self, old: uuid.UUID, new: uuid.UUID) -> None:
        """Make one of two roots."""

        def now(guid: uuid.UUID) -> uuid.UUID:
            return new if guid == old else guid

        self.merges.append((old, new))
        self.live.discard(old)
        data = [self.one.pop(guid) for guid in (new, old) if guid in self.one]
        if data:
            self.one[new] = max(data, key=lambda each: each[1])  # the first of equals: the survivor's own
        self.many = {(now(guid), what) for guid, what in self.many}
        self.keys = {(now(guid), name, text) for guid, name, text in self.keys}
        self.owner = [(now(guid), what) for guid, what in self.owner]
        self.events = [(now(guid), what) for guid, what in self.events]
        self._link(old, new)

    def _link(self, old: uuid.UUID, new: uuid.UUID) -> None:
        newest: dict[tuple[uuid.UUID, uuid.UUID, uuid.UUID], int] = {}
        arrived = False
        for kind, parent, child, day in self.links:
            ends = tuple(new if guid == old else guid for guid in (parent, child))
            if ends[0] == ends[1] and parent != child:
                continue
            arrived |= parent == old and kind == ONE
            newest[kind, ends[0], ends[1]] = max(newest.get((kind, *ends), day), day)
        self.links = [(*ends, day) for ends, day in newest.items()]
        ranked = sorted((each for each in self.links if each[:2] == (ONE, new)), key=lambda each: each[3])
        if arrived and len(ranked) > 1:
            self.links = [each for each in self.links if each not in ranked[:-1]]

    def lookup(self) -> set[tuple[uuid.UUID, uuid.UUID | None, int | None, str]]:
        """The closure as the stored lookup is to hold it."""
        found = answers(self.merges, self.live)
        return {(old, current, depth, status) for old, (status, current, depth) in found.items()}


class World:
    """One database, made anew by ``reset``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.kind = url.partition(":")[0].partition("+")[0]
        self.engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        guid: sa.types.TypeEngine[Any] = sa.Text() if self.kind == "sqlite" else sa.Uuid()
        metadata = sa.MetaData()
        for name, columns in COLUMNS.items():
            sa.Table(
                name,
                metadata,
                *([] if name in {"Alive", "Kinds", "LinkKinds"} else [sa.Column("Id", sa.Integer, primary_key=True)]),
                *(_column(name, column, guid) for column in columns),
            )
        metadata.create_all(self.engine)
        with self.engine.begin() as connection:
            connection.execute(sa.text('CREATE INDEX "IX_Old" ON "Merges" ("OldGuid")'))
            connection.execute(sa.text('CREATE INDEX "IX_New" ON "Merges" ("NewGuid")'))
        self.tables = metadata.tables

    def reset(self, live: Collection[uuid.UUID] = (), *, lookup: bool = True) -> Model:
        """Empty all tables, drop what is ours, make some resources and, if wanted, an empty lookup."""
        with self.engine.begin() as connection:
            for name in OURS:
                connection.execute(sa.text(f'DROP TABLE IF EXISTS "{name}"'))
            for table in self.tables.values():
                connection.execute(table.delete())
        self.insert("LinkKinds", [(ANY, None), (ONE, 1)])
        self.insert("Alive", [(guid,) for guid in sorted(live)])
        self.insert("Kinds", [(guid, "computer") for guid in sorted(live)])
        if lookup:
            with self.opened() as source:
                build_lookup(source, PROFILE)
        return Model(live=set(live))

    def insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Put rows into a table; a number in a column of times is a day."""
        names = COLUMNS[table]
        if rows:
            with self.engine.begin() as connection:
                values = [{name: self.told(name, cell) for name, cell in zip(names, row, strict=True)} for row in rows]
                connection.execute(self.tables[table].insert(), values)

    def told(self, name: str, cell: object) -> object:
        """A value as the driver takes it."""
        if isinstance(cell, uuid.UUID) and (self.kind == "sqlite" or name == "Kind"):
            return str(cell)
        return DAY + dt.timedelta(days=cell) if name in {"At", "MergedAt"} and isinstance(cell, int) else cell

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """All rows without their numbers, guids as such and times as days."""
        with self.engine.connect() as connection:
            names = COLUMNS[table]
            found = connection.execute(sa.select(*(self.tables[table].c[name] for name in names))).all()
        return [tuple(_read(name, cell) for name, cell in zip(names, row, strict=True)) for row in found]

    def stored(self) -> set[tuple[Any, ...]]:
        """The lookup as it is stored."""
        with self.engine.connect() as connection:
            sql = "SELECT old_guid, current_guid, depth, status FROM mergeguard_lookup"
            found = connection.execute(sa.text(sql)).all()
        return {(_guid(old), _guid(current), depth, status) for old, current, depth, status in found}

    def model(self) -> Model:
        """Read everything back as a model."""
        return Model(
            merges=[row[:2] for row in self.rows("Merges")],
            live={row[0] for row in self.rows("Alive")},
            one={guid: (what, day) for guid, what, day in self.rows("Inv_One")},
            many=set(self.rows("Inv_Many")),
            keys=set(self.rows("ResourceKeys")),
            owner=self.rows("Inv_Owner"),
            events=self.rows("Evt"),
            links=[(uuid.UUID(str(kind)), *rest) for kind, *rest in self.rows("Links")],
        )

    def picture(self) -> Mapping[str, Sequence[tuple[Any, ...]]]:
        """Every cell of every table of the vendor's, with the numbers of the rows; and the lookup."""
        with self.engine.connect() as connection:
            found = {
                name: sorted(connection.execute(sa.select(table)).all(), key=repr)
                for name, table in self.tables.items()
            }
        return {name: list(map(tuple, rows)) for name, rows in found.items()} | {
            "lookup": sorted(self.stored(), key=repr)
        }

    @contextmanager
    def opened(self, options: Options | None = None, profile: Profile = PROFILE) -> Iterator[Source]:
        """The database as MergeGuard opens it."""
        source = open_target(self.url, profile, options or Options())
        try:
            yield source
        finally:
            source.close()


def _column(table: str, name: str, guid: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    if name in GUIDS:
        alone = table in {"Alive", "Kinds", "LinkKinds"}
        return sa.Column(name, guid, primary_key=alone, nullable=name == "OwnerGuid")
    if name in {"At", "MergedAt"}:
        return sa.Column(name, sa.DateTime)
    return sa.Column(name, sa.Integer if name == "Most" else sa.String(50))


def _read(name: str, cell: Any) -> Any:
    if name in GUIDS:
        return _guid(cell)
    return (cell - DAY).days if name == "At" else cell


def _guid(cell: object) -> uuid.UUID | None:
    return cell if cell is None or isinstance(cell, uuid.UUID) else uuid.UUID(str(cell))


def merge_in_turn(url: str, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]], start: Any) -> list[str]:
    """Merge some pairs in a process of its own, all processes at once; return what came of each."""
    source = open_target(url, PROFILE, Options(lock_timeout=30))
    start.wait(60)
    found = []
    for old, new in pairs:
        try:
            found.append("already" if merge(source, PROFILE, old, new).already else "merged")
        except MergeRefused as refused:
            found.append(refused.reason)
    source.close()
    return found


def is_forest(pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> bool:
    """Say whether each old has one new and nothing leads in a circle."""
    olds = [old for old, _ in pairs]
    return len(olds) == len(set(olds)) and all(status != "cycle" for status, _, _ in answers(pairs).values())
