"""Faults planted into imports and merges, one at a time: each is found by the check that bears its name.

Most stand between the importer and its store: they forget that a guid was mapped, a lock, or what was loaded last.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from import_oracle import Import, Merge
from importing.import_cases import Case, Sent, cases
from importing.import_setup import importer_of
from importing.import_state import Violation
from importing.import_tables import tangle
from importing.import_world import World

from mergeguard.core.importing import links
from mergeguard.core.importing.catalogue import DataClass
from mergeguard.core.importing.standing import Linked, Standing, Summary
from mergeguard.core.nse.message import Key
from mergeguard.errors import EventParked, MalformedEvent, MergeRefused
from mergeguard.processor.importers.importer import Importer
from mergeguard.storage.importing import postgresql_ahead

Guid = uuid.UUID


class Through:
    """An ``ImportTransaction`` as it is; the faults change one thing each."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.sent: dict[Guid, Guid] = {}
        """A current guid -> one that leads to it, as somebody still sends it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def expect(self, _expected: Any) -> Collection[Guid]:
        """Nothing is read ahead, so that each question comes by here."""
        return ()

    def standings(self, guids: Collection[Guid]) -> Mapping[Guid, Standing]:
        found = self.inner.standings(guids)
        self.sent |= {each.current: guid for guid, each in found.items() if each.current not in {None, guid}}
        return found

    def as_sent(self, guid: Guid) -> Guid:
        return self.sent.get(guid, guid)


class LinksNotMapped(Through):
    def link(self, made: Collection[Linked]) -> None:
        ends = [replace(one, parent=self.as_sent(one.parent), child=self.as_sent(one.child)) for one in made]
        self.inner.link(ends)


class OneEndMapped(Through):
    def link(self, made: Collection[Linked]) -> None:
        self.inner.link([replace(one, child=self.as_sent(one.child)) for one in made])


class ForeignKeysNotMapped(Through):
    def replace_rows(self, data_class: DataClass, guid: Guid, rows: Sequence[Sequence[Any]]) -> None:
        self.inner.replace_rows(data_class, guid, self._cells(data_class, rows))

    def append_rows(self, data_class: DataClass, guid: Guid, rows: Sequence[Sequence[Any]], time: Any) -> None:
        self.inner.append_rows(data_class, guid, self._cells(data_class, rows), time)

    def _cells(self, data_class: DataClass, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
        def cell(at: int, value: Any) -> Any:
            return self.as_sent(value) if data_class.columns[at].resource and isinstance(value, uuid.UUID) else value

        return [[cell(at, value) for at, value in enumerate(row)] for row in rows]


class WhoseNotMapped(Through):
    def replace_rows(self, data_class: DataClass, guid: Guid, rows: Sequence[Sequence[Any]]) -> None:
        self.inner.replace_rows(data_class, self.as_sent(guid), rows)

    def append_rows(self, data_class: DataClass, guid: Guid, rows: Sequence[Sequence[Any]], time: Any) -> None:
        self.inner.append_rows(data_class, self.as_sent(guid), rows, time)


class ReadBeforeTheLock(Through):
    """What was read before the guids were held is believed behind it."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._read: dict[Guid, Standing] = {}

    def standings(self, guids: Collection[Guid]) -> Mapping[Guid, Standing]:
        missing = [guid for guid in guids if guid not in self._read]
        self._read |= self.inner.standings(missing) if missing else {}
        return {guid: self._read[guid] for guid in guids}

    def create(self, guid: Guid, *rest: Any, **options: Any) -> None:
        self._read.pop(guid, None)
        self.inner.create(guid, *rest, **options)


class NothingHeld(Through):
    def hold(self, _guids: Collection[Guid]) -> None:
        pass


class OneHeld(Through):
    def hold(self, guids: Collection[Guid]) -> None:
        self.inner.hold(sorted(guids, key=str)[:1])


class KeysNotHeld(Through):
    def hold_keys(self, _keys: Collection[Any]) -> None:
        pass


class KeysReplaced(Through):
    """A key takes the place of another value of its name."""

    def add_keys(self, guid: Guid, keys: Collection[Key]) -> None:
        for key in keys:
            sql = 'DELETE FROM "ResourceKey" WHERE "ResourceGuid" = ? AND lower("KeyName") = lower(?)'
            self.inner.add(sql, str(guid), key.name)
        self.inner.add_keys(guid, keys)


class LastOneWins(Through):
    """What was loaded by a later event is taken for older."""

    def summaries(self, pairs: Collection[tuple[Guid, Guid]]) -> Mapping[tuple[Guid, Guid], Summary]:
        return {place: replace(each, event=None, hash=None) for place, each in self.inner.summaries(pairs).items()}


class NotSummarised(Through):
    """What is loaded is not written down."""

    def summarise(self, *_: Any) -> None:
        pass


class NotConfirmed(Through):
    """That a later event said the same is not written down."""

    def confirm(self, _pairs: Collection[tuple[Guid, Guid]], _event: int) -> None:
        pass


