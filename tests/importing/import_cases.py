"""What is imported and merged in tests/importing: a catalogue with a foreign key in every kind of class, and drawings.

Random events hardly ever race with random merges, so few guids are drawn, all of which everything points at: each event
names a source, foreign keys and both ends of associations among them, and merges make them one meanwhile.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hypothesis import strategies as st
from import_oracle import Import, Merge, Model, Operation, began
from merge_model import guid

from mergeguard.core.importing.catalogue import AssociationType, Catalogue, CellType, DataClass, DataColumn
from mergeguard.core.nse.message import Association, ClassData, Key, Message, Resource, Row, Target

COMPUTER: Final = uuid.UUID("493435f7-3b17-4c4c-b07f-c23e7ab7781f")
RECIPIENT: Final = "0baba5a1-b08e-4f76-8dfd-a541c7bf8f62"
MOST_GUIDS: Final = 6


def _class(
    name: str, table: str, columns: Sequence[DataColumn], *, multi: bool = False, event: bool = False
) -> DataClass:
    return DataClass(uuid.uuid5(uuid.NAMESPACE_OID, name), name, table, multi or event, event, tuple(columns))


PEER: Final = DataColumn("Peer", CellType.GUID, resource=True)
SINGLE: Final = _class("Proof single", "Inv_Proof_Single", [DataColumn("What", CellType.TEXT, 50), PEER])
MANY: Final = _class(
    "Proof many",
    "Inv_Proof_Many",
    [
        DataColumn("Part", CellType.TEXT, 50, nullable=False, key=True),
        DataColumn("Peer", CellType.GUID, nullable=False, key=True, resource=True),
        DataColumn("Other", CellType.GUID, resource=True),
        DataColumn("Size", CellType.INTEGER),
    ],
    multi=True,
)
HAPPENED: Final = _class("Proof events", "Evt_Proof", [DataColumn("What", CellType.TEXT, 50), PEER], event=True)
ANY: Final = AssociationType(uuid.uuid5(uuid.NAMESPACE_OID, "proof any"), "Proof any")
ONE: Final = AssociationType(uuid.uuid5(uuid.NAMESPACE_OID, "proof one"), "Proof one", 0, 1)
CATALOGUE: Final = Catalogue(
    classes={one.guid: one for one in (SINGLE, MANY, HAPPENED)},
    associations={one.guid: one for one in (ANY, ONE)},
    merge_keys={COMPUTER: frozenset({"uniqueid", "name.domain"})},
    types=frozenset({COMPUTER}),
    bases={COMPUTER: frozenset({COMPUTER})},
)
"""As the database is to have it."""


def own_key(number: int) -> Key:
    """The enforcement key that a resource has from the beginning."""
    return Key("uniqueid", f"unique-{number}")


def start(guids: int = MOST_GUIDS) -> Model:
    """Resources that know nothing of each other, each with a key of its own."""
    keys = [(guid(number), own_key(number).name, own_key(number).value) for number in range(guids)]
    return began(CATALOGUE, map(guid, range(guids)), COMPUTER, keys)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message in numbers: small to draw, small to read, and the event's id says what is in its cells."""

    source: int
    single: int | None = None
    """The number of the peer; ``None``: no such data. Minus one: a peer of NULL."""
    many: tuple[tuple[int, int], ...] | None = None
    """(part, peer) of rows; two of one part become equal when their peers become one."""
    other: int = -1
    """What all rows of ``many`` point at beside."""
    happened: int | None = None
    any_: tuple[int, ...] = ()
    from_: tuple[int, ...] = ()
    """Parents of links whose child is the source."""
    one: int | None = None
    shared: int | None = None
    """A key that others may send too: whoever does is the same resource."""
    partial: bool = False
    same: bool = False
    """Whether its rows are equal to those of every other event with the same peers: their hashes are, too."""
    newcomer: bool = False
    """Whether its guid is one that nobody knows."""

    def message(self, event: int) -> Message:
        me = Target(ref="me")
        told = "same" if self.same else f"of {event}"
        data = []
        if self.single is not None:
            data.append(ClassData(SINGLE.guid, me, (Row((told, _cell(self.single))),)))
        if self.many is not None:
            size = "7" if self.same else str(event)
            rows = [Row((f"part {part}", _cell(peer), _cell(self.other), size)) for part, peer in self.many]
            data.append(ClassData(MANY.guid, me, tuple(rows), self.partial))
        if self.happened is not None:
            data.append(ClassData(HAPPENED.guid, me, (Row((f"of {event}", _cell(self.happened))),)))
        links = [Association(ANY.guid, me, Target(guid=guid(other))) for other in self.any_]
        links += [Association(ANY.guid, Target(guid=guid(other)), me) for other in self.from_]
        if self.one is not None:
            links.append(Association(ONE.guid, me, Target(guid=guid(self.one))))
        return Message(RECIPIENT, (self._resource(event),), tuple(links), tuple(data))

    def _resource(self, event: int) -> Resource:
        keys = [Key("name.domain", f"shared-{self.shared}")] if self.shared is not None else []
        if self.newcomer:
            return Resource("me", uuid.uuid5(uuid.NAMESPACE_OID, f"newcomer {event}"), COMPUTER, "new", tuple(keys))
        keys.append(Key("uniqueid", f"UNIQUE-{self.source}"))
        return Resource("me", guid(self.source), COMPUTER, f"name {self.source}", tuple(keys))


