"""Whether rows are still as a run left them: what an undo asks before it changes anything."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence

from mergeguard.core.repair.journal import JournalStep
from mergeguard.core.repair.plan import Image
from mergeguard.errors import Stale
from mergeguard.integrity.merges_now import MergesNow
from mergeguard.integrity.rows_differ import RowKey, by_old, cut, differences, key_of
from mergeguard.storage.profile import Profile

_HINT = "what changed since must stay or be taken back by hand first; 'mergeguard journal' shows the rows as they were"


def guard_before(step: JournalStep, profile: Profile) -> tuple[Image, ...]:
    """Return the members' rows of the merge table as they were before the step."""
    own = [change for change in step.changes if change.table == profile.merge.table]
    added = Counter(key_of(change.after) for change in own if change.after is not None)
    kept = []
    for image in step.guard_after:
        if added[key_of(image)]:
            added[key_of(image)] -= 1
        else:
            kept.append(image)
    return (*kept, *(change.before for change in own if change.before is not None))


def require_each_as_left(merges: MergesNow, steps: Sequence[JournalStep]) -> None:
    """Make sure, before the first change, that all rows are as the steps, given the last one first, left them.

    Raises:
        Stale: some are not; all of them are told.
    """
    members = list(dict.fromkeys(member for step in steps for member in step.members))
    found = by_old(merges, merges.of(members))
    changed: list[str] = []
    seen: set[uuid.UUID] = set()
    for step in steps:
        # Of several steps about one old the last one says how its rows must be now.
        if seen.isdisjoint(step.members):
            now = [image for member in step.members for image in found.get(member, ())]
            changed += differences(merges, step.guard_after, now, since="the run")
        seen.update(step.members)
    changed += [_words(merges, table, image) for table, image in _left(merges, steps)]
    if changed:
        raise Stale(
            f"rows changed since the run, and nothing was taken back: {changed[0]}", changed=cut(changed), hint=_HINT
        )


def require_as_left(merges: MergesNow, step: JournalStep) -> None:
    """Make sure, within the transaction, that all rows of one step are as it left them.

    The rows that it changed are compared by the change itself.

    Raises:
        Stale: some are not.
    """
    changed = differences(merges, step.guard_after, merges.of(step.members), since="the run")
    if changed:
        raise Stale(f"{step.component} changed since the run: {changed[0]}", changed=changed, hint=_HINT)


def _left(merges: MergesNow, steps: Sequence[JournalStep]) -> list[tuple[str, Image]]:
    """Return the rows that some steps wrote and that are not as the last of them left them."""
    expected: dict[tuple[str, RowKey], tuple[Image, int]] = {}
    for step in reversed(steps):
        for change in step.changes:
            if change.table == merges.table:
                continue
            for image, sign in ((change.before, -1), (change.after, 1)):
                if image is not None:
                    key = change.table, key_of(image)
                    expected[key] = image, expected.get(key, (image, 0))[1] + sign
    wanted = [(table, image) for (table, _), (image, count) in expected.items() if count > 0]
    return [(table, image) for table, image in wanted if not merges.rows.holds(table, image)]


def _words(merges: MergesNow, table: str, image: Image) -> str:
    stored = merges.rows.table(table)
    columns = stored.address or tuple(image)[:4]
    cells = ", ".join(f"{name} {stored.spoken(image.get(name))}" for name in columns)
    return f"{table}, row {cells}: is gone, or is not as the run left it"
