"""Which references were re-pointed because of a merge: read from the journal, step by step, the oldest first.

A reference that held the guid may have been re-pointed twice or more since, and another column of its row too. So it
is followed from image to image, and only the cells that held the guid go back.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mergeguard.core.repair.journal import JournalStep
from mergeguard.core.repair.plan import Action, Image, RowChange
from mergeguard.integrity.rows_differ import RowKey, key_of
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.profile import Profile

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.rows.database import DatabaseRows

STEPS_AT_ONCE = 50
_DELETED = frozenset({Action.DROP_SELF, Action.COLLAPSE})


@dataclass(slots=True)
class _Moved:
    """A row that held the guid."""

    table: str
    now: Image | None
    """As the last step left it; ``None`` where a step deleted it."""
    last: Image
    """As it was before it was deleted, or as it is."""
    cells: dict[str, str | None]
    """What the re-pointed columns held, by column."""

    @property
    def change(self) -> RowChange:
        """The change that lets it hold the guid again."""
        return RowChange(Action.RESTORE, self.table, self.now, {**self.last, **self.cells})


class References:
    """Follows the references that held some guids through the journal.

    Args:
        profile: declares the reference columns.
        held: the guid that is unmerged, and those that lead to it.
        itself: the guid that is unmerged: it is live again where the merge took that away.
    """

    def __init__(self, profile: Profile, held: Collection[uuid.UUID], itself: uuid.UUID) -> None:
        self._live = profile.live
        self._itself = itself
        self._alive: list[_Moved] = []
        self._blacklist = profile.blacklist
        self._listed: RowChange | None = None
        self._merge_table = profile.merge.table
        self._held = frozenset(held)
        self._columns: dict[str, list[str]] = {}
        for reference in profile.references:
            self._columns.setdefault(reference.table, []).append(reference.column)
        self._standing: dict[tuple[str, RowKey], list[_Moved]] = defaultdict(list)
        self._gone: list[_Moved] = []

    def follow(self, rows: DatabaseRows, steps: Iterable[JournalStep]) -> None:
        """Take note of what some steps did, those that were taken back left out."""
        for step in steps:
            self._note_live(rows, step)
            self._note_listed(rows, step)
            for change in step.changes if step.undone_by is None else ():
                if change.table != self._merge_table and change.before is not None:
                    self._note(rows, change, change.before)

    def changes(self, rows: DatabaseRows) -> tuple[list[RowChange], int]:
        """Return the changes that put back what still is as it was left, and how many rows are not."""
        standing = [moved for several in self._standing.values() for moved in several]
        found = [moved for moved in standing if rows.holds(moved.table, moved.last)]
        found += [moved for moved in (*self._gone, *self._alive) if not _stands(rows, moved)]
        changes = [moved.change for moved in found]
        if self._listed is not None and rows.holds(self._listed.table, self._listed.after or {}):
            changes.append(self._listed.reversed())
        return changes, len(standing) + len(self._gone) + len(self._alive) - len(found)

    def _note_live(self, rows: DatabaseRows, step: JournalStep) -> None:
        """Take note of the rows by which the guid was live; of several merges of it the last one counts."""
        live = self._live
        if live is None or live.table is None or live.guid is None or step.undone_by is not None:
            return
        gone = [change for change in step.changes if change.action is Action.REMOVE and change.before is not None]
        column = rows.column(live.table, live.guid) if gone else ""
        images = [change.before or {} for change in gone]
        own = [image for image in images if rows.guid(live.table, column, image[column]) == self._itself]
        if own:
            self._alive = [_Moved(live.table, None, image, {column: image[column]}) for image in own]

    def _note_listed(self, rows: DatabaseRows, step: JournalStep) -> None:
        """Take note of how the guid came on the black list of agents: it comes off again."""
        listed = self._blacklist
        if listed is None or step.undone_by is not None:
            return
        for change in step.changes:
            if change.action is Action.BLACKLIST and change.after is not None:
                column = rows.column(change.table, listed.guid)
                if rows.guid(change.table, column, change.after[column]) == self._itself:
                    self._listed = change

    def _note(self, rows: DatabaseRows, change: RowChange, before: Image) -> None:
        known = self._standing[change.table, key_of(before)]
        cells = dict(known.pop().cells) if known else {}
        for column in self._overwritten(change, before):
            if rows.guid(change.table, column, before[column]) in self._held:
                cells.setdefault(column, before[column])
        after = change.after
        if after is None and cells:
            self._gone.append(_Moved(change.table, None, before, cells))
        elif after is not None:
            cells = {column: cell for column, cell in cells.items() if after.get(column) != cell}
            if cells:
                self._standing[change.table, key_of(after)].append(_Moved(change.table, after, after, cells))

    def _overwritten(self, change: RowChange, before: Image) -> list[str]:
        """Return the columns whose guids a change takes away."""
        if change.after is not None:
            guids = change.action in {Action.REPOINT, Action.RESTORE}
            return [name for name, cell in before.items() if guids and change.after.get(name) != cell]
        declared = self._columns.get(change.table, ()) if change.action in _DELETED else ()
        return [name for name in declared if name in before]


def _stands(rows: DatabaseRows, moved: _Moved) -> bool:
    """Say whether another row has taken the place of a deleted one."""
    table = rows.table(moved.table)
    return bool(table.address and rows.standing(table, [table.address_of(moved.last)], locking=False))


def references_of(
    source: DatabaseSource, profile: Profile, held: Collection[uuid.UUID], itself: uuid.UUID
) -> tuple[list[RowChange], int]:
    """Return the changes that let references hold some guids again, and how many rows are not as they were left.

    An undo is told by the steps that it took back.

    Raises:
        JournalDamaged: a step is not as it was written.
    """
    journal, found = Journal(source, profile), References(profile, held, itself)
    for run in sorted(journal.runs(), key=lambda run: run.started):
        steps = journal.each_step(run.run_id)
        while some := list(islice(steps, STEPS_AT_ONCE)):
            # The journal looks at the target in snapshots of its own: only one may be open at a time.
            with source.snapshot() as snapshot:
                found.follow(source.rows(snapshot), some)
    with source.snapshot() as snapshot:
        return found.changes(source.rows(snapshot))