def _cell(number: int) -> str | None:
    return None if number < 0 else str(guid(number))


@dataclass(frozen=True, slots=True)
class Case:
    """What a database begins with, and what happens then."""

    guids: int
    before: tuple[Sent | tuple[int, int], ...]
    """Imports and merges, one after the other."""
    now: tuple[Sent | tuple[int, int], ...]
    """All that may happen at the same time; events of one source in this order."""

    def operations(self, first: int = 1) -> tuple[list[Operation], list[Operation]]:
        """Both as the oracle takes them; events are counted from ``first``."""
        every = operations([*self.before, *self.now], first)
        return every[: len(self.before)], every[len(self.before) :]


def operations(told: Sequence[Sent | tuple[int, int]], first: int = 1) -> list[Operation]:
    """Count the events, and spell the merges."""
    found: list[Operation] = []
    event = first
    for one in told:
        if isinstance(one, Sent):
            found.append(Import(event, one.message(event)))
            event += 1
        else:
            found.append(Merge(guid(one[0]), guid(one[1])))
    return found


# --- Drawings ---


@st.composite
def sent(draw: st.DrawFn, guids: int, *, keys: bool, counted: bool, partial: bool = False) -> Sent:
    """Draw a message of one resource with everything that may point at others."""
    one = st.integers(0, guids - 1)
    maybe = st.one_of(st.none(), one)
    null = st.integers(-1, guids - 1)
    newcomer = keys and draw(st.integers(0, 3)) == 3
    return Sent(
        source=draw(one),
        single=draw(st.one_of(st.none(), null)),
        many=draw(
            st.one_of(st.none(), st.lists(st.tuples(st.integers(0, 1), one), max_size=3, unique=True).map(tuple))
        ),
        other=draw(null),
        happened=draw(st.one_of(st.none(), null)),
        any_=tuple(draw(st.lists(one, max_size=2))),
        from_=tuple(draw(st.lists(one, max_size=1))),
        one=draw(maybe) if counted else None,
        shared=draw(st.integers(0, 1)) if newcomer else draw(st.one_of(st.none(), st.integers(0, 1))) if keys else None,
        partial=partial and draw(st.booleans()),
        same=draw(st.booleans()),
        newcomer=newcomer,
    )


@st.composite
def merges(draw: st.DrawFn, guids: int) -> tuple[int, int]:
    """Draw a merge of two guids."""
    old = draw(st.integers(0, guids - 1))
    return old, (old + draw(st.integers(1, guids - 1))) % guids


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    most: int = 5,
    before: int = 3,
    guids: int = 4,
    keys: bool = False,
    counted: bool = False,
    partial: bool = False,
) -> Case:
    """Draw a case of at least one import and one merge at the same time."""
    imports = sent(guids, keys=keys, counted=counted, partial=partial)
    anything = st.one_of(imports, merges(guids))
    now = [draw(imports), draw(merges(guids)), *draw(st.lists(anything, max_size=most - 2))]
    order = draw(st.permutations(range(len(now))))
    return Case(guids, tuple(draw(st.lists(anything, max_size=before))), tuple(now[at] for at in order))


def only(case: Case, **changes: object) -> Case:
    """The case with something else for all of its messages."""

    def changed(one: Sent | tuple[int, int]) -> Sent | tuple[int, int]:
        return replace(one, **changes) if isinstance(one, Sent) else one  # type: ignore[arg-type]

    return replace(case, before=tuple(map(changed, case.before)), now=tuple(map(changed, case.now)))
