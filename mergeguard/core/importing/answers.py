"""Answers to questions that are not asked yet, and what becomes of them when something is written.

They stand for rows that are locked until the transaction ends: nobody else changes them, and what is written by the
transaction itself is told here. Where it is not plain what a write makes of an answer, the answer is forgotten, and
the question goes to the database as ever.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from mergeguard.core.importing.claims import Claimed, Named, Pair
from mergeguard.core.importing.keys import folded
from mergeguard.core.importing.standing import KeyOwner, Linked, Standing, Summary
from mergeguard.core.nse.message import Key

Owned: TypeAlias = tuple[str, str, uuid.UUID]
"""Name and value of a key as they stand, and the resource."""
Loaded: TypeAlias = tuple[str | None, int | None]
"""The hash of what was loaded, and the registration id of the event that gave it."""


@dataclass(slots=True)
class Answers:
    """What a database said."""

    standings: dict[uuid.UUID, Standing] = field(default_factory=dict)
    steady: set[uuid.UUID] = field(default_factory=set)
    """Of those: the guids of resources that are held, and may say and be told anything."""
    owners: dict[Named, Sequence[Owned]] = field(default_factory=dict)
    """By the key as it was asked for: what a database holds for equal, only the database knows."""
    sole: dict[Named, uuid.UUID] = field(default_factory=dict)
    """Of those: the keys that one resource has, and nobody else."""
    summaries: dict[Pair, Loaded | None] = field(default_factory=dict)
    """By (data class, resource); ``None`` where a row was made to be locked, and nothing was loaded."""
    links: dict[Pair, dict[uuid.UUID, Linked]] = field(default_factory=dict)
    """By (association type, parent): those that stand, by their children."""
    standing: dict[int, Claimed] = field(default_factory=dict)
    """By event: all that it claims stood when the database was asked."""
    moved: set[uuid.UUID] = field(default_factory=set)
    """Since then: guids that lead elsewhere, or say something else of themselves."""
    written: set[uuid.UUID] = field(default_factory=set)
    """Since then: resources that got data."""
    crowded: set[Pair] = field(default_factory=set)
    """Since then: (association type, parent) of which a link came or went."""

    def answers(self, guids: Iterable[uuid.UUID], keys: Iterable[Named]) -> bool:
        """Say whether all is known of where guids lead, and of who has keys."""
        return all(guid in self.standings for guid in guids) and all(key in self.owners for key in keys)

    # What was read

    def learn_standings(self, found: Mapping[uuid.UUID, Standing], held: AbstractSet[uuid.UUID]) -> None:
        """Remember where guids lead; of those that are held nobody else changes it."""
        self.standings |= found
        for guid, each in found.items():
            if each.current == guid and each.live and guid in held and not (each.retired or each.blacklisted):
                self.steady.add(guid)
            else:
                self.steady.discard(guid)

    def learn_owners(self, keys: Sequence[Named], rows: Iterable[Sequence[Any]]) -> None:
        """Remember who has keys.

        Args:
            keys: all that was asked for.
            rows: (number of the key, from 1; name and value as they stand; resource).
        """
        found: list[list[Owned]] = [[] for _ in keys]
        for number, name, value, resource in rows:
            found[number - 1].append((name, value, resource))
        self.owners.update(zip(keys, found, strict=True))
        for key, owners in zip(keys, found, strict=True):
            if len(owners) == 1 and _is_named(owners[0], key):
                self.sole[key] = owners[0][2]

    def learn_links(self, ends: Iterable[Pair], links: Iterable[Linked]) -> None:
        """Remember all associations of some (type, parent)."""
        for end in ends:
            self.links[end] = {}
        for link in links:
            self.links[link.type, link.parent][link.child] = link

    def owners_of(self, keys: Iterable[Named]) -> list[KeyOwner] | None:
        """Return who has any of these keys, ``None`` where it is not known of all."""
        found: list[KeyOwner] = []
        for key in keys:
            owners = self.owners.get(key)
            if owners is None:
                return None
            found += [KeyOwner(*owner) for owner in owners]
        return found

    def summary_of(self, pair: Pair) -> Summary | None:
        """Return what was loaded last; it must be known, if only that nothing was."""
        loaded = self.summaries[pair]
        return None if loaded is None else Summary(*pair, *loaded)

    def stands(self, event: int) -> Claimed | None:
        """Return what an event claims, if all of it stands; ``None`` where it is not known, or no longer."""
        claimed = self.standing.get(event)
        if claimed is None or not self.moved.isdisjoint(claimed.guids):
            return None
        if not self.written.isdisjoint(claimed.claims.subjects):
            return None
        return None if self.crowded and any(end in self.crowded for end, *_ in claimed.claims.limited) else claimed

    # What is written

    def forget_leading_to(self, currents: Collection[uuid.UUID | None]) -> None:
        """Forget of some guids what leads to them; ``None`` for what leads nowhere."""
        if self.standing:
            self.moved.update(guid for guid in currents if guid is not None)
        gone = [guid for guid, each in self.standings.items() if each.current in currents]
        for guid in gone:
            del self.standings[guid]
            self.steady.discard(guid)

    def forget_owners(self) -> None:
        """Forget who has keys: one more has one now, or may have."""
        self.owners.clear()
        self.sole.clear()
        self.standing.clear()

    def loaded(self, pair: Pair, event: int, hash_: str | None) -> None:
        """Remember that data were loaded; the newest event stays, whichever came last."""
        if self.standing:
            self.written.add(pair[1])
        _, before = self.summaries.get(pair) or (None, None)
        self.summaries[pair] = hash_, event if before is None else max(event, before)

    def confirmed(self, pairs: Iterable[Pair], event: int) -> None:
        """Remember that an event said the same of some (data class, resource)."""
        summaries = self.summaries
        for pair in pairs:
            there = summaries.get(pair)
            if there is not None and (there[1] is None or there[1] < event):
                summaries[pair] = there[0], event

    def linked(self, links: Iterable[Linked]) -> None:
        """Remember associations that are written."""
        if not (self.links or self.standing):
            return
        for link in links:
            self.crowded.add((link.type, link.parent))
            there = self.links.get((link.type, link.parent))
            if there is not None:
                there[link.child] = _newer(link, there.get(link.child))

    def agreed(self, claimed: Claimed) -> None:
        """Remember that an event confirms all that it claims."""
        if self.summaries:
            self.confirmed([pair for pair, _ in claimed.claims.data], claimed.event)
        if self.links:
            for kind, parent, child in claimed.claims.links:
                there = self.links.get((kind, parent))
                if there is not None:
                    there[child] = _newer(Linked(kind, parent, child, claimed.event), there.get(child))

    def unlinked(self, links: Iterable[Linked]) -> None:
        """Remember that associations are gone."""
        for link in links:
            self.crowded.add((link.type, link.parent))
            there = self.links.get((link.type, link.parent))
            if there is not None:
                there.pop(link.child, None)


def _is_named(owner: Owned, key: Named) -> bool:
    """Say whether an owner has just this key; a database may hold others for equal."""
    name, value, _ = owner
    return (name, value) == key or folded(Key(name, value)) == folded(Key(*key))


def _newer(link: Linked, before: Linked | None) -> Linked:
    """Return a link with the newer event of two; one that has none is older."""
    if before is None or before.event is None or (link.event is not None and link.event >= before.event):
        return link
    return replace(link, event=before.event)
