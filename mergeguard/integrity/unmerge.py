"""Unmerge: one merge is taken back, with the references that were re-pointed because of it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.core.repair.plan import Action, Image, RowChange
from mergeguard.errors import GuidNotFound, Stale
from mergeguard.integrity.apply_checks import check_rights, require_database
from mergeguard.integrity.apply_verify import mend_lookup
from mergeguard.integrity.boundary import signals_held
from mergeguard.integrity.component_apply import rebuild_part
from mergeguard.integrity.explain import as_guid
from mergeguard.integrity.rows_differ import differences
from mergeguard.integrity.scan import Now, utc_now
from mergeguard.integrity.tries import tried
from mergeguard.integrity.unmerge_references import references_of
from mergeguard.integrity.workshop import Workshop, open_workshop
from mergeguard.storage.database.known_guids import KnownGuids
from mergeguard.storage.source import Progress, Source, silent
from mergeguard.storage.who import who
from mergeguard.version import __version__

if TYPE_CHECKING:
    from mergeguard.storage.database.snapshot import DatabaseSnapshot
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.profile import Profile

KIND: Final = "unmerge"


@dataclass(frozen=True, slots=True)
class Unmerge:
    """What taking a merge back would do: to be looked at first, and then handed in."""

    guid: uuid.UUID
    current: uuid.UUID | None
    """What it is now; ``None`` for a cycle or a split."""
    rows: tuple[Image, ...]
    """The rows that merge it away; they leave the table and stay in the journal."""
    references: tuple[RowChange, ...] = ()
    """Rows of reference columns that hold the guid again."""
    changed_since: int = 0
    """Rows that were re-pointed because of the merge and are not as they were left; they stay as they are."""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """By reference column: rows that hold the current and of which no journal says if they belonged to the guid."""
    has_journal: bool = True
    live: bool | None = None
    """Whether the guid is live, or is put back with its merge; ``None`` where the profile declares no liveness."""


@dataclass(frozen=True, slots=True)
class Unmerged:
    """What taking a merge back did."""

    run_id: str
    guid: uuid.UUID
    rows: int
    """Merge rows that were retired."""
    references: Mapping[str, int] = field(default_factory=dict)
    """Rows that hold the guid again, by table."""
    lookup_rows: int = 0


def propose_unmerge(source: Source, profile: Profile, asked: str, *, progress: Progress = silent) -> Unmerge:
    """Work out what taking back the merge of a guid would do; nothing is written.

    Raises:
        UsageError: the text is no guid.
        GuidNotFound: no row merges it away.
        JournalDamaged: the journal was altered.
        CannotCheck: the target could not be read.
        Unsupported: the target is a file.
    """
    database = require_database(source)
    guid = as_guid(asked, profile)
    shop = open_workshop(database, profile, uuid.uuid4().hex, progress)
    with database.snapshot() as snapshot:
        merges = shop.merges(database.rows(snapshot))
        rows = tuple(merges.of([guid]))
        if len(rows) < len(shop.around.rows_of([guid])):
            shop.rare.add(guid)
            rows = tuple(merges.of([guid]))
    if not rows:
        raise GuidNotFound(
            f"no row merges {guid} away, so there is no merge to take back",
            hint=f"'mergeguard explain TARGET {guid}' tells what the rows say about it",
        )
    current = shop.around.current(guid)
    has_journal = shop.journal.exists()
    held = {*shop.around.behind([guid]), guid}
    changes, changed_since = references_of(database, profile, held, guid) if has_journal else ([], 0)
    live = shop.around.live([guid])
    return Unmerge(
        guid=guid,
        current=current,
        rows=rows,
        references=tuple(changes),
        changed_since=changed_since,
        unknown=_unknown(shop, current, changes),
        has_journal=has_journal,
        live=None if live is None else guid in live or _lives_again(profile, changes),
    )


def unmerge_guid(
    source: Source,
    profile: Profile,
    proposal: Unmerge,
    *,
    reason: str = "",
    progress: Progress = silent,
    now: Now = utc_now,
) -> Unmerged:
    """Take one merge back as it was proposed, in one transaction; it is journalled and can be undone.

    Raises:
        Stale: a row is not as the proposal saw it; nothing was changed.
        PermissionDenied: this login may not write; nothing was changed.
        Locked, WriteFailed: nothing was changed.
    """
    database = require_database(source)
    shop = open_workshop(database, profile, uuid.uuid4().hex, progress)
    step = _step(shop, proposal, reason)
    run = Run(shop.run_id, KIND, who(database), __version__, now(), reason=reason)
    with database.writing() as writing:
        check_rights(writing, profile, step.changes, lookup=shop.lookup is not None)
        shop.journal.create()
        shop.journal.begin(run)
        with signals_held():
            written = tried(shop, lambda: _commit(shop, writing, step, proposal))
    shop.journal.finish(shop.run_id)
    return Unmerged(
        run_id=shop.run_id,
        guid=proposal.guid,
        rows=len(proposal.rows),
        references=dict(Counter(change.table for change in proposal.references)),
        lookup_rows=written + mend_lookup(database, profile, progress),
    )


def _lives_again(profile: Profile, changes: Sequence[RowChange]) -> bool:
    """Say whether the row by which the guid was live, which its merge took away, is among those that come back."""
    live = profile.live
    return live is not None and any(change.table == live.table and change.before is None for change in changes)


def _commit(shop: Workshop, writing: DatabaseWriting, step: JournalStep, proposal: Unmerge) -> int:
    with writing.transaction() as rows:
        merges = shop.merges(rows, proposal.rows)
        changed = differences(merges, proposal.rows, merges.of([proposal.guid]), since="what was shown")
        if changed:
            raise Stale(f"the merge is not as it was shown: {changed[0]}", changed=changed, hint="look at it again")
        shop.journal.record(rows, step)
        rows.change(step.changes)
        return rebuild_part(shop, merges, [proposal.guid])


def _step(shop: Workshop, proposal: Unmerge, reason: str) -> JournalStep:
    retired = (RowChange(Action.RETIRE, shop.profile.merge.table, image, None) for image in proposal.rows)
    return JournalStep(
        run_id=shop.run_id,
        number=1,
        component=f"{KIND}:{proposal.guid}",
        kinds=(KIND,),
        members=(proposal.guid,),
        survivor=proposal.guid,
        confidence=Confidence.ORDERED.value,
        why=reason or "somebody asked for it",
        changes=(*retired, *proposal.references),
        guard_after=(),
    )


def _unknown(shop: Workshop, current: uuid.UUID | None, changes: list[RowChange]) -> dict[str, int]:
    """Count by reference column the rows that hold the current and do not go back."""
    if current is None:
        return {}
    back = Counter(
        f"{change.table}.{column}"
        for change in changes
        if change.before is not None and change.after is not None
        for column, cell in change.before.items()
        if cell != change.after[column]
    )
    with shop.source.snapshot() as snapshot:
        counts = _counts(snapshot, shop.profile, current)
    return {name: count - back[name] for name, count in counts.items() if count > back[name]}


def _counts(snapshot: DatabaseSnapshot, profile: Profile, guid: uuid.UUID) -> dict[str, int]:
    known = KnownGuids(snapshot, profile, [guid])
    return {str(one): known.counts(one.table, one.column).get(guid, 0) for one in profile.references}