class MostIgnored(Through):
    def linked(self, _ends: Collection[tuple[Guid, Guid]]) -> Sequence[Linked]:
        return ()


class EventsForgotten(Through):
    """Rows of an event class are not written where they were sent for a guid that was merged away."""

    def append_rows(self, data_class: DataClass, guid: Guid, rows: Sequence[Sequence[Any]], time: Any) -> None:
        if guid not in self.sent:
            self.inner.append_rows(data_class, guid, rows, time)


class FaultyStore:
    """An ``ImportStore`` whose transactions have a fault."""

    def __init__(self, inner: Any, faulty: Callable[[Any], Any]) -> None:
        self.inner = inner
        self._faulty = faulty

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def within(self, batch: Any) -> Any:
        return self._faulty(self.inner.within(batch))


class Dying:
    """What leads nowhere is dead at once."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def handle(self, event: Any, body: bytes, batch: Any) -> None:
        try:
            self._handler.handle(event, body, batch)
        except EventParked as parked:
            raise MalformedEvent(parked.message) from parked


class EarlyCommit:
    """The effects are committed before the event is marked as done."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def handle(self, event: Any, body: bytes, batch: Any) -> None:
        self._handler.handle(event, body, batch)
        batch.connection.connection.driver_connection.commit()


class Apart:
    """Resources that share a key stay two."""

    def __init__(self, handler: Importer) -> None:
        self.handle = Importer(handler._store, handler._settings, self).handle

    def merge(self, _batch: Any, old: Guid, new: Guid, _key: str) -> None:
        raise MergeRefused(f"{old} and {new} stay two", reason="never-merge")


# --- What else is planted ---


def _read_ahead_without_locks(patch: pytest.MonkeyPatch) -> None:
    def unlocked(_connection: Any, _profile: Any, guids: Sequence[Guid], **_: Any) -> list[Any]:
        return [("SELECT g FROM unnest(CAST(? AS uuid[])) AS g", [postgresql_ahead.array(guids)])]

    patch.setattr(postgresql_ahead, "locking", unlocked)


def _hash_kept(world: World, merge: Merge) -> None:
    """After a merge the survivor has the hash that it had before, whatever its rows are now."""
    before = world.state().summaries
    world.merge(merge)
    with world.tables.engine.begin() as connection:
        for (data_class, guid), (hash_, _, _) in before.items():
            sql = """UPDATE "ResourceUpdateSummary" SET "DataHash" = :hash
                WHERE "InventoryClassGuid" = :class AND "ResourceGuid" = :guid"""
            values = {"hash": hash_, "class": world.tables.told(data_class), "guid": world.tables.told(guid)}
            connection.execute(sa.text(sql), values)


