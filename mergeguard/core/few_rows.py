"""Where a handful of rows lead, without an array: for the transaction of one component, which lasts milliseconds.

It answers the plain case alone, one new an old and no circle, as ``closure`` does; a test holds the two together.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from mergeguard.core.closure import Status
from mergeguard.core.guids import TOMBSTONE

Answer: TypeAlias = tuple[uuid.UUID | None, int, Status]
"""(current, depth, status); the depth is -1 where there is no current."""


def plain_steps(pairs: Iterable[tuple[uuid.UUID, uuid.UUID]]) -> dict[uuid.UUID, uuid.UUID] | None:
    """Return the one new of each old; ``None`` where an old has several, or the rows lead in a circle."""
    steps: dict[uuid.UUID, uuid.UUID] = {}
    for old, new in pairs:
        if steps.setdefault(old, new) != new:
            return None
    arrives: set[uuid.UUID] = set()
    for start in steps:
        path: set[uuid.UUID] = set()
        at = start
        while at in steps and at not in arrives:
            if at in path:
                return None
            path.add(at)
            at = steps[at]
        arrives |= path
    return steps


def plain_answers(steps: Mapping[uuid.UUID, uuid.UUID], live: Collection[uuid.UUID] | None) -> dict[uuid.UUID, Answer]:
    """Return for each old what it is now; ``live`` is ``None`` where nothing tells who is live."""
    found: dict[uuid.UUID, Answer] = {}
    for start in steps:
        path: list[uuid.UUID] = []
        at = start
        while at in steps and at not in found and (live is None or at not in live):
            path.append(at)
            at = steps[at]
        current, depth, status = found.get(at) or _end(at, live)
        found.setdefault(start, (current, depth, status))
        for old in reversed(path):
            depth += depth >= 0
            found[old] = current, depth, status
    return found


def _end(guid: uuid.UUID, live: Collection[uuid.UUID] | None) -> Answer:
    """Return the answer of a guid that no step leads on from."""
    if guid == TOMBSTONE:
        return None, -1, Status.DELETED
    return guid, 0, Status.OK if live is None or guid in live else Status.DANGLING
