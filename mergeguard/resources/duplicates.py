"""The duplicate-merge task: one machine known twice, once by its agent and once by hand, made one again.

A managed resource and an unmanaged one of its type that share a serial number, a system number or a barcode are the
same. What is not as clear as that is left to a person, with the reason: two managed resources may be two machines with
one faulty number, and two unmanaged ones may be anything.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mergeguard.core import guids
from mergeguard.core.importing.keys import plain
from mergeguard.errors import MergeRefused, UsageError
from mergeguard.resources.merge import open_merges
from mergeguard.resources.merged import Merged, Refusal
from mergeguard.resources.shared_keys import groups_of, names_of, require_keys
from mergeguard.storage.database.wanted_cells import texts_of
from mergeguard.storage.source import Progress, Snapshot, Source, silent

if TYPE_CHECKING:
    from mergeguard.storage.database.key_groups import KeyGroup
    from mergeguard.storage.profile import Profile

BY: Final = ("serialnumber", "systemnumber", "barcode")
"""Keys that tell a machine, as ``core.importing.keys.plain`` spells their names."""
RULE: Final = "duplicates: {}={}"
"""What stands as the key in the row of such a merge."""
LONGEST_KEY: Final = 200
_YES: Final = frozenset({"1", "true", "t", "yes", "y"})


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An unmanaged resource and the managed one that it is."""

    old: uuid.UUID
    new: uuid.UUID
    name: str
    value: str
    old_name: str = ""
    new_name: str = ""

    @property
    def key(self) -> str:
        """What the row of the merge says of it."""
        return RULE.format(self.name, self.value)[:LONGEST_KEY]


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A shared number that does not tell which resources are one."""

    name: str
    value: str
    guids: tuple[uuid.UUID, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What the task would merge, and what it leaves to a person."""

    pairs: tuple[Duplicate, ...]
    left: tuple[LeftAlone, ...]


@dataclass(frozen=True, slots=True)
class DuplicateOutcome:
    """What became of one duplicate."""

    duplicate: Duplicate
    merged: Merged | None = None
    refused: Refusal | None = None


def find_duplicates(
    source: Source,
    profile: Profile,
    *,
    by: Collection[str] = BY,
    junk: Collection[str] = (),
    progress: Progress = silent,
) -> Duplicates:
    """Find what the task would merge; nothing is written.

    Args:
        source: any target.
        profile: must declare keys, and which resources are managed.
        by: names of keys; letters and digits count, case does not.
        junk: values that say nothing because nobody filled them in, compared in the same way.
        progress: is told of the readings.

    Raises:
        UsageError: the profile does not declare what is needed.
        CannotCheck: the target could not be read.
    """
    keys = require_keys(profile)
    if profile.managed is None:
        raise UsageError(
            "the profile does not say which resources are managed", hint="declare [managed]: table, guid, managed"
        )
    names, empty = {plain(name) for name in by}, {plain(value) for value in junk}
    with source.snapshot() as snapshot:
        found = groups_of(snapshot, profile, keys, lambda name: plain(name) in names, progress=progress)
        groups = [group for group in found if plain(group.value) and plain(group.value) not in empty]
        groups.sort(key=lambda group: (group.name.lower(), group.value.lower()))
        everyone = frozenset(guid for group in groups for guid in group.guids)
        managed = _managed(snapshot, profile, everyone, progress)
        types = _types(snapshot, profile, everyone, progress)
        pairs, left = _paired(groups, managed, types)
        pairs, torn = _unambiguous(pairs)
        called = names_of(snapshot, profile, (guid for pair in pairs for guid in (pair.old, pair.new)), progress)
    named = (
        Duplicate(pair.old, pair.new, pair.name, pair.value, called.get(pair.old, ""), called.get(pair.new, ""))
        for pair in pairs
    )
    return Duplicates(tuple(named), (*left, *torn))


def merge_duplicates(source: Source, profile: Profile, found: Sequence[Duplicate]) -> list[DuplicateOutcome]:
    """Merge duplicates that were found, each in a transaction of its own; one that is refused stops none.

    Raises:
        Locked, WriteFailed, ConnectionLost: of the merges before it those are made that the journal has.
        as ``resources.merge.open_merges``.
    """
    if not found:
        return []
    told = profile.merge.merge_key is not None
    made = []
    with open_merges(source, profile) as merges:
        for each in found:
            try:
                made.append(DuplicateOutcome(each, merges.merge(each.old, each.new, key=each.key if told else None)))
            except MergeRefused as refused:
                made.append(DuplicateOutcome(each, refused=Refusal(refused.reason, refused.message, refused.hint)))
    return made


def _managed(
    snapshot: Snapshot, profile: Profile, wanted: frozenset[uuid.UUID], progress: Progress
) -> frozenset[uuid.UUID]:
    managed = profile.managed
    if managed is None:
        return frozenset()
    said = texts_of(snapshot, profile, (managed.table, managed.guid, managed.managed), wanted, progress)
    return frozenset(guid for guid, text in said.items() if text.strip().lower() in _YES)


def _types(
    snapshot: Snapshot, profile: Profile, wanted: frozenset[uuid.UUID], progress: Progress
) -> Mapping[uuid.UUID, str]:
    types = profile.types
    if types is None:
        return {}
    said = texts_of(snapshot, profile, (types.table, types.guid, types.type), wanted, progress)
    return {guid: str(guids.parse(text) or text.strip()) for guid, text in said.items()}


def _paired(
    groups: Sequence[KeyGroup], managed: Collection[uuid.UUID], types: Mapping[uuid.UUID, str]
) -> tuple[list[Duplicate], list[LeftAlone]]:
    pairs: list[Duplicate] = []
    left: list[LeftAlone] = []
    for group in groups:
        everyone = tuple(sorted(group.guids, key=str))
        agents = [guid for guid in everyone if guid in managed]
        why = None
        if len({types.get(guid) for guid in everyone}) > 1:
            why = "they are of different types"
        elif len(agents) != 1:
            why = "none of them is managed" if not agents else f"{len(agents)} of them are managed"
        if why is not None:
            left.append(LeftAlone(group.name, group.value, everyone, why))
            continue
        others = (guid for guid in everyone if guid != agents[0])
        pairs += (Duplicate(guid, agents[0], group.name, group.value) for guid in others)
    return pairs, left


def _unambiguous(pairs: Sequence[Duplicate]) -> tuple[list[Duplicate], list[LeftAlone]]:
    """Keep one pair of each unmanaged resource, and none where its numbers say different things."""
    by_old: dict[uuid.UUID, list[Duplicate]] = defaultdict(list)
    for pair in pairs:
        by_old[pair.old].append(pair)
    kept: list[Duplicate] = []
    left: list[LeftAlone] = []
    for old, several in by_old.items():
        news = {pair.new for pair in several}
        if len(news) == 1:
            kept.append(several[0])
        else:
            why = f"{old} shares numbers with several managed resources"
            left += (LeftAlone(pair.name, pair.value, (old, pair.new), why) for pair in several)
    return kept, left
