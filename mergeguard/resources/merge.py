"""Merging that cannot make a cycle: both roots are locked, read again behind the lock, and written.

A lock alone is not enough: a session whose snapshot is older than the lock decides on what is no longer there. Nor is
it enough to lock the guids that were named: two merges of other guids may close a circle over them.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.core.repair.plan import Action, Image, RowChange
from mergeguard.errors import Locked, MergeRefused, Stale, UsageError
from mergeguard.resources.decision import Roots, read_roots, require_allowed, require_roots
from mergeguard.resources.merged import Merged, Refusal, answer_of, merged_of
from mergeguard.resources.moving import Moves, keyed, moves
from mergeguard.resources.opened import require_database, require_fit, require_guard, unguarded
from mergeguard.resources.walk import Walker
from mergeguard.storage import merge_row, merging_store
from mergeguard.storage.journal import Journal
from mergeguard.storage.merging_store import MergingStore, Request
from mergeguard.storage.who import who
from mergeguard.version import __version__

if TYPE_CHECKING:
    from mergeguard.storage.database import DatabaseSource
    from mergeguard.storage.database_rows import DatabaseRows
    from mergeguard.storage.database_writing import DatabaseWriting
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.source import Source

TRIES: Final = 20
"""How often a merge is begun at most: again where its roots moved, or where it was the victim of a deadlock."""
LONGEST_REQUEST: Final = 64
COMPONENT: Final = "merge:{}"


class _RootsMoved(Exception):
    """Another merge took one of the roots between the first look and the lock."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a caller wants."""

    old: uuid.UUID
    new: uuid.UUID
    request_id: str | None
    key: str | None
    again: bool = False
    """Not the first try: the lookup may be what misled it."""


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
    with database.snapshot() as snapshot:
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
            _accounted(blank, found, roots),
            row=merge_row.proposed(rows, profile, roots.both, _spelled(rows, profile, roots)),
            lookup_rows=len(store.class_of(rows, roots.both[0])) + 1 if store.lookup is not None else 0,
        )


