"""Plan: read the merges and what speaks for each guid in one snapshot, decide, prove, and write down exact rows."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mergeguard.core.repair.component import Component
from mergeguard.core.repair.damage import find_damage
from mergeguard.core.repair.decide import decide
from mergeguard.core.repair.evidence import Confidence, Override, Policy
from mergeguard.core.repair.left_alone import left_alone
from mergeguard.core.repair.plan import Image, Plan, Refused, Step, TableShape
from mergeguard.core.rule import Need
from mergeguard.errors import Unsupported
from mergeguard.integrity.evidence import gather
from mergeguard.integrity.plan_choice import check_overrides, chosen, proved, unused
from mergeguard.integrity.plan_images import Images
from mergeguard.integrity.plan_steps import Named, left_alone_of, refusal_of, step_of
from mergeguard.integrity.reading import read_facts
from mergeguard.integrity.scan import Now, utc_now
from mergeguard.integrity.stale import stale_references
from mergeguard.storage.database.cascades import cascades
from mergeguard.storage.database.identity import identify
from mergeguard.storage.profile import Profile
from mergeguard.storage.profile_file import profile_document
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.source import Progress, Snapshot, Source, silent
from mergeguard.version import __version__

_DATABASES = frozenset({"sqlite", "postgresql", "mssql"})
_NEEDS = frozenset({Need.LIVENESS, Need.TYPES})


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How much a plan decides without a person, and how long it may be applied."""

    accept_medium: bool = False
    """Two agreeing pieces of medium evidence suffice."""
    allow_arbitrary: bool = False
    """Where nothing speaks for any, the first in text order survives."""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """What a person decided, by component id."""
    references: bool = True
    """Also re-point the declared reference columns that hold merged-away guids."""
    expires_in: dt.timedelta = dt.timedelta(hours=24)
    clock_skew: dt.timedelta = dt.timedelta(minutes=5)
    least: Confidence = Confidence.ARBITRARY
    """Components that are decided less surely than this are left as they are."""
    only: Sequence[str] = ()
    """Ids of the components to plan for; empty for all. References are then left as they are."""

    @property
    def policy(self) -> Policy:
        """What the decision needs of it."""
        return Policy(self.accept_medium, self.allow_arbitrary, self.overrides, self.clock_skew)


def make_plan(
    source: Source,
    profile: Profile,
    options: PlanOptions | None = None,
    *,
    progress: Progress = silent,
    now: Now = utc_now,
) -> Plan:
    """Plan the repair of an open database; nothing is written.

    Raises:
        UsageError: an override or ``only`` names what is not there; the component or the guid is told.
        Unsupported: the target is a file, or the merges are a view, or rows of other tables would go along.
        CannotCheck: the target could not be read.
        RuntimeError: the plan would not do what it says: a bug, and so no plan.
    """
    options = options or PlanOptions()
    if source.info.kind not in _DATABASES:
        raise Unsupported(
            f"{source.info.target}: a plan needs a database, and this is a file",
            hint="load the file into SQLite ('sqlite3 merges.db' and '.import --csv') and plan there",
        )
    created = now()
    with source.snapshot() as snapshot:
        draft = _draft(source, snapshot, profile, options, progress)
    # A snapshot may learn how consistent its read was only when it closes, so it is asked afterwards.
    notes = (*draft.notes, f"read in one {snapshot.isolation}", *snapshot.notes)
    return Plan(
        plan_id=uuid.uuid4().hex,
        created=created,
        expires=created + options.expires_in,
        tool_version=__version__,
        target=identify(source),
        profile=profile_document(profile),
        tables=draft.tables,
        steps=draft.steps,
        refused=draft.refused,
        left_alone=draft.left_alone,
        notes=notes,
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    """What of a plan is made inside the snapshot."""

    tables: tuple[TableShape, ...]
    steps: tuple[Step, ...]
    refused: tuple[Refused, ...]
    left_alone: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]


def _draft(source: Source, snapshot: Snapshot, profile: Profile, options: PlanOptions, progress: Progress) -> _Draft:
    facts = read_facts(snapshot, profile, progress, needs=_NEEDS).facts
    progress("deciding", 0, None)
    damage = find_damage(facts)
    # More guids than the decision asks about: the rows of a plan tell names, too.
    mentioned = {guid for unit in damage.units for row in unit.rows for guid in (row.ref.old, row.ref.new)}
    known, read_from = gather(snapshot, profile, facts, mentioned.union(damage.guids))
    every = decide(facts, damage, known, read_from, options.policy)
    check_overrides(every, options.overrides)
    components = chosen(every, options.only, options.least)
    proof = proved(facts, components)
    rows = source.rows(snapshot)
    rows.labels = facts.table.labels
    named = Named(known, facts.table.labels, read_from, _have_ids(snapshot, profile))
    steps = _retiring(rows, profile, components, named, whole=not len(facts.table.rejected))
    notes = _notes(every, components) + unused(every, options.overrides)
    if options.references and not options.only:
        repaired = {step.component: step.members for step in steps}
        stale = stale_references(snapshot, rows, profile, proof.after, progress, repaired=repaired)
        steps += stale.steps
        notes += stale.notes
    return _Draft(
        tables=_shapes(rows, steps),
        steps=tuple(steps),
        refused=tuple(refusal_of(component, named) for component in components if component.refused is not None),
        left_alone=tuple(left_alone_of(found) for found in left_alone(facts)),
        notes=notes,
    )


def _retiring(
    rows: DatabaseRows, profile: Profile, components: Sequence[Component], named: Named, *, whole: bool
) -> list[Step]:
    """Return the steps that retire rows, in the order in which the components were decided."""
    decided = [component for component in components if component.retire]
    images = Images(rows, profile, decided, whole=whole)
    return [
        step_of(component, profile.merge.table, images.guard(component), images.retired(component), named)
        for component in decided
    ]


def _shapes(rows: DatabaseRows, steps: Sequence[Step]) -> tuple[TableShape, ...]:
    """Describe each table that the steps touch, in the order in which they do.

    Raises:
        Unsupported: the rows of one cannot be changed one by one, so that nobody could apply the plan, or others would
            change with them, so that nobody could take it back.
    """
    touched: dict[str, Image | None] = {}
    for change in (change for step in steps for change in step.changes):
        touched[change.table] = touched.get(change.table) or change.before
    for table, image in touched.items():
        stored = rows.table(table)
        if image is not None and not stored.address:
            with rows.source.translated():
                rows.single(stored, image)  # as apply will look for it
    for table in dict.fromkeys(change.table for step in steps for change in step.changes if change.after is None):
        _require_alone(rows, table)
    return tuple(rows.shape(table) for table in touched)


def _require_alone(rows: DatabaseRows, table: str) -> None:
    for other, key in cascades(rows, table)[:1]:
        raise Unsupported(
            f"where a row of {table} goes, the database changes rows of {other} with it (foreign key {key}), "
            "and no undo knows them",
            hint="let that foreign key refuse (ON DELETE NO ACTION) until the repair is done",
        )


def _have_ids(snapshot: Snapshot, profile: Profile) -> bool:
    return profile.merge.row_id is not None or getattr(snapshot, "default_row_id", None) is not None


def _notes(every: Sequence[Component], components: Sequence[Component]) -> tuple[str, ...]:
    left_out = len(every) - len(components)
    return (f"{left_out:,} more damaged components were not asked for",) if left_out else ()
