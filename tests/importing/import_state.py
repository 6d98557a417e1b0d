"""What the tables of a resource database hold at one commit, and the checks by their names.

A check looks at one state, or at the last one and what was done until then, and says in a sentence what is wrong.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from import_oracle import Cells, Classes, Facts, Guid, Import, Model, Operation, facts, law
from importing.import_cases import CATALOGUE

from mergeguard.testing import checks as kit
from mergeguard.testing.tables import Tables


@dataclass(frozen=True, slots=True)
class State:
    """All rows, by plain values."""

    types: Mapping[Guid, Guid | None]
    """Of every resource that ever was: the rows of Item."""
    live: frozenset[Guid]
    merges: tuple[tuple[Guid, Guid], ...]
    lookup: Mapping[Guid, tuple[Guid | None, int | None, str]]
    keys: Sequence[tuple[Guid, str, str]]
    data: Mapping[Guid, Sequence[tuple[Guid, Cells]]]
    """By data class: whose, and the cells; NULL in the column that says whose is the empty guid."""
    links: Sequence[tuple[Guid, Guid, Guid, int | None]]
    summaries: Mapping[tuple[Guid, Guid], tuple[str | None, int | None, int | None]]
    """(data class, resource) -> hash, event, rows."""
    waiting: frozenset[int] = frozenset()
    """Events that are not done."""
    parked: frozenset[int] = frozenset()
    dead: frozenset[int] = frozenset()

    @property
    def classes(self) -> Classes:
        found = Classes()
        for old, new in self.merges:
            found.join(old, new)
        return found

    def references(self) -> Iterator[tuple[str, Guid]]:
        """Yield every guid that stands anywhere but in the merges, and where."""
        yield from (("a key", guid) for guid, *_ in self.keys)
        for data_class, rows in self.data.items():
            table = CATALOGUE.classes[data_class]
            for guid, cells in rows:
                yield f"a row of {table.name}", guid
                for column, cell in zip(table.columns, cells, strict=True):
                    if column.resource and isinstance(cell, uuid.UUID):
                        yield f"{column.name} of {table.name}", cell
        for _, parent, child, _ in self.links:
            yield "the parent of an association", parent
            yield "the child of an association", child
        yield from (("a summary", guid) for _, guid in self.summaries)

    def facts(self, began: frozenset[Guid]) -> Facts:
        """Put it into the words that are compared."""
        inventory: dict[tuple[Guid, Guid], list[Cells]] = {}
        happened = []
        for data_class, rows in self.data.items():
            for guid, cells in rows:
                if CATALOGUE.classes[data_class].event:
                    happened.append((data_class, guid, cells))
                else:
                    inventory.setdefault((data_class, guid), []).append(cells)
        links = [link[:3] for link in self.links]
        return facts(began, self.classes, inventory, happened, links, self.keys, CATALOGUE)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check may look at.

    Attributes:
        start: what the database began with, before the operations that are made at the same time.
        before: the commit before.
        asked: all operations; the events among them are numbered as the database numbers them.
        over: whether nothing goes on any more.
    """

    start: Model
    before: State
    now: State
    asked: Sequence[Operation] = ()
    over: bool = False
    names: Mapping[Guid, str] = field(default_factory=dict)

    def call(self, guid: Guid) -> str:
        return self.names.get(guid, str(guid))

    @property
    def expected(self) -> Facts:
        """What the law says of the events that are done and of all merges."""
        undone = self.now.waiting | self.now.dead
        return law(self.start, [one for one in self.asked if not (isinstance(one, Import) and one.event in undone)])

    @property
    def found(self) -> Facts:
        return self.now.facts(self.start.began)


Check: TypeAlias = Callable[[Seen], str | None]


def _tables(state: State) -> Tables:
    return Tables(
        kinds={guid: str(kind) for guid, kind in state.types.items()},
        live=state.live,
        merges=state.merges,
        lookup=state.lookup,
    )


def _of_merges(check: kit.Check) -> Check:
    """Ask a check of the kit for merges."""

    def asked(seen: Seen) -> str | None:
        start = Tables({guid: str(kind) for guid, kind in seen.start.types.items()}, frozenset(seen.start.types))
        return check(kit.Seen(start, _tables(seen.before), _tables(seen.now), spelled=seen.names))

    return asked


def live_refs(seen: Seen) -> str | None:
    """Every guid that refers to a resource refers to one that is live: it never stands on one that was merged away."""
    for where, guid in seen.now.references():
        if guid not in seen.now.live and guid in seen.now.types:
            return f"{where} names {seen.call(guid)}, and that is not live"
    return None


def no_artifacts(seen: Seen) -> str | None:
    """Nothing that mapping alone can have made: a link to itself, a link or a row twice, two rows of a single class."""
    for kind, parent, child, _ in seen.now.links:
        if parent == child:
            return f"{seen.call(parent)} is associated with itself"
        most = CATALOGUE.associations[kind].maximum
        if most and sum(link[:2] == (kind, parent) for link in seen.now.links) > most:
            return f"{seen.call(parent)} has more than {most} links of a type that allows no more"
    for what, rows in _repeatable(seen.now):
        twice = [row for row, count in Counter(rows).items() if count > 1]
        if twice:
            return f"{what} stands there twice: {', '.join(map(seen.call, filter(_is_guid, twice[0])))}"
    return None


