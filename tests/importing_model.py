"""The reference schema as dictionaries: what importers read and write, without a database, and merges in plain words.

``Tables`` is the state, ``Transaction`` one event's reads and writes on it, ``Store`` hands them out. Every call is
noted in ``Tables.calls``, one a statement, so that a test can count them.
"""

from __future__ import annotations

import copy
import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mergeguard.core.closure import Status
from mergeguard.core.importing.answers import Answers
from mergeguard.core.importing.catalogue import Catalogue, DataClass
from mergeguard.core.importing.keys import folded
from mergeguard.core.importing.standing import KeyOwner, Linked, Standing, Summary
from mergeguard.core.merging.ends import end_of, steps_of
from mergeguard.core.nse.message import Key
from mergeguard.errors import MergeRefused
from mergeguard.storage.importing.store import Expected

BEGIN = dt.datetime(2012, 1, 18, tzinfo=dt.UTC)
Guid = uuid.UUID


@dataclass
class Item:
    """A live resource."""

    type: Guid
    name: str
    created: dt.datetime
    managed: bool = False
    retired: bool = False


@dataclass
class Tables:
    """All that the importers know."""

    catalogue: Catalogue
    items: dict[Guid, Item] = field(default_factory=dict)
    merges: list[tuple[Guid, Guid, str | None]] = field(default_factory=list)
    keys: dict[Guid, list[Key]] = field(default_factory=dict)
    """In the order in which they were given; a resource has each once."""
    rows: dict[tuple[Guid, Guid], list[tuple[Any, ...]]] = field(default_factory=dict)
    """By (data class, resource)."""
    events: dict[tuple[Guid, Guid], list[tuple[dt.datetime, tuple[Any, ...]]]] = field(default_factory=dict)
    summaries: dict[tuple[Guid, Guid], tuple[int, str | None, int | None]] = field(default_factory=dict)
    """Rows, hash and event, by (data class, resource)."""
    links: dict[tuple[Guid, Guid, Guid], int | None] = field(default_factory=dict)
    blacklist: set[Guid] = field(default_factory=set)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def end(self, guid: Guid) -> tuple[Guid | None, Status]:
        """Say where a guid leads."""
        found = end_of(guid, steps_of([(old, new) for old, new, _ in self.merges], self.items), self.items)
        return found.current, found.status

    def add(self, guid: Guid, kind: Guid, *keys: Key, **facts: Any) -> Guid:
        """Put a resource there, as another program would."""
        created = facts.pop("created", BEGIN + dt.timedelta(seconds=len(self.items)))
        self.items[guid] = Item(kind, facts.pop("name", str(guid)), created, **facts)
        self.keys[guid] = list(keys)
        return guid

    def said(self) -> dict[str, Any]:
        """All that two ways to one state are compared by: no names, no hashes, no times of loading."""
        return {
            "live": set(self.items),
            "keys": {(guid, *folded(key)) for guid, keys in self.keys.items() for key in keys},
            "rows": {pair: sorted(map(repr, rows)) for pair, rows in self.rows.items() if rows},
            "events": {pair: sorted(repr(row) for _, row in rows) for pair, rows in self.events.items() if rows},
            "links": set(self.links),
        }

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Undo what is done inside if it raises, as a savepoint does."""
        before = copy.deepcopy(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.update(before)
            raise


class Transaction:
    """One event's reads and writes; see ``storage.importing.store.ImportTransaction``."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.held: set[Guid] = set()

    # Reads.

    @property
    def answers(self) -> Answers:
        return Answers()

    def expect(self, expected: Expected) -> Collection[Guid]:  # noqa: ARG002 - the protocol's
        return ()

    def agree(self, event: int) -> bool:  # noqa: ARG002 - of the protocol
        return False

    def hold_back(self) -> None:
        pass

    def settle(self) -> None:
        pass

    def owners(self, keys: Collection[Key]) -> Sequence[KeyOwner]:
        self._note("owners", keys)
        asked = {folded(key) for key in keys}
        return [
            KeyOwner(key.name, key.value, guid)
            for guid, owned in self.tables.keys.items()
            for key in owned
            if folded(key) in asked
        ]

    def hold_keys(self, keys: Collection[Key]) -> None:
        self._note("hold_keys", keys)

    def standings(self, guids: Collection[Guid]) -> Mapping[Guid, Standing]:
        self._note("standings", frozenset(guids))
        return {guid: self._standing(guid) for guid in guids}

    def hold(self, guids: Collection[Guid]) -> None:
        self._note("hold", frozenset(guids))
        self.held |= set(guids)

    def summaries(self, pairs: Collection[tuple[Guid, Guid]]) -> Mapping[tuple[Guid, Guid], Summary]:
        self._note("summaries", frozenset(pairs))
        known = self.tables.summaries
        return {pair: Summary(*pair, *known[pair][1:]) for pair in pairs if pair in known}

    def linked(self, ends: Collection[tuple[Guid, Guid]]) -> Sequence[Linked]:
        self._note("linked", frozenset(ends))
        return [Linked(*name, event) for name, event in self.tables.links.items() if name[:2] in ends]

    # Writes.

    def create(self, guid: Guid, kind: Guid, name: str, *, managed: bool = False) -> None:
        self._note("create", guid)
        if guid not in self.tables.items:
            self.tables.add(guid, kind, name=name, managed=managed)

    def activate(self, guid: Guid) -> None:
        self._note("activate", guid)
        self.tables.items[guid].retired = False

    def add_keys(self, guid: Guid, keys: Collection[Key]) -> None:
        self._note("add_keys", guid)
        owned = self.tables.keys.setdefault(guid, [])
        known = {folded(key) for key in owned}
        owned += [key for key in keys if folded(key) not in known]

    def replace_rows(self, data_class: DataClass, guid: Guid, rows: Sequence[Sequence[Any]]) -> None:
        self._note("replace_rows", (data_class.guid, guid))
        self.tables.rows[data_class.guid, guid] = [tuple(row) for row in rows]

    def update_rows(self, data_class: DataClass, guid: Guid, rows: Sequence[Mapping[str, Any]]) -> None:
        self._note("update_rows", (data_class.guid, guid))
        names = [column.name for column in data_class.columns]
        keys = [column.name for column in data_class.columns if column.key]
        stands = [dict(zip(names, row, strict=True)) for row in self.tables.rows.get((data_class.guid, guid), [])]
        for given in rows:
            same = [row for row in stands if all(row[name] == given[name] for name in keys)]
            if not same:
                stands.append({name: given.get(name) for name in names})
            for row in same:
                row.update(given)
        self.tables.rows[data_class.guid, guid] = [tuple(row[name] for name in names) for row in stands]

    def append_rows(self, data_class: DataClass, guid: Guid, rows: Sequence[Sequence[Any]], time: dt.datetime) -> None:
        self._note("append_rows", (data_class.guid, guid))
        self.tables.events.setdefault((data_class.guid, guid), []).extend((time, tuple(row)) for row in rows)

    def summarise(self, data_class: DataClass, guid: Guid, rows: int | None, hash_: str | None, event: int) -> None:
        self._note("summarise", (data_class.guid, guid))
        pair = data_class.guid, guid
        self.tables.summaries[pair] = len(self.tables.rows[pair]) if rows is None else rows, hash_, event

    def confirm(self, pairs: Collection[tuple[Guid, Guid]], event: int) -> None:
        self._note("confirm", frozenset(pairs))
        for pair in pairs:
            rows, hash_, _ = self.tables.summaries[pair]
            self.tables.summaries[pair] = rows, hash_, event

    def link(self, links: Collection[Linked]) -> None:
        self._note("link", frozenset(links))
        for each in links:
            name = each.type, each.parent, each.child
            before = self.tables.links.get(name)
            self.tables.links[name] = max((one for one in (before, each.event) if one is not None), default=None)

    def unlink(self, links: Collection[Linked]) -> None:
        self._note("unlink", frozenset(links))
        for each in links:
            del self.tables.links[each.type, each.parent, each.child]

    def _standing(self, guid: Guid) -> Standing:
        current, status = self.tables.end(guid)
        item = None if current is None else self.tables.items.get(current)
        listed = guid in self.tables.blacklist
        if item is None:
            return Standing(guid, current, status, blacklisted=listed)
        facts = {"type": item.type, "retired": item.retired, "managed": item.managed, "created": item.created}
        return Standing(guid, current, status, live=True, blacklisted=listed, **facts)

    def _note(self, call: str, what: Any) -> None:
        self.tables.calls.append((call, what))


