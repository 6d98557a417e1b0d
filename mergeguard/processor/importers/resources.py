"""Finds the resources of a message in a database, creates those that are new, merges those that are one."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mergeguard.core.events import MOST_PARKED_GUIDS
from mergeguard.core.importing.content import Incoming
from mergeguard.core.importing.identify import Found, Judge, KeyMerge, Known, identify, with_apart
from mergeguard.core.importing.keys import folded, matching
from mergeguard.core.importing.standing import Standing
from mergeguard.core.nse.message import Key
from mergeguard.errors import EventParked, Locked, MergeRefused
from mergeguard.storage.importing.store import Expected, ImportTransaction

TRIES: Final = 20
"""How often it is looked again because others merge the same resources meanwhile."""
MergeByKey = Callable[[uuid.UUID, uuid.UUID, str], object]
"""(old, new, key) merges in the transaction that is open; ``errors.MergeRefused`` says that it must not be."""
FIRM: Final = frozenset({"never-merge", "type-mismatch", "no-guard", "no-key"})
"""Reasons of a refusal that do not depend on what others are doing."""
_LEADS: Final = "mergeguard resolve says where a guid leads, and mergeguard scan what is wrong there"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Refused:
    """A merge by key that is not made: the two stay apart, and the event goes on."""

    merge: KeyMerge
    firmly: bool
    """Whether it would be refused again; else somebody may have been merging the same, and it is tried once more."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where all guids of a message lead; what they lead to is held until the batch ends."""

    found: Sequence[Found]
    """Of each resource of the message."""
    standings: Mapping[uuid.UUID, Standing]
    """Of all guids."""

    def alive(self, guid: uuid.UUID) -> uuid.UUID | None:
        """Return the current guid of a live resource; ``None`` where there is no such resource."""
        standing = self.standings.get(guid)
        return standing.current if standing is not None and standing.live else None


@dataclass(slots=True)
class _Progress:
    """What is known of one event's way so far."""

    judge: Judge
    held: set[uuid.UUID]
    doubted: set[KeyMerge] = field(default_factory=set)
    """Merges that were refused once."""
    given: set[tuple[uuid.UUID, Key]] = field(default_factory=set)
    """Keys that resources got: a database may hold two for equal that differ here, and keep the one that stands."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """One event's way from guids and keys to resources."""

    transaction: ImportTransaction
    merge: MergeByKey
    speaker: uuid.UUID | None = None
    """The agent that sent the event: a resource that is created for it is managed."""
    expected: Expected = field(default_factory=Expected)
    """What will be asked, as far as it is known beforehand."""

    def resolve(self, resources: Sequence[Incoming], others: Collection[uuid.UUID], judge: Judge) -> Resolved:
        """Find, create and merge resources, map other guids, and hold all that they lead to.

        What is written changes what is found, so it is looked again until there is nothing left to write, and until
        what is held is still what was found.

        Raises:
            EventParked: a guid leads into a circle or a split.
            MalformedEvent: keys of another type, or a new resource without a type.
            Locked: others merge the same resources again and again, or hold them for too long.
        """
        progress = _Progress(judge, set(self.transaction.expect(self.expected)))
        for _ in range(TRIES):
            known = self._known(resources, others)
            found = _found(resources, known, progress)
            if any(each.changes_owners for each in found):
                self._make(resources, others, found, progress)
                continue
            currents = _currents(found, others, known.standings)
            if currents <= progress.held:
                return Resolved(found, known.standings)
            self.transaction.hold(currents - progress.held)
            progress.held |= currents
            if self.transaction.standings(known.standings) == known.standings:
                return Resolved(found, known.standings)
        raise Locked("other sessions merge the same resources again and again")

    def _make(
        self,
        resources: Sequence[Incoming],
        others: Collection[uuid.UUID],
        found: Sequence[Found],
        progress: _Progress,
    ) -> None:
        """Write what was found, if it is found once more behind the locks of resources and keys."""
        if self._hold_changed(found, progress.held):
            return
        keys = _matching(resources, found, progress.judge)
        self.transaction.hold_keys(keys)
        found = _found(resources, self._known(resources, others), progress)
        if self._hold_changed(found, progress.held) or not set(_matching(resources, found, progress.judge)) <= set(
            keys
        ):
            return
        refused = self._write(resources, found, progress.given)
        if any(each.merges for each in found):
            self.transaction.expect(Expected())  # what was read ahead is otherwise now
        if refused is not None and (refused.firmly or refused.merge in progress.doubted):
            progress.judge = with_apart(progress.judge, (refused.merge.old, refused.merge.new))
        elif refused is not None:
            progress.doubted.add(refused.merge)

    def _hold_changed(self, found: Iterable[Found], held: set[uuid.UUID]) -> bool:
        """Hold what is made, or gets keys; say whether it was not held, and has to be looked at again.

        Whatever a merge took away meanwhile would be left behind with a key, or be live again.
        """
        missing = {each.guid for each in found if each.new or each.keys} - held
        if missing:
            self.transaction.hold(missing)
            held |= missing
        return bool(missing)

    def _known(self, resources: Iterable[Incoming], others: Collection[uuid.UUID]) -> Known:
        keys = {folded(key): key for each in resources for key in each.keys}
        owners = self.transaction.owners(list(keys.values())) if keys else ()
        asked = {*others, *(each.resource for each in owners)}
        asked.update(each.sent for each in resources if each.sent is not None)
        standings = self.transaction.standings(asked) if asked else {}
        require_way(standings)
        return Known(owners, standings)

    def _write(
        self, resources: Sequence[Incoming], found: Sequence[Found], given: set[tuple[uuid.UUID, Key]]
    ) -> _Refused | None:
        """Write what was found, up to the first merge that is refused."""
        for resource, each in zip(resources, found, strict=True):
            if each.new and each.type is not None:
                managed = resource.sent is not None and resource.sent == self.speaker
                self.transaction.create(each.guid, each.type, _name(resource, each.guid), managed=managed)
            if each.keys:
                self.transaction.add_keys(each.guid, each.keys)
                given.update((each.guid, key) for key in each.keys)
            for merge in each.merges:
                refused = self._merged(resource, merge)
                if refused is not None:
                    return refused
        return None

    def _merged(self, resource: Incoming, merge: KeyMerge) -> _Refused | None:
        try:
            self.merge(merge.old, merge.new, merge.key)
        except MergeRefused as refused:
            _log.warning(
                "a merge by key is refused",
                extra={"old": str(merge.old), "new": str(merge.new), "key": merge.key, "why": refused.message},
            )
            return _Refused(merge, refused.reason in FIRM)
        _log.info(
            "resources are merged by a key",
            extra={"old": str(merge.old), "new": str(merge.new), "key": merge.key, "place": resource.place},
        )
        return None


