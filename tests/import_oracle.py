"""What imports and merges make of a resource database, by dictionaries: the oracle of tests/importing.

There are two of them. ``Model`` makes one operation after the other. ``law`` looks at all of them at once and says what
any order of them comes to. That both agree, whatever the order, is the claim *import then merge = merge then import*.

What is compared (``Facts``) are rows of data, ends of associations, foreign keys, sets of keys, and who is one with
whom. Names, numbers of rows, load times and hashes are not, nor which guid of a class survives: a class is called by
the least of the guids that it began with, or by its least key where all its guids are of newcomers.
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TypeAlias

from mergeguard.core.importing.catalogue import Catalogue, CellType, DataClass
from mergeguard.core.nse.message import ClassData, Message, Resource, Target

Guid: TypeAlias = uuid.UUID
Cell: TypeAlias = uuid.UUID | str | int | None
Cells: TypeAlias = tuple[Cell, ...]
Rank: TypeAlias = tuple[bool, int]
"""(whether an event gave it, the registration id of the event or a day): the greatest is the newest."""
Place: TypeAlias = tuple[Guid, Guid]
"""(data class, resource)"""


@dataclass(frozen=True, slots=True)
class Import:
    """A message, and the registration id of its event."""

    event: int
    message: Message


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge that somebody asks for."""

    old: Guid
    new: Guid


Operation: TypeAlias = Import | Merge