class Batch:
    """What an importer may ask of a batch besides."""

    def __init__(self, tables: Tables) -> None:
        self.connection = tables
        self.prepared: Any = None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with self.connection.tried():
            yield


class Store:
    """See ``storage.importing.store.ImportStore``; the transaction is on the tables themselves."""

    def __init__(self, tables: Tables, opened: Callable[[Tables], Transaction] = Transaction) -> None:
        self.tables = tables
        self.opened = opened
        self.kept: Catalogue | None = None

    def catalogue(self, connection: Any) -> Catalogue:  # noqa: ARG002 - the protocol's
        if self.kept is None:
            self.kept = self.tables.catalogue
        return self.kept

    def forget(self) -> None:
        self.kept = None

    def within(self, batch: Any) -> Transaction:  # noqa: ARG002 - likewise
        return self.opened(self.tables)


class Merging:
    """Merges as ``resources.merge`` does, in few words; see ``processor.importers.importer.Merging``."""

    def __init__(self, tables: Tables, never: Collection[frozenset[Guid]] = ()) -> None:
        self.tables = tables
        self.never = never

    def merge(self, batch: Any, old: Guid, new: Guid, key: str | None = None) -> None:  # noqa: ARG002 - likewise
        self.tables.calls.append(("merge", (old, new, key)))
        merge(self.tables, old, new, key, self.never)


