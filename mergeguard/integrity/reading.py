"""Read what a use case needs from one snapshot: the merges, and what the profile declares beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from mergeguard.core.budget import Spent, unlimited
from mergeguard.core.columns import ReferenceCounts
from mergeguard.core.facts import Declared, Facts
from mergeguard.core.rule import Need
from mergeguard.core.table import MergeTable
from mergeguard.storage import assemble
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Progress, Snapshot, silent

ALL = frozenset(Need)
Answer = TypeVar("Answer")


class OutOfTime(Exception):
    """The time budget ended in the middle of a read."""


def watched(progress: Progress, spent: Spent) -> Progress:
    """Return a progress port that ends the read when the time budget is spent."""

    def report(phase: str, done: int, total: int | None) -> None:
        progress(phase, done, total)
        if spent():
            raise OutOfTime

    return report


def read_facts(
    snapshot: Snapshot,
    profile: Profile,
    progress: Progress = silent,
    *,
    needs: Collection[Need] = ALL,
    spent: Spent = unlimited,
) -> tuple[Facts, bool]:
    """Read the merges and whatever of the declared rest is needed.

    Returns the facts and whether everything was read; what the budget cut off is missing from the facts as if it had
    not been declared.

    Raises:
        OutOfTime: the budget ended before the merges were read.
        CannotCheck: see ``errors``.
    """
    port = watched(progress, spent)
    table = _merges(snapshot, profile, port)
    complete = True

    def within(read: Callable[[], Answer]) -> Answer | None:
        nonlocal complete
        if spent():
            complete = False
            return None
        try:
            return read()
        except OutOfTime:
            complete = False
            return None

    live = within(lambda: assemble.live_guids(snapshot, profile, port))
    types = within(lambda: assemble.type_table(snapshot, profile, port)) if Need.TYPES in needs else None
    counts = within(lambda: _references(snapshot, profile, port)) if Need.REFERENCES in needs else None
    stored = within(lambda: assemble.stored_lookup(snapshot, profile, port)) if Need.LOOKUP in needs else None
    return Facts(table, Declared(live, types, counts, stored, profile.lookup.table)), complete


def _merges(snapshot: Snapshot, profile: Profile, progress: Progress) -> MergeTable:
    return assemble.merge_table(snapshot, profile, progress)


def _references(snapshot: Snapshot, profile: Profile, progress: Progress) -> list[ReferenceCounts] | None:
    if not profile.references:
        return None
    return [assemble.reference_counts(snapshot, reference, profile, progress) for reference in profile.references]