@dataclass(frozen=True, slots=True)
class Facts:
    """What is compared; guids are names of classes here."""

    classes: frozenset[frozenset[Guid]]
    """Of two guids or more that the database began with."""
    data: Mapping[tuple[Guid, str], frozenset[tuple[Hashable, ...]]]
    happened: Mapping[tuple[Hashable, ...], int]
    """Rows of event classes, and how often."""
    links: frozenset[tuple[Guid, str, str]]
    keys: frozenset[tuple[str, str, str]]

    def difference(self, other: Facts) -> str | None:
        """Say in a line what is not the same."""
        for name in ("classes", "data", "happened", "links", "keys"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"{name}: {_shown(mine, theirs)} instead of {_shown(theirs, mine)}"
        return None


def _shown(one: object, other: object) -> str:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return repr({key: value for key, value in one.items() if other.get(key) != value})
    assert isinstance(one, frozenset)
    assert isinstance(other, frozenset)
    return repr(set(one - other))


class Classes:
    """Who is one with whom."""

    def __init__(self) -> None:
        self._up: dict[Hashable, Hashable] = {}

    def root(self, one: Hashable) -> Hashable:
        while one in self._up:
            one = self._up[one]
        return one

    def join(self, one: Hashable, other: Hashable) -> bool:
        """Make two one; say whether they were two."""
        here, there = self.root(one), self.root(other)
        if here == there:
            return False
        self._up[here] = there
        return True


# --- Messages ---


def rows_of(data_class: DataClass, data: ClassData) -> list[Cells]:
    """The rows of a part of a message as the database is to hold them, guids not mapped."""
    return [tuple(_cells(data_class, row.cells)) for row in data.rows]


def _cells(data_class: DataClass, texts: Sequence[str | None]) -> Iterator[Cell]:
    for column, text in itertools.zip_longest(data_class.columns, texts):
        if text is None:
            yield None
        elif column.type is CellType.GUID:
            yield uuid.UUID(text)
        else:
            yield int(text) if column.type is CellType.INTEGER else text


def mapped(data_class: DataClass, cells: Cells, current: Callable[[Guid], Guid]) -> Cells:
    """The same row with the guids of resources where they lead."""
    pairs = zip(data_class.columns, cells, strict=True)
    return tuple(current(cell) if column.resource and isinstance(cell, uuid.UUID) else cell for column, cell in pairs)


# --- One operation after the other ---


@dataclass
class Model:
    """The tables of a database whose merges are a forest."""

    catalogue: Catalogue
    types: dict[Guid, Guid] = field(default_factory=dict)
    """Of all resources that ever were."""
    began: frozenset[Guid] = frozenset()
    """The guids that the database began with."""
    into: dict[Guid, Guid] = field(default_factory=dict)
    keys: set[tuple[Guid, str, str]] = field(default_factory=set)
    data: dict[Place, tuple[Rank, frozenset[Cells]]] = field(default_factory=dict)
    happened: list[tuple[Guid, Guid, Cells]] = field(default_factory=list)
    links: dict[tuple[Guid, Guid, Guid], Rank] = field(default_factory=dict)

    def copy(self) -> Model:
        return Model(self.catalogue, *deepcopy([getattr(self, name) for name in _FIELDS]))

    def current(self, guid: Guid) -> Guid:
        while guid in self.into:
            guid = self.into[guid]
        return guid

    def make(self, operation: Operation) -> None:
        if isinstance(operation, Merge):
            self.merge(operation.old, operation.new)
        else:
            self.take(operation.event, operation.message)

    def merge(self, old: Guid, new: Guid) -> None:
        """Make one of two classes; where they are one already nothing is done."""
        old, new = self.current(old), self.current(new)
        if old == new:
            return
        self.into[old] = new
        self.keys = {(self.current(guid), name, value) for guid, name, value in self.keys}
        for place, (rank, rows) in self.data.items():
            moved = (mapped(self.catalogue.classes[place[0]], row, self.current) for row in rows)
            self.data[place] = rank, frozenset(moved)
        for data_class, guid in [place for place in self.data if place[1] == old]:
            mine, there = self.data.pop((data_class, guid)), self.data.get((data_class, new))
            self.data[data_class, new] = mine if there is None or there[0] < mine[0] else there
        self._link([])

    def take(self, event: int, message: Message) -> None:
        """Import a message that holds nothing wrong."""
        named = {resource.ref: self._identified(resource) for resource in message.resources}

        def meant(target: Target) -> Guid:
            if target.guid is not None:
                return self.current(target.guid)
            return self.current(named[target.ref or ""])

        for data in message.data:
            data_class, guid = self.catalogue.classes[data.data_class], meant(data.resource)
            rows = [mapped(data_class, row, self.current) for row in rows_of(data_class, data)]
            self._load(data_class, guid, rows, event, partial=data.partial)
        ends = [(each.type, meant(each.parent), meant(each.child)) for each in message.associations]
        self._link([(end, (True, event)) for end in ends])

    def _identified(self, resource: Resource) -> Guid:
        kind = resource.type
        assert kind is not None
        enforced = self.catalogue.merge_keys.get(kind, frozenset())
        wanted = {(key.name.lower(), key.value.lower()) for key in resource.keys if key.name in enforced}
        found = {guid for guid, name, value in self.keys if (name.lower(), value.lower()) in wanted}
        if resource.guid is not None and self.current(resource.guid) in self.types:
            found.add(self.current(resource.guid))
        if not found:
            found = {resource.guid or uuid.uuid4()}
            self.types |= dict.fromkeys(found, kind)
        one, *others = sorted(found)
        for other in others:
            self.merge(other, one)
        self.keys |= {(one, key.name, key.value) for key in resource.keys}
        return one

    def _load(self, data_class: DataClass, guid: Guid, rows: Sequence[Cells], event: int, *, partial: bool) -> None:
        if data_class.event:
            self.happened += [(data_class.guid, guid, row) for row in rows]
            return
        rank, there = self.data.get((data_class.guid, guid), ((False, -1), frozenset()))
        if rank > (True, event):
            return
        if partial:
            rows = _updated(data_class, there, rows)
        self.data[data_class.guid, guid] = (True, event), frozenset(rows)

    def _link(self, added: Sequence[tuple[tuple[Guid, Guid, Guid], Rank]]) -> None:
        """Add links, and map all; of those beyond the most that a parent may have the newest stay."""
        now: dict[tuple[Guid, Guid, Guid], Rank] = {}
        for (kind, parent, child), rank in [*self.links.items(), *added]:
            ends = kind, self.current(parent), self.current(child)
            if ends[1] != ends[2]:
                now[ends] = max(now.get(ends, rank), rank)
        self.links = now
        for kind, most in ((each.guid, each.maximum) for each in self.catalogue.associations.values()):
            if most:
                self._limit(kind, most)

    def _limit(self, kind: Guid, most: int) -> None:
        for parent in {ends[1] for ends in self.links if ends[0] == kind}:
            own = [ends for ends in self.links if ends[:2] == (kind, parent)]
            for ends in sorted(own, key=lambda each: self.links[each], reverse=True)[most:]:
                del self.links[ends]

    def facts(self) -> Facts:
        classes = Classes()
        for old, new in self.into.items():
            classes.join(old, new)
        return facts(
            self.began,
            classes,
            {place: rows for place, (_, rows) in self.data.items()},
            self.happened,
            self.links,
            self.keys,
            self.catalogue,
        )


_FIELDS = ("types", "began", "into", "keys", "data", "happened", "links")


def began(catalogue: Catalogue, guids: Iterable[Guid], kind: Guid, keys: Iterable[tuple[Guid, str, str]] = ()) -> Model:
    """A database of some resources that know nothing of each other."""
    everyone = dict.fromkeys(guids, kind)
    return Model(catalogue, everyone, frozenset(everyone), keys=set(keys))


def _updated(data_class: DataClass, there: Iterable[Cells], rows: Sequence[Cells]) -> list[Cells]:
    """Change the given columns of the rows with the same keys; add what is not there."""
    keys = [at for at, column in enumerate(data_class.columns) if column.key]
    found = {tuple(row[at] for at in keys): row for row in there}
    for row in rows:
        name = tuple(row[at] for at in keys)
        before = found.get(name, (None,) * len(row))
        found[name] = tuple(old if new is None else new for old, new in zip(before, row, strict=True))
    return list(found.values())


# --- What any order comes to ---


def law(start: Model, operations: Sequence[Operation]) -> Facts:
    """What some operations come to in any order; ``start`` has no links of a type with a maximum, and is not changed.

    Two resources are one where a chain of merges and shared enforcement keys leads from one to the other; of each class
    of data the rows of the newest event stay; everything else is united.
    """
    classes = Classes()
    for old, new in start.into.items():
        classes.join(old, new)
    keys, told = set(start.keys), [(place, rank, rows) for place, (rank, rows) in start.data.items()]
    happened, links = list(start.happened), set(start.links)
    for operation in operations:
        if isinstance(operation, Merge):
            classes.join(operation.old, operation.new)
            continue
        who = _claimed(start, operation, classes, keys)
        for data in operation.message.data:
            data_class, guid = start.catalogue.classes[data.data_class], who(data.resource)
            rows = rows_of(data_class, data)
            if data_class.event:
                happened += [(data_class.guid, guid, row) for row in rows]
            else:
                told.append(((data_class.guid, guid), (True, operation.event), frozenset(rows)))
        links |= {(each.type, who(each.parent), who(each.child)) for each in operation.message.associations}
    _join_by_keys(start, classes, keys)
    newest: dict[tuple[Guid, Hashable], tuple[Rank, Place, frozenset[Cells]]] = {}
    for place, rank, rows in told:
        at = place[0], classes.root(place[1])
        if at not in newest or newest[at][0] < rank:
            newest[at] = rank, place, rows
    apart = [ends for ends in links if classes.root(ends[1]) != classes.root(ends[2])]
    data = {place: rows for _, place, rows in newest.values()}
    return facts(start.began, classes, data, happened, apart, keys, start.catalogue)


def _claimed(
    start: Model, operation: Import, classes: Classes, keys: set[tuple[Guid, str, str]]
) -> Callable[[Target], Guid]:
    """Take the resources of a message as they are sent; return what its targets mean."""
    named: dict[str, Guid] = {}
    for number, resource in enumerate(operation.message.resources):
        guid = resource.guid or uuid.uuid5(uuid.NAMESPACE_OID, f"{operation.event} {number}")
        named[resource.ref] = guid
        classes.root(guid)
        keys |= {(guid, key.name, key.value) for key in resource.keys}
    return lambda target: target.guid if target.guid is not None else named[target.ref or ""]


def _join_by_keys(start: Model, classes: Classes, keys: Iterable[tuple[Guid, str, str]]) -> None:
    enforced = {name for names in start.catalogue.merge_keys.values() for name in names}
    first: dict[tuple[str, str], Guid] = {}
    for guid, name, value in keys:
        if name in enforced:
            classes.join(guid, first.setdefault((name.lower(), value.lower()), guid))


# --- What is compared ---


def facts(
    began: frozenset[Guid],
    classes: Classes,
    data: Mapping[Place, Iterable[Cells]],
    happened: Iterable[tuple[Guid, Guid, Cells]],
    links: Iterable[tuple[Guid, Guid, Guid]],
    keys: Iterable[tuple[Guid, str, str]],
    catalogue: Catalogue,
) -> Facts:
    """Put tables into the words that are compared."""
    keys = list(keys)
    call = _names(began, classes, keys)

    def told(data_class: Guid, cells: Cells) -> tuple[Hashable, ...]:
        columns = catalogue.classes[data_class].columns
        pairs = zip(columns, cells, strict=True)
        return tuple(call(cell) if column.resource and isinstance(cell, uuid.UUID) else cell for column, cell in pairs)

    groups: dict[Hashable, set[Guid]] = {}
    for guid in began:
        groups.setdefault(classes.root(guid), set()).add(guid)
    held = {(kind, call(guid)): frozenset(told(kind, row) for row in rows) for (kind, guid), rows in data.items()}
    return Facts(
        classes=frozenset(frozenset(group) for group in groups.values() if len(group) > 1),
        data={place: rows for place, rows in held.items() if rows},
        happened=dict(Counter((kind, call(guid), *told(kind, row)) for kind, guid, row in happened)),
        links=frozenset((kind, call(parent), call(child)) for kind, parent, child in links),
        keys=frozenset((call(guid), name.lower(), value.lower()) for guid, name, value in keys),
    )


def _names(began: frozenset[Guid], classes: Classes, keys: Iterable[tuple[Guid, str, str]]) -> Callable[[Guid], str]:
    """Call each class by the least guid that it began with, else by its least key, else by the guid itself."""
    names: dict[Hashable, str] = {}
    for guid, name, value in keys:
        root, text = classes.root(guid), f"{name}={value}".lower()
        names[root] = min(names.get(root, text), text)
    olds: dict[Hashable, str] = {}
    for guid in began:
        root = classes.root(guid)
        olds[root] = min(olds.get(root, str(guid)), str(guid))
    names |= olds
    return lambda guid: names.get(classes.root(guid), str(guid))