def merge(
    tables: Tables, old: Guid, new: Guid, key: str | None = None, never: Collection[frozenset[Guid]] = ()
) -> None:
    """Merge the root of ``old`` into that of ``new``: newest data by event, keys united, links counted."""
    first, second = tables.end(old)[0], tables.end(new)[0]
    if first is None or second is None or first == second:
        return
    if first not in tables.items or second not in tables.items:
        raise MergeRefused(f"{first} or {second} is not live", reason="unknown-guid")
    if tables.items[first].type != tables.items[second].type:
        raise MergeRefused("they are of different types", reason="type-mismatch")
    if frozenset((first, second)) in never:
        raise MergeRefused("they are never merged", reason="never-merge")
    tables.merges.append((first, second, key))
    del tables.items[first]
    for each in tables.keys.pop(first, []):
        Transaction(tables).add_keys(second, [each])
    _move_rows(tables, first, second)
    _move_foreign(tables, first, second)
    _move_links(tables, first, second)


def _move_rows(tables: Tables, old: Guid, new: Guid) -> None:
    for kind, guid in [pair for pair in tables.summaries if pair[1] == old]:
        mine, theirs = tables.summaries.pop((kind, guid)), tables.summaries.get((kind, new))
        rows = tables.rows.pop((kind, guid), [])
        if theirs is None or _age(mine[2]) > _age(theirs[2]):
            tables.summaries[kind, new] = mine[0], None, mine[2]
            tables.rows[kind, new] = rows
    for kind, guid in [pair for pair in tables.events if pair[1] == old]:
        tables.events.setdefault((kind, new), []).extend(tables.events.pop((kind, guid)))


def _move_foreign(tables: Tables, old: Guid, new: Guid) -> None:
    for (kind, guid), rows in list(tables.rows.items()):
        columns = tables.catalogue.classes[kind].columns
        at = [number for number, column in enumerate(columns) if column.resource]
        keys = [number for number, column in enumerate(columns) if column.key]
        if not any(row[number] == old for row in rows for number in at):
            continue
        moved = [(_moved(row, at, old, new), row) for row in rows]
        if keys:
            moved.sort(key=lambda pair: pair[0] != pair[1])  # of rows that become one, what stood there stays
            unique: dict[Any, tuple[Any, ...]] = {}
            for row, _ in moved:
                unique.setdefault(tuple(row[number] for number in keys), row)
            tables.rows[kind, guid] = list(unique.values())
        else:
            tables.rows[kind, guid] = [row for row, _ in moved]
    for (kind, _), events in tables.events.items():
        columns = tables.catalogue.classes[kind].columns
        at = [number for number, column in enumerate(columns) if column.resource]
        events[:] = [(time, _moved(row, at, old, new)) for time, row in events]


def _moved(row: tuple[Any, ...], at: Sequence[int], old: Guid, new: Guid) -> tuple[Any, ...]:
    return tuple(new if number in at and cell == old else cell for number, cell in enumerate(row))


def _move_links(tables: Tables, old: Guid, new: Guid) -> None:
    touched, arrived = set(), set()
    for kind, parent, child in [name for name in tables.links if old in name[1:]]:
        event = tables.links.pop((kind, parent, child))
        ends = new if parent == old else parent, new if child == old else child
        if ends[0] == ends[1]:
            continue
        name = kind, *ends
        if name not in tables.links:
            arrived.add(name)
        tables.links[name] = max(event, tables.links.get(name), key=_age)
        touched.add((kind, ends[0]))
    for kind, parent in touched:
        most = tables.catalogue.associations[kind].maximum
        stands = sorted((name for name in tables.links if name[:2] == (kind, parent)), key=str)
        # Of equally new links those of the survivor stay.
        stands.sort(key=lambda name: (_age(tables.links[name]), name not in arrived), reverse=True)
        for name in stands[most:] if most else ():
            del tables.links[name]


def _age(event: int | None) -> int:
    return -1 if event is None else event