def _self_links_kept(patch: pytest.MonkeyPatch) -> None:
    def kept(sent: Sequence[Any]) -> list[Any]:
        return list({(each.type, each.parent, each.child): each for each in sent}.values())

    patch.setattr(links, "_unique", kept)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Attributes:
        killed_by: the check that must find it, asked alone.
        store: stands between the importer and its transaction.
        handler: stands before the importer.
        plant: changes something for the whole process.
        profile: changes the profile that merges go by.
        merge: merges.
        tangled: whether a guid is split, and repaired at the end.
        races: whether it shows only where imports and merges are made at the same time.
        budget: within how many cases.
    """

    name: str
    killed_by: str
    store: Callable[[Any], Any] | None = None
    handler: Callable[[Any], Any] | None = None
    plant: Callable[[pytest.MonkeyPatch], None] | None = None
    profile: Callable[[Any], Any] | None = None
    merge: Callable[[World, Merge], object] = World.merge
    tangled: bool = False
    races: bool = False
    budget: int = 60
    drawn: st.SearchStrategy[Case] | None = None

    @property
    def cases(self) -> st.SearchStrategy[Case]:
        return cases() if self.drawn is None else self.drawn


def _references(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def changed(profile: Any) -> Any:
        kept = (change(reference) for reference in profile.references)
        return replace(profile, references=tuple(reference for reference in kept if reference is not None))

    return changed


def _no_foreign_key(reference: Any) -> Any:
    return None if reference.column in {"Peer", "Other"} else reference


def _united(reference: Any) -> Any:
    return replace(reference, sets=None)


def _by_the_clock(profile: Any) -> Any:
    return replace(profile, hashes=replace(profile.hashes, order=None))


COMMUTE: Final = "commute"
NEWCOMERS: Final = Case(2, (), (Sent(0, newcomer=True, shared=0), Sent(1, newcomer=True, shared=0)))
"""Two agents that nobody knows, with one key."""
SHARING: Final = Case(2, (), (Sent(0, shared=0), Sent(1, shared=0)))
"""Two resources that get the same key."""
SAME: Final = Sent(1, single=2, same=True)
UNCHANGED: Final = Case(4, (SAME,), (Sent(1, single=3), SAME))
"""If the last one comes before the other, that is older, although it changes what stands there."""
CHANGED_BACK: Final = Case(4, (SAME, Sent(0, single=3)), ((0, 1), SAME))
"""The merge brings newer data, and then the survivor says again what it said before."""
LISTS: Final = Case(4, (), (Sent(0, many=((0, 2),)), Sent(1, many=((1, 3),)), (0, 1)))
LATE: Final = Case(4, (), (Sent(0, single=2), Sent(1, single=3), (0, 1)))
"""The older event may be taken later."""
CROWDED: Final = Case(3, (), (Sent(0, one=1), Sent(0, one=2)))

MUTANTS: Final = (
    Mutant("associations are not mapped", "live_refs", LinksNotMapped),
    Mutant("one end of associations is mapped", "live_refs", OneEndMapped),
    Mutant("foreign keys are not mapped", "live_refs", ForeignKeysNotMapped),
    Mutant("whose data it is, is not mapped", "live_refs", WhoseNotMapped),
    Mutant("lookup read before the lock", "live_refs", ReadBeforeTheLock, races=True),
    Mutant("nothing is held", "live_refs", NothingHeld, races=True),
    Mutant("one guid is held", "live_refs", OneHeld, races=True),
    Mutant("what is read ahead is not held", "live_refs", plant=_read_ahead_without_locks, races=True),
    Mutant("keys that known ones get are not held", "serialisable", KeysNotHeld, races=True, drawn=st.just(SHARING)),
    Mutant("keys that newcomers get are not held", "one_resource", KeysNotHeld, races=True, drawn=st.just(NEWCOMERS)),
    Mutant("a key takes the place of another", "keys_united", KeysReplaced, drawn=cases(keys=True)),
    Mutant("what comes last wins", "newest_wins", LastOneWins),
    Mutant("unchanged data are not confirmed", "newest_wins", NotConfirmed, drawn=st.just(UNCHANGED)),
    Mutant("events of who was merged away are forgotten", "conserved", EventsForgotten),
    Mutant("a most is not kept", "no_artifacts", MostIgnored, drawn=st.just(CROWDED)),
    Mutant("self-associations are kept", "no_artifacts", plant=_self_links_kept),
    Mutant("committed before it is done", "whole", handler=EarlyCommit, races=True),
    Mutant("a merge skips foreign keys", "live_refs", profile=_references(_no_foreign_key)),
    Mutant("a merge unites sets", COMMUTE, profile=_references(_united), drawn=st.just(LISTS)),
    Mutant("the hash is kept after a merge", "newest_wins", merge=_hash_kept, drawn=st.just(CHANGED_BACK)),
    Mutant("what is loaded is not written down", "summarised", NotSummarised),
    Mutant("resources that share a key stay two", "one_resource", handler=Apart, drawn=cases(keys=True)),
    Mutant("a merge goes by the clock", "newest_wins", profile=_by_the_clock, drawn=st.just(LATE)),
    Mutant("what leads nowhere dies", "settled", handler=Dying, tangled=True),
)


class Planted:
    """A world with a fault in it; without it again at the end."""

    def __init__(self, world: World, mutant: Mutant) -> None:
        self.world = world
        self.mutant = mutant
        self.handler: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        honest, mutant = self.world.profile, self.mutant
        self._stack.callback(self.world.go_by, honest)
        self.world.go_by(honest if mutant.profile is None else mutant.profile(honest))

        def wrap(store: Any) -> Any:
            return store if mutant.store is None else FaultyStore(store, mutant.store)

        importer = self._stack.enter_context(importer_of(self.world, wrap))
        self.handler = importer if mutant.handler is None else mutant.handler(importer)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self, case: Case, shuffled: Any) -> None:
        """Make the operations of a case in some order, and ask the one check."""
        if self.mutant.killed_by == COMMUTE:
            return self._commute(case)
        if self.mutant.tangled:
            case = Case(case.guids + 2, (), case.now)
        order = list(range(len(case.now)))
        shuffled.shuffle(order)
        return self._run(case, order)

    def _commute(self, case: Case) -> None:
        merges = [number for number, one in enumerate(case.now) if isinstance(one, tuple)]
        imports = [number for number in range(len(case.now)) if number not in merges]
        found = []
        for order in ([*imports, *merges], [*merges, *imports]):
            self._run(case, order)
            found.append(self.world.state().facts(self.world.model.began))
        difference = found[0].difference(found[1])
        if difference is not None:
            raise Violation(COMMUTE, difference)

    def _run(self, case: Case, order: Sequence[int]) -> None:
        world, asked = self.world, [self.mutant.killed_by]
        _, now = world.reset(case)
        if self.mutant.tangled:
            tangle(world.tables, [(0, case.guids - 2, case.guids - 1)])
            world.rebuild()
        world.register([one for one in now if isinstance(one, Import)])
        claims = world.claims()
        for one in (now[number] for number in order):
            if isinstance(one, Import):
                world.handle(claims[one.event], self.handler)
            elif not self.mutant.tangled:
                self.mutant.merge(world, one)
            world.check(now, asked, over=False)
        world.drain(self.handler)
        if self.mutant.tangled:
            world.repair()
            world.wake()
            world.drain(self.handler)
        world.check(now, asked)