@contextmanager
def open_merges(source: Source, profile: Profile) -> Iterator[Merges]:
    """Open a database for merges: its journal and our own tables are made where they are missing.

    Raises:
        as ``merge``.
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
    with database.writing() as writing:
        yield Merges(database, profile, journal, writing, problems)


class Merges:
    """A connection that merges, one transaction a merge; see ``open_merges``."""

    def __init__(
        self,
        source: DatabaseSource,
        profile: Profile,
        journal: Journal,
        writing: DatabaseWriting,
        guard: tuple[str, ...] = (),
    ) -> None:
        self._source = source
        self._guard = guard
        self._profile = keyed(profile)
        self._journal = journal
        self._writing = writing
        self._who = who(source)

    def merge(self, old: uuid.UUID, new: uuid.UUID, *, request_id: str | None = None, key: str | None = None) -> Merged:
        """Merge the class of ``old`` into that of ``new``; see ``merge``."""
        if request_id is not None and not 0 < len(request_id) <= LONGEST_REQUEST:
            raise UsageError(f"a request id has 1 to {LONGEST_REQUEST} characters, and this has {len(request_id)}")
        if key is not None and self._profile.merge.merge_key is None:
            raise UsageError("the profile names no column for the key", hint="name it: [merge] merge_key")
        asked = _Asked(old, new, request_id, key)
        for left in reversed(range(TRIES)):
            began = time.monotonic()
            try:
                with self._writing.merging() as rows:
                    return self._once(rows, asked)
            except _RootsMoved:
                asked = replace(asked, again=True)
                if not left:
                    raise Locked(f"other merges took the roots of {old} and {new} {TRIES} times") from None
            except (Locked, Stale):
                # A victim is told at once; who waited for the whole lock timeout has waited enough.
                if not left or time.monotonic() - began >= self._source.options.lock_timeout / 2:
                    raise
        raise AssertionError

    def _once(self, rows: DatabaseRows, asked: _Asked) -> Merged:
        """Merge within a transaction that has just begun."""
        store = rows.known.fact(("store",), lambda: MergingStore(rows, self._profile))
        known = self._answered(rows, store, asked)
        if known is not None:
            return known
        if self._profile.merging.guarded == "required":  # it may have gone since the target was opened
            require_guard(unguarded(rows, self._profile), self._profile)
        walker = Walker(rows, self._profile, lambda root: store.class_of(rows, root))
        seen = self._look(rows, store, walker, asked)
        store.write_roots(rows, tuple(dict.fromkeys(seen)))
        roots = read_roots(walker, asked.old, asked.new)
        if seen != (roots.old_end.current, roots.new_end.current):
            raise _RootsMoved
        require_roots(roots)
        known = self._answered(rows, store, asked)
        if known is not None:
            return known
        if roots.one_class:
            return self._noted(
                rows, store, Merged(asked.old, asked.new, *roots.both, already=True, guard=self._guard), asked
            )
        require_allowed(rows, self._profile, store, roots)
        return self._write(rows, store, roots, asked)

    def _look(
        self, rows: DatabaseRows, store: MergingStore, walker: Walker, asked: _Asked
    ) -> tuple[uuid.UUID, uuid.UUID]:
        """Return the roots to lock: by the stored lookup, which is cheap, else by walking.

        What is decided is read again behind the locks, and by walking.
        """
        if store.lookup is not None and not asked.again:
            said = store.answers(rows, [asked.old, asked.new])
            old, new = (said[guid][1] if guid in said else guid for guid in (asked.old, asked.new))
            if old is not None and new is not None and old != new:
                return old, new
        roots = read_roots(walker, asked.old, asked.new)
        require_roots(roots)
        return roots.both

    def _answered(self, rows: DatabaseRows, store: MergingStore, asked: _Asked) -> Merged | None:
        """Return what the request id answered before.

        Raises:
            MergeRefused: it was the id of another merge.
        """
        found = None if asked.request_id is None else store.request(rows, asked.request_id)
        if found is None:
            return None
        merged = merged_of(found.answer)
        if (merged.old, merged.new) != (asked.old, asked.new):
            raise MergeRefused(
                f"request {asked.request_id} merged {merged.old} into {merged.new}, and now it asks for another merge",
                reason="request-reused",
                hint="give each merge a request id of its own",
            )
        return replace(merged, guard=self._guard)

    def _write(self, rows: DatabaseRows, store: MergingStore, roots: Roots, asked: _Asked) -> Merged:
        profile, (old, new) = self._profile, roots.both
        found = self._planned(rows, store, old, new)
        live = [
            RowChange(Action.REMOVE, str(profile.live and profile.live.table), image, None) for image in _live(roots)
        ]
        run_id = uuid.uuid4().hex
        image = merge_row.insert(rows, profile, roots.both, _spelled(rows, profile, roots), asked.key)
        rows.change([*found.changes, *live])
        merged = replace(
            _accounted(Merged(asked.old, asked.new, old, new, guard=self._guard), found, roots),
            run_id=run_id,
            row=image,
        )
        row = RowChange(Action.MERGE, profile.merge.table, None, image)
        with rows.source.translated(writing=True), rows.together():
            self._journal.record_run(rows, _run(run_id, self._who, asked))
            step = _step(run_id, roots, merged, (row, *found.changes, *live), image)
            self._journal.record(rows, step, briefly=True)
            merged = replace(merged, lookup_rows=store.move_class(rows, old, new))
        return self._noted(rows, store, merged, asked)

    def _planned(self, rows: DatabaseRows, store: MergingStore, old: uuid.UUID, new: uuid.UUID) -> Moves:
        """Work out what moves, and once more where others might be merging what the same rows refer to."""
        found, held = moves(rows, self._profile, old, new), frozenset[uuid.UUID]()
        while self._source.kind != "sqlite" and not found.neighbours <= held:
            held |= found.neighbours
            store.share_roots(rows, held)
            found = moves(rows, self._profile, old, new)
        return found

    def _noted(self, rows: DatabaseRows, store: MergingStore, merged: Merged, asked: _Asked) -> Merged:
        """Remember what the request is answered."""
        if asked.request_id is None:
            return merged
        merged = replace(merged, request_id=asked.request_id)
        store.write_request(rows, asked.request_id, Request(merged.run_id or "", answer_of(merged)))
        return merged


def _accounted(merged: Merged, found: Moves, roots: Roots) -> Merged:
    return replace(
        merged,
        columns=found.columns,
        hashes_cleared=found.hashes_cleared,
        notes=found.notes,
        live_rows=len(_live(roots)),
    )


def _live(roots: Roots) -> list[Image]:
    """Return the rows by which the old root is live; there are none where liveness is a query."""
    return roots.standing.live_images.get(roots.both[0], [])


def _spelled(rows: DatabaseRows, profile: Profile, roots: Roots) -> str | None:
    """Return the cell by which the old root is live."""
    live = profile.live
    image = next(iter(_live(roots)), None)
    if image is None or live is None or live.table is None or live.guid is None:
        return None
    return image[rows.column(live.table, live.guid)]


def _run(run_id: str, who: str, asked: _Asked) -> Run:
    reason = f"request {asked.request_id}" if asked.request_id else ""
    # The journal takes the time of the database, whatever stands here.
    return Run(run_id, "merge", who, __version__, dt.datetime.min.replace(tzinfo=dt.UTC), reason=reason)


def _step(run_id: str, roots: Roots, merged: Merged, changes: tuple[RowChange, ...], image: Image) -> JournalStep:
    old, new = roots.both
    return JournalStep(
        run_id=run_id,
        number=1,
        component=COMPONENT.format(old),
        kinds=("merge",),
        members=(old,),
        survivor=new,
        confidence="ordered",
        why=f"{merged.old} was to be merged into {merged.new}",
        changes=changes,
        guard_after=(image,),
        evidence={"columns": {name: counts.rows for name, counts in merged.columns.items()}},
    )
