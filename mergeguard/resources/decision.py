"""Whether two guids may be merged, by rows that were read behind the locks of both roots."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergeguard.core import guids
from mergeguard.core.closure import Status
from mergeguard.core.merging.ends import End
from mergeguard.errors import MergeRefused
from mergeguard.resources.walk import Standing, Walker
from mergeguard.storage.cells import row_cells
from mergeguard.storage.merging import neighbours as merge_neighbours
from mergeguard.storage.profile import Profile

if TYPE_CHECKING:
    from mergeguard.storage.merging.store import MergingStore
    from mergeguard.storage.rows.database import DatabaseRows

_PLAN = "'mergeguard plan TARGET' proposes what to do about it"
_EXPLAIN = "'mergeguard explain TARGET {}' tells what the rows say about it"
_BUILD = "'mergeguard lookup build TARGET' brings it after the merges"


@dataclass(frozen=True, slots=True)
class Roots:
    """Both guids with what they come to."""

    old: uuid.UUID
    new: uuid.UUID
    old_end: End
    new_end: End
    standing: Standing

    @property
    def both(self) -> tuple[uuid.UUID, uuid.UUID]:
        """The roots, where there are two."""
        assert self.old_end.current is not None  # noqa: S101 - for the type checker: ``require_roots`` has seen to it
        assert self.new_end.current is not None  # noqa: S101 - as above
        return self.old_end.current, self.new_end.current

    @property
    def locked(self) -> tuple[uuid.UUID, uuid.UUID]:
        """What a merge locks: the roots, or where there is none the guid that was named."""
        return self.old_end.current or self.old, self.new_end.current or self.new

    @property
    def one_class(self) -> bool:
        """Whether both are one already."""
        return self.old_end.current is not None and self.old_end.current == self.new_end.current


def read_roots(walker: Walker, old: uuid.UUID, new: uuid.UUID) -> Roots:
    """Walk both guids to their roots."""
    standing = walker.read((old, new))
    return Roots(old, new, standing.end(old), standing.end(new), standing)


def require_roots(roots: Roots) -> None:
    """Refuse what has no two roots, or none that may be merged.

    Raises:
        MergeRefused: a self-merge, a circle, a split, or a guid that is gone or that nobody knows.
    """
    if roots.old == roots.new:
        raise MergeRefused(
            f"{roots.old} cannot be merged with itself", reason="self-merge", hint="name two different resources"
        )
    for guid, end in ((roots.old, roots.old_end), (roots.new, roots.new_end)):
        if end.status is Status.CYCLE:
            raise MergeRefused(f"the merges of {guid} lead in a circle", reason="in-cycle", hint=_PLAN)
        if end.status is Status.SPLIT:
            raise MergeRefused(f"the merges of {guid} lead to two guids at once", reason="split", hint=_PLAN)
    if roots.one_class and roots.old == roots.old_end.current:
        raise MergeRefused(
            f"{roots.new} was merged into {roots.old} before: merging {roots.old} into it would close a circle",
            reason="cycle",
            hint=_EXPLAIN.format(roots.new),
        )
    _require_live(roots)


def _require_live(roots: Roots) -> None:
    if roots.new_end.status is not Status.OK:
        what = "was deleted" if roots.new_end.status is Status.DELETED else "is not live"
        raise MergeRefused(
            f"{_named(roots.new, roots.new_end)} {what}, so nothing can be merged into it",
            reason="dead-target",
            hint=_EXPLAIN.format(roots.new),
        )
    if roots.old_end.status is not Status.OK:
        what = "was deleted" if roots.old_end.status is Status.DELETED else "is no resource that is live"
        raise MergeRefused(
            f"{_named(roots.old, roots.old_end)} {what}, so there is nothing to merge",
            reason="unknown-guid",
            hint=_EXPLAIN.format(roots.old),
        )
    for guid in dict.fromkeys(roots.both):
        if guid in roots.standing.images:
            raise MergeRefused(
                f"{guid} is live and a row merges it away as well: that merge was never finished",
                reason="shadowed-live",
                hint=_PLAN,
            )


def _named(guid: uuid.UUID, end: End) -> str:
    return str(guid) if end.current in {guid, None} else f"{end.current}, which {guid} is now,"


def require_allowed(rows: DatabaseRows, profile: Profile, store: MergingStore, roots: Roots) -> None:
    """Refuse what people, types or a lookup that has drifted forbid.

    Raises:
        MergeRefused: one of them does.
    """
    _ask(rows, profile, store, roots)
    _require_one_type(rows, profile, roots)
    never = store.refused_pair(rows, *_walks(roots))
    if never is not None:
        raise MergeRefused(
            f"{roots.old} and {roots.new} must never be merged: {never}",
            reason="never-merge",
            hint=f"the pair stands in {profile.merging.never}",
        )
    if store.lookup is not None:
        _require_true_lookup(rows, profile, store, roots)


def _ask(rows: DatabaseRows, profile: Profile, store: MergingStore, roots: Roots) -> None:
    """Send all questions of ``require_allowed`` on one way to the server."""
    types = () if profile.types is None else rows.asking(profile.types.table, profile.types.guid, roots.both)
    pair = store.pair_question(*_walks(roots))
    before = () if store.lookup is None else merge_neighbours.question(rows, profile, roots.both[0])
    rows.ahead((*types, *pair, *before, *store.lookup_questions(_ways(roots))))


def _walks(roots: Roots) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    """Return both walks, the roots last."""
    ends = zip((roots.old_end.on_way, roots.new_end.on_way), roots.both, strict=True)
    old, new = ([*(guid for guid in way if guid != root), root] for way, root in ends)
    return old, new


def _ways(roots: Roots) -> list[uuid.UUID]:
    return list(dict.fromkeys((*roots.old_end.on_way, *roots.new_end.on_way)))


def _require_one_type(rows: DatabaseRows, profile: Profile, roots: Roots) -> None:
    if profile.types is None:
        return
    table = profile.types.table
    guid, kind = rows.column(table, profile.types.guid), rows.column(table, profile.types.type)
    found: dict[uuid.UUID, str] = {}
    for image in rows.having(table, guid, roots.both):
        held, text = rows.guid(table, guid, image[guid]), row_cells.text(rows, table, kind, image[kind])
        if held is not None and text is not None and text.strip():
            parsed = guids.parse(text)
            found[held] = text.strip() if parsed is None else str(parsed)
    old, new = (found.get(root) for root in roots.both)
    if old is not None and new is not None and old != new:
        raise MergeRefused(
            f"{roots.old} is of the type {old} and {roots.new} of the type {new}",
            reason="type-mismatch",
            hint="only resources of one type can be one",
        )


def _require_true_lookup(rows: DatabaseRows, profile: Profile, store: MergingStore, roots: Roots) -> None:
    """Hold the stored lookup against the rows, for all guids on both walks and those that lead to the old root.

    Raises:
        MergeRefused: it says something else; moving its class would make that worse.
    """
    asked = _ways(roots)
    before = merge_neighbours.before(rows, profile, roots.both[0])
    stored = dict(store.answers(rows, asked))
    stored |= store.answers(rows, [old for old in before if old not in stored])
    for wrong in _drifts(roots, asked, stored):
        _drifted(profile, wrong)
    strange = [old for old in before if old not in stored]
    strange += [old for old in before if old in stored and not _leads(stored[old], old, roots.both[0])]
    if strange:
        _drifted(profile, strange[0])


def _drifts(
    roots: Roots, asked: Sequence[uuid.UUID], stored: Mapping[uuid.UUID, tuple[object, ...]]
) -> Iterator[uuid.UUID]:
    standing = roots.standing
    for guid in asked:
        said = stored.get(guid)
        if guid not in standing.news:
            if said is not None:
                yield guid
            continue
        end = standing.end(guid)
        if said is None or said[1:] != (end.current, end.depth, end.status.text):
            yield guid


def _leads(said: tuple[object, ...], old: uuid.UUID, root: uuid.UUID) -> bool:
    """Say whether what is stored of an old that has a row to a root can be true: it may be live, or have other rows."""
    return said[1] == root or said[1] == old or said[3] != Status.OK.text


def _drifted(profile: Profile, guid: uuid.UUID) -> None:
    raise MergeRefused(
        f"the stored lookup {profile.lookup.table} does not say of {guid} what the merges say",
        reason="lookup-drift",
        hint=_BUILD,
    )
