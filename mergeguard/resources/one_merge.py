"""One merge in a transaction that is open: look, lock both roots, read again behind the lock, decide, write.

Whoever opened the transaction ends it; here nothing is committed and nothing is rolled back.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.core.repair.plan import Action, Image, RowChange
from mergeguard.errors import MergeRefused, UsageError
from mergeguard.resources.decision import Roots, read_roots, require_allowed, require_roots
from mergeguard.resources.merged import Merged, answer_of, merged_of
from mergeguard.resources.moving import Moves, keyed, moves
from mergeguard.resources.opened import require_guard, unguarded
from mergeguard.resources.walk import Walker
from mergeguard.storage.merging import blacklist
from mergeguard.storage.merging import row as merge_row
from mergeguard.storage.merging.store import MergingStore, Request
from mergeguard.version import __version__

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.journal.writing import Journal
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

LONGEST_REQUEST: Final = 64
COMPONENT: Final = "merge:{}"


class RootsMoved(Exception):
    """Another merge took one of the roots between the first look and the lock."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants."""

    old: uuid.UUID
    new: uuid.UUID
    request_id: str | None
    key: str | None
    again: bool = False
    """Not the first try: the lookup may be what misled it."""
    in_one_order: bool = False
    """Lock what the moved rows refer to beside the roots together with them. A merge that locks it later is quicker,
    but two that hold their roots and wait for each other's would be victims of one deadlock in every try."""

    def once_more(self) -> Asked:
        """Return what to try next, where others were in the way."""
        return replace(self, again=True, in_one_order=True)


