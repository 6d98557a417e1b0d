"""Who the resources of a message are: found by their keys and guids, merged where several are meant, or new.

Worked out from what a database said, without it: resources of one message may share keys, too, so what is decided for
one counts for the next.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mergeguard.core.importing.catalogue import Catalogue
from mergeguard.core.importing.content import Incoming
from mergeguard.core.importing.keys import Folded, KeyRules, folded, is_computer, matching, require_matching
from mergeguard.core.importing.standing import KeyOwner, Standing
from mergeguard.core.nse.message import Key
from mergeguard.errors import MalformedEvent

_LATE: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class KeyMerge:
    """Two resources that a key says are one."""

    old: uuid.UUID
    new: uuid.UUID
    key: str
    """``name=value``, as the row of the merge gets it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Who one resource of a message is, and what has to be written for it; mostly nothing."""

    guid: uuid.UUID
    """Its current guid, when ``merges`` are made."""
    new: bool = False
    """Whether it has to be created."""
    type: uuid.UUID | None = None
    keys: tuple[Key, ...] = ()
    """Those that it does not have yet."""
    merges: tuple[KeyMerge, ...] = ()

    @property
    def changes_owners(self) -> bool:
        """Whether a key gets an owner by it."""
        return self.new or bool(self.keys or self.merges)


@dataclass(frozen=True, slots=True)
class Known:
    """What a database said."""

    owners: Sequence[KeyOwner]
    standings: Mapping[uuid.UUID, Standing]
    """Of all guids of the message and of all owners; each with a current guid."""


@dataclass(frozen=True, slots=True)
class Judge:
    """What is decided by."""

    catalogue: Catalogue
    rules: KeyRules
    fresh: Callable[[Incoming], uuid.UUID]
    """Makes a guid for a resource that came without one: the same at each try of an event."""
    apart: Collection[frozenset[uuid.UUID]] = ()
    """Pairs that must not be merged, whatever their keys say."""


def identify(resources: Iterable[Incoming], known: Known, judge: Judge) -> list[Found]:
    """Say of each resource who it is; the first that share a key with it count as well.

    Raises:
        MalformedEvent: its keys or its guid are those of a resource of another type, or nobody says what type it is,
            or it is new and could never be found again.
    """
    world = _World(known)
    return [_identified(each, world, judge) for each in resources]


@dataclass(slots=True)
class _Facts:
    type: uuid.UUID | None
    managed: bool = False
    created: dt.datetime | None = None


@dataclass(slots=True)
class _World:
    """What is known, and what has been decided for the resources before."""

    known: Known
    owners: dict[Folded, list[uuid.UUID]] = field(default_factory=dict)
    facts: dict[uuid.UUID, _Facts] = field(default_factory=dict)
    """By current guid, of the live ones."""
    moved: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for owner in self.known.owners:
            self.owners.setdefault(folded(Key(owner.name, owner.value)), []).append(owner.resource)
        for each in self.known.standings.values():
            if each.live and each.current is not None:
                self.facts[each.current] = _Facts(each.type, each.managed, each.created)

    def current(self, guid: uuid.UUID) -> uuid.UUID:
        """Return where a guid leads, planned merges included; one that was never asked about is its own."""
        standing = self.known.standings.get(guid)
        now = guid if standing is None or standing.current is None else standing.current
        while now in self.moved:
            now = self.moved[now]
        return now

    def owning(self, key: Key) -> list[uuid.UUID]:
        """Return the live resources that have a key."""
        currents = dict.fromkeys(self.current(owner) for owner in self.owners.get(folded(key), ()))
        return [each for each in currents if each in self.facts]


def _identified(resource: Incoming, world: _World, judge: Judge) -> Found:
    sent = None if resource.sent is None else world.current(resource.sent)
    alive = sent if sent in world.facts else None
    kind = resource.type or (None if alive is None else world.facts[alive].type)
    candidates = _candidates(resource, kind, alive, world, judge)
    if not candidates:
        return _created(resource, sent, world, judge)
    guid, merges = _one(candidates, kind, alive, world, judge)
    for each in merges:
        world.moved[each.old] = guid
    missing = tuple(key for key in resource.keys if guid not in world.owning(key))
    _own(resource.keys, guid, world)
    return Found(guid, keys=missing, merges=merges)


def _candidates(
    resource: Incoming, kind: uuid.UUID | None, alive: uuid.UUID | None, world: _World, judge: Judge
) -> dict[uuid.UUID, str]:
    """Return all resources that this one may be, each with the key that says so; none for its own guid."""
    found: dict[uuid.UUID, str] = {} if alive is None else {alive: ""}
    if alive is not None:
        _require_kin(resource, kind, alive, f"its guid {resource.sent}", world, judge)
    for key in matching(resource.keys, kind, judge.catalogue, judge.rules):
        said = f"{key.name}={key.value}"
        for owner in world.owning(key):
            _require_kin(resource, kind, owner, f"its key {said}", world, judge)
            found[owner] = found.get(owner) or said
    return found


def _require_kin(
    resource: Incoming, kind: uuid.UUID | None, owner: uuid.UUID, what: str, world: _World, judge: Judge
) -> None:
    """Require that a resource is of the type that the message says, or of one derived from it, or the other way."""
    other = world.facts[owner].type
    if kind is None or other is None or kind == other:
        return
    bases = judge.catalogue.bases
    if other not in bases.get(kind, ()) and kind not in bases.get(other, ()):
        raise MalformedEvent(f"{resource.place}: {what} leads to {owner}, which is of type {other} and not of {kind}")


def _one(
    candidates: Mapping[uuid.UUID, str], kind: uuid.UUID | None, alive: uuid.UUID | None, world: _World, judge: Judge
) -> tuple[uuid.UUID, tuple[KeyMerge, ...]]:
    """Choose whom the others are merged into: who was sent, else the managed, else the older one, else by text."""

    def rank(guid: uuid.UUID) -> tuple[bool, bool, dt.datetime, str]:
        facts = world.facts[guid]
        return guid != alive, not facts.managed, facts.created or _LATE, str(guid)

    first, *others = sorted(candidates, key=rank)
    if not judge.rules.merges_computers and is_computer(kind, judge.catalogue):
        return first, ()
    said = candidates[first]
    together = [each for each in others if frozenset((each, first)) not in judge.apart]
    return first, tuple(KeyMerge(each, first, candidates[each] or said) for each in together)


def _created(resource: Incoming, sent: uuid.UUID | None, world: _World, judge: Judge) -> Found:
    if resource.type is None:
        raise MalformedEvent(f"{resource.place}: no such resource is known, and nothing says of what type it is")
    if sent is None:
        require_matching(resource.place, resource.keys, resource.type, judge.catalogue, judge.rules)
    guid = judge.fresh(resource) if sent is None else sent
    world.facts[guid] = _Facts(resource.type)
    _own(resource.keys, guid, world)
    return Found(guid, new=True, type=resource.type, keys=resource.keys)


def _own(keys: Iterable[Key], guid: uuid.UUID, world: _World) -> None:
    for key in keys:
        world.owners.setdefault(folded(key), []).append(guid)


def with_apart(judge: Judge, pair: tuple[uuid.UUID, uuid.UUID]) -> Judge:
    """Return the same judge, who knows of one more pair that must not be merged."""
    return replace(judge, apart=(*judge.apart, frozenset(pair)))