def require_way(standings: Mapping[uuid.UUID, Standing]) -> None:
    """Require that every guid leads somewhere.

    Raises:
        EventParked: some do not.
    """
    astray = sorted(guid for guid, each in standings.items() if each.current is None)
    if not astray:
        return
    named = ", ".join(f"{guid} ({standings[guid].status.text})" for guid in astray[:3])
    more = f" and {len(astray) - 3} more" if len(astray) > 3 else ""
    raise EventParked(
        f"it waits, because guids in it lead nowhere: {named}{more}",
        guids=tuple(astray[:MOST_PARKED_GUIDS]),
        status=standings[astray[0]].status.text,
        hint=_LEADS,
    )


def _found(resources: Sequence[Incoming], known: Known, progress: _Progress) -> list[Found]:
    """Say who the resources are, without the keys that they were given already."""
    found = identify(resources, known, progress.judge)
    if not progress.given:
        return found
    return [
        replace(each, keys=tuple(key for key in each.keys if (each.guid, key) not in progress.given)) for each in found
    ]


def _matching(resources: Sequence[Incoming], found: Sequence[Found], judge: Judge) -> list[Key]:
    """Return the keys that may get an owner now: those that resources are found by."""
    keys: dict[tuple[str, str], Key] = {}
    for resource, each in zip(resources, found, strict=True):
        if each.changes_owners:
            for key in matching(resource.keys, resource.type or each.type, judge.catalogue, judge.rules):
                keys[folded(key)] = key
    return [keys[name] for name in sorted(keys)]


def _currents(
    found: Iterable[Found], others: Iterable[uuid.UUID], standings: Mapping[uuid.UUID, Standing]
) -> set[uuid.UUID]:
    currents = {each.guid for each in found}
    for guid in others:
        standing = standings[guid]
        if standing.live and standing.current is not None:
            currents.add(standing.current)
    return currents


def _name(resource: Incoming, guid: uuid.UUID) -> str:
    return resource.name or next((key.value for key in resource.keys), str(guid))
