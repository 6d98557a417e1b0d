"""Read what a use case needs from one snapshot: the merges, and what the profile declares beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from mergeguard.core.budget import Spent, unlimited
from mergeguard.core.columns import ReferenceCounts
from mergeguard.core.facts import Declared, Facts
from mergeguard.core.rule import Need
from mergeguard.storage import assemble
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Progress, Snapshot, silent

ALL = frozenset(Need)


class OutOfTime(Exception):
    """The time budget ended in the middle of a read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The facts, and what of the declared rest the time budget cut off: it is missing as if it were not declared."""

    facts: Facts
    cut: frozenset[Need] = frozenset()


def read_facts(
    snapshot: Snapshot,
    profile: Profile,
    progress: Progress = silent,
    *,
    needs: Collection[Need] = ALL,
    spent: Spent = unlimited,
) -> Reading:
    """Read the merges, the live guids, and whatever else of the declared rest is needed.

    Raises:
        OutOfTime: the budget ended before the merges were read.
        CannotCheck: see ``errors``.
    """
    port = _watched(progress, spent)
    table = assemble.merge_table(snapshot, profile, port)
    parts: dict[Need, Callable[[], object]] = {
        Need.LIVENESS: lambda: assemble.live_guids(snapshot, profile, port),
        Need.TYPES: lambda: assemble.type_table(snapshot, profile, port),
        Need.REFERENCES: lambda: _references(snapshot, profile, port),
        Need.LOOKUP: lambda: assemble.stored_lookup(snapshot, profile, port),
    }
    found: dict[Need, Any] = {}
    cut = set()
    for need, read in parts.items():
        # What an old leads to depends on liveness, whatever is asked.
        if need is not Need.LIVENESS and need not in needs:
            continue
        try:
            found[need] = read()
        except OutOfTime:
            cut.add(need)
    declared = Declared(
        found.get(Need.LIVENESS), found.get(Need.TYPES), found.get(Need.REFERENCES), found.get(Need.LOOKUP)
    )
    return Reading(Facts(table, declared), frozenset(cut))


def _watched(progress: Progress, spent: Spent) -> Progress:
    """Return a progress port that ends the read when the time budget is spent."""

    def report(phase: str, done: int, total: int | None) -> None:
        progress(phase, done, total)
        if spent():
            raise OutOfTime

    return report


def _references(snapshot: Snapshot, profile: Profile, progress: Progress) -> list[ReferenceCounts] | None:
    if not profile.references:
        return None
    return [assemble.reference_counts(snapshot, reference, profile, progress) for reference in profile.references]