def _repeatable(state: State) -> Iterator[tuple[str, Sequence[tuple[object, ...]]]]:
    yield "a link", [link[:3] for link in state.links]
    yield "a key", [(guid, name.lower(), value.lower()) for guid, name, value in state.keys]
    for data_class, rows in state.data.items():
        table = CATALOGUE.classes[data_class]
        if table.event:
            continue
        keys = [at for at, column in enumerate(table.columns) if column.key] if table.multi_row else []
        yield f"a row of {table.name}", [(guid, *(cells[at] for at in keys)) for guid, cells in rows]


def _is_guid(cell: object) -> bool:
    return isinstance(cell, uuid.UUID)


def whole(seen: Seen) -> str | None:
    """An event that is done has left its rows, one that is not has left none: never half a message."""
    found = {str(cells[0]) for rows in seen.now.data.values() for _, cells in rows}
    for operation in seen.asked:
        if not isinstance(operation, Import):
            continue
        happened = [data for data in operation.message.data if CATALOGUE.classes[data.data_class].event]
        undone = operation.event in seen.now.waiting | seen.now.dead
        for data in happened:
            if undone == (data.rows[0].cells[0] in found):
                return f"event {operation.event} is {'not ' if undone else ''}done, and its rows say otherwise"
    return None


def summarised(seen: Seen) -> str | None:
    """Data have a summary, and one with a hash counts their rows: equal data would not be loaded again."""
    counts = Counter(
        (data_class, guid)
        for data_class, rows in seen.now.data.items()
        if not CATALOGUE.classes[data_class].event
        for guid, _ in rows
    )
    for place, count in counts.items():
        hash_, _, rows = seen.now.summaries.get(place, (None, None, None))
        if place not in seen.now.summaries or (hash_ is not None and rows != count):
            name = CATALOGUE.classes[place[0]].name
            return f"{seen.call(place[1])} has {count} rows of {name}, and its summary knows of {rows}"
    return None


def one_resource(seen: Seen) -> str | None:
    """Merges and shared enforcement keys make one resource, and nothing else does."""
    if not seen.over:
        return None
    enforced = {name for names in CATALOGUE.merge_keys.values() for name in names}
    owners: dict[tuple[str, str], Guid] = {}
    for guid, name, value in seen.now.keys:
        other = owners.setdefault((name.lower(), value.lower()), guid)
        if name in enforced and other != guid:
            return f"{seen.call(guid)} and {seen.call(other)} share the key {name}={value} and are two"
    return None if seen.expected.classes == seen.found.classes else seen.found.difference(seen.expected)


def keys_united(seen: Seen) -> str | None:
    """A resource has all keys that anybody gave it."""
    if not seen.over or seen.expected.keys == seen.found.keys:
        return None
    return f"keys: {seen.found.difference(seen.expected)}"


def conserved(seen: Seen) -> str | None:
    """Rows in = rows out: nothing is lost, nothing is there twice but what became equal or linked to itself."""
    if not seen.over:
        return None
    wanted, found = seen.expected, seen.found
    if wanted.happened != found.happened:
        return f"rows of events: {found.difference(wanted)}"
    if wanted.links != found.links and wanted.classes == found.classes:
        return f"associations: {found.difference(wanted)}"
    if wanted.classes == found.classes and wanted.data.keys() != found.data.keys():
        return f"data of {set(wanted.data) ^ set(found.data)}"
    return None


def newest_wins(seen: Seen) -> str | None:
    """The data of a resource are those of the newest event that gave them, by its registration."""
    if not seen.over:
        return None
    wanted, found = seen.expected, seen.found
    for place, rows in found.data.items():
        if wanted.classes == found.classes and place in wanted.data and wanted.data[place] != rows:
            return f"{place[1]} has {sorted(map(repr, rows))}, the newest are {sorted(map(repr, wanted.data[place]))}"
    return None


def settled(seen: Seen) -> str | None:
    """Once all is quiet every event is done."""
    left = seen.now.waiting | seen.now.dead
    return f"events {sorted(left)} are not done" if seen.over and left else None


CHECKS: Mapping[str, Check] = {
    "forest": _of_merges(kit.forest),
    "target_live": _of_merges(kit.target_live),
    "no_shadow": _of_merges(kit.no_shadow),
    "monotone": _of_merges(kit.monotone),
    "lookup": _of_merges(kit.lookup),
    "live_refs": live_refs,
    "no_artifacts": no_artifacts,
    "whole": whole,
    "summarised": summarised,
    "settled": settled,
    "one_resource": one_resource,
    "keys_united": keys_united,
    "conserved": conserved,
    "newest_wins": newest_wins,
}
"""By name, in the order in which they are asked. ``commute`` and ``serialisable`` compare runs: see the tests."""


class Violation(AssertionError):
    """A check failed; ``check`` is its name."""

    def __init__(self, check: str, sentence: str) -> None:
        super().__init__(f"{check}: {sentence}")
        self.check = check


def ask(seen: Seen, names: Sequence[str] = tuple(CHECKS)) -> None:
    """Ask some checks; raise the first that fails."""
    for name in names:
        sentence = CHECKS[name](seen)
        if sentence is not None:
            raise Violation(name, sentence)