class OneMerge:
    """Makes merges in transactions that are open, each with the merge lock shared.

    Args:
        source: the database.
        profile: where everything stands.
        journal: of the database; it must exist, and so must our own tables.
        who: does it, for the journal.
        guard: what keeps the guard from its work, as it was found when the database was opened.
    """

    def __init__(
        self, source: DatabaseSource, profile: Profile, journal: Journal, who: str, guard: tuple[str, ...] = ()
    ) -> None:
        self._source = source
        self._profile = keyed(profile)
        self._journal = journal
        self._who = who
        self._guard = guard

    def ask(self, old: uuid.UUID, new: uuid.UUID, request_id: str | None, key: str | None) -> Asked:
        """Return what a caller wants, checked.

        Raises:
            UsageError: a request id that is too long, or a key and no column for it.
        """
        if request_id is not None and not 0 < len(request_id) <= LONGEST_REQUEST:
            raise UsageError(f"a request id has 1 to {LONGEST_REQUEST} characters, and this has {len(request_id)}")
        if key is not None and self._profile.merge.merge_key is None:
            raise UsageError("the profile names no column for the key", hint="name it: [merge] merge_key")
        return Asked(old, new, request_id, key)

    def make(self, rows: DatabaseRows, asked: Asked) -> Merged:
        """Merge.

        Raises:
            RootsMoved: another merge was quicker; both roots that were seen stay locked.
            MergeRefused: it must not be made; nothing but the turn of two guids is changed.
        """
        store = self._store(rows)
        known = self._answered(rows, store, asked)
        if known is not None:
            return known
        if self._profile.merging.guarded == "required":  # it may have gone since the target was opened
            require_guard(unguarded(rows, self._profile), self._profile)
        seen = self._look(rows, store, asked)
        beside = self._beside(rows, *seen) if asked.in_one_order else frozenset[uuid.UUID]()
        store.write_roots(rows, seen, beside)
        roots = self._roots(rows, store, asked)
        if seen != roots.locked:
            raise RootsMoved
        require_roots(roots)
        known = self._answered(rows, store, asked)
        if known is not None:
            return known
        if roots.one_class:
            return self._noted(
                rows, store, Merged(asked.old, asked.new, *roots.both, already=True, guard=self._guard), asked
            )
        require_allowed(rows, self._profile, store, roots)
        return self._write(rows, store, roots, asked, beside)

    def _store(self, rows: DatabaseRows) -> MergingStore:
        """Return our own tables; a lookup that was missing may have been built since, and must not be passed over."""
        known: MergingStore | None = rows.known.facts.get(("store",))
        if known is None or known.lookup is None:
            known = rows.known.facts["store",] = MergingStore(rows, self._profile)
        return known

    def _roots(self, rows: DatabaseRows, store: MergingStore, asked: Asked) -> Roots:
        """Walk to the roots, by a walker that remembers nothing from before the locks."""
        return read_roots(Walker(rows, self._profile, lambda root: store.class_of(rows, root)), asked.old, asked.new)

    def _look(self, rows: DatabaseRows, store: MergingStore, asked: Asked) -> tuple[uuid.UUID, uuid.UUID]:
        """Return the roots to lock: by the stored lookup, which is cheap, else by walking.

        What is decided is read again behind the locks, and by walking. So is what is refused: a merge that commits
        between two reads looks like damage.
        """
        if store.lookup is not None and not asked.again:
            said = store.answers(rows, [asked.old, asked.new])
            old, new = (said[guid][1] if guid in said else guid for guid in (asked.old, asked.new))
            if old is not None and new is not None and old != new:
                return old, new
        return self._roots(rows, store, asked).locked

    def _answered(self, rows: DatabaseRows, store: MergingStore, asked: Asked) -> Merged | None:
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

    def _write(
        self, rows: DatabaseRows, store: MergingStore, roots: Roots, asked: Asked, held: frozenset[uuid.UUID]
    ) -> Merged:
        profile, (old, new) = self._profile, roots.both
        found = self._planned(rows, store, old, new, held)
        live = [
            RowChange(Action.REMOVE, str(profile.live and profile.live.table), image, None) for image in _live(roots)
        ]
        run_id = uuid.uuid4().hex
        like = spelled(rows, profile, roots)
        image = merge_row.insert(rows, profile, roots.both, like, asked.key)
        listed = blacklist.write(rows, profile, old, new, like)  # while its row still says whether it is managed
        rows.change([*found.changes, *live])
        merged = replace(
            accounted(Merged(asked.old, asked.new, old, new, guard=self._guard), found, roots),
            run_id=run_id,
            row=image,
        )
        row = RowChange(Action.MERGE, profile.merge.table, None, image)
        beside = () if listed is None else (listed,)
        with rows.source.translated(writing=True), rows.together():
            self._journal.record_run(rows, _run(run_id, self._who, asked))
            step = _step(run_id, roots, merged, (row, *found.changes, *live, *beside), image)
            self._journal.record(rows, step, briefly=True)
            merged = replace(merged, lookup_rows=store.move_class(rows, old, new))
        return self._noted(rows, store, merged, asked)

    def _beside(self, rows: DatabaseRows, old: uuid.UUID, new: uuid.UUID) -> frozenset[uuid.UUID]:
        """Return what will be locked beside two roots, as far as it can be seen before they are locked."""
        if self._source.kind == "sqlite" or old == new:
            return frozenset()
        try:
            return moves(rows, self._profile, old, new).neighbours
        except MergeRefused:  # behind the locks it is refused, or has become possible
            return frozenset()

    def _planned(
        self, rows: DatabaseRows, store: MergingStore, old: uuid.UUID, new: uuid.UUID, held: frozenset[uuid.UUID]
    ) -> Moves:
        """Work out what moves, and once more where others might be merging what the same rows refer to."""
        found = moves(rows, self._profile, old, new)
        while self._source.kind != "sqlite" and not found.neighbours <= held:
            held |= found.neighbours
            store.share_roots(rows, held)
            found = moves(rows, self._profile, old, new)
        return found

    def _noted(self, rows: DatabaseRows, store: MergingStore, merged: Merged, asked: Asked) -> Merged:
        """Remember what the request is answered."""
        if asked.request_id is None:
            return merged
        merged = replace(merged, request_id=asked.request_id)
        store.write_request(rows, asked.request_id, Request(merged.run_id or "", answer_of(merged)))
        return merged


def accounted(merged: Merged, found: Moves, roots: Roots) -> Merged:
    """Return a merge with the account of what it moves."""
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


def spelled(rows: DatabaseRows, profile: Profile, roots: Roots) -> str | None:
    """Return the cell by which the old root is live: how guids are stored here."""
    live = profile.live
    image = next(iter(_live(roots)), None)
    if image is None or live is None or live.table is None or live.guid is None:
        return None
    return image[rows.column(live.table, live.guid)]


def _run(run_id: str, who: str, asked: Asked) -> Run:
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
