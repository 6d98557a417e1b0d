"""Merging that cannot make a cycle: both roots are locked, read again behind the lock, and written.

A lock alone is not enough: a session whose snapshot is older than the lock decides on what is no longer there. Nor is
it enough to lock the guids that were named: two merges of other guids may close a circle over them.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mergeguard.errors import CannotCheck, Locked, MergeRefused, Stale, WriteFailed
from mergeguard.resources.decision import read_roots, require_allowed, require_roots
from mergeguard.resources.merged import Merged, Refusal
from mergeguard.resources.moving import keyed, moves
from mergeguard.resources.one_merge import Asked, OneMerge, RootsMoved, accounted, spelled
from mergeguard.resources.opened import require_database, require_fit, require_guard, unguarded
from mergeguard.resources.walk import Walker
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.merging import row as merge_row
from mergeguard.storage.merging import store as merging_store
from mergeguard.storage.merging.store import MergingStore
from mergeguard.storage.who import who

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows
    from mergeguard.storage.source import Source

TRIES: Final = 20
"""How often a merge is begun at most: again where its roots moved, or where it was the victim of a deadlock."""


def merge(
    source: Source,
    profile: Profile,
    old: uuid.UUID,
    new: uuid.UUID,
    *,
    request_id: str | None = None,
    key: str | None = None,
    preview: bool = False,
) -> Merged:
    """Merge the class of ``old`` into that of ``new``, in one transaction, or say what that would do.

    Everything commits together: the row of the merge, the lookup, the references, the journal that takes it back. Where
    both are one already nothing is done and ``already`` is set. For many merges keep a ``Merges`` open.

    Raises:
        MergeRefused: it must not be made; ``reason`` says why. A preview tells it in ``refused`` instead.
        Locked: another session held a lock for too long; nothing was changed.
        PermissionDenied, WriteFailed: nothing was changed.
        JournalDamaged: the journal was altered; nothing was changed.
        UsageError: a request id that is too long, or a key and no column for it.
        Unsupported: the target is a file, or its ids are no guids.
    """
    if preview:
        return preview_merge(source, profile, old, new)
    with open_merges(source, profile) as merges:
        return merges.merge(old, new, request_id=request_id, key=key)


def preview_merge(source: Source, profile: Profile, old: uuid.UUID, new: uuid.UUID) -> Merged:
    """Say what a merge would do, from a read-only snapshot; nothing is written.

    Raises:
        CannotCheck: the target could not be read.
        Unsupported: the target is a file, or its ids are no guids.
    """
    database, profile = require_database(source, profile), keyed(profile)
    with database.snapshot() as snapshot, database.translated():
        rows = database.rows(snapshot)
        problems = unguarded(rows, profile)
        require_fit(rows, profile)
        store = MergingStore(rows, profile)
        walker = Walker(rows, profile, lambda root: store.class_of(rows, root))
        roots = read_roots(walker, old, new)
        blank = Merged(old, new, roots.old_end.current, roots.new_end.current, preview=True, guard=problems)
        try:
            require_guard(problems, profile)
            require_roots(roots)
            if roots.one_class:
                return replace(blank, already=True)
            require_allowed(rows, profile, store, roots)
            found = moves(rows, profile, *roots.both)
        except MergeRefused as refused:
            return replace(blank, refused=Refusal(refused.reason, refused.message, refused.hint))
        return replace(
            accounted(blank, found, roots),
            row=merge_row.proposed(rows, profile, roots.both, spelled(rows, profile, roots)),
            lookup_rows=len(store.class_of(rows, roots.both[0])) + 1 if store.lookup is not None else 0,
        )


@contextmanager
def open_merges(source: Source, profile: Profile) -> Iterator[Merges]:
    """Open a database for merges: its journal and our own tables are made where they are missing.

    Raises:
        as ``merge``.
    """
    ready = prepare_merges(source, profile)
    with ready.source.writing() as writing:
        yield Merges(ready, writing)


class Merges:
    """A connection that merges, one transaction a merge; see ``open_merges``."""

    def __init__(self, ready: ReadyMerges, writing: DatabaseWriting) -> None:
        self._ready = ready
        self._writing = writing

    def merge(self, old: uuid.UUID, new: uuid.UUID, *, request_id: str | None = None, key: str | None = None) -> Merged:
        """Merge the class of ``old`` into that of ``new``; see ``merge``."""
        one = self._ready.one
        asked = one.ask(old, new, request_id, key)
        for left in reversed(range(TRIES)):
            began = time.monotonic()
            try:
                with self._writing.merging() as rows, self._ready.source.translated(writing=True):
                    return one.make(rows, asked)
            except RootsMoved:
                if not left:
                    raise _taken(asked) from None
            except (Locked, Stale):
                # A victim is told at once; who waited for the whole lock timeout has waited enough.
                if not left or time.monotonic() - began >= self._ready.source.options.lock_timeout / 2:
                    raise
            asked = asked.once_more()
        raise AssertionError


# In a transaction of somebody else's.


@dataclass(frozen=True, slots=True)
class ReadyMerges:
    """A database whose journal and own tables stand, so that merges can be made in any transaction of it."""

    source: DatabaseSource
    profile: Profile
    one: OneMerge
    guard: tuple[str, ...] = ()
    """What keeps the guard of the merge table from its work."""

    def merge_within(
        self,
        rows: DatabaseRows,
        old: uuid.UUID,
        new: uuid.UUID,
        *,
        key: str | None = None,
        request_id: str | None = None,
    ) -> Merged:
        """Merge the class of ``old`` into that of ``new`` in the open transaction of ``rows``; see ``merge_within``."""
        # The caller's next try would know nothing of a deadlock in this one.
        asked = replace(self.one.ask(old, new, request_id, key), in_one_order=True)
        try:
            for _ in range(TRIES):
                try:
                    with rows.source.translated(writing=True):
                        return self.one.make(rows, asked)
                except RootsMoved:  # what is locked stays so: a transaction that goes on cannot give it back
                    asked = asked.once_more()
        except Stale as stale:
            rows.known.clear()  # perhaps a table was altered
            raise Locked(f"somebody changed what is merged at the same time: {stale.message}") from stale
        except Locked:
            raise
        except (CannotCheck, WriteFailed):
            rows.known.clear()
            raise
        raise _taken(asked)


def prepare_merges(source: Source, profile: Profile) -> ReadyMerges:
    """Make the journal and our own tables where they are missing, each in a transaction of its own.

    To be called before transactions that merge, outside of any: an importer does so when it starts.

    Raises:
        JournalDamaged: the journal was altered.
        MergeRefused: nothing tells the rows of a table apart, or the column of times holds numbers.
        UnknownSchema: the merge table, or a column of it, does not exist.
        PermissionDenied, Locked, WriteFailed: nothing was made.
        Unsupported: the target is a file, or its ids are no guids.
    """
    database = require_database(source, profile, to_write=True)
    journal = Journal(database, profile)
    with database.snapshot() as snapshot:
        rows = database.rows(snapshot)
        require_fit(rows, profile)
        problems = unguarded(rows, profile)
        require_guard(problems, profile)
        stands = merging_store.stand(rows, profile)
    if not journal.exists():
        journal.create()
    if not stands:
        merging_store.create(database, profile)
    return ReadyMerges(database, profile, OneMerge(database, profile, journal, who(database), problems), problems)


def merge_within(
    source: Source,
    profile: Profile,
    rows: DatabaseRows,
    old: uuid.UUID,
    new: uuid.UUID,
    *,
    key: str | None = None,
    request_id: str | None = None,
) -> Merged:
    """Merge the class of ``old`` into that of ``new`` in a transaction that the caller has open, and will end.

    The row of the merge, the lookup, the references and the journal become true with the caller's commit, or never.
    After ``prepare_merges``; who merges often keeps what that returns and calls its ``merge_within``.

    Args:
        source: the database.
        profile: where everything stands; that of ``source``.
        rows: of ``rows.within.rows_in``, so that the merge lock is shared.
        old: merged away.
        new: what it becomes; its own root, if it was merged away itself.
        key: which key made them one, as ``name=value``, for the merge's row.
        request_id: asked again, it answers the same.

    Raises:
        MergeRefused: it must not be made; nothing but the turn of two roots was written, so the caller may go on.
        Locked: others merge the same, or somebody changed a row that is moved. The caller rolls back and tries again.
        WriteFailed, CannotCheck, JournalDamaged: the caller rolls back, at least to a savepoint.
        UsageError: a request id that is too long, or a key and no column for it.
    """
    database = require_database(source, profile)
    found = rows.known.facts.get(("ready merges",))
    if found is None:
        problems = unguarded(rows, profile)
        one = OneMerge(database, profile, Journal(database, profile), who(database), problems)
        found = rows.known.facts["ready merges",] = ReadyMerges(database, profile, one, problems)
    ready: ReadyMerges = found
    return ready.merge_within(rows, old, new, key=key, request_id=request_id)


def _taken(asked: Asked) -> Locked:
    return Locked(f"other merges took the roots of {asked.old} and {asked.new} {TRIES} times")
